//! Listening sockets: one for each worker and address, sharing the port through SO_REUSEPORT.
//!
//! It owns how a listener is made and which protocol its connections speak, never what is accepted. Binding and
//! listening are two steps, so that an address in use is told before anything starts, and no connection waits while the
//! configuration loads. Next: [`super::worker`] accepts.

use std::io;
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Socket, Type};

use crate::settings::{ListenOn, ProxyHeader};

/// Connections that may wait in one listener's queue; the kernel caps it at `net.core.somaxconn`.
pub(super) const BACKLOG: u16 = 4096;
/// Connections accepted in one turn, so that a burst of new ones does not keep running ones waiting.
pub(super) const ACCEPTS: usize = 64;

/// Bytes of a response that wait in the kernel for a client that has no room for them. By itself the kernel takes
/// megabytes for each who does not read, and a thousand of them use up what it has for all connections of the machine.
/// What is sent and not acknowledged yet does not count, so a long line is still filled.
const UNSENT: u32 = 128 * 1024;

/// What the connections of a listener begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP, from the first byte on.
    Http,
    /// A header of the PROXY protocol, and then HTTP; HTTP at once only where it is not demanded.
    Proxy {
        /// It is.
        must: bool,
        /// What follows it is TLS.
        tls: bool,
    },
    /// TLS, and HTTP within.
    Tls,
    /// A line that names the client, and then HTTP. Only tests speak it.
    #[cfg(test)]
    Named,
}

/// Where it is listened, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// The address and port; port 0 is chosen by the kernel.
    pub address: SocketAddr,
    /// What is spoken there.
    pub protocol: Protocol,
}

impl Listen {
    /// As the operator wants it.
    #[must_use]
    pub fn of(wanted: &ListenOn) -> Self {
        let protocol = match wanted.proxy {
            ProxyHeader::Off if wanted.tls => Protocol::Tls,
            ProxyHeader::Off => Protocol::Http,
            ProxyHeader::Accept => Protocol::Proxy { must: false, tls: wanted.tls },
            ProxyHeader::Require => Protocol::Proxy { must: true, tls: wanted.tls },
        };
        Self { address: wanted.address, protocol }
    }

    /// For HTTP.
    #[must_use]
    pub fn http(address: SocketAddr) -> Self {
        Self { address, protocol: Protocol::Http }
    }
}

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    /// What its connections begin with.
    pub(super) protocol: Protocol,
}

/// The sockets of one worker, bound and not yet listening.
#[derive(Debug)]
pub struct Listeners {
    bound: Vec<(Socket, Protocol)>,
}

/// Binds every address once for each worker, of which `cores` names those that want the connections whose packets arrive
/// at that core. Port 0 is chosen by the kernel once and then shared.
///
/// # Errors
/// The address and what the kernel says of it.
pub fn bind(places: &[Listen], cores: &[Option<usize>]) -> io::Result<Vec<Listeners>> {
    let mut all: Vec<Listeners> = cores.iter().map(|_| Listeners { bound: Vec::new() }).collect();
    for Listen { mut address, protocol } in places.iter().copied() {
        tell_if_taken(address);
        for (listeners, core) in all.iter_mut().zip(cores) {
            let socket = bind_one(address, *core).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
            })?;
            if let Some(bound) = socket.local_addr()?.as_socket() {
                address = bound;
            }
            listeners.bound.push((socket, protocol));
        }
    }
    Ok(all)
}

/// Binds the address of the admin API, as the others are bound: a process that follows another listens beside it until that
/// one ends. Whoever takes its connections makes it listen.
///
/// # Errors
/// The address and what the kernel says of it.
pub fn bind_admin(address: SocketAddr, purpose: &str) -> io::Result<std::net::TcpListener> {
    tell_if_taken(address);
    let bound = bind_one(address, None).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address} for {purpose}: {error}"))
    });
    Ok(bound?.into())
}

