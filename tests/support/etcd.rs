//! A real etcd for one test: its own port and data, started, killed, stopped and woken at will, in one of three modes.
//!
//! It never sleeps for luck: it waits until etcd says it is healthy, with a deadline. `ELB_TEST_ETCD_BIN` names the
//! program, else it is looked for in `PATH`.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "certificates.rs"]
pub(crate) mod certificates;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use elb::control::store::EtcdOptions;
use elb::settings::Certificates;
use etcd_client::{Certificate, Client, ConnectOptions, Identity, Permission, TlsOptions};
use tempfile::TempDir;

use certificates::{Authority, Signed};

/// How long etcd may take to become healthy.
const START: Duration = Duration::from_secs(20);

/// The user that ELB is in [`Mode::Auth`], and the password.
pub(crate) const USER: (&str, &str) = ("elb", "secret");
/// Who may do everything there.
const ROOT: (&str, &str) = ("root", "r");

/// How etcd is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In the clear, by anybody.
    Plain,
    /// By TLS, by those who show a certificate.
    Tls,
    /// By TLS, with user and password; ELB's user has the least rights that the manual says it needs.
    Auth,
}

/// An etcd that is killed when the test ends.
#[derive(Debug)]
pub(crate) struct Etcd {
    child: Option<Child>,
    port: u16,
    /// Where it says whether it is healthy, always in the clear.
    health: u16,
    folder: TempDir,
    arguments: Vec<String>,
    mode: Mode,
    /// Who signed its certificate, unless it is plain.
    pub(crate) authority: Option<Authority>,
}

impl Etcd {
    /// Starts an empty etcd; nothing if there is none on this machine. On a build server that is a failure.
    pub(crate) fn start() -> Option<Etcd> {
        Etcd::start_with(Mode::Plain, &[])
    }

    /// The same in this mode.
    pub(crate) fn start_in(mode: Mode) -> Option<Etcd> {
        Etcd::start_with(mode, &[])
    }

