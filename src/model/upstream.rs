//! A named set of servers: as the operator wrote it, and resolved to addresses as a balancer reads it.
//!
//! It owns the shapes, never the text of server parameters (that is `server`) or a lookup of addresses. Next: `targets`
//! makes an [`Upstream`] of an [`UpstreamSpec`], `data::balancer` picks from it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;

use super::fault::{Report, step};
use super::server::ServerSpec;
use super::server_id::ServerId;
use super::server_state::ServerState;
use super::shapes;
use super::upstream_options::{OPTIONS, UpstreamOptions};

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
    pub servers: Vec<Arc<ServerSpec>>,
    /// What was said of it as a whole, if anything was.
    pub options: Option<UpstreamOptions>,
}

impl UpstreamSpec {
    /// Reads what the admin API is given for one upstream: an object, server → parameters, and perhaps its options among
    /// them, or one of the shapes in which it gives upstreams out ([`shapes`]). Refuses what nginx refuses: no servers at all, and none that is not a backup. `None` when anything is at fault;
    /// all of it is in `report`.
    pub(crate) fn read(name: &str, given: &Value, report: &mut Report) -> Option<UpstreamSpec> {
        let given = match shapes::servers(given) {
            Ok(given) => given,
            Err(fault) => {
                report.faults.push(fault);
                return None;
            }
        };
        let (mut servers, mut options) = (Vec::with_capacity(given.len()), None);
        let before = report.faults.len();
        for (name, text) in &*given {
            let written = match shapes::parameters(text) {
                Ok(written) if name != OPTIONS => written.map(Value::from),
                Err(fault) if name != OPTIONS => {
                    report.faults.push(fault.below(name));
                    continue;
                }
                _ => None,
            };
            let text = written.as_ref().unwrap_or(text);
            let read = match text {
                Value::String(text) if name == OPTIONS => {
                    UpstreamOptions::parse(text).map(|read| options = Some(read))
                }
                Value::String(text) => ServerSpec::parse(name, text).map(|spec| servers.push(Arc::new(spec))),
                _ if name == OPTIONS => Err("the options must be a string, \"\" for none".to_owned()),
                _ => Err("the parameters must be a string, \"\" for none".to_owned()),
            };
            if let Err(message) = read {
                report.fault(step(name), message);
            }
        }
        if report.faults.len() > before {
            return None;
        }
        let spec = UpstreamSpec { name: name.to_owned(), servers, options };
        if let Some(lack) = spec.lacks() {
            report.fault("", lack);
            return None;
        }
        Some(spec)
    }

    /// What nginx would refuse it for.
    pub(crate) fn lacks(&self) -> Option<&'static str> {
        let has_none = self.servers.iter().all(|server| server.backup);
        has_none.then_some(if self.servers.is_empty() { "has no servers" } else { "has only backup servers" })
    }
}

/// One address of a server. A name with several addresses gives several, each with the weight of the whole, as nginx.
#[derive(Debug, Clone)]
pub struct Server {
    /// Which one it is, through all definitions that have it.
    pub id: ServerId,
    /// Where to connect to.
    pub endpoint: Endpoint,
    /// What the operator said about it.
    pub spec: Arc<ServerSpec>,
    /// What is known of it: one for all definitions that have it, and for all workers.
    pub state: Arc<ServerState>,
}

/// What is known of servers is no part of their definition.
impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.endpoint == other.endpoint && self.spec == other.spec
    }
}

impl Eq for Server {}

/// An upstream resolved to addresses: what a balancer reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The name in the spelling that was given.
    pub name: String,
    /// Every address of every server; none when nothing could be resolved, and then the answer is 502.
    pub servers: Vec<Server>,
    /// What is said of it as a whole.
    pub options: UpstreamOptions,
    /// No operator made it: a rule's `servername` is an address or a host name itself.
    pub implicit: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        assert_eq!(spec.options, None);
        let spec = read(json!({"b:2": "", "@options": "method=round_robin", "a:1": ""})).unwrap();
        assert_eq!((spec.servers.len(), spec.options), (2, Some(UpstreamOptions::default())));
    }

    #[test]
    fn what_nginx_refuses_is_refused_with_its_place() {
        for (given, fault) in [
            (json!([]), "has no servers"),
            (json!("a:1"), "must be an object: server → parameters"),
            (json!({}), "has no servers"),
            (json!({"@options": "method=round_robin"}), "has no servers"),
            (json!({"a:1": "", "@options": []}), "/@options: the options must be a string, \"\" for none"),
            (
                json!({"a:1": "", "@options": "metod=round_robin"}),
                "/@options: metod=round_robin: there is no such option of an upstream; is method meant?",
            ),
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
