//! Connections that stay open: to clients, and to servers in the pool.

use std::sync::{Arc, Barrier, Mutex, mpsc};

use serde_json::json;

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::wait::{self, PATIENCE};

/// One worker, so that every request meets the same pool.
fn alone(servers: &[&Server]) -> Launch {
    Launch::serving(&rules::site(servers)).workers(1)
}

#[test]
fn requests_of_different_clients_share_a_server_connection() {
    let server = Server::named("a");
    let elb = alone(&[&server]).start();

    for _ in 0..5 {
        let mut client = elb.client();
        assert_eq!(client.ask(get(SITE, "/")).text(), "a");
        assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn pooled_connections_outlive_changes_of_the_configuration() {
    let server = Server::named("a");
    let elb = alone(&[&server]).start();
    let mut client = elb.client();
    assert_eq!(client.ask(get(SITE, "/")).text(), "a");

    elb.admin().put("domain", &json!({"other.test": rules::to("up")}));
    elb.admin().put("upstream", &json!({"up": rules::upstream(&[&server], "weight=2")}));

    assert_eq!(client.ask(get(SITE, "/")).text(), "a", "the client's connection");
    assert_eq!(client.ask(get("other.test", "/")).text(), "a");
    assert_eq!(server.connections(), 1, "the server's connection");
}

#[test]
fn a_server_that_closes_after_every_answer_costs_no_request() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.send(ok("once"))
    });
    let elb = Elb::before(&[&server]);

    let (mut client, mut done) = (elb.client(), 0);
    for _ in 0..50 {
        assert_eq!(client.ask(get(SITE, "/")).text(), "once");
        let posted = client.ask(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 2\r\n\r\nhi"));
        match posted.status() {
            200 => done += 1,
            // A POST that was sent as the server closed may not be sent again.
            502 => {}
            other => panic!("{other}: {posted:?}"),
        }
    }
    let seen = |method| server.requests().iter().filter(|request| request.head.method() == method).count();
    assert_eq!(
        (seen("GET"), seen("POST")),
        (50, done),
        "what was answered was done, once, and nothing else was"
    );
    assert!(server.connections() >= 50 + done, "each of them took one request");
}

#[test]
fn idle_connections_that_the_server_closed_are_noticed_and_not_lent() {
    let server = Server::named("a");
    let elb = alone(&[&server]).start();
    let mut client = elb.client();
    let post = format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 2\r\n\r\nhi");

    for round in 1..=5 {
        assert_eq!(client.ask(&post).text(), "a");
        assert_eq!(server.connections(), round);
        server.hang_up();
        // Another connection, used after the end of the first has reached ELB, shows that ELB has had its turn.
        assert_eq!(elb.client().ask(get("nobody.test", "/")).status(), 404);
    }
}

#[test]
fn what_one_side_closes_the_other_keeps() {
    let server = Server::answering(|request| match request.head.target() {
        "/server-closes" => "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na".to_owned(),
        _ => ok("a"),
    });
    let elb = alone(&[&server]).start();

    let mut client = elb.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n"));
    let answer = client.response();
    assert_eq!(answer.head.get("Connection").map(str::to_lowercase).as_deref(), Some("close"));
    client.ended();

    let mut client = elb.client();
    assert_eq!(client.ask(get(SITE, "/server-closes")).head.get("Connection"), None);
    assert_eq!(server.connections(), 1, "the first client's close was not the server's");
    assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    assert_eq!(server.connections(), 2, "the server's close was not the client's");
}

