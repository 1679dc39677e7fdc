//! The client: sends its requests by a script of small acts, reads when it likes, and may go away.

use crate::chance::Chance;
use crate::request::{self, Fault, Request};

/// One act of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// Send up to this offset of everything that it has to say.
    Send(usize),
    /// Do nothing for so many milliseconds.
    Pause(u64),
    /// Wait until so many requests are answered.
    Answered(usize),
    /// Wait until something comes that was not there before, but not longer than this.
    Something(u64),
    /// Take no bytes for so many milliseconds, and go on with the next act.
    Block(u64),
    /// Wait for the tunnel or for an answer instead, and send what is meant for the tunnel.
    Tunnel,
    /// Send the end of input.
    End,
    /// Go away.
    Reset,
}

/// How a connection ended for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    Open,
    Orderly,
    Reset,
}

/// The client and its end of the connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) requests: Vec<Request>,
    /// Everything that it has to say outside a tunnel.
    wire: Vec<u8>,
    /// What it says in a tunnel.
    pub(crate) tunnel: Vec<u8>,
    acts: Vec<Act>,
    at: usize,
    written: usize,
    /// Bytes on their way to ELB.
    pub(crate) inbound: Vec<u8>,
    pub(crate) ended: bool,
    pub(crate) reset: bool,
    /// Bytes that came from ELB.
    pub(crate) got: Vec<u8>,
    pub(crate) closing: Closing,
    /// It reads nothing until then.
    pub(crate) blocked: u64,
    wake: u64,
    /// How much it had seen when it began to wait for more, and how long it will wait.
    watch: Option<(usize, u64)>,
    /// It does all that a good client does: sends everything in time and reads what comes.
    pub(crate) behaves: bool,
}

impl Client {
    /// A client with some requests. In fair weather it does nothing that is its own fault.
    pub(crate) fn new(fair: bool, weight: usize, ruled: bool, chance: &mut Chance) -> Self {
        let mut requests = Vec::new();
        for id in 0..chance.between(1, 4) {
            let mut request = request::valid(id, weight, ruled, chance);
            // A denied request whose body is still on its way costs the connection.
            request.denied &= !fair || request.wire.len() == request.head;
            requests.push(request);
        }
        let last = requests.len();
        match chance.below(if fair { 4 } else { 8 }) {
            0 => requests.push(request::upgrade(last, weight, ruled, chance)),
            4 => requests.push(request::broken_head(chance)),
            5 => requests.push(request::broken_body(last, weight, ruled, chance)),
            _ => {}
        }
        let length = chance.below(weight * 4 + 1);
        let mut client = Self {
            wire: requests.iter().flat_map(|request| request.wire.clone()).collect(),
            tunnel: [b"\x01", &chance.content(length)[..]].concat(),
            requests,
            acts: Vec::new(),
            at: 0,
            written: 0,
            inbound: Vec::new(),
            ended: false,
            reset: false,
            got: Vec::new(),
            closing: Closing::Open,
            blocked: 0,
            wake: 0,
            watch: None,
            behaves: true,
        };
        client.script(fair, chance);
        client
    }

    fn script(&mut self, fair: bool, chance: &mut Chance) {
        let pipelines = chance.one_in(3);
        let mut offset = 0;
        let upgrades = self.requests.last().is_some_and(|request| request.upgrade);
        for (id, request) in self.requests.iter().enumerate() {
            if !pipelines {
                self.acts.push(Act::Answered(id));
            }
            if request.expects {
                self.acts.push(Act::Send(offset + request.head));
                self.acts.push(Act::Something(chance.pick(&[1, 1000, 4000])));
            }
            offset += request.wire.len();
            self.acts.push(Act::Send(offset));
            // Nothing behind a fault is a request.
            if request.fault != Fault::None {
                break;
            }
        }
        if upgrades {
            if chance.one_in(4) {
                self.acts.push(Act::Send(offset)); // The tunnel begins without waiting for it.
                self.wire.extend(&self.tunnel);
                self.acts.push(Act::Send(self.wire.len()));
            } else {
                self.acts.push(Act::Tunnel);
            }
        }
        if !chance.one_in(3) {
            self.acts.push(Act::Answered(self.requests.len()));
        }
        self.acts.push(Act::End);
        self.weather(fair, chance);
    }

    /// Pauses, and in foul weather everything else that can happen to a client.
    fn weather(&mut self, fair: bool, chance: &mut Chance) {
        for _ in 0..chance.below(3) {
            let at = chance.below(self.acts.len());
            self.acts.insert(at, Act::Pause(chance.pick(&[1, 100, 900])));
        }
        let mut paused = 0;
        // A pause in the middle of what is sent.
        for _ in 0..chance.below(4) {
            let at = chance.below(self.acts.len());
            if let Act::Send(offset) = self.acts[at] {
                let pause = if fair { 500 } else { chance.pick(&[1, 20_000, 70_000]) };
                paused += pause;
                self.behaves &= paused < 30_000;
                self.acts.splice(at..at, [Act::Send(chance.below(offset + 1)), Act::Pause(pause)]);
            }
        }
        if chance.one_in(4) {
            let block = if fair { 1000 } else { chance.pick(&[1000, 40_000, 100_000]) };
            self.behaves &= block < 30_000;
            self.acts.insert(chance.below(self.acts.len()), Act::Block(block));
        }
        if !fair && chance.one_in(4) {
            let at = chance.below(self.acts.len());
            if let Act::Send(offset) = self.acts[at] {
                self.acts.insert(at, Act::Send(chance.below(offset + 1)));
            }
            self.acts.truncate(at + 1);
            self.acts.push(chance.pick(&[Act::End, Act::Reset, Act::Reset]));
            self.behaves = false;
        }
    }

    /// Does what it can at `now`. `answered` counts requests, `tunnel` says whether the protocol was switched.
    pub(crate) fn act(&mut self, now: u64, answered: usize, tunnel: bool, grain: usize) -> bool {
        if now < self.wake {
            return false;
        }
        let Some(act) = self.acts.get(self.at).copied() else { return false };
        let over = self.ended || self.reset;
        let done = match act {
            _ if over => true,
            Act::Send(until) => {
                let n = until.saturating_sub(self.written).min(grain);
                self.inbound.extend(&self.wire[self.written..self.written + n]);
                self.written += n;
                self.written >= until
            }
            Act::Pause(length) => {
                self.wake = now + length;
                true
            }
            Act::Block(length) => {
                self.blocked = now + length;
                true
            }
            Act::Answered(n) => answered >= n || tunnel,
            Act::Something(longest) => {
                let (seen, until) = *self.watch.get_or_insert((self.got.len(), now + longest));
                let done = self.got.len() > seen || now >= until;
                if done {
                    self.watch = None;
                }
                done
            }
            Act::Tunnel if tunnel => {
                self.inbound.extend(&self.tunnel);
                true
            }
            Act::Tunnel => answered >= self.requests.len(),
            Act::End => {
                self.ended = true;
                true
            }
            Act::Reset => {
                self.reset = true;
                true
            }
        };
        self.at += usize::from(done);
        done || matches!(act, Act::Send(_))
    }

    /// When it acts again by itself.
    pub(crate) fn wake(&self, now: u64) -> Option<u64> {
        let watched = self.watch.map_or(0, |(_, until)| until);
        [self.wake, self.blocked, watched].into_iter().filter(|at| *at > now).min()
    }
}
