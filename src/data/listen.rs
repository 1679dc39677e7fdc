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

use super::shares::shares;
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
#[derive(Debug, Default)]
pub struct Listeners {
    bound: Vec<(Socket, Protocol)>,
}

/// All sockets of the data port.
#[derive(Debug)]
pub struct Bound {
    /// Those of each worker.
    pub workers: Vec<Listeners>,
    /// Where they are, in the order in which they were wanted, with the ports that the kernel chose.
    pub addresses: Vec<SocketAddr>,
    /// Each queue once more, with the place of its address in that order, to be handed over.
    pub queues: Vec<(usize, Socket)>,
}

/// Binds every address once for each worker, of which `cores` names those that want the connections whose packets arrive
/// at that core. Port 0 is chosen by the kernel once and then shared. Queues that are `there` already, by the number of the place,
/// are used all, and only as many are bound as there are more workers.
///
/// # Errors
/// The address and what the kernel says of it.
pub fn bind(
    places: &[Listen],
    cores: &[Option<usize>],
    mut there: impl FnMut(usize) -> Vec<Socket>,
) -> io::Result<Bound> {
    let mut workers: Vec<Listeners> = cores.iter().map(|_| Listeners::default()).collect();
    let (mut addresses, mut queues) = (Vec::with_capacity(places.len()), Vec::new());
    for (place, Listen { mut address, protocol }) in places.iter().copied().enumerate() {
        let told = |address: SocketAddr| {
            move |error: io::Error| {
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
            }
        };
        let mut sockets = there(place);
        if sockets.is_empty() {
            tell_if_taken(address);
        }
        let known = sockets.len();
        for socket in &sockets {
            prepare(socket).map_err(told(address))?;
            address = socket.local_addr()?.as_socket().unwrap_or(address);
        }
        for core in cores.iter().skip(known) {
            match bind_one(address, *core) {
                Ok(socket) => {
                    address = socket.local_addr()?.as_socket().unwrap_or(address);
                    sockets.push(socket);
                }
                // A service manager's socket is another user's, or shares its port with nobody: then its queue is shared.
                Err(error) if known > 0 && error.kind() == io::ErrorKind::AddrInUse => break,
                Err(error) => return Err(told(address)(error)),
            }
        }
        for (worker, queue) in shares(sockets.len(), cores.len()) {
            let (Some(socket), Some(listeners)) = (sockets.get(queue), workers.get_mut(worker)) else {
                continue;
            };
            if queue < known
                && let Some(core) = cores.get(worker).copied().flatten()
            {
                socket.set_cpu_affinity(core).map_err(told(address))?;
            }
            listeners.bound.push((socket.try_clone().map_err(told(address))?, protocol));
        }
        addresses.push(address);
        queues.extend(sockets.into_iter().map(|socket| (place, socket)));
    }
    Ok(Bound { workers, addresses, queues })
}

/// Binds the address of the admin API, as the others are bound: a process that follows another listens beside it until that
/// one ends. Whoever takes its connections makes it listen.
///
/// # Errors
/// The address and what the kernel says of it.
pub fn bind_admin(address: SocketAddr, purpose: &str) -> io::Result<Socket> {
    tell_if_taken(address);
    bind_one(address, None).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address} for {purpose}: {error}"))
    })
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
    prepare(&socket)?;
    if let Some(core) = core {
        socket.set_cpu_affinity(core)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// What every listening socket is told, whoever made it.
fn prepare(socket: &Socket) -> io::Result<()> {
    // Accepted sockets inherit it on Linux, which saves a call for each connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_nonblocking(true)
}

impl Listeners {
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

    fn none(_: usize) -> Vec<Socket> {
        Vec::new()
    }

    fn of(socket: &Socket) -> SocketAddr {
        socket.local_addr().unwrap().as_socket().unwrap()
    }

    #[test]
    fn workers_share_the_port_that_the_kernel_chose() {
        let Bound { workers: all, addresses, queues } = bind(&local(), &[None; 3], none).unwrap();
        let address = addresses[0];
        let places: Vec<_> = queues.iter().map(|(place, queue)| (*place, of(queue))).collect();
        assert!(address.port() != 0 && places == [(0, address); 3]);
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
        let mut all = bind(&local(), &[None], none).unwrap();
        let address = all.addresses[0];
        let listeners = all.workers.remove(0).listen().unwrap();
        assert!(is_taken(address));
        let _shared = bind(&[Listen::http(address)], &[None], none).unwrap();
        drop(listeners);
    }

    #[test]
    fn a_listener_knows_the_core_whose_connections_it_wants() {
        let all = bind(&local(), &[Some(0), Some(1), None], none).unwrap().workers;
        let cores: Vec<_> = all.iter().map(|one| one.bound[0].0.cpu_affinity().unwrap() as u32).collect();
        assert_eq!(cores, [0, 1, u32::MAX], "without a core the kernel says -1");
    }

    #[test]
    fn a_fault_names_the_address() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(&[Listen::http(address)], &[None], none).unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    #[test]
    fn queues_that_are_there_are_used_all_however_many_workers_there_are() {
        let first = bind(&local(), &[None; 3], none).unwrap();
        let address = first.addresses[0];
        let mut there: Vec<Socket> = first.queues.into_iter().map(|(_, queue)| queue).collect();
        // Fewer workers than queues, then more: the fourth and fifth are bound.
        for (workers, queues) in [(1, 3), (2, 3), (5, 5), (2, 5)] {
            let all = bind(&local(), &vec![None; workers], |_| std::mem::take(&mut there)).unwrap();
            let held: Vec<usize> = all.workers.iter().map(|one| one.bound.len()).collect();
            assert_eq!((held.len(), held.iter().sum::<usize>(), all.queues.len()), (workers, queues, queues));
            assert!(all.workers.iter().flat_map(|one| &one.bound).all(|(socket, _)| of(socket) == address));
            there = all.queues.into_iter().map(|(_, queue)| queue).collect();
        }
    }

    #[test]
    fn a_queue_that_shares_its_port_with_nobody_is_shared_itself() {
        let passed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = passed.local_addr().unwrap();
        let mut there = vec![Socket::from(passed)];
        let all = bind(&[Listen::http(address)], &[None; 3], |_| std::mem::take(&mut there)).unwrap();
        assert!(all.workers.iter().all(|one| one.bound.len() == 1 && of(&one.bound[0].0) == address));
        assert_eq!(all.queues.len(), 1, "it is handed over once");
        let listeners: Vec<_> = all.workers.into_iter().flat_map(|one| one.listen().unwrap()).collect();
        let _client = std::net::TcpStream::connect(address).unwrap();
        while !listeners.iter().any(|listener| listener.accept().is_ok()) {
            std::thread::yield_now();
        }
    }
}