#[test]
fn a_request_of_which_one_half_was_read_with_the_last_one_is_not_forgotten() {
    let (answers, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let server = Server::start(move |talk| {
        while let Some(request) = talk.request()? {
            if request.head.target() == "/held" {
                let _ = waits.lock().expect("one such request").recv_timeout(PATIENCE);
            }
            talk.send(ok(request.head.target()))?;
        }
        Ok(())
    });
    let elb = alone(&[&server]).start();

    let second = get(SITE, "/second");
    let (half, rest) = second.split_at(9);
    let mut client = elb.client();
    client.send(get(SITE, "/held") + half);
    wait::until("the first request", || (server.requests().len() == 1).then_some(()));
    client.send(rest);
    assert_eq!(elb.client().ask(get(SITE, "/other")).text(), "/other", "the worker has seen the rest come");
    answers.send(()).expect("a server that waits");

    assert_eq!(client.response().text(), "/held");
    assert_eq!(client.response().text(), "/second");
}

#[test]
fn a_connection_with_bytes_that_nobody_asked_for_is_not_used_again() {
    let server =
        Server::answering(|_| format!("{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", ok("a")));
    let elb = alone(&[&server]).start();

    let mut client = elb.client();
    for round in 1..=3 {
        assert_eq!(client.ask(get(SITE, "/")).text(), "a");
        assert_eq!(server.connections(), round);
    }
}

#[test]
fn a_pooled_connection_that_dies_under_a_request_is_replaced_when_that_is_safe() {
    // Every second request meets a server that closes without a word.
    let server = Server::start(|talk| {
        talk.request()?;
        talk.send(ok("a"))?;
        talk.request()?;
        Ok(())
    });
    let elb = alone(&[&server]).start();

    let mut client = elb.client();
    assert_eq!(client.ask(get(SITE, "/1")).text(), "a");
    assert_eq!(client.ask(get(SITE, "/2")).text(), "a", "sent again on a new connection");
    let post = format!("POST /3 HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.ask(post).status(), 502, "it may have been acted upon");
    let sent = server.requests().iter().filter(|request| request.head.target() == "/3").count();
    assert_eq!(sent, 1, "and was not sent twice");
}

#[test]
fn the_pool_keeps_no_more_than_it_may() {
    let both = Arc::new(Barrier::new(2));
    let (closed, closings) = mpsc::channel();
    let server = Server::start(move |talk| {
        while talk.request()?.is_some() {
            both.wait();
            talk.send(ok("a"))?;
        }
        closed.send(talk.number).expect("a test that listens");
        Ok(())
    });
    let elb = alone(&[&server]).flag("--server-idle-max=1").start();

    let mut clients = [elb.client(), elb.client()];
    for client in &mut clients {
        client.send(get(SITE, "/"));
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "a");
    }
    closings.recv_timeout(PATIENCE).expect("one of the two connections to be closed");
    assert!(closings.try_recv().is_err(), "and the other to be kept");
}

#[test]
fn a_client_has_no_more_connections_than_it_may() {
    let server = Server::named("a");
    let elb = alone(&[&server]).flag("--max-connections-per-client=2").start();

    let mut clients = [elb.client(), elb.client()];
    for client in &mut clients {
        assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    }
    for _ in 0..3 {
        elb.client().ended();
    }
    for client in &mut clients {
        assert_eq!(client.ask(get(SITE, "/")).text(), "a", "who was there first stays");
    }
    drop(clients);
    wait::until("a place", || elb.client().try_ask(&get(SITE, "/")).ok());
}

#[test]
fn an_idle_client_is_closed_after_its_time() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--keepalive-timeout=300ms").start();

    let mut client = elb.client();
    assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    client.ended();
}

#[test]
fn an_idle_server_connection_is_closed_after_its_time() {
    let (closed, closings) = mpsc::channel();
    let server = Server::start(move |talk| {
        while talk.request()?.is_some() {
            talk.send(ok("a"))?;
        }
        closed.send(()).expect("a test that listens");
        Ok(())
    });
    let elb = Launch::serving(&rules::site(&[&server])).flag("--server-keepalive-timeout=300ms").start();

    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    closings.recv_timeout(PATIENCE).expect("the idle connection to be closed");
}

#[test]
fn a_client_that_goes_away_while_waiting_frees_the_server() {
    let (ended, endings) = mpsc::channel();
    let server = Server::start(move |talk| {
        talk.request()?;
        ended.send(talk.some()?.is_empty()).expect("a test that listens");
        Ok(())
    });
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send(get(SITE, "/"));
    wait::until("the request to arrive", || (server.requests().len() == 1).then_some(()));
    client.reset();

    assert!(endings.recv_timeout(PATIENCE).expect("the server to be let go"));
}

