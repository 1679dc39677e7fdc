//! A named set of servers: as the operator wrote it, and resolved to addresses as a balancer reads it.
//!
//! It owns the shapes and the name's case rule, never the text of server parameters (that is `server`) or a lookup of
//! addresses. Next: `snapshot` makes an [`Upstream`] of an [`UpstreamSpec`], `data::balancer` picks from it.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;

use super::fault::{Report, step};
use super::server::ServerSpec;

/// An upstream's name for lookups: lower case (names are compared without regard to ASCII case, as in nginx), with its
/// hash worked out once, so that finding an upstream for a request never reads the name unless the hashes are equal.
#[derive(Debug, Clone)]
pub struct UpstreamKey {
    hash: u64,
    name: Box<str>,
}

impl UpstreamKey {
    /// The key of `name`, whatever its case.
    pub fn new(name: &str) -> UpstreamKey {
        let name = name.to_ascii_lowercase().into_boxed_str();
        // Fixed keys: the same name has the same hash in every snapshot. Names come from operators, not from peers.
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        UpstreamKey { hash: hasher.finish(), name }
    }

    /// The name in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl PartialEq for UpstreamKey {
    fn eq(&self, other: &UpstreamKey) -> bool {
        self.hash == other.hash && self.name == other.name
    }
}

impl Eq for UpstreamKey {}

impl Hash for UpstreamKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP address.
    Inet(SocketAddr),
    /// The path of a unix socket.
    Unix(Box<str>),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Inet(address) => address.fmt(f),
            Endpoint::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// An upstream as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSpec {
    /// The name in the spelling that was given last.
    pub name: String,
    /// The servers in the order given; a store has none, so there it is the order of their names.
    pub servers: Vec<ServerSpec>,
}

impl UpstreamSpec {
    /// Reads what the admin API is given for one upstream: an object, server → parameters. Refuses what nginx refuses:
    /// no servers at all, and none that is not a backup. `None` when anything is at fault; all of it is in `report`.
    pub(crate) fn read(name: &str, given: &Value, report: &mut Report) -> Option<UpstreamSpec> {
        let Value::Object(given) = given else {
            report.fault("", "must be an object: server → parameters");
            return None;
        };
        let mut servers = Vec::with_capacity(given.len());
        for (server, params) in given {
            let read = match params {
                Value::String(params) => ServerSpec::parse(server, params),
                _ => Err("the parameters must be a string, \"\" for none".to_owned()),
            };
            match read {
                Ok(spec) => servers.push(spec),
                Err(message) => report.fault(step(server), message),
            }
        }
        if servers.len() < given.len() {
            return None;
        }
        if servers.iter().all(|server| server.backup) {
            let message = if servers.is_empty() { "has no servers" } else { "has only backup servers" };
            report.fault("", message);
            return None;
        }
        Some(UpstreamSpec { name: name.to_owned(), servers })
    }
}

/// One address of a server. A name with several addresses gives several, each with the weight of the whole, as nginx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where to connect to.
    pub endpoint: Endpoint,
    /// What the operator said about it.
    pub spec: Arc<ServerSpec>,
}

/// An upstream resolved to addresses: what a balancer reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The name in the spelling that was given.
    pub name: String,
    /// Every address of every server; none when nothing could be resolved, and then the answer is 502.
    pub servers: Vec<Server>,
    /// No operator made it: a rule's `servername` is an address or a host name itself.
    pub implicit: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_ignore_case_and_hash_only_the_hash() {
        let (upper, lower) = (UpstreamKey::new("Up 1/X"), UpstreamKey::new("up 1/x"));
        assert_eq!(upper, lower);
        assert_eq!(upper.name(), "up 1/x");
        assert_ne!(upper, UpstreamKey::new("up2"));
        let digest = |value: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            value(&mut hasher);
            hasher.finish()
        };
        assert_eq!(digest(&|h| upper.hash(h)), digest(&|h| h.write_u64(lower.hash)));
    }

    fn read(given: Value) -> Result<UpstreamSpec, Vec<String>> {
        let mut report = Report::default();
        let spec = UpstreamSpec::read("Up", &given, &mut report);
        assert_eq!(spec.is_none(), !report.faults.is_empty());
        spec.ok_or_else(|| report.faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn servers_keep_their_order() {
        let spec = read(json!({"b:2": "", "a:1": "weight=2", "c:3": "backup"})).unwrap();
        assert_eq!(
            spec.servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>(),
            ["b:2", "a:1", "c:3"]
        );
        assert!(read(json!({"a": "down"})).is_ok(), "nginx takes it, and answers 502");
    }

    #[test]
    fn what_nginx_refuses_is_refused_with_its_place() {
        for (given, fault) in [
            (json!([]), "must be an object: server → parameters"),
            (json!("a:1"), "must be an object: server → parameters"),
            (json!({}), "has no servers"),
            (json!({"a:1": "backup"}), "has only backup servers"),
            (json!({"a:1": null}), "/a:1: the parameters must be a string, \"\" for none"),
            (json!({"a:1": 5}), "/a:1: the parameters must be a string, \"\" for none"),
            (json!({"a:1": "", "a/b": ""}), "/a~1b: must be an address only: no URL, no path"),
            (
                json!({"a:1": "weight=0"}),
                "/a:1: weight=0: must be 1 or more; use down for a server that gets nothing",
            ),
        ] {
            assert_eq!(read(given.clone()).unwrap_err(), [fault], "{given}");
        }
        assert_eq!(read(json!({"a:0": "", "b": "x"})).unwrap_err().len(), 2, "every fault is told");
    }

    #[test]
    fn endpoints_are_shown_as_they_are_written() {
        for text in ["127.0.0.1:80", "[::1]:8080"] {
            assert_eq!(Endpoint::Inet(text.parse().unwrap()).to_string(), text);
        }
        assert_eq!(Endpoint::Unix("/run/x.sock".into()).to_string(), "unix:/run/x.sock");
    }
}
