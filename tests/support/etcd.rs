//! A real etcd for one test: its own port and data, started, killed, stopped and woken at will.
//!
//! It never sleeps for luck: it waits until etcd says it is healthy, with a deadline. `ELB_TEST_ETCD_BIN` names the
//! program, else it is looked for in `PATH`.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long etcd may take to become healthy.
const START: Duration = Duration::from_secs(20);

/// An etcd that is killed when the test ends.
#[derive(Debug)]
pub(crate) struct Etcd {
    child: Option<Child>,
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
}

impl Etcd {
    /// Starts an empty etcd; nothing if there is none on this machine. On a build server that is a failure.
    pub(crate) fn start() -> Option<Etcd> {
        Etcd::start_with(&[])
    }

    /// The same, with more command line arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Option<Etcd> {
        if program().is_none() {
            assert!(
                std::env::var_os("CI").is_none(),
                "no etcd on this machine, and the build server must have one"
            );
            // Straight to the stream: the harness keeps what the printing macros say of a test that passes.
            let _ = std::io::stderr().write_all(b"\nSKIPPED: there is no etcd on this machine\n");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut etcd = Etcd { child: None, port: 0, folder, arguments };
        // Somebody may take the port between the probe and etcd.
        for _ in 0..5 {
            etcd.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if etcd.launch() {
                return Some(etcd);
            }
        }
        panic!("etcd does not start: {}", etcd.log());
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A client of the test's own.
    pub(crate) async fn client(&self) -> etcd_client::Client {
        etcd_client::Client::connect([self.address()], None).await.unwrap()
    }

    /// Kills etcd; its data stay.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again on the same port and data.
    pub(crate) fn restart(&mut self) {
        self.stop();
        assert!(self.launch(), "etcd does not start again: {}", self.log());
    }

    /// Starts it again on the same port without its data.
    pub(crate) fn wipe(&mut self) {
        self.stop();
        fs::remove_dir_all(self.folder.path().join("data")).unwrap();
        self.restart();
    }

    /// Stops the process in its tracks: its connections stay open, and nobody answers.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("etcd runs").id();
        // The shell's own word: a small machine has no program of that name.
        let sent = Command::new("sh").args(["-c", &format!("kill {signal} {id}")]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{signal} was not sent");
    }

    /// Starts the process and waits until it is healthy; false if it ended instead.
    fn launch(&mut self) -> bool {
        let url = format!("http://{}", self.address());
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(program().unwrap());
        command
            .args(["--name", "test", "--initial-cluster", "test=http://127.0.0.1:0"])
            .args(["--listen-peer-urls", "http://127.0.0.1:0"])
            .args(["--initial-advertise-peer-urls", "http://127.0.0.1:0"])
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .arg("--data-dir")
            .arg(self.folder.path().join("data"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = self.child.insert(command.spawn().unwrap());
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if child.try_wait().unwrap().is_some() {
                self.child = None;
                return false;
            }
            if healthy(self.port) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("etcd is not healthy after {START:?}: {}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("ELB_TEST_ETCD_BIN") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("etcd")).find(|file| file.is_file())
}

fn healthy(port: u16) -> bool {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    asked().is_ok_and(|answer| answer.contains(r#""health":"true""#))
}
