//! What a store holds, as text: the boundary between the stores and the model.
//!
//! It owns the raw key-value view (`rules/$domain`, `upstreams/$upstream/$server`, `upstreams/$upstream/@options`) and the
//! difference of two such views, never what the text means. Next: [`state`](super::state) reads it into rules and upstreams.

use std::collections::BTreeMap;

/// The texts of one upstream: server as written → parameters as written, and perhaps [`OPTIONS`](super::OPTIONS) → options
/// as written.
pub type Servers = BTreeMap<String, String>;

/// Everything a store holds for one ELB name, unparsed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Contents {
    /// Domain → JSON text of its rule set.
    pub rules: BTreeMap<String, String>,
    /// Upstream → server → parameters.
    pub upstreams: BTreeMap<String, Servers>,
}

impl Contents {
    /// What they hold of the key that `change` is about.
    pub fn get(&self, change: &KeyChange) -> Option<&str> {
        match change {
            KeyChange::Rule { domain, .. } => self.rules.get(domain),
            KeyChange::Server { upstream, server, .. } => {
                self.upstreams.get(upstream).and_then(|servers| servers.get(server))
            }
        }
        .map(String::as_str)
    }

    /// Gives a change the text that they hold of its key, if any, and keeps none.
    pub fn move_text(&mut self, change: &mut KeyChange) {
        match change {
            KeyChange::Rule { domain, text } => *text = self.rules.get_mut(domain).map(std::mem::take),
            KeyChange::Server { upstream, server, text } => {
                let servers = self.upstreams.get_mut(upstream);
                *text = servers.and_then(|servers| servers.get_mut(server)).map(std::mem::take);
            }
        }
    }

    /// Makes a change in them. An upstream without servers is none.
    pub fn apply(&mut self, change: KeyChange) {
        match change {
            KeyChange::Rule { domain, text: Some(text) } => drop(self.rules.insert(domain, text)),
            KeyChange::Rule { domain, text: None } => drop(self.rules.remove(&domain)),
            KeyChange::Server { upstream, server, text: Some(text) } => {
                self.upstreams.entry(upstream).or_default().insert(server, text);
            }
            KeyChange::Server { upstream, server, text: None } => {
                if let Some(servers) = self.upstreams.get_mut(&upstream) {
                    servers.remove(&server);
                    if servers.is_empty() {
                        self.upstreams.remove(&upstream);
                    }
                }
            }
        }
    }
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
    /// A server, or the options of an upstream, were written, or removed (`None`).
    Server {
        /// The upstream.
        upstream: String,
        /// The server as written, or [`OPTIONS`](super::OPTIONS).
        server: String,
        /// The new parameters or options.
        text: Option<String>,
    },
}

impl KeyChange {
    /// Whether the key is gone.
    pub fn is_removal(&self) -> bool {
        let (Self::Rule { text, .. } | Self::Server { text, .. }) = self;
        text.is_none()
    }

    /// The key for people: `rules/$domain` or `upstreams/$upstream/$server`.
    pub fn name(&self) -> String {
        match self {
            KeyChange::Rule { domain, .. } => format!("rules/{domain}"),
            KeyChange::Server { upstream, server, .. } => format!("upstreams/{upstream}/{server}"),
        }
    }

    /// The key alone.
    #[must_use]
    pub fn without_text(&self) -> KeyChange {
        match self {
            KeyChange::Rule { domain, .. } => KeyChange::Rule { domain: domain.clone(), text: None },
            KeyChange::Server { upstream, server, .. } => {
                KeyChange::Server { upstream: upstream.clone(), server: server.clone(), text: None }
            }
        }
    }

    /// Whether both are about the same key.
    pub fn is_same_key(&self, other: &KeyChange) -> bool {
        match (self, other) {
            (KeyChange::Rule { domain, .. }, KeyChange::Rule { domain: also, .. }) => domain == also,
            (
                KeyChange::Server { upstream, server, .. },
                KeyChange::Server { upstream: same, server: also, .. },
            ) => upstream == same && server == also,
            _ => false,
        }
    }

    /// What the key is set to; nothing when it is removed.
    pub fn text(&self) -> Option<&str> {
        match self {
            KeyChange::Rule { text, .. } | KeyChange::Server { text, .. } => text.as_deref(),
        }
    }
}

/// One key of a store that a dump writes or compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyWrite {
    /// What was read of the key when this was decided. If the store holds anything else, somebody else changed it since,
    /// and it must not be written.
    pub read: Option<String>,
    /// The value to write. If it is the one that was read, the key is compared and not written.
    pub wanted: KeyChange,
    /// An earlier write of the key may still arrive: it is written even when there is nothing to change, so that the
    /// earlier one cannot hold any more.
    pub doubtful: bool,
}

impl KeyWrite {
    /// Whether the key is only to be looked at. So it is when it should not be there and was not, in doubt or not: to delete
    /// what is not there changes nothing, so it would stop nothing that is still on its way.
    pub fn is_check(&self) -> bool {
        self.read.as_deref() == self.wanted.text() && (!self.doubtful || self.read.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_applied_in_order_and_found() {
        let rule = |domain: &str, text: Option<&str>| KeyChange::Rule {
            domain: domain.to_owned(),
            text: text.map(str::to_owned),
        };
        let server = |server: &str, text: Option<&str>| KeyChange::Server {
            upstream: "up".to_owned(),
            server: server.to_owned(),
            text: text.map(str::to_owned),
        };
        let mut contents = Contents::default();
        for change in [rule("a", Some("1")), rule("b", Some("2")), server("s", Some("")), rule("a", None)] {
            contents.apply(change);
        }
        assert_eq!((contents.get(&rule("b", None)), contents.get(&rule("a", None))), (Some("2"), None));
        assert_eq!((contents.get(&server("s", None)), contents.get(&server("t", None))), (Some(""), None));
        for change in [rule("b", Some("3")), server("s", None), server("t", None)] {
            contents.apply(change);
        }
        assert_eq!(contents.rules.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "3".to_owned())]);
        assert!(contents.upstreams.is_empty());
    }
}
