//! One conversation with a process that wants this one's place, on a thread of its own, which may wait for it.
//!
//! It owns the way from that thread to the control loop and back; never a decision. Next: [`succession`](super::succession) decides,
//! [`handover`](crate::handover) is what is said.

use std::io;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::handover::{Carried, Desk, Step, Stock, Told, Trouble, give};

/// What a conversation asks the control loop, with its number.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) talk: u64,
    pub(super) what: What,
}

/// What it asks.
#[derive(Debug)]
pub(super) enum What {
    /// May this process have the place?
    Begin { process: u32, version: String, reply: Reply<Stock> },
    /// May it have what is only in memory?
    Carry(Reply<Carried>),
    /// May it have the place now that it serves?
    Ready(Reply<()>),
    /// It is over: the place is another's, or not.
    Over(Result<(), (Step, Trouble)>),
}

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Told>>;

struct Asking {
    talk: u64,
    asks: mpsc::Sender<Ask>,
}

/// Talks over `stream` until the `deadline`. `name` is that of this process's keys in etcd.
///
/// # Errors
/// There is no thread for it.
pub(super) fn talk(
    talk: u64,
    stream: UnixStream,
    deadline: Instant,
    name: String,
    asks: mpsc::Sender<Ask>,
) -> io::Result<()> {
    let conversation = move || {
        let mut desk = Asking { talk, asks };
        let outcome = give(stream, deadline, &name, &mut desk);
        // A control loop that has ended wants to hear of nothing.
        let _ = desk.asks.blocking_send(Ask { talk, what: What::Over(outcome) });
    };
    thread::Builder::new().name("elb-handover".to_owned()).spawn(conversation).map(drop)
}

impl Asking {
    fn ask<T>(&self, what: impl FnOnce(Reply<T>) -> What) -> Result<T, Told> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { talk: self.talk, what: what(reply) };
        let over = || Told::ends("ELB is stopping");
        self.asks.blocking_send(ask).map_err(|_| over())?;
        answer.blocking_recv().map_err(|_| over())?
    }
}

impl Desk for Asking {
    fn begin(&mut self, process: u32, version: &str) -> Result<Stock, Told> {
        self.ask(|reply| What::Begin { process, version: version.to_owned(), reply })
    }

    fn carry(&mut self) -> Result<Carried, Told> {
        self.ask(What::Carry)
    }

    fn ready(&mut self) -> Result<(), Told> {
        self.ask(What::Ready)
    }
}
