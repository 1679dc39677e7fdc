//! The control loop's end of a running etcd store, as tests read it: event by event, each with a deadline.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::Once;
use std::time::Duration;

use elb::control::store::{Dumped, EtcdOptions, StoreCommand, StoreEvent, StoreHandle, start_etcd};
use elb::model::{Contents, KeyChange, KeyWrite};
use tokio::time::timeout;

use crate::etcd::Etcd;

/// How long any event may take. Far more than it does take, so that a busy machine fails nothing.
const DEADLINE: Duration = Duration::from_secs(30);

/// A running store and what it has reported.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// The store.
    pub(crate) handle: StoreHandle,
    /// What was heard of it.
    pub(crate) contents: Contents,
    /// What it reported while a dump was waited for.
    early: VecDeque<StoreEvent>,
}

/// The usual options for `etcd`.
pub(crate) fn options(etcd: &Etcd) -> EtcdOptions {
    etcd.options()
}

/// A change of a rule set.
pub(crate) fn rule(domain: &str, text: Option<&str>) -> KeyChange {
    KeyChange::Rule { domain: domain.into(), text: text.map(Into::into) }
}

/// A change of a server.
pub(crate) fn server(upstream: &str, server: &str, text: Option<&str>) -> KeyChange {
    KeyChange::Server { upstream: upstream.into(), server: server.into(), text: text.map(Into::into) }
}

impl Watcher {
    /// Starts a store on the runtime of the test.
    pub(crate) fn start(options: EtcdOptions) -> Watcher {
        log_by_thread();
        Watcher { handle: start_etcd(options), contents: Contents::default(), early: VecDeque::new() }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> StoreEvent {
        let event = match self.early.pop_front() {
            Some(event) => event,
            None => self.next().await,
        };
        match &event {
            StoreEvent::Loaded { contents, .. } => self.contents.clone_from(contents),
            StoreEvent::Changed { changes, .. } => {
                changes.iter().for_each(|change| self.contents.apply(change.clone()));
            }
            StoreEvent::Down { .. } | StoreEvent::Dumped(_) => {}
        }
        event
    }

    async fn next(&mut self) -> StoreEvent {
        timeout(DEADLINE, self.handle.events.recv()).await.expect("an event in time").expect("a store")
    }

    /// Takes whatever was reported until now.
    pub(crate) async fn catch_up(&mut self) {
        while !self.early.is_empty() || !self.handle.events.is_empty() {
            self.event().await;
        }
    }

    /// The next event is a load.
    pub(crate) async fn loaded(&mut self) -> (Contents, i64) {
        match self.event().await {
            StoreEvent::Loaded { contents, revision } => (contents, revision),
            other => panic!("{other:?} instead of a load"),
        }
    }

    /// The next event is a change.
    pub(crate) async fn changed(&mut self) -> (Vec<KeyChange>, i64) {
        match self.event().await {
            StoreEvent::Changed { changes, revision } => (changes, revision),
            other => panic!("{other:?} instead of a change"),
        }
    }

    /// The next event is the loss of the store.
    pub(crate) async fn down(&mut self) -> String {
        match self.event().await {
            StoreEvent::Down { reason } => reason,
            other => panic!("{other:?} instead of a loss"),
        }
    }

    /// Takes events until the domain has that rule set, or none.
    pub(crate) async fn until_rule(&mut self, domain: &str, text: Option<&str>) {
        while self.contents.rules.get(domain).map(String::as_str) != text {
            self.event().await;
        }
    }

    /// Asks for these writes, and waits for the answer. What is reported meanwhile comes with the next events.
    pub(crate) async fn write(&mut self, writes: Vec<KeyWrite>) -> Result<Dumped, String> {
        self.handle.commands.send(StoreCommand::Dump { writes }).await.expect("a store");
        loop {
            match self.next().await {
                StoreEvent::Dumped(outcome) => return outcome,
                event => self.early.push_back(event),
            }
        }
    }

    /// Asks for the writes that make what was heard of last `wanted`.
    pub(crate) async fn dump(&mut self, wanted: &Contents) -> Result<Dumped, String> {
        let mut changes = Vec::new();
        for (domain, text) in &wanted.rules {
            changes.push(rule(domain, Some(text)));
        }
        for (upstream, servers) in &wanted.upstreams {
            changes.extend(servers.iter().map(|(one, text)| server(upstream, one, Some(text))));
        }
        let heard = &self.contents;
        changes.extend(heard.rules.keys().map(|domain| rule(domain, None)));
        for (upstream, servers) in &heard.upstreams {
            changes.extend(servers.keys().map(|one| server(upstream, one, None)));
        }
        changes.retain(|change| change.text().is_some() || wanted.get(change).is_none());
        changes.retain(|change| heard.get(change) != change.text());
        let writes = changes.into_iter().map(|wanted| {
            let read = heard.get(&wanted).map(str::to_owned);
            KeyWrite { read, wanted, doubtful: false }
        });
        self.write(writes.collect()).await
    }
}

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What the store of this test has logged: a test has a thread of its own, and the store runs on it.
pub(crate) fn logged() -> String {
    LOG.with_borrow(|log| String::from_utf8_lossy(log).into_owned())
}

/// One logger for all tests. Loggers that come and go would race: `tracing` remembers for each place in the code
/// whether somebody listens, and asks only the thread that came there first.
fn log_by_thread() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_env_filter("info,elb=debug")
            .with_ansi(false)
            .with_writer(|| ToThread)
            .init()
    });
}

struct ToThread;

impl Write for ToThread {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
