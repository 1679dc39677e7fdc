//! What is only in the memory of the old process, in plain words.
//!
//! It owns the form in which that travels, never how it is gathered or what it comes to: `control::hub` does both. Times are told as ages,
//! because the clocks of two processes have no common beginning. Next: [`say`](super::say) sends it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The version of the configuration that is served.
    pub version: u64,
    /// What the store said, if it ever said anything.
    pub store: Option<CarriedStore>,
    /// Edits that no dump has written: domain → rule set in JSON, or nothing where one was deleted.
    pub domains: BTreeMap<String, Option<String>>,
    /// The same of upstreams, each under its spelling.
    pub upstreams: BTreeMap<String, Option<String>>,
    /// The addresses of the names of servers, as `host:port`.
    pub names: BTreeMap<String, Vec<SocketAddr>>,
    /// The certificates of etcd that are shown, as they stand there.
    #[serde(default)]
    pub certificates: CarriedCertificates,
    /// What is known against servers; nothing of those that do well.
    pub servers: Vec<CarriedServer>,
}

/// Certificates of etcd by name, as they stand there. Private keys are among them, so no log shows them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedCertificates(pub BTreeMap<String, String>);

impl fmt::Debug for CarriedCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CarriedCertificates").field(&self.0.len()).finish()
    }
}

/// The store as it was heard of last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedStore {
    /// Its revision then.
    pub revision: i64,
    /// Domain → text, to the letter.
    pub rules: BTreeMap<String, String>,
    /// Upstream → server → text, to the letter.
    pub upstreams: BTreeMap<String, BTreeMap<String, String>>,
    /// Last good values, where they differ from what stands above.
    pub good_rules: BTreeMap<String, String>,
    /// The same of upstreams, each of them whole.
    pub good_upstreams: BTreeMap<String, BTreeMap<String, String>>,
}

/// What is known against one server at one of its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedServer {
    /// Its upstream, in lower case.
    pub upstream: String,
    /// Its name there.
    pub server: String,
    /// Where it is reached.
    pub address: String,
    /// Its checks fail.
    pub is_failing: bool,
    /// Failures that are counted.
    pub failures: u32,
    /// How many of them may have been the fault of what was asked.
    pub doubts: u32,
    /// What the last one was, as one word.
    pub blame: Option<String>,
    /// Milliseconds since the last failure.
    pub failed: Option<u64>,
    /// Milliseconds since a request was let through to see whether that is over, or since the last failure.
    pub checked: Option<u64>,
    /// Milliseconds since it was put aside, or taken up again.
    pub turned: Option<u64>,
}
