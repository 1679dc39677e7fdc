//! The listening sockets of a process, each with what it is for.
//!
//! It owns which of them fit an address that somebody wants, never a loop that accepts. Every queue is kept by itself: a socket that
//! shares its port by `SO_REUSEPORT` has a queue of its own, and what waits in one that nobody takes is lost. Next:
//! [`frame`](super::frame) sends them, `command::inherit` asks for them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};
use socket2::Socket;

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Clients.
    Data,
    /// Clients who speak TLS.
    Tls,
    /// The admin API.
    Admin,
    /// Metrics.
    Metrics,
    /// Nobody said: the address decides.
    Any,
}

/// Listening sockets of one address, which follow as descriptors in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offered {
    pub(super) purpose: Use,
    /// Where it was told to listen: port 0 where the kernel chose one.
    pub(super) wanted: SocketAddr,
    /// How many queues share the address.
    pub(super) queues: usize,
}

/// One queue of connections.
#[derive(Debug)]
pub struct Queue {
    /// What it is for.
    pub purpose: Use,
    /// Where it was told to listen: port 0 where the kernel chose one.
    pub wanted: SocketAddr,
    /// The socket.
    pub socket: Socket,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Stock {
    queues: Vec<Queue>,
}

impl Stock {
    /// These.
    #[must_use]
    pub fn new(queues: Vec<Queue>) -> Self {
        Self { queues }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queues.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// The same sockets once more.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn copies(&self) -> io::Result<Self> {
        let copy = |queue: &Queue| Ok(Queue { socket: queue.socket.try_clone()?, ..*queue });
        Ok(Self { queues: self.queues.iter().map(copy).collect::<io::Result<_>>()? })
    }

    /// Adds one.
    pub fn add(&mut self, queue: Queue) {
        self.queues.push(queue);
    }

    /// Where those listen that nobody took, each address once.
    #[must_use]
    pub fn left(&self) -> Vec<SocketAddr> {
        let mut left: Vec<SocketAddr> = self.queues.iter().filter_map(Queue::address).collect();
        left.sort_unstable();
        left.dedup();
        left
    }

    /// Takes out all queues of this address. For port 0 those are the queues of one address that was wanted with port 0 for the same
    /// purpose; else those that listen there, whatever they were for: who connected there wants what is there now.
    pub fn take(&mut self, purpose: Use, wanted: SocketAddr) -> Vec<Socket> {
        let fits = |queue: &Queue| match wanted.port() {
            0 => queue.wanted == wanted && queue.purpose == purpose,
            _ => queue.address() == Some(wanted),
        };
        let Some(there) = self.queues.iter().find(|queue| fits(queue)).and_then(Queue::address) else {
            return Vec::new();
        };
        let (taken, left) =
            std::mem::take(&mut self.queues).into_iter().partition(|queue| queue.address() == Some(there));
        self.queues = left;
        let taken: Vec<Queue> = taken;
        taken.into_iter().map(|queue| queue.socket).collect()
    }

    /// Puts descriptors back together with what was said of them.
    pub(super) fn of(offered: &[Offered], descriptors: Vec<OwnedFd>) -> Self {
        let said = offered.iter().flat_map(|one| std::iter::repeat_n(one, one.queues));
        let queues = said.zip(descriptors).map(|(one, descriptor)| Queue {
            purpose: one.purpose,
            wanted: one.wanted,
            socket: descriptor.into(),
        });
        // What is no listening socket would be polled for ever.
        let queues =
            queues.filter(|queue| queue.address().is_some() && queue.socket.is_listener().unwrap_or(false));
        Self { queues: queues.collect() }
    }

    /// What is said of them, and they themselves in the same order.
    pub(super) fn offer(&self) -> (Vec<Offered>, Vec<BorrowedFd<'_>>) {
        let mut offered: Vec<Offered> = Vec::new();
        for queue in &self.queues {
            let (purpose, wanted) = (queue.purpose, queue.wanted);
            match offered.last_mut().filter(|last| last.purpose == purpose && last.wanted == wanted) {
                Some(last) => last.queues += 1,
                None => offered.push(Offered { purpose, wanted, queues: 1 }),
            }
        }
        (offered, self.queues.iter().map(|queue| queue.socket.as_fd()).collect())
    }
}

impl Queue {
    /// Where it listens; nothing for what is no internet socket.
    fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }
}
