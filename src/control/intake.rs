//! What the store says, on its way into the state: who is heard, what is held back, what the operator is told.
//!
//! It owns the guard against an empty answer and the one log line a change of the store's state; never a connection,
//! and never how texts are read (that is the model's). Next: `hub` carries on with what changed.

use std::fmt;

use tracing::{info, warn};

use super::state_file::Saved;
use super::store::StoreEvent;
use crate::model::{Contents, Dropped, KeyChange, State, StoreOutcome};

/// Fewer domains than this may always go in one load.
const FEW_DOMAINS: usize = 3;
/// Keys named one by one in the log for one event; a store full of broken keys must not fill the disk as well.
const NAMED: usize = 20;

/// The store as it was last heard of.
#[derive(Debug, Default)]
pub(super) struct Intake {
    source: Source,
    /// Why the store is not there; nothing while it is.
    down: Option<String>,
    held: Option<Held>,
    /// Loads that came, held ones too.
    loads: u64,
    /// The store's revision of what it said last.
    revision: i64,
}

/// Where the store layer comes from.
#[derive(Debug, Default, PartialEq, Eq)]
enum Source {
    #[default]
    Nothing,
    /// With what is in it, for people.
    StateFile(String),
    Store,
}

/// A load that would take too much away, waiting for a person.
#[derive(Debug)]
struct Held {
    contents: Contents,
    dropped: Dropped,
}

impl Intake {
    /// Takes an event. True when what is served has changed.
    pub(super) fn event(&mut self, state: &mut State, event: StoreEvent) -> bool {
        match event {
            StoreEvent::Loaded { contents, revision } => self.loaded(state, contents, revision),
            StoreEvent::Changed { changes, revision } => {
                self.up(revision);
                if let Some(held) = &mut self.held {
                    apply(&mut held.contents, &changes);
                    held.dropped = state.would_drop(&held.contents);
                }
                let outcome = state.store_changed(changes);
                report(&outcome);
                outcome.changed
            }
            StoreEvent::Down { reason } => {
                self.lost(&reason);
                false
            }
        }
    }

    fn loaded(&mut self, state: &mut State, contents: Contents, revision: i64) -> bool {
        self.loads += 1;
        let first = self.source != Source::Store;
        self.up(revision);
        let dropped = state.would_drop(&contents);
        if is_suspicious(&dropped) {
            let held = Held { contents, dropped };
            warn!("{held}");
            self.held = Some(held);
            return false;
        }
        if self.held.take().is_some() {
            info!("the store holds the domains and upstreams again; nothing is held back any more");
        }
        if first {
            let (domains, upstreams) = (contents.rules.len(), contents.upstreams.len());
            info!("loaded {domains} domains and {upstreams} upstreams at revision {revision}");
        }
        self.accept(state, contents)
    }

    fn accept(&mut self, state: &mut State, contents: Contents) -> bool {
        self.source = Source::Store;
        let outcome = state.load(contents);
        report(&outcome);
        outcome.changed
    }

    /// Takes what a state file kept from an earlier life, until the store is there.
    pub(super) fn remember(&mut self, state: &mut State, saved: Saved) {
        let (domains, upstreams) = (saved.contents.rules.len(), saved.contents.upstreams.len());
        let age = saved.at.elapsed().unwrap_or_default().as_secs();
        let told = format!("{domains} domains and {upstreams} upstreams of the state file, {age} s old");
        self.source = Source::StateFile(told);
        report(&state.load(saved.contents));
    }

    /// The store is not there. One line, however often it is said.
    pub(super) fn lost(&mut self, reason: &str) {
        if self.down.is_none() {
            warn!("the store is down ({reason}); serving {}; retrying", self.source);
        }
        self.down = Some(reason.to_owned());
    }

    fn up(&mut self, revision: i64) {
        self.revision = revision;
        if self.down.take().is_some() {
            info!("the store is back, at revision {revision}");
        }
    }

    /// Applies what is held back. `None` when nothing is, else whether what is served has changed.
    pub(super) fn confirm(&mut self, state: &mut State) -> Option<bool> {
        let held = self.held.take()?;
        info!("confirmed: {} domains and {} upstreams go", held.dropped.domains, held.dropped.upstreams);
        Some(self.accept(state, held.contents))
    }

    /// The store holds what is served now, so what it lacked before is no question any more.
    pub(super) fn dumped(&mut self) {
        self.held = None;
    }

    /// Is it known what the store holds?
    pub(super) fn was_read(&self) -> bool {
        self.source == Source::Store || self.held.is_some()
    }

