//! Name resolution against a name server that the test plays.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Resolver;
use crate::control::lookups::{Lookups, NEW};

fn want(resolver: &mut Resolver, names: &[&str]) {
    for name in names {
        resolver.want(name);
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A resolver that answers with whatever the list holds at that moment, and nothing when it is empty.
fn scripted(answers: &[&str]) -> (Resolver, Arc<Mutex<Vec<SocketAddr>>>) {
    let answers = Arc::new(Mutex::new(answers.iter().map(|text| address(text)).collect::<Vec<_>>()));
    let script = Arc::clone(&answers);
    let resolver = Resolver::new(Lookups::new(Arc::new(move |_| {
        let answer = script.lock().unwrap().clone();
        Box::pin(async move { Ok(answer) })
    })));
    (resolver, answers)
}

#[tokio::test]
async fn addresses_are_sorted_and_single_and_only_a_difference_is_news() {
    let (mut resolver, script) = scripted(&["10.0.0.2:80", "10.0.0.1:80", "10.0.0.2:80"]);
    want(&mut resolver, &["a:80"]);
    assert!(!resolver.is_settled());
    assert!(resolver.next().await.is_some());
    assert!(resolver.is_settled());
    assert_eq!(resolver.addresses["a:80"], [address("10.0.0.1:80"), address("10.0.0.2:80")]);
    *script.lock().unwrap() = vec![address("10.0.0.1:80"), address("10.0.0.2:80")];
    resolver.refresh();
    assert!(resolver.next().await.is_none());
    *script.lock().unwrap() = vec![address("10.0.0.1:80")];
    resolver.refresh();
    assert!(resolver.next().await.is_some());
}

#[tokio::test]
async fn a_failure_keeps_the_last_good_addresses() {
    let (mut resolver, script) = scripted(&["10.0.0.1:80"]);
    want(&mut resolver, &["a:80"]);
    assert!(resolver.next().await.is_some());
    script.lock().unwrap().clear();
    resolver.refresh();
    assert!(resolver.next().await.is_none());
    assert_eq!(resolver.addresses["a:80"], [address("10.0.0.1:80")]);
    assert_eq!(resolver.unresolved().count(), 0);
    want(&mut resolver, &["a:80", "b:80"]);
    assert!(resolver.next().await.is_none());
    assert_eq!(resolver.unresolved().collect::<Vec<_>>(), ["b:80"]);
    assert!(resolver.is_settled());
}

#[tokio::test]
async fn a_retry_is_for_those_that_failed() {
    let (mut resolver, script) = scripted(&["10.0.0.1:80"]);
    want(&mut resolver, &["a:80"]);
    assert!(resolver.next().await.is_some());
    resolver.retry();
    assert!(resolver.running.is_empty());
    script.lock().unwrap().clear();
    want(&mut resolver, &["a:80", "b:80"]);
    assert!(resolver.next().await.is_none());
    *script.lock().unwrap() = vec![address("10.0.0.2:80")];
    resolver.retry();
    assert_eq!(resolver.running.len(), 1);
    assert!(resolver.next().await.is_some());
    assert_eq!(resolver.addresses["b:80"], [address("10.0.0.2:80")]);
}

#[tokio::test]
async fn names_that_nobody_wants_are_forgotten_with_their_answers() {
    let (mut resolver, _script) = scripted(&["10.0.0.1:80"]);
    want(&mut resolver, &["a:80", "b:80"]);
    resolver.forget("a:80");
    while !resolver.running.is_empty() {
        resolver.next().await;
    }
    assert_eq!(resolver.addresses.keys().collect::<Vec<_>>(), ["b:80"]);
    assert_eq!(resolver.want("b:80"), Some(&[address("10.0.0.1:80")][..]), "what is known is told at once");
    resolver.forget("b:80");
    assert!(resolver.addresses.is_empty() && resolver.is_settled());
}

#[tokio::test]
async fn lookups_are_bounded_and_a_silent_one_ends_by_itself() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (run, top) = (Arc::clone(&running), Arc::clone(&most));
    let mut resolver = Resolver::new(Lookups::new(Arc::new(move |name| {
        let (run, top) = (Arc::clone(&run), Arc::clone(&top));
        Box::pin(async move {
            top.fetch_max(1 + run.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
            if name == "silent" {
                std::future::pending::<()>().await;
            }
            sleep(Duration::from_millis(1)).await;
            run.fetch_sub(1, Ordering::Relaxed);
            Ok(vec![address("10.0.0.1:80")])
        })
    })));
    for name in (0..100).map(|n| n.to_string()) {
        resolver.want(&name);
    }
    resolver.want("silent");
    let all = async {
        while !resolver.is_settled() {
            resolver.next().await;
        }
    };
    timeout(Duration::from_secs(5), all).await.unwrap();
    assert_eq!(most.load(Ordering::Relaxed), NEW);
    assert_eq!(resolver.unresolved().collect::<Vec<_>>(), ["silent"]);
}

/// A name server that says nothing until it is told to.
#[tokio::test]
async fn a_silent_lookup_is_a_failure_once_and_its_late_answer_is_taken() {
    let speaks = Arc::new(tokio::sync::Semaphore::new(0));
    let (own, asked) = (Arc::clone(&speaks), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let mut resolver = Resolver::new(Lookups::new(Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let own = Arc::clone(&own);
        Box::pin(async move {
            own.acquire().await.unwrap().forget();
            Ok(vec![address("10.0.0.1:80")])
        })
    })));
    want(&mut resolver, &["a:80"]);
    assert!(resolver.next().await.is_none());
    assert_eq!(resolver.unresolved().collect::<Vec<_>>(), ["a:80"]);
    for _ in 0..10 {
        resolver.retry();
        resolver.refresh();
        // Lookups begin as tasks of their own.
        tokio::task::yield_now().await;
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "one lookup until it really ends");
    speaks.add_permits(1);
    assert_eq!(resolver.next().await, Some(("a:80".to_owned(), vec![address("10.0.0.1:80")])));
    assert_eq!(resolver.unresolved().count(), 0);
}

#[tokio::test]
async fn what_an_earlier_life_knew_serves_until_it_is_looked_up() {
    let (mut resolver, script) = scripted(&[]);
    let known = vec![address("10.0.0.7:80")];
    resolver.remember([("a:80".to_owned(), known.clone()), ("c:80".to_owned(), known.clone())].into());
    assert_eq!(resolver.want("a:80"), Some(&known[..]));
    assert!(resolver.is_usable() && !resolver.is_settled());
    assert!(resolver.next().await.is_none());
    assert_eq!((resolver.addresses("a:80"), resolver.unresolved().count()), (Some(&known[..]), 0));
    want(&mut resolver, &["b:80"]);
    assert!(!resolver.is_usable(), "nothing is known of this one");
    assert_eq!(resolver.all_addresses().keys().collect::<Vec<_>>(), ["a:80", "c:80"]);
    script.lock().unwrap().push(address("10.0.0.8:80"));
    resolver.retry();
    while resolver.addresses("a:80") == Some(&known[..]) {
        resolver.next().await;
    }
    assert_eq!(resolver.addresses("a:80"), Some(&[address("10.0.0.8:80")][..]));
}

#[tokio::test]
async fn what_was_found_for_a_change_is_not_looked_up_again() {
    let (mut resolver, _script) = scripted(&[]);
    let found = vec![address("10.0.0.7:80")];
    assert_eq!(resolver.take_found([("a:80".to_owned(), found.clone())].into()), []);
    assert_eq!(resolver.want("a:80"), Some(&found[..]));
    assert!(resolver.is_settled() && resolver.running.is_empty());
    let newer = vec![address("10.0.0.8:80")];
    let news = resolver.take_found([("a:80".to_owned(), newer.clone()), ("b:80".to_owned(), found)].into());
    assert_eq!(news, [("a:80".to_owned(), newer)]);
    resolver.forget_found();
    assert_eq!(resolver.want("b:80"), None, "it was found for another change");
}
