//! What a store holds, as text: the boundary between the stores and the model.
//!
//! It owns the raw key-value view (`rules/$domain`, `upstreams/$upstream/$server`) and the difference of two such
//! views, never what the text means. Next: `state` reads it into rules and upstreams.

use std::collections::BTreeMap;

/// The server texts of one upstream: server as written → parameters as written.
pub type Servers = BTreeMap<String, String>;

/// Everything a store holds for one ELB name, unparsed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Contents {
    /// Domain → JSON text of its rule set.
    pub rules: BTreeMap<String, String>,
    /// Upstream → server → parameters.
    pub upstreams: BTreeMap<String, Servers>,
}

/// One key of a store that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// A domain's rule set was written, or removed (`None`).
    Rule {
        /// The domain.
        domain: String,
        /// The new JSON text.
        text: Option<String>,
    },
    /// A server was written, or removed (`None`).
    Server {
        /// The upstream.
        upstream: String,
        /// The server as written.
        server: String,
        /// The new parameters.
        text: Option<String>,
    },
}
