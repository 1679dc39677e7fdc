//! A real etcd of the test's own, with the port of the kernel's choice and a data folder that goes with it.
//!
//! It owns the process and a way to say `etcdctl`; it never knows what the keys mean. Stopped and started again it has
//! its old address and data, as after a crash.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use etcd_client::{Txn, TxnOp};
use tempfile::TempDir;

use super::elb::collect;
use super::wait;

/// What etcd says, in all its versions, when it takes requests, before the address.
const SERVING: &str = "insecure";
const LOOPBACK: &str = "127.0.0.1:";

/// A single etcd.
pub(crate) struct Etcd {
    child: Option<Child>,
    address: SocketAddr,
    folder: TempDir,
}

impl Etcd {
    /// Starts an empty etcd, and returns when it answers.
    #[track_caller]
    pub(crate) fn start() -> Etcd {
        let folder = tempfile::tempdir().expect("a folder for etcd");
        let mut etcd = Etcd { child: None, address: ([127, 0, 0, 1], 0).into(), folder };
        etcd.resume();
        etcd
    }

    /// Starts it again after [`Etcd::stop`], where it was and with what it held.
    #[track_caller]
    pub(crate) fn resume(&mut self) {
        let (clients, peers) = (format!("http://{}", self.address), format!("http://{LOOPBACK}0"));
        let mut child = Command::new("etcd")
            .arg("--data-dir")
            .arg(self.folder.path().join("data"))
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}"), "--unsafe-no-fsync"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("etcd: {error}; tools/test installs it"));
        let said: Arc<Mutex<String>> = collect(child.stderr.take().expect("its standard error"));
        self.address = wait::until("etcd to serve", || {
            let said = said.lock().expect("what etcd said");
            said.lines().filter(|line| line.contains(SERVING)).find_map(address_in)
        });
        self.child = Some(child);
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// Runs `etcdctl` with these arguments, and gives what it printed.
    #[track_caller]
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints={}", self.address))
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

impl Drop for Etcd {
    fn drop(&mut self) {
        self.stop();
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
        let client = runtime.block_on(etcd_client::Client::connect([etcd.endpoint()], None)).expect("etcd");
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

fn address_in(line: &str) -> Option<SocketAddr> {
    let port: String =
        line[line.find(LOOPBACK)? + LOOPBACK.len()..].chars().take_while(char::is_ascii_digit).collect();
    format!("{LOOPBACK}{port}").parse().ok().filter(|address: &SocketAddr| address.port() != 0)
}
