//! What a service manager is told (sd_notify(3)).

use std::os::unix::net::UnixDatagram;

use crate::support::elb::Launch;
use crate::support::rules;
use crate::support::server::Server;
use crate::support::wait::PATIENCE;

/// A socket of a service manager, which is told one thing a line.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Manager {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        Manager { socket, folder }
    }

    fn address(&self) -> String {
        self.folder.path().join("notify").display().to_string()
    }

    /// Waits until it is told a line that begins so.
    #[track_caller]
    fn hears(&self, begin: &str) -> String {
        let mut room = [0; 4096];
        loop {
            let length = self.socket.recv(&mut room).expect("something to be told");
            let told = String::from_utf8_lossy(&room[..length]).into_owned();
            if let Some(line) = told.lines().find(|line| line.starts_with(begin)) {
                return line.to_owned();
            }
        }
    }
}

#[test]
fn a_service_manager_is_told_that_it_serves_how_it_goes_and_that_it_ends() {
    let (manager, server) = (Manager::new(), Server::named("a"));
    let launch = Launch::serving(&rules::site(&[&server]))
        .variable("NOTIFY_SOCKET", &manager.address())
        .variable("WATCHDOG_USEC", "200000");
    let mut elb = launch.spawn();
    manager.hears("READY=1");
    let (first, second) = (manager.hears("WATCHDOG=1"), manager.hears("WATCHDOG=1"));
    assert_eq!(first, second);
    elb.signal("HUP");
    elb.signal("TERM");
    manager.hears("STOPPING=1");
    assert_eq!(elb.exit().code(), Some(0));
}

#[test]
fn its_status_says_what_is_served() {
    let (manager, server) = (Manager::new(), Server::named("a"));
    let launch = Launch::serving(&rules::site(&[&server])).variable("NOTIFY_SOCKET", &manager.address());
    let elb = launch.start();
    assert!(manager.hears("STATUS=").contains("1 domains and 1 upstreams"));
    elb.admin().put("domain", &serde_json::json!({"more.test": rules::to("up")}));
    assert!(manager.hears("STATUS=").contains("2 domains and 1 upstreams"));
}
