//! What an ELB is among others that share its configuration: its name, where it is asked, how long it is missed.
//!
//! It owns these flags and what they come to, and what is made of a machine's name where nothing is said. Next:
//! `control::fleet` keeps this node among the others.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::addresses;
use crate::units::{self, Span};

/// The longest id of a node, in bytes; a machine's name has 64 at most.
const ID: usize = 128;
/// etcd keeps no lease for less.
const LEAST: Duration = Duration::from_secs(2);
/// A node that has gone is worth an hour's memory at most.
const MOST: Duration = Duration::from_secs(3600);

/// What this node says of itself.
#[derive(Debug, Args)]
pub(super) struct FleetArgs {
    /// What this node is called among those that share its configuration; each needs a name of its own
    /// [default: the machine's name and the first port of --listen]
    #[arg(long, env = "ELB_NODE_ID", value_name = "ID", value_parser = id)]
    node_id: Option<String>,

    /// Where others reach the admin API of this node, as they are told by it
    /// [default: where it listens; the machine's name where that is every address]
    #[arg(long, env = "ELB_ADVERTISE", value_name = "ADDR", value_parser = addresses::host_port)]
    advertise: Option<String>,

    /// How long a node that has gone without a word is still listed, from 2s to 1h; it is heard of three times as often
    #[arg(long, env = "ELB_NODE_TTL", value_name = "TIME", default_value = "15s", value_parser = ttl)]
    node_ttl: Duration,
}

/// The same, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSettings {
    /// The name of this node, if one was given.
    pub id: Option<String>,
    /// `host:port` at which others reach its admin API, if that was given.
    pub advertise: Option<String>,
    /// How long a node that has gone without a word is still listed.
    pub ttl: Duration,
}

impl FleetSettings {
    pub(super) fn new(args: &FleetArgs) -> Self {
        Self { id: args.node_id.clone(), advertise: args.advertise.clone(), ttl: args.node_ttl }
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "node: {}, asked at {}, missed after {}",
            self.id.as_deref().unwrap_or("called by its machine and port"),
            self.advertise.as_deref().unwrap_or("where it listens"),
            Span(self.ttl)
        )
    }

    /// The id of this node, on a machine of this name. `data` is the first address of the data port: it is the same after a
    /// restart, and two ELBs of one machine have not the same.
    #[must_use]
    pub fn id_on(&self, machine: &str, data: SocketAddr) -> String {
        let plain = |letter: char| if is_plain(letter) { letter } else { '-' };
        let of_machine =
            || format!("{}-{}", machine.chars().take(ID / 2).map(plain).collect::<String>(), data.port());
        self.id.clone().unwrap_or_else(of_machine)
    }

    /// Where this node's admin API is, which listens at `api`, as far as can be known here.
    #[must_use]
    pub fn address_on(&self, machine: &str, api: SocketAddr) -> String {
        let listens = || match api.ip().is_unspecified() {
            true => format!("{machine}:{}", api.port()),
            false => api.to_string(),
        };
        self.advertise.clone().unwrap_or_else(listens)
    }
}

/// What an id may hold: it is the last segment of a key, a word of a log line and a cell of a table.
fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_.:".contains(letter)
}

fn id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > ID {
        return Err(format!("needs 1 to {ID} letters"));
    }
    if !text.chars().all(is_plain) {
        return Err("need letters, digits, '-', '_', '.' and ':' only".to_owned());
    }
    Ok(text.to_owned())
}

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = units::duration(text)?;
    if (LEAST..=MOST).contains(&ttl) { Ok(ttl) } else { Err("must be from 2s to 1h".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> FleetSettings {
        FleetSettings { id: None, advertise: None, ttl: LEAST }
    }

    #[test]
    fn a_node_is_called_by_its_machine_and_port_unless_it_has_a_name() {
        let data = "0.0.0.0:8080".parse().unwrap();
        assert_eq!(settings().id_on("edge-1.test", data), "edge-1.test-8080");
        assert_eq!(settings().id_on("a/b c\u{e9}", data), "a-b-c--8080");
        assert!(settings().id_on(&"x".repeat(500), data).len() <= ID);
        let named = FleetSettings { id: Some("one".to_owned()), ..settings() };
        assert_eq!(named.id_on("edge-1", data), "one");
    }

    #[test]
    fn it_is_asked_where_it_listens() {
        for (listens, address) in [
            ("0.0.0.0:8080", "edge-1:8080"),
            ("[::]:81", "edge-1:81"),
            ("127.0.0.1:82", "127.0.0.1:82"),
            ("192.0.2.1:83", "192.0.2.1:83"),
        ] {
            assert_eq!(settings().address_on("edge-1", listens.parse().unwrap()), address);
        }
        let told = FleetSettings { advertise: Some("elb.test:80".to_owned()), ..settings() };
        assert_eq!(told.address_on("edge-1", "0.0.0.0:8080".parse().unwrap()), "elb.test:80");
    }

    #[test]
    fn names_and_times_have_bounds() {
        for good in ["a", "edge-1.test:8080", &"x".repeat(ID)] {
            assert!(id(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "@a b", "\u{e9}", &"x".repeat(ID + 1)] {
            assert!(id(bad).is_err(), "{bad}");
        }
        assert_eq!(ttl("2s"), Ok(LEAST));
        for bad in ["1s", "61m", "x"] {
            assert!(ttl(bad).is_err(), "{bad}");
        }
    }
}
