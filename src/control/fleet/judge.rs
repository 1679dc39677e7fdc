//! Whether all nodes serve the same, and who lags behind and why.
//!
//! It owns which configuration is the one that all should serve, and the sentences; it reads no clock and asks nobody. Next:
//! `control::admin::fleet` shows it.
//!
//! The one is that of the node that has heard of the newest revision of the store, among those that serve what the store says: a node
//! with unsaved edits serves something of its own, and one that holds a load back does not serve what it has heard of. Where several
//! have heard of the same revision and differ, it is that of the most of them.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::document::Document;
use crate::readiness::Unready;
use crate::warning::Code;

/// Digits of a digest in a sentence, as in the log.
const DIGITS: usize = 16;

/// What all should serve, if it is said; else the newest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::control) struct Asked {
    /// A digest or its first digits, in lower case.
    pub(in crate::control) digest: Option<String>,
    /// What was written to the store up to this revision must be served.
    pub(in crate::control) revision: i64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct Judged {
    /// What all should serve.
    pub(in crate::control) digest: Option<String>,
    /// For each node, why it lags; in the order of the nodes.
    pub(in crate::control) lags: Vec<Option<String>>,
}

impl Judged {
    /// Nobody lags, and there is somebody.
    pub(in crate::control) fn is_converged(&self) -> bool {
        !self.lags.is_empty() && self.lags.iter().all(Option::is_none)
    }
}

/// Compares all nodes.
pub(in crate::control) fn judge(nodes: &[Document], asked: &Asked) -> Judged {
    let newest = newest(nodes);
    let wanted = match (&asked.digest, newest) {
        (None, newest) => newest.map(str::to_owned),
        (Some(asked), _) => {
            let digests = nodes.iter().filter_map(|node| node.digest.as_deref());
            let whole = newest.into_iter().chain(digests).find(|digest| digest.starts_with(asked.as_str()));
            Some(whole.unwrap_or(asked).to_owned())
        }
    };
    let lags = nodes.iter().map(|node| lag(node, wanted.as_deref(), asked.revision)).collect();
    Judged { digest: wanted, lags }
}

/// The digest that all should serve; nothing if nobody serves what the store says.
fn newest(nodes: &[Document]) -> Option<&str> {
    let holds_back = |node: &Document| node.health.alarms.iter().any(|code| code == Code::LoadHeld.word());
    let clean = nodes.iter().filter(|node| node.unsaved == 0 && node.fault.is_none() && !holds_back(node));
    let mut counts: HashMap<&str, (i64, usize)> = HashMap::new();
    for node in clean {
        let Some(digest) = node.digest.as_deref() else { continue };
        let (revision, count) = counts.entry(digest).or_insert((node.revision, 0));
        *revision = (*revision).max(node.revision);
        *count += 1;
    }
    let best =
        counts.into_iter().max_by_key(|(digest, (revision, count))| (*revision, *count, Reverse(*digest)));
    best.map(|(digest, _)| digest)
}

