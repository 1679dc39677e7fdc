//! Non-blocking sockets on one edge-triggered epoll, with no more calls than the work needs.
//!
//! It owns the translation of the kernel's answers into three (moved, blocked, gone) and the options of a socket, never
//! a policy. Next: the programs in `bin/`.

use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, connect as connect_to,
    listen as listen_on, recv, send as send_to, socket_with, sockopt,
};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Events taken at once.
const EVENTS: usize = 1024;
/// The token of a program's listener, and that of its ticker; all others are its own numbers.
pub const LISTENER: u64 = u64::MAX;
/// See [`LISTENER`].
pub const TICKER: u64 = u64::MAX - 1;

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// This many bytes moved.
    Moved(usize),
    /// Nothing now; an event will tell.
    Blocked,
    /// The connection has ended, in whatever way.
    Gone,
}

/// What an event says of a socket.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// The number that the socket was registered with.
    pub token: u64,
    /// A receive may find something.
    pub readable: bool,
    /// A send may take something.
    pub writable: bool,
    /// The end is to be read behind the bytes that wait: a short receive has not drained the socket.
    pub ended: bool,
}

/// The sockets of one thread, each registered once for everything, edge-triggered.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    /// No sockets yet.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new() -> io::Result<Self> {
        let nothing = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, events: vec![nothing; EVENTS] })
    }

    /// Registers a socket; closing it is all that it takes to forget it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add(&self, socket: &OwnedFd, token: u64) -> io::Result<()> {
        let interest = if token == LISTENER {
            EventFlags::IN
        } else {
            EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET
        };
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token), interest)?)
    }

    /// Waits for events, for ever without a timeout; a timeout is rounded up to milliseconds. `on_ready` is called for each.
    ///
    /// # Errors
    /// What the kernel says, or the first error of `on_ready`.
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
        mut on_ready: impl FnMut(&Self, Ready) -> io::Result<()>,
    ) -> io::Result<()> {
        let timeout = timeout.map(timespec);
        let mut events = std::mem::take(&mut self.events);
        let count = match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Err(Errno::INTR) => Ok(0),
            outcome => outcome,
        }?;
        let outcome = events.iter().take(count).try_for_each(|event| {
            let flags = event.flags;
            let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            let readable = ended || flags.contains(EventFlags::IN);
            let writable = flags.intersects(EventFlags::OUT | EventFlags::ERR);
            on_ready(self, Ready { token: event.data.u64(), readable, writable, ended })
        });
        self.events = events;
        outcome
    }
}

/// A listener. Several may share the address, one for each thread.
///
/// # Errors
/// The address is in use by one that does not share it.
pub fn listen(address: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = stream()?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    // Accepted sockets inherit it.
    sockopt::set_tcp_nodelay(&socket, true)?;
    bind(&socket, &address)?;
    listen_on(&socket, BACKLOG)?;
    Ok(socket)
}

/// The next connection that waits, if there is one.
///
/// # Errors
/// No descriptors are left, or no memory.
pub fn accept(listener: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Begins to connect; a first send may be tried at once, for on loopback the connection is there already.
///
/// # Errors
/// No descriptors or ports are left, or nobody listens.
pub fn connect(address: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = stream()?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match connect_to(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

fn stream() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
}

/// Ends a wait at every interval, as long as it is told each time that this was [`heard`].
///
/// # Errors
/// What the kernel says.
pub fn ticker(interval: Duration) -> io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let interval = timespec(interval);
    timerfd_settime(
        &timer,
        TimerfdTimerFlags::empty(),
        &Itimerspec { it_interval: interval, it_value: interval },
    )?;
    Ok(timer)
}

/// Lets a ticker go on: the kernel arms it again when it is read, and not before.
pub fn heard(ticker: &OwnedFd) {
    // How often it rang meanwhile is known from the clock, and one that did not ring need not be armed.
    let _ = rustix::io::read(ticker, &mut [0; 8]);
}

/// Ends a wait once, when it was [`set`].
///
/// # Errors
/// What the kernel says.
pub fn alarm() -> io::Result<OwnedFd> {
    Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
}

/// Lets an alarm ring after so long, and not when it was to ring before.
///
/// # Errors
/// What the kernel says.
pub fn set(alarm: &OwnedFd, after: Duration) -> io::Result<()> {
    // Nothing at all would mean never.
    let after = timespec(after.max(Duration::from_nanos(1)));
    let once = Itimerspec { it_interval: timespec(Duration::ZERO), it_value: after };
    timerfd_settime(alarm, TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs().cast_signed(), tv_nsec: duration.subsec_nanos().into() }
}

/// Receives once.
pub fn receive(socket: &OwnedFd, room: &mut [u8]) -> Flow {
    match recv(socket, room, RecvFlags::empty()) {
        Ok((0, _)) => Flow::Gone,
        Ok((n, _)) => Flow::Moved(n),
        Err(Errno::AGAIN | Errno::INTR) => Flow::Blocked,
        Err(_) => Flow::Gone,
    }
}

/// Sends once.
pub fn send(socket: &OwnedFd, bytes: &[u8]) -> Flow {
    match send_to(socket, bytes, SendFlags::NOSIGNAL) {
        Ok(n) => Flow::Moved(n),
        Err(Errno::AGAIN | Errno::INTR) => Flow::Blocked,
        Err(_) => Flow::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticker_rings_again_when_it_was_heard() -> io::Result<()> {
        let ticker = ticker(Duration::from_millis(1))?;
        let mut poll = Poll::new()?;
        poll.add(&ticker, TICKER)?;
        for _ in 0..3 {
            let mut rang = false;
            poll.wait(Some(Duration::from_secs(20)), |_, ready| {
                rang = ready.token == TICKER;
                heard(&ticker);
                Ok(())
            })?;
            assert!(rang);
        }
        Ok(())
    }

    #[test]
    fn an_alarm_rings_as_often_as_it_is_set() -> io::Result<()> {
        let alarm = alarm()?;
        let mut poll = Poll::new()?;
        poll.add(&alarm, TICKER)?;
        for after in [0, 1, 0] {
            set(&alarm, Duration::from_secs(1000))?;
            set(&alarm, Duration::from_millis(after))?;
            let mut rang = false;
            poll.wait(Some(Duration::from_secs(20)), |_, ready| {
                rang = ready.token == TICKER;
                Ok(())
            })?;
            assert!(rang);
        }
        Ok(())
    }
}