    /// The same, with more command line arguments.
    pub(crate) fn start_with(mode: Mode, arguments: &[&str]) -> Option<Etcd> {
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
        let mut etcd = Etcd { child: None, port: 0, health: 0, folder, arguments, mode, authority: None };
        if mode != Mode::Plain {
            let authority = Authority::new("etcd's authority");
            etcd.file("ca.pem", &authority.pem);
            etcd.certify("client", &authority.sign(&["elb.test"]));
            etcd.certify("server", &authority.sign(&["127.0.0.1", "localhost"]));
            etcd.authority = Some(authority);
        }
        // Somebody may take a port between the probe and etcd.
        for _ in 0..5 {
            // Both at once, so that they differ.
            let free = [0, 0].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
            [etcd.port, etcd.health] = free.map(|one| one.local_addr().unwrap().port());
            if etcd.launch() {
                etcd.add_users();
                return Some(etcd);
            }
        }
        panic!("etcd does not start: {}", etcd.log());
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its address with its scheme.
    pub(crate) fn endpoint(&self) -> String {
        self.scheme_of(&self.address())
    }

    /// Another address with the scheme of this one.
    pub(crate) fn scheme_of(&self, address: &str) -> String {
        format!("{}://{address}", if self.mode == Mode::Plain { "http" } else { "https" })
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into its folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Writes `NAME.pem` and `NAME.key`. etcd reads those of `server` and clients those of `client` at each connection.
    pub(crate) fn certify(&self, name: &str, signed: &Signed) {
        self.file(&format!("{name}.pem"), &signed.certificate);
        self.file(&format!("{name}.key"), &signed.key);
    }

    /// What ELB makes connections with.
    pub(crate) fn certificates(&self) -> Certificates {
        let own = (self.mode == Mode::Tls).then(|| (self.path("client.pem"), self.path("client.key")));
        Certificates { ca: (self.mode != Mode::Plain).then(|| self.path("ca.pem")), own }
    }

    /// The usual options, for a part of ELB.
    pub(crate) fn options(&self) -> EtcdOptions {
        let login = (self.mode == Mode::Auth).then(|| (USER.0.to_owned(), USER.1.to_owned()));
        let certificates = self.certificates();
        EtcdOptions { login, certificates, ..EtcdOptions::new(&self.endpoint(), "ELB") }
    }

    /// The same as flags, without the endpoint.
    pub(crate) fn flags(&self) -> Vec<String> {
        let Certificates { ca, own } = self.certificates();
        let flag = |name: &str, path: &Path| format!("--etcd-{name}={}", path.display());
        let mut flags: Vec<String> = ca.iter().map(|ca| flag("ca", ca)).collect();
        flags.extend(own.iter().flat_map(|(cert, key)| [flag("cert", cert), flag("key", key)]));
        if self.mode == Mode::Auth {
            flags.push(format!("--etcd-user={}", USER.0));
            flags.push(flag("password-file", &self.file("password", USER.1)));
        }
        flags
    }

    /// The same for `etcdctl`, which may do everything.
    pub(crate) fn ctl_flags(&self) -> Vec<String> {
        let Certificates { ca, own } = self.certificates();
        let mut flags = vec![format!("--endpoints={}", self.endpoint())];
        flags.extend(ca.iter().map(|ca| format!("--cacert={}", ca.display())));
        flags.extend(own.iter().map(|(cert, _)| format!("--cert={}", cert.display())));
        flags.extend(own.iter().map(|(_, key)| format!("--key={}", key.display())));
        flags.extend((self.mode == Mode::Auth).then(|| format!("--user={}:{}", ROOT.0, ROOT.1)));
        flags
    }

    /// A client of the test's own, which may do everything.
    pub(crate) async fn client(&self) -> Client {
        self.client_of((self.mode == Mode::Auth).then_some(ROOT)).await
    }

    async fn client_of(&self, user: Option<(&str, &str)>) -> Client {
        let mut options = ConnectOptions::new();
        let Certificates { ca, own } = self.certificates();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        if let Some(ca) = ca {
            let tls = TlsOptions::new().ca_certificate(Certificate::from_pem(read(&ca)));
            options = options.with_tls(match own {
                Some((cert, key)) => tls.identity(Identity::from_pem(read(&cert), read(&key))),
                None => tls,
            });
        }
        if let Some((name, password)) = user {
            options = options.with_user(name, password);
        }
        Client::connect([self.endpoint()], Some(options)).await.unwrap()
    }

    /// An etcd that was started with nothing in it has no users.
    fn add_users(&self) {
        if self.mode != Mode::Auth {
            return;
        }
        // A runtime of its own, on a thread of its own: the test may be on one.
        std::thread::scope(|scope| {
            let added = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut client = self.client_of(None).await;
                    client.user_add(ROOT.0, ROOT.1, None).await.unwrap();
                    client.user_grant_role(ROOT.0, "root").await.unwrap();
                    client.role_add("elb").await.unwrap();
                    for (from, end) in [("/ELB/rules/", "/ELB/upstreams0"), ("/ELB/@nodes/", "/ELB/@nodes0")]
                    {
                        let all = Permission::read_write(from).with_range_end(end);
                        client.role_grant_permission("elb", all).await.unwrap();
                    }
                    client.user_add(USER.0, USER.1, None).await.unwrap();
                    client.user_grant_role(USER.0, "elb").await.unwrap();
                    client.auth_enable().await.unwrap();
                });
            });
            added.join().unwrap();
        });
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
        self.add_users();
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
        let (url, health) = (self.endpoint(), format!("http://127.0.0.1:{}", self.health));
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(program().unwrap());
        command
            .args(["--name", "test", "--initial-cluster", "test=http://127.0.0.1:0"])
            .args(["--listen-peer-urls", "http://127.0.0.1:0"])
            .args(["--initial-advertise-peer-urls", "http://127.0.0.1:0"])
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-metrics-urls", &health])
            // Passwords are checked in a millisecond instead of a tenth of a second.
            .args(["--bcrypt-cost", "4"])
            .arg("--data-dir")
            .arg(self.folder.path().join("data"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if self.mode != Mode::Plain {
            command.arg("--cert-file").arg(self.path("server.pem"));
            command.arg("--key-file").arg(self.path("server.key"));
        }
        if self.mode == Mode::Tls {
            command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(self.path("ca.pem"));
        }
        let child = self.child.insert(command.spawn().unwrap());
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if child.try_wait().unwrap().is_some() {
                self.child = None;
                return false;
            }
            if healthy(self.health) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("etcd is not healthy after {START:?}: {}", self.log());
    }

    pub(crate) fn log(&self) -> String {
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
