//! Listening sockets from the service manager (sd_listen_fds(3)): it keeps them while ELB is started again.
//!
//! It owns how they are found among the descriptors of this process; never which of them is wanted. Next: [`stock`](super::stock), where
//! they lie beside those of another process.

use std::env;

use listenfd::ListenFd;
use socket2::Socket;

use super::stock::{Queue, Stock, Use};

/// Sockets that a service manager may pass: more than a unit has by far, and no number from outside decides how much memory a list takes.
const SOCKETS: usize = 1024;

/// The sockets that were passed to this process, and what is odd about them. To be called once, before there are other threads that
/// look at variables: those of the service manager are taken away, so that no child takes them for its own.
#[must_use]
pub fn activated() -> (Stock, Vec<String>) {
    let (mut stock, mut odd) = (Stock::default(), Vec::new());
    let variable = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
    let Some(count) = variable("LISTEN_FDS") else { return (stock, odd) };
    // Without it nobody says whose they are; systemd always says it.
    if variable("LISTEN_PID").is_none_or(|process| process != std::process::id().to_string()) {
        return (stock, odd);
    }
    let Some(count) = count.parse::<usize>().ok().filter(|count| *count <= SOCKETS) else {
        odd.push(format!("LISTEN_FDS={count} is no number up to {SOCKETS}: no socket is taken"));
        return (stock, odd);
    };
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    for number in 0..count {
        let name = names.next().unwrap_or_default();
        match passed.take_tcp_listener(number) {
            Ok(Some(listener)) => {
                let socket = Socket::from(listener);
                let address = socket.local_addr().ok().and_then(|address| address.as_socket());
                match address.filter(|_| socket.is_listener().unwrap_or(false)) {
                    Some(wanted) => stock.add(Queue { purpose: Use::Any, wanted, socket }),
                    None => {
                        odd.push(format!("socket {number} ({name}) of the service manager does not listen"))
                    }
                }
            }
            Ok(None) => {
                odd.push(format!("the service manager announced {count} sockets, and passed {number}"))
            }
            Err(error) => {
                odd.push(format!("socket {number} ({name}) of the service manager is not used: {error}"))
            }
        }
    }
    (stock, odd)
}