fn tell_if_taken(address: SocketAddr) {
    if is_taken(address) {
        tracing::warn!(
            "another process listens on {address} already; if it shares the port, as another ELB does, each gets a \
             part of the connections until one of the two ends"
        );
    }
}

/// Does anyone listen there? Sharing a port hides it: whoever forgot to end an old process would wonder at answers by
/// rules that are long gone. It is asked with a socket that does not share.
fn is_taken(address: SocketAddr) -> bool {
    // The kernel chooses a port that is free.
    if address.port() == 0 {
        return false;
    }
    let probe = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(socket2::Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Connections that ended a moment ago are nobody's.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())
    };
    probe().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

fn bind_one(address: SocketAddr, core: Option<usize>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(socket2::Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit it on Linux, which saves a call for each connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_nonblocking(true)?;
    if let Some(core) = core {
        socket.set_cpu_affinity(core)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

impl Listeners {
    /// The addresses, with the ports that the kernel chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.bound
            .iter()
            .filter_map(|(socket, _)| socket.local_addr().ok().and_then(|address| address.as_socket()))
            .collect()
    }

    /// Begins to take connections.
    ///
    /// # Errors
    /// The address is in use by a socket that does not share it.
    pub(super) fn listen(self) -> io::Result<Vec<Listener>> {
        self.bound
            .into_iter()
            .map(|(socket, protocol)| {
                socket.listen(BACKLOG.into())?;
                Ok(Listener { socket: TcpListener::from_std(socket.into()), protocol })
            })
            .collect()
    }
}

impl Listener {
    /// Registers for connections.
    ///
    /// # Errors
    /// The kernel's limit on watched descriptors.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// The next connection of the queue, and its peer.
    ///
    /// # Errors
    /// The queue is empty, the connection is gone again, or the kernel has no room for it.
    #[inline]
    pub(super) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept()
    }

    /// Listens no more; what waits in the queue is reset.
    pub(super) fn close(mut self, registry: &Registry) {
        // It is closed next in any case.
        let _ = registry.deregister(&mut self.socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn local() -> [Listen; 1] {
        [Listen::http("127.0.0.1:0".parse().unwrap())]
    }

    #[test]
    fn workers_share_the_port_that_the_kernel_chose() {
        let all = bind(&local(), &[None; 3]).unwrap();
        let address = all[0].addresses()[0];
        assert!(address.port() != 0 && all.iter().all(|one| one.addresses() == [address]));
        assert!(std::net::TcpStream::connect(address).is_err(), "nothing is accepted before listen");
        let listeners: Vec<_> = all.into_iter().flat_map(|one| one.listen().unwrap()).collect();
        let mut client = std::net::TcpStream::connect(address).unwrap();
        let accepted = loop {
            match listeners.iter().find_map(|listener| listener.accept().ok()) {
                Some(accepted) => break accepted,
                None => std::thread::yield_now(),
            }
        };
        assert!(accepted.0.nodelay().unwrap());
        drop(accepted);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_port_that_someone_else_listens_on_is_noticed() {
        assert!(!is_taken("127.0.0.1:0".parse().unwrap()));
        let mut all = bind(&local(), &[None]).unwrap();
        let address = all[0].addresses()[0];
        let listeners = all.remove(0).listen().unwrap();
        assert!(is_taken(address));
        let _shared = bind(&[Listen::http(address)], &[None]).unwrap();
        drop(listeners);
    }

    #[test]
    fn a_listener_knows_the_core_whose_connections_it_wants() {
        let all = bind(&local(), &[Some(0), Some(1), None]).unwrap();
        let cores: Vec<_> = all.iter().map(|one| one.bound[0].0.cpu_affinity().unwrap() as u32).collect();
        assert_eq!(cores, [0, 1, u32::MAX], "without a core the kernel says -1");
    }

    #[test]
    fn a_fault_names_the_address() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(&[Listen::http(address)], &[None]).unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
