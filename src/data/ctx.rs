//! What a connection may borrow from its worker.
//!
//! It owns everything of a worker but the connections themselves, so that one connection and all of this can be
//! borrowed side by side. It never drives anything. Next: [`super::pump`] and [`super::dispatch`] use it.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use tokio::sync::mpsc;

use super::buffers::Buffers;
use super::clients::Clients;
use super::conn::{Active, Dispatch};
use super::outages::Outages;
use super::peer_text::PeerText;
use super::pool::Pool;
use super::seeing::Seeing;
use super::shadow::Shadow;
use super::timers::Timers;
use super::token::Token;
use super::view::View;
use crate::exchange::{Env, Exchange};
use crate::link::{Adopted, LAST_SECOND};
use crate::readiness::Readiness;
use crate::settings::AllowList;
use crate::stats::Stats;
use crate::stats::reasons::Refused;
use crate::stats::retries::Retries;
use crate::stats::seldom::Seldom;

/// Finished exchanges that are kept to be used again; one for each connection that is busy at the same time.
pub const SPARE_EXCHANGES: usize = 512;

/// The loans.
#[derive(Debug)]
pub struct Ctx {
    /// Server connections.
    pub pool: Pool,
    /// Rules and upstreams.
    pub view: View,
    /// Connections of each client.
    pub clients: Clients,
    /// Deadlines.
    pub timers: Timers,
    /// Windows.
    pub buffers: Buffers,
    /// Which requests are looked at closely, and what for.
    pub seeing: Seeing,
    /// A candidate that is asked beside what is served, if one is.
    pub shadow: Option<Box<Shadow>>,
    /// Numbers of requests that are over.
    pub stats: Stats,
    /// What sessions of TLS begin with, where there are any.
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Requests that were put to the rules.
    pub requests: u64,
    /// What was refused, cut or closed, by reason.
    pub refused: Refused,
    /// Requests that were sent once more, by what had become of them.
    pub retries: Retries,
    /// Those for which there was no budget left.
    pub retries_over_budget: u64,
    /// Upstreams without a server that has not failed.
    pub outages: Outages,
    /// What every exchange is told.
    pub env: Env,
    /// Longest silence between two requests.
    pub keepalive: Duration,
    /// How long a client that rests may still ask when the worker goes down.
    pub drain_grace: Duration,
    /// Where sockets are registered.
    pub registry: mio::Registry,
    /// The way of admin connections, when the admin API is on the data port.
    pub adoptions: Option<mpsc::Sender<Adopted>>,
    /// The worker goes down: connections to servers are not kept.
    pub ending: bool,
    /// Whether the process should get traffic.
    pub readiness: Readiness,
    /// Who may use it.
    pub admin_allow: AllowList,
    /// Proxies that are believed whom they speak for.
    pub trusted_proxies: AllowList,
    /// The port of HTTPS that a request in the clear is sent to, if it is.
    pub tls_redirect: Option<u16>,
    /// When the log last told of somebody who may not.
    pub strangers: Seldom,
    /// Connections that wait for a window, in the order in which they began to.
    pub starved: VecDeque<Token>,
    /// Timers that came due, for the moment in which they are looked at.
    pub due: Vec<Token>,
    /// Exchanges to be used, mostly again.
    pub spare: Vec<Box<Active>>,
    /// Exchanges under way.
    pub exchanges: usize,
    /// When the date changes next.
    pub next_second: Instant,
}

/// The time, or the nearest one that an HTTP date can tell. `httpdate` panics at the years before 1970 and after 9999, and
/// a clock that is wrong is no reason to end.
fn writable(now: SystemTime) -> SystemTime {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + since.min(LAST_SECOND)
}

impl Ctx {
    /// Reads the clock; once a second also the calendar.
    pub fn tick(&mut self) {
        self.env.now = Instant::now();
        if self.env.now >= self.next_second {
            self.next_second = self.env.now + Duration::from_secs(1);
            let mut date = self.env.date;
            // In place: `fmt_http_date` would make a string.
            if write!(&mut date[..], "{}", httpdate::HttpDate::from(writable(SystemTime::now()))).is_ok() {
                self.env.date = date;
            }
        }
    }

    /// An exchange for a connection whose first bytes have come; `peer` is at its other end.
    #[must_use]
    pub fn open(&mut self, peer: &PeerText) -> Box<Active> {
        self.exchanges += 1;
        let mut active = match self.spare.pop() {
            None => self.fresh(),
            Some(mut active) => {
                active.exchange.recycle(&self.env);
                active.dispatch.renew();
                active
            }
        };
        if self.seeing.log.is_some() {
            active.dispatch.note.get_or_insert_default().begin(peer);
        }
        active
    }

    fn fresh(&self) -> Box<Active> {
        Box::new(Active {
            exchange: Exchange::new(&self.env),
            dispatch: Dispatch::new(self.env.now),
            starved: false,
        })
    }

    /// Makes what a group of connections may want at once: it would be made one by one otherwise, whenever a group is
    /// larger than all before it.
    pub fn prepare(&mut self, connections: usize) {
        self.buffers.prepare(connections);
        for _ in self.spare.len()..connections.min(SPARE_EXCHANGES) {
            let active = self.fresh();
            self.spare.push(active);
        }
    }

    /// Takes an exchange back whose loans were all returned.
    pub fn close(&mut self, active: Box<Active>) {
        self.exchanges -= 1;
        if self.spare.len() < SPARE_EXCHANGES {
            self.spare.push(active);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_still_makes_a_date() {
        let hour = Duration::from_secs(3600);
        let told = |time| httpdate::HttpDate::from(writable(time)).to_string();
        assert_eq!(told(UNIX_EPOCH - hour), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(told(UNIX_EPOCH + hour), "Thu, 01 Jan 1970 01:00:00 GMT");
        assert_eq!(told(UNIX_EPOCH + LAST_SECOND + hour), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
