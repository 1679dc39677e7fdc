//! A real HAProxy before an ELB or behind one, on loopback.
//!
//! It owns the process and its port. Next: `e2e/proxy_protocol` has it speak the PROXY protocol.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::skip::skipped;
use super::wait;

/// Debian keeps it where only root looks.
const PLACES: [&str; 3] = ["haproxy", "/usr/sbin/haproxy", "/usr/local/sbin/haproxy"];

/// An HAProxy that is killed when the test ends.
pub(crate) struct Haproxy {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Haproxy {
    /// Passes connections on to `server`, with `words` behind it in the configuration; nothing if there is no HAProxy on this machine.
    /// On a build server that is a failure.
    pub(crate) fn before(server: SocketAddr, words: &str) -> Option<Haproxy> {
        Haproxy::between("", server, words)
    }

    /// The same with words behind the address that it listens on.
    pub(crate) fn between(bound: &str, server: SocketAddr, words: &str) -> Option<Haproxy> {
        let is_there = |place: &&&str| Command::new(place).arg("-v").output().is_ok();
        let Some(program) = PLACES.iter().find(is_there) else {
            let why = "there is no haproxy on this machine; tools/setup installs it";
            assert!(std::env::var_os("CI").is_none(), "{why}");
            skipped("the PROXY protocol of HAProxy", why);
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder for HAProxy");
        let file = folder.path().join("haproxy.cfg");
        // Between our asking for a free port and its binding somebody may take it: then it is asked for again.
        let (child, address) = wait::until("HAProxy to listen", || {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let address = free.local_addr().expect("its address");
            let configuration = format!(
                "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
                 listen all\n bind {address} {bound}\n server elb {server} {words}\n"
            );
            std::fs::write(&file, configuration).expect("a file for HAProxy");
            drop(free);
            let mut child = Command::new(program)
                .args(["-db", "-q", "-f"])
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("haproxy");
            let listens = wait::until("HAProxy to listen or to end", || {
                if child.try_wait().expect("a child").is_some() {
                    return Some(false);
                }
                TcpStream::connect(address).is_ok().then_some(true)
            });
            listens.then_some((child, address))
        });
        Some(Haproxy { child, address, _folder: folder })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