/// A server that answers `/N` N milliseconds after it was asked, unless it is let go; says each time whether it was.
fn slow() -> (Server, mpsc::Receiver<bool>) {
    let (told, tells) = mpsc::channel();
    let server = Server::start(move |talk| {
        while let Some(request) = talk.request()? {
            let pause = request.head.target()[1..].parse().unwrap_or(0);
            talk.hurry(std::time::Duration::from_millis(pause))?;
            let let_go = talk.some().is_ok_and(|bytes| bytes.is_empty());
            talk.hurry(PATIENCE)?;
            told.send(let_go).expect("a test that listens");
            if let_go {
                return Ok(());
            }
            talk.send(ok("late"))?;
        }
        Ok(())
    });
    (server, tells)
}

#[test]
fn a_client_that_has_said_all_is_answered_if_the_answer_begins_in_time() {
    let (server, tells) = slow();
    let elb = Elb::before(&[&server]);
    let mut client = elb.client();
    client.send(get(SITE, "/400"));
    client.finish();
    assert_eq!(client.response().text(), "late");
    client.ended();
    assert!(!tells.recv_timeout(PATIENCE).expect("an answer"));
}

#[test]
fn the_server_of_a_client_that_has_said_all_is_let_go_when_the_answer_does_not_begin_in_time() {
    let (server, tells) = slow();
    for time in ["300ms", "0"] {
        let elb = Launch::serving(&rules::site(&[&server]))
            .flag(&format!("--half-close-timeout={time}"))
            .flag("--server-timeout=1h")
            .start();
        let mut client = elb.client();
        client.send(get(SITE, "/20000"));
        client.finish();
        client.ended();
        assert!(tells.recv_timeout(PATIENCE).expect("the server to be let go"), "{time}");
        let counted = || elb.admin().get("workers")["all"]["refused"]["half-close-timeout"] == 1;
        wait::until("the number", || counted().then_some(()));
        // A body and a tunnel end by themselves, and a client that is there is waited for.
        let mut patient = elb.client();
        assert_eq!(patient.ask(get(SITE, "/700")).text(), "late");
        assert!(!tells.recv_timeout(PATIENCE).expect("an answer"));
    }
}

#[test]
fn requests_behind_each_other_and_then_the_end_are_all_answered() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--half-close-timeout=1s").start();
    let mut client = elb.client();
    client.send(get(SITE, "/").repeat(200));
    client.finish();
    for _ in 0..200 {
        assert_eq!(client.response().text(), "a");
    }
    client.ended();
}

#[test]
fn as_many_connections_are_kept_as_were_in_use_at_once() {
    const AT_ONCE: usize = 200;
    let all = Arc::new(Barrier::new(AT_ONCE));
    let server = Server::start(move |talk| {
        while talk.request()?.is_some() {
            all.wait();
            talk.send(ok("a"))?;
        }
        Ok(())
    });
    let elb = alone(&[&server]).start();
    let mut clients: Vec<_> = (0..AT_ONCE).map(|_| elb.client()).collect();
    for _ in 0..5 {
        for client in &mut clients {
            client.send(get(SITE, "/"));
        }
        for client in &mut clients {
            assert_eq!(client.response().text(), "a");
        }
    }
    assert_eq!(server.connections(), AT_ONCE, "none was made anew");
}

#[test]
fn idle_connections_of_a_server_that_is_removed_are_closed() {
    let (closed, closings) = mpsc::channel();
    let server = Server::start(move |talk| {
        while talk.request()?.is_some() {
            talk.send(ok("a"))?;
        }
        closed.send(()).expect("a test that listens");
        Ok(())
    });
    let other = Server::named("other");
    let elb = alone(&[&server, &other]).start();
    let mut client = elb.client();
    for _ in 0..2 {
        client.ask(get(SITE, "/"));
    }
    elb.admin().put("upstream", &json!({"up": rules::upstream(&[&other], "")}));
    closings.recv_timeout(PATIENCE).expect("the idle connection to be closed, although nobody asks");
}