fn lag(node: &Document, wanted: Option<&str>, revision: i64) -> Option<String> {
    if let Some(fault) = &node.fault {
        return Some(format!("what it says of itself cannot be read: {fault}"));
    }
    let mut why = Vec::new();
    let short = |digest: &str| digest.chars().take(DIGITS).collect::<String>();
    let is_same = match (&node.digest, wanted) {
        (Some(own), Some(wanted)) => own.starts_with(wanted),
        _ => false,
    };
    if !is_same {
        let own = node.digest.as_deref().map_or_else(|| "something unknown".to_owned(), short);
        let other = wanted.map_or_else(|| "what the store holds".to_owned(), short);
        why.push(format!("serves {own} and not {other}, up to revision {} of the store", node.revision));
    }
    match node.unsaved {
        0 => {}
        1 => why.push("has 1 unsaved edit".to_owned()),
        edits => why.push(format!("has {edits} unsaved edits")),
    }
    if node.revision < revision {
        why.push(format!("serves the store up to revision {} and not {revision}", node.revision));
    }
    // One that is told to end serves what it should until it has gone.
    let reasons: Vec<&str> = node.health.reasons.iter().map(String::as_str).collect();
    let standing: Vec<&str> =
        reasons.iter().copied().filter(|reason| *reason != Unready::Draining.word()).collect();
    if !standing.is_empty() || (!node.health.ready && reasons.is_empty()) {
        let standing =
            if standing.is_empty() { "for no reason that it tells".to_owned() } else { standing.join(", ") };
        why.push(format!("is not ready: {standing}"));
    }
    if !is_same && node.health.alarms.iter().any(|code| code == Code::LoadHeld.word()) {
        why.push("holds back a load of the store".to_owned());
    }
    if !is_same && node.health.alarms.iter().any(|code| code == Code::StoreDown.word()) {
        why.push("cannot reach the store".to_owned());
    }
    (!why.is_empty()).then(|| why.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fleet::document::Health;

    fn node(id: &str, digest: &str, revision: i64) -> Document {
        let health = Health { ready: true, ..Health::default() };
        let digest = Some(digest.repeat(64 / digest.len()));
        Document { id: id.to_owned(), digest, revision, health, ..Document::default() }
    }

    fn judged(nodes: &[Document]) -> (bool, Option<String>, Vec<String>) {
        let judged = judge(nodes, &Asked::default());
        let digest = judged.digest.as_ref().map(|digest| digest[..1].to_owned());
        (
            judged.is_converged(),
            digest,
            judged.lags.iter().map(|lag| lag.clone().unwrap_or_default()).collect(),
        )
    }

    #[test]
    fn who_has_heard_less_lags_and_a_revision_alone_says_nothing() {
        assert_eq!(
            judged(&[node("a", "1", 5), node("b", "1", 9)]),
            (true, Some("1".into()), vec!["".into(), "".into()])
        );
        let (converged, digest, lags) = judged(&[node("a", "1", 5), node("b", "2", 9), node("c", "1", 5)]);
        assert_eq!((converged, digest.as_deref()), (false, Some("2")), "however many are behind");
        let why = "serves 1111111111111111 and not 2222222222222222, up to revision 5 of the store";
        assert_eq!(lags, [why, "", why]);
        assert_eq!(judged(&[]), (false, None, vec![]));
        // At one revision the most are right.
        assert_eq!(
            judged(&[node("a", "1", 5), node("b", "2", 5), node("c", "1", 5)]).1.as_deref(),
            Some("1")
        );
    }

    #[test]
    fn who_serves_something_of_its_own_is_not_the_measure() {
        let edited = Document { unsaved: 2, ..node("a", "3", 9) };
        let (_, digest, lags) = judged(&[edited.clone(), node("b", "1", 5)]);
        assert_eq!((digest.as_deref(), lags[1].as_str()), (Some("1"), ""));
        assert!(lags[0].ends_with("; has 2 unsaved edits"), "{lags:?}");
        let (_, digest, lags) = judged(std::slice::from_ref(&edited));
        assert!(
            digest.is_none() && lags[0].starts_with("serves 3333333333333333 and not what the store holds"),
            "{lags:?}"
        );
        let same = Document { unsaved: 1, ..node("a", "1", 5) };
        assert_eq!(judged(&[same, node("b", "1", 5)]).2, ["has 1 unsaved edit", ""]);
        let mut held = node("a", "1", 9);
        held.health.alarms = vec!["load-held".into(), "store-down".into()];
        let (_, digest, lags) = judged(&[held, node("b", "2", 8)]);
        assert_eq!(digest.as_deref(), Some("2"));
        assert!(lags[0].ends_with("; holds back a load of the store; cannot reach the store"), "{lags:?}");
    }

    #[test]
    fn who_is_not_ready_lags_and_who_ends_well_does_not() {
        let unready = |reasons: &[&str]| {
            let mut node = node("a", "1", 5);
            let reasons = reasons.iter().map(ToString::to_string).collect();
            node.health = Health { ready: false, reasons, ..Health::default() };
            judged(&[node]).2.remove(0)
        };
        assert_eq!(unready(&["worker-behind", "draining"]), "is not ready: worker-behind");
        assert_eq!(unready(&["draining"]), "");
        assert_eq!(unready(&[]), "is not ready: for no reason that it tells");
        let broken = Document::read("x", b"nonsense");
        assert!(
            judged(&[broken, node("a", "1", 5)]).2[0].starts_with("what it says of itself cannot be read: ")
        );
    }

    #[test]
    fn a_digest_and_a_revision_can_be_asked_for() {
        let nodes = [node("a", "1", 5), node("b", "1", 9)];
        let ask = |digest: Option<&str>, revision| {
            judge(&nodes, &Asked { digest: digest.map(str::to_owned), revision })
        };
        assert!(ask(Some("11111111"), 0).is_converged() && ask(Some(&"1".repeat(64)), 5).is_converged());
        assert_eq!(ask(Some("11111111"), 0).digest, Some("1".repeat(64)));
        let other = ask(Some("22222222"), 0);
        assert!(!other.is_converged() && other.digest.as_deref() == Some("22222222"));
        let later = ask(None, 7);
        assert_eq!(later.lags, [Some("serves the store up to revision 5 and not 7".to_owned()), None]);
    }
}
