//! What a node says of itself, for all others to read.
//!
//! It owns the members of that JSON object, and that one written by another version of ELB, or by nobody's, can be read without harm;
//! never where it is kept. Next: [`teller`](super::teller) makes this node's, [`judge`](mod@super::judge) compares those of all.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::model::Digest;

/// A document that is longer than this is none of ELB's: they have some 400 bytes.
const LONGEST: usize = 16 << 10;

/// Who this node is, for as long as its process lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::control) struct Identity {
    pub(in crate::control) id: String,
    /// `host:port` of its admin API, as far as it knows.
    pub(in crate::control) address: String,
    /// RFC 3339.
    pub(in crate::control) started: String,
}

/// What the hub knows of this node at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct Node {
    /// What every worker serves.
    pub(in crate::control) served: Served,
    /// Changes that no store has.
    pub(in crate::control) unsaved: usize,
    /// Codes of the alarms that stand.
    pub(in crate::control) alarms: Vec<&'static str>,
    /// Why it should get no traffic.
    pub(in crate::control) reasons: Vec<&'static str>,
}

/// A configuration that every worker serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) struct Served {
    /// Of this process.
    pub(in crate::control) version: u64,
    /// Nothing if it is not known, which takes a worker that hung for a thousand changes.
    pub(in crate::control) digest: Option<Digest>,
    /// Up to which revision of the store it is served.
    pub(in crate::control) revision: i64,
    /// Since when all workers have served this digest.
    pub(in crate::control) since: Instant,
}

/// The document. What is missing in one has its plainest value: another version of ELB may say less, or more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::control) struct Document {
    pub(in crate::control) id: String,
    /// Where its admin API is, as far as it knows.
    pub(in crate::control) address: String,
    /// The version of the program.
    pub(in crate::control) elb: String,
    /// When the process began.
    pub(in crate::control) started: String,
    /// The version of its configuration that every worker serves, counted by this process.
    pub(in crate::control) version: u64,
    pub(in crate::control) digest: Option<String>,
    pub(in crate::control) revision: i64,
    /// Since when every worker has served this digest.
    pub(in crate::control) since: Option<String>,
    pub(in crate::control) unsaved: usize,
    pub(in crate::control) health: Health,
    /// Why this is not what the node said.
    #[serde(skip)]
    pub(in crate::control) fault: Option<String>,
}

/// How a node is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::control) struct Health {
    pub(in crate::control) ready: bool,
    /// Why not.
    pub(in crate::control) reasons: Vec<String>,
    /// Alarms that stand, by their codes.
    pub(in crate::control) alarms: Vec<String>,
}

impl Document {
    /// What a node says; `since` is a time of the calendar.
    pub(in crate::control) fn of(identity: &Identity, node: &Node, since: Option<String>) -> Self {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Self {
            id: identity.id.clone(),
            address: identity.address.clone(),
            elb: env!("CARGO_PKG_VERSION").to_owned(),
            started: identity.started.clone(),
            version: node.served.version,
            digest: node.served.digest.map(|digest| digest.to_string()),
            revision: node.served.revision,
            since,
            unsaved: node.unsaved,
            health: Health {
                ready: node.reasons.is_empty(),
                reasons: words(&node.reasons),
                alarms: words(&node.alarms),
            },
            fault: None,
        }
    }

    /// As it is kept.
    pub(in crate::control) fn text(&self) -> String {
        // It has string keys and plain values, so it always serializes.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What is kept under this id. A text that is no document is one with a fault.
    pub(in crate::control) fn read(id: &str, text: &[u8]) -> Self {
        let read = match text.len() {
            long if long > LONGEST => Err(format!("it has {long} bytes")),
            _ => serde_json::from_slice::<Self>(text).map_err(|error| error.to_string()),
        };
        match read {
            // The key is what others are told apart by.
            Ok(read) => Self { id: id.to_owned(), ..read },
            Err(why) => Self { id: id.to_owned(), fault: Some(why), ..Self::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;

    #[test]
    fn what_is_told_is_read_again() {
        let identity =
            Identity { id: "a-80".into(), address: "a:80".into(), started: "2026-01-01T00:00:00Z".into() };
        let digest = State::new().digest();
        let served = Served { version: 3, digest: Some(digest), revision: 7, since: Instant::now() };
        let node = Node { served, unsaved: 1, alarms: vec!["load-held"], reasons: vec!["draining"] };
        let document = Document::of(&identity, &node, Some("2026-01-02T00:00:00Z".to_owned()));
        assert!(!document.health.ready && document.digest == Some(digest.to_string()));
        assert_eq!(Document::read("a-80", document.text().as_bytes()), document);
        assert!(document.text().len() < 600, "{}", document.text());
    }

    #[test]
    fn another_versions_document_is_read_and_nonsense_is_a_fault() {
        let read = Document::read("b", br#"{"id": "liar", "revision": 4, "later": [1]}"#);
        assert_eq!((read.id.as_str(), read.revision, read.fault, read.health.ready), ("b", 4, None, false));
        let long = format!("{{\"id\": \"{}\"}}", "x".repeat(LONGEST));
        for text in ["", "[1]", "{\"revision\": \"x\"}", "\u{0}", &long] {
            assert!(Document::read("b", text.as_bytes()).fault.is_some(), "{text:.20}");
        }
    }
}
