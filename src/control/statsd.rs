//! Sends what the workers counted to statsd, in the lines that the first ELB sent.
//!
//! It owns the merging by name, the lines and the socket; never the counting. For each domain that was asked for:
//! `$ELBNAME.$domain.total:1|c`, `$ELBNAME.$domain.status.200:1|c`, `$ELBNAME.$domain.cost:12|ms`. `$domain` is the
//! domain as it stands in the rules (its key that the request's `Host` matched), in lower case, without a port, and
//! with `_` for every dot and for whatever the format could stumble over. Next: [`stats`](crate::stats) counts.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use statsd::client::{Client, Pipeline};
use tokio::net::lookup_host;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

use crate::stats::tally::Tally;
use crate::stats::{CostKey, DomainKey, Taken};

/// statsd's port, when the setting names none.
const PORT: u16 = 8125;
/// How often lines are sent.
const EVERY: Duration = Duration::from_secs(1);
/// How long an address is used before the name is looked up again: the crate looks up once, and servers move.
const LOOK_UP: Duration = Duration::from_secs(30);
/// How long a look-up may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a datagram: what fits an Ethernet frame with IP and UDP around it, and some room for a tunnel.
const DATAGRAM: usize = 1432;
/// Batches that may wait for the sender. When it is full, what comes is merged with what waits.
const WAITING: usize = 4;

/// Where the numbers of all workers go in.
#[derive(Debug)]
pub struct Statsd {
    batches: mpsc::Sender<Batch>,
    /// What the sender had no room for yet.
    waiting: Batch,
    sender: JoinHandle<()>,
}

impl Statsd {
    /// Starts sending on the current tokio runtime. `target` is `host`, `host:port` or an address, `name` is
    /// `$ELBNAME`.
    #[must_use]
    pub fn start(target: &str, name: &str) -> Statsd {
        let (batches, out) = mpsc::channel(WAITING);
        let sender =
            Sender { target: with_port(target), name: clean(name, "."), sockets: None, failed: false };
        let sender = tokio::task::spawn(sender.run(out));
        Statsd { batches, waiting: Batch::default(), sender }
    }

    /// Takes what a worker counted; `name_of` gives the domain of a slot. It never waits, and loses nothing.
    pub fn counted<'a>(&mut self, stats: &Taken, name_of: impl Fn(u32) -> &'a str) {
        self.waiting.add(stats, name_of);
        if let Err(TrySendError::Full(batch)) = self.batches.try_send(std::mem::take(&mut self.waiting)) {
            self.waiting = batch;
        }
    }

    /// Sends what is left and ends.
    pub async fn finish(self) {
        let Statsd { batches, waiting, sender } = self;
        // The sender ends when the channel does, and only a runtime that goes down ends it earlier.
        let _ = batches.send(waiting).await;
        drop(batches);
        let _ = sender.await;
    }
}

/// Numbers of one domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Numbers {
    /// Requests that reached an upstream.
    total: u64,
    /// The same by final status.
    status: Tally,
    /// The same by cost, in whole milliseconds.
    cost: Tally,
}

impl Numbers {
    fn merge(&mut self, other: &Numbers) {
        self.total += other.total;
        self.status.merge(&other.status);
        self.cost.merge(&other.cost);
    }
}

/// Numbers by the name that is shown.
#[derive(Debug, Default, PartialEq, Eq)]
struct Batch(BTreeMap<String, Numbers>);

impl Batch {
    fn add<'a>(&mut self, stats: &Taken, name_of: impl Fn(u32) -> &'a str) {
        // A domain that is gone has no name any more, and requests beyond all rows never had one.
        let named = |slot: u32| Some(name_of(slot)).filter(|name| !name.is_empty()).map(shown);
        for (key, counted) in stats.domains.rows.iter().filter(|(_, counted)| counted.forwarded > 0) {
            let key = DomainKey::of(*key);
            let Some(name) = named(key.domain) else { continue };
            let numbers = self.0.entry(name).or_default();
            numbers.total += counted.forwarded;
            numbers.status.add(u32::from(key.status), counted.forwarded);
        }
        for (key, times) in &stats.costs.rows {
            let key = CostKey::of(*key);
            let Some(name) = named(key.domain) else { continue };
            self.0.entry(name).or_default().cost.add(key.cost, *times);
        }
    }

    fn merge(&mut self, other: Batch) {
        for (name, counted) in other.0 {
            self.0.entry(name).or_default().merge(&counted);
        }
    }

    /// What the crate can write: counters, and costs that came once.
    fn plain(&self) -> Pipeline {
        let mut lines = Pipeline::new();
        lines.set_max_udp_size(DATAGRAM);
        for (name, counted) in &self.0 {
            lines.count(&format!("{name}.total"), float(counted.total));
            for (status, times) in counted.status.iter() {
                lines.count(&format!("{name}.status.{status}"), float(times));
            }
            for (cost, _) in counted.cost.iter().filter(|&(_, times)| times == 1) {
                lines.timer(&format!("{name}.cost"), f64::from(cost));
            }
        }
        lines
    }

    /// What it cannot: one line for several equal costs, with the sample rate that makes them several again.
    fn sampled(&self, prefix: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, counted) in &self.0 {
            for (cost, times) in counted.cost.iter().filter(|&(_, times)| times > 1) {
                lines.push(format!("{prefix}.{name}.cost:{cost}|ms|@{}", 1.0 / float(times)));
            }
        }
        lines
    }
}

