//! An etcd of the measurement's own: its port, its data, and the CPU time that it has used.
//!
//! It owns the process, which ends with it. `ELB_TEST_ETCD_BIN` names the program, else it is `etcd`.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Outcome;

/// Kernel ticks a second, as /proc counts CPU time (`sysconf(_SC_CLK_TCK)` is 100 on every Linux of today).
const TICKS: f64 = 100.0;

/// A running etcd.
pub(crate) struct Etcd {
    child: Child,
    folder: tempfile::TempDir,
    /// `host:port`.
    pub(crate) address: String,
}

impl Etcd {
    /// Starts it and waits until it answers.
    pub(crate) async fn start() -> Outcome<Etcd> {
        let folder = tempfile::tempdir()?;
        let address = format!("127.0.0.1:{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let url = format!("http://{address}");
        let log = fs::File::create(folder.path().join("log"))?;
        let program = std::env::var_os("ELB_TEST_ETCD_BIN").unwrap_or_else(|| "etcd".into());
        let child = Command::new(program)
            .args(["--name", "measured", "--initial-cluster", "measured=http://127.0.0.1:0"])
            .args([
                "--listen-peer-urls",
                "http://127.0.0.1:0",
                "--initial-advertise-peer-urls",
                "http://127.0.0.1:0",
            ])
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let etcd = Etcd { child, folder, address };
        for _ in 0..400 {
            if let Ok(mut client) = etcd.client().await
                && client.get("a", None).await.is_ok()
            {
                return Ok(etcd);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("etcd does not answer: {}", fs::read_to_string(etcd.folder.path().join("log"))?).into())
    }

    /// A connection of its own.
    pub(crate) async fn client(&self) -> Outcome<etcd_client::Client> {
        Ok(etcd_client::Client::connect([self.address.as_str()], None).await?)
    }

    /// CPU seconds, user and system.
    pub(crate) fn cpu(&self) -> Outcome<f64> {
        cpu(self.child.id())
    }
}

/// CPU seconds of a process, user and system.
pub(crate) fn cpu(id: u32) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // What stands before the last parenthesis is its name, which may hold anything.
    let rest = stat.rsplit_once(')').ok_or("no stat")?.1;
    let fields: Vec<f64> =
        rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(fields.iter().sum::<f64>() / TICKS)
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
