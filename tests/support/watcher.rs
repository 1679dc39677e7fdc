//! The control loop's end of a running etcd store, as tests read it: event by event, each with a deadline.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Once;
use std::time::Duration;

use elb::control::store::{EtcdOptions, StoreCommand, StoreEvent, StoreHandle, start_etcd};
use elb::model::{Contents, KeyChange};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::etcd::Etcd;

/// How long any event may take. Far more than it does take, so that a busy machine fails nothing.
const DEADLINE: Duration = Duration::from_secs(30);

/// A running store and what it has reported.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// The store.
    pub(crate) handle: StoreHandle,
    rules: BTreeMap<String, String>,
}

/// The usual options for `etcd`.
pub(crate) fn options(etcd: &Etcd) -> EtcdOptions {
    EtcdOptions::new(&etcd.address(), "ELB")
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
        Watcher { handle: start_etcd(options), rules: BTreeMap::new() }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> StoreEvent {
        let event =
            timeout(DEADLINE, self.handle.events.recv()).await.expect("an event in time").expect("a store");
        match &event {
            StoreEvent::Loaded { contents, .. } => self.rules.clone_from(&contents.rules),
            StoreEvent::Changed { changes, .. } => {
                for change in changes {
                    if let KeyChange::Rule { domain, text } = change {
                        self.rules.remove(domain);
                        self.rules.extend(text.clone().map(|text| (domain.clone(), text)));
                    }
                }
            }
            StoreEvent::Down { .. } => {}
        }
        event
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
        while self.rules.get(domain).map(String::as_str) != text {
            self.event().await;
        }
    }

    /// Asks for a dump.
    pub(crate) async fn dump(&self, contents: &Contents) -> Result<i64, String> {
        let (reply, answer) = oneshot::channel();
        let command = StoreCommand::Dump { contents: contents.clone(), reply };
        self.handle.commands.send(command).await.expect("a store");
        timeout(DEADLINE, answer).await.expect("an answer in time").expect("an answer")
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