/// Counts of a second are far below the 2^53 up to which this is exact.
fn float(count: u64) -> f64 {
    count as f64
}

/// The task that writes datagrams.
struct Sender {
    /// `host:port`.
    target: String,
    name: String,
    sockets: Option<Sockets>,
    /// Whether the log has told that the name cannot be looked up.
    failed: bool,
}

/// The crate's client, and a socket for the lines that it has no call for.
struct Sockets {
    client: Client,
    own: UdpSocket,
    address: SocketAddr,
    looked_up: Instant,
}

impl Sender {
    async fn run(mut self, mut batches: mpsc::Receiver<Batch>) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gathered = Batch::default();
        loop {
            tokio::select! {
                batch = batches.recv() => match batch {
                    Some(batch) => gathered.merge(batch),
                    None => break,
                },
                _ = tick.tick() => self.send(std::mem::take(&mut gathered)).await,
            }
        }
        self.send(gathered).await;
    }

    /// Sends a batch; without an address it is lost, as a datagram may always be.
    async fn send(&mut self, batch: Batch) {
        if batch.0.is_empty() {
            return;
        }
        self.look_up().await;
        let Some(sockets) = &self.sockets else { return };
        batch.plain().send(&sockets.client);
        let refused = |datagram: &String| sockets.own.send_to(datagram.as_bytes(), sockets.address).is_err();
        // The crate keeps its errors to itself, so these are the sign that the address may be the wrong one by now.
        if packed(batch.sampled(&self.name)).iter().filter(|datagram| refused(datagram)).count() > 0 {
            self.sockets = None;
        }
    }

    /// Makes the sockets anew from time to time. If the name cannot be looked up, the old address goes on.
    async fn look_up(&mut self) {
        if self.sockets.as_ref().is_some_and(|sockets| sockets.looked_up.elapsed() < LOOK_UP) {
            return;
        }
        match open(&self.target, &self.name).await {
            Ok(sockets) => {
                if std::mem::take(&mut self.failed) {
                    info!(target = self.target, address = %sockets.address, "statsd is sent to again");
                }
                self.sockets = Some(sockets);
            }
            Err(reason) => {
                if !std::mem::replace(&mut self.failed, true) {
                    warn!(target = self.target, reason, "statsd cannot be sent to");
                }
                if let Some(sockets) = &mut self.sockets {
                    sockets.looked_up = Instant::now();
                }
            }
        }
    }
}

async fn open(target: &str, name: &str) -> Result<Sockets, String> {
    let looked_up = timeout(PATIENCE, lookup_host(target)).await;
    let mut found = looked_up.map_err(|_| "the look-up took too long")?.map_err(|error| error.to_string())?;
    let address = found.next().ok_or("the name has no address")?;
    // Handed an address, the crate looks nothing up and so does not block.
    let client = Client::new(address, name).map_err(|error| error.to_string())?;
    let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let own = UdpSocket::bind((any, 0)).map_err(|error| error.to_string())?;
    // A full send buffer costs a datagram, never a wait.
    own.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok(Sockets { client, own, address, looked_up: Instant::now() })
}

/// As many lines a datagram as fit.
fn packed(lines: Vec<String>) -> Vec<String> {
    let mut datagrams: Vec<String> = Vec::new();
    for line in lines {
        match datagrams.last_mut() {
            Some(last) if last.len() + 1 + line.len() <= DATAGRAM => {
                last.push('\n');
                last.push_str(&line);
            }
            _ => datagrams.push(line),
        }
    }
    datagrams
}

/// A domain as a part of a statsd name: in lower case, without a port, and one word.
fn shown(domain: &str) -> String {
    let host = match domain.rsplit_once(':') {
        // The colons of an address of IP version 6 stand within brackets, before its port.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => host,
        _ => domain,
    };
    clean(&host.to_lowercase(), "")
}

/// `text` with `_` for all but letters, digits, `-`, `_` and what is allowed besides. `:`, `|`, `@` and whitespace
/// would break the line.
fn clean(text: &str, allowed: &str) -> String {
    let stays = |c: char| c.is_alphanumeric() || "-_".contains(c) || allowed.contains(c);
    text.chars().map(|c| if stays(c) { c } else { '_' }).collect()
}

/// `target` with a port.
fn with_port(target: &str) -> String {
    let target = target.trim();
    match target.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, PORT).to_string(),
        Err(_) if target.contains(':') => target.to_owned(),
        Err(_) => format!("{target}:{PORT}"),
    }
}

#[cfg(test)]
mod tests;
