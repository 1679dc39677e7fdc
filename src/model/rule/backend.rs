//! Rule type `backend`: the leaf of a rule set.

use crate::model::upstream::UpstreamKey;

/// Where a request goes, and what is said to the server besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The upstream's name, or `host[:port]`, as written.
    pub servername: String,
    /// The same for the lookup in a snapshot.
    pub key: UpstreamKey,
    /// Request headers that replace the client's of that name; an empty list only removes them.
    pub headers: Vec<(String, Vec<String>)>,
    /// The `Host` that the server sees, lower case and without port; `None`: the client's.
    pub host: Option<String>,
}
