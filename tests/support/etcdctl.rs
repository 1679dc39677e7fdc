//! What a test says to its etcd: by `etcdctl`, as an operator does, or faster by a client of the test's own.
//!
//! It owns the words, never the process. Next: `etcd` starts, stops and wakes it.

use std::process::Command;

use etcd_client::{Txn, TxnOp};

use super::etcd::{Etcd, Mode};

/// An empty etcd. Unlike the tests of the store alone, those of the whole process do not go without.
#[track_caller]
pub(crate) fn etcd() -> Etcd {
    etcd_in(Mode::Plain)
}

/// The same in a mode.
#[track_caller]
pub(crate) fn etcd_in(mode: Mode) -> Etcd {
    Etcd::start_in(mode).expect("an etcd; tools/test installs it")
}

impl Etcd {
    /// Runs `etcdctl` with these arguments, and gives what it printed.
    #[track_caller]
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(self.ctl_flags())
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("etcdctl: {error}; tools/test installs it"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "etcdctl {arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    #[track_caller]
    pub(crate) fn put(&self, key: &str, value: &str) {
        assert_eq!(self.ctl(&["put", "--", key, value]).trim(), "OK");
    }

    #[track_caller]
    pub(crate) fn delete(&self, key: &str) {
        assert_eq!(self.ctl(&["del", key]).trim(), "1", "{key} was not there");
    }

    /// Every key below `prefix` with its value, in order.
    #[track_caller]
    pub(crate) fn keys(&self, prefix: &str) -> Vec<(String, String)> {
        let printed = self.ctl(&["get", "--prefix", prefix]);
        let lines: Vec<&str> = printed.lines().collect();
        lines.chunks(2).map(|pair| (pair[0].to_owned(), pair.get(1).unwrap_or(&"").to_string())).collect()
    }
}

/// A connection that writes faster than a process a key, and several keys in one revision.
pub(crate) struct Writer {
    runtime: tokio::runtime::Runtime,
    client: etcd_client::Client,
}

impl Writer {
    #[track_caller]
    pub(crate) fn to(etcd: &Etcd) -> Writer {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(etcd.client());
        Writer { runtime, client }
    }

    /// Puts keys, or deletes those without a value, all in one revision.
    #[track_caller]
    pub(crate) fn write(&mut self, changes: &[(String, Option<String>)]) {
        let operation = |(key, value): &(String, Option<String>)| match value {
            Some(value) => TxnOp::put(key.as_str(), value.as_str(), None),
            None => TxnOp::delete(key.as_str(), None),
        };
        let txn = Txn::new().and_then(changes.iter().map(operation).collect::<Vec<_>>());
        self.runtime.block_on(self.client.txn(txn)).expect("a transaction");
    }
}