    /// What is held back, as a sentence.
    pub(super) fn held(&self) -> Option<String> {
        self.held.as_ref().map(Held::to_string)
    }

    /// What an operator should know, one sentence each.
    pub(super) fn alarms(&self) -> Vec<String> {
        let down =
            self.down.as_ref().map(|why| format!("the store is down ({why}); serving {}", self.source));
        down.into_iter().chain(self.held()).collect()
    }

    /// The store's revision of what it said last.
    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    /// Loads that came so far, held ones too.
    pub(super) fn loads(&self) -> u64 {
        self.loads
    }
}

/// After an etcd that was wiped, restored or opened with the wrong rights, everything seems to be gone. Deletions that
/// are meant come as events one by one; a whole listing that lacks most of what serves is asked about first.
fn is_suspicious(dropped: &Dropped) -> bool {
    let most_domains = dropped.domains >= FEW_DOMAINS && dropped.domains > dropped.of_domains / 2;
    let all_upstreams = dropped.upstreams > 0 && dropped.upstreams == dropped.of_upstreams;
    most_domains || all_upstreams
}

/// Brings `contents` up to date with changes that came after it.
fn apply(contents: &mut Contents, changes: &[KeyChange]) {
    for change in changes.iter().cloned() {
        match change {
            KeyChange::Rule { domain, text: Some(text) } => drop(contents.rules.insert(domain, text)),
            KeyChange::Rule { domain, text: None } => drop(contents.rules.remove(&domain)),
            KeyChange::Server { upstream, server, text: Some(text) } => {
                contents.upstreams.entry(upstream).or_default().insert(server, text);
            }
            KeyChange::Server { upstream, server, text: None } => {
                if let Some(servers) = contents.upstreams.get_mut(&upstream) {
                    servers.remove(&server);
                    if servers.is_empty() {
                        contents.upstreams.remove(&upstream);
                    }
                }
            }
        }
    }
}

fn report(outcome: &StoreOutcome) {
    for key in outcome.rejected.iter().take(NAMED) {
        let serves = if key.last_good { "its last good value serves on" } else { "it is left out" };
        warn!("{} of the store is rejected: {} {}; {serves}", key.key, key.pointer, key.message);
    }
    if outcome.rejected.len() > NAMED {
        warn!(
            "{} more keys are rejected; GET /__erulb__/rejected lists them",
            outcome.rejected.len() - NAMED
        );
    }
    if !outcome.accepted.is_empty() {
        info!("rejected no more: {}", some(&outcome.accepted));
    }
    if !outcome.overridden.is_empty() {
        warn!("undumped edits gave way to newer values of the store: {}", some(&outcome.overridden));
    }
}

/// The first few names, and how many there are beyond them.
fn some(names: &[String]) -> String {
    let (named, rest) = names.split_at(names.len().min(NAMED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    named.join(", ") + &more
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "no stored rules",
            Self::StateFile(told) => told,
            Self::Store => "what it held last",
        })
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dropped { domains, of_domains, upstreams, of_upstreams } = self.dropped;
        write!(
            f,
            "the store now lacks {domains} of {of_domains} domains and {upstreams} of {of_upstreams} upstreams; that is \
             held back until PUT /__erulb__/resync?confirm=1"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_held_when_most_domains_or_all_upstreams_go() {
        let rows = [
            (0, 0, 0, 0, false),
            (2, 2, 0, 0, false),
            (3, 3, 0, 0, true),
            (3, 5, 0, 0, true),
            (3, 6, 0, 0, false),
            (50, 100, 0, 0, false),
            (51, 100, 0, 0, true),
            (0, 9, 1, 1, true),
            (0, 9, 4, 5, false),
        ];
        for (domains, of_domains, upstreams, of_upstreams, held) in rows {
            let dropped = Dropped { domains, of_domains, upstreams, of_upstreams };
            assert_eq!(is_suspicious(&dropped), held, "{dropped:?}");
        }
    }

    #[test]
    fn changes_reach_contents_that_wait() {
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
        apply(&mut contents, &[rule("a", Some("1")), rule("b", Some("2")), server("s", Some(""))]);
        apply(&mut contents, &[rule("a", None), rule("b", Some("3")), server("s", None), server("t", None)]);
        assert_eq!(contents.rules.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "3".to_owned())]);
        assert!(contents.upstreams.is_empty());
    }

    #[test]
    fn the_log_names_a_few_and_counts_the_rest() {
        let names: Vec<String> = (0..NAMED + 2).map(|n| n.to_string()).collect();
        assert!(some(&names).ends_with("19 and 2 more"));
        assert_eq!(some(&names[..2]), "0, 1");
    }
}
