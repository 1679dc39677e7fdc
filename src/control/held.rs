//! What a store holds where that would take too much away, while it waits: for a person, or for what is lacking to come back.
//!
//! It owns the bound and the waiting, never the state. Next: [`store_guard`](super::store_guard) holds and releases.

use std::fmt;
use std::time::{Duration, Instant};

use super::live::{Gone, Live, Losses, ServerKey};
use super::replies::Stranded;
use crate::model::{Contents, Dropped, KeyChange, State};

/// Fewer domains than this may always go in one load.
const FEW_DOMAINS: usize = 3;
/// A hold whose load lacks little by now ends when nothing has come for so long. Without that wait, whoever puts everything
/// back key by key would lose what is not back yet as soon as half of it is.
const QUIET: Duration = Duration::from_secs(2);

/// What is held back.
#[derive(Debug)]
pub(super) struct Held {
    contents: Contents,
    dropped: Dropped,
    changed: Instant,
    /// It is held because of these, which had requests.
    live: Option<Stranding>,
}

/// What of live traffic waits to be taken away.
#[derive(Debug)]
struct Stranding {
    gone: Gone,
    stranded: Stranded,
    /// Domains and servers that were gone before, within the last minute.
    before: (usize, usize),
}

impl Stranding {
    fn new(gone: Gone, stranded: Stranded) -> Self {
        let before = (
            stranded.domains.saturating_sub(gone.domains.len()),
            stranded.servers.saturating_sub(gone.servers.len()),
        );
        Self { gone, stranded, before }
    }
}

impl Held {
    /// Holds `contents` back if `state` would lose too much by them, or `live` traffic would; gives them back if not.
    pub(super) fn judge(
        contents: Contents,
        state: &State,
        live: &Live,
        losses: &Losses,
        now: Instant,
    ) -> Result<Held, Contents> {
        let dropped = state.would_drop(&contents);
        if is_suspicious(&dropped) {
            return Ok(Held { contents, dropped, changed: now, live: None });
        }
        let has = |(upstream, server): &ServerKey| state.stores_server(upstream, server);
        let gone = live.lacking(&contents, |domain| state.stores(domain), has);
        let stranded = live.without(&gone, losses);
        if gone.is_empty() || !stranded.is_too_much() {
            return Err(contents);
        }
        Ok(Held { contents, dropped, changed: now, live: Some(Stranding::new(gone, stranded)) })
    }

    /// Holds back what a store took away key by key: it holds `contents` now, and `gone` had requests.
    pub(super) fn of_live(contents: Contents, gone: Gone, stranded: Stranded, now: Instant) -> Held {
        let live = Some(Stranding::new(gone, stranded));
        Held { contents, dropped: Dropped::default(), changed: now, live }
    }

    /// Whether removals wait that came key by key, and others like them wait with them.
    pub(super) fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// The store has changed after the load.
    pub(super) fn apply(&mut self, changes: &[KeyChange], now: Instant) {
        changes.iter().for_each(|change| self.contents.apply(change.clone()));
        self.changed = now;
    }

    /// Looks again at what is lacking, after `state` took the same changes. True when the hold is over: at once when
    /// nothing is lacking any more, and after a while when it is little.
    pub(super) fn is_over(&mut self, state: &State, now: Instant) -> bool {
        self.dropped = state.would_drop(&self.contents);
        if let Some(Stranding { gone, stranded, before }) = &mut self.live {
            gone.stay_away(&self.contents);
            stranded.domains = before.0 + gone.domains.len();
            stranded.servers = before.1 + gone.servers.len();
            return gone.is_empty() || (!stranded.is_too_much() && now >= self.changed + QUIET);
        }
        let Dropped { domains, upstreams, .. } = self.dropped;
        let nothing = domains == 0 && upstreams == 0;
        nothing || (!is_suspicious(&self.dropped) && now >= self.changed + QUIET)
    }

    /// What is lacking, as of the last look.
    #[cfg(test)]
    fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// What the store holds.
    pub(super) fn peek(&self) -> &Contents {
        &self.contents
    }

    /// The same, when the hold has ended.
    pub(super) fn contents(self) -> Contents {
        self.contents
    }
}

/// Whether so much is gone that a person must confirm it. A listing lacks everything after etcd was wiped or restored, or
/// when ELB's user may not read the keys; deletions that are meant come as events, one by one.
pub(super) fn is_suspicious(dropped: &Dropped) -> bool {
    let most_domains = dropped.domains >= FEW_DOMAINS && dropped.domains > dropped.of_domains / 2;
    let all_upstreams = dropped.upstreams > 0 && dropped.upstreams == dropped.of_upstreams;
    most_domains || all_upstreams
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Stranding { stranded, .. }) = &self.live {
            let Stranded { domains, of_domains, servers, of_servers, per_second } = stranded;
            return write!(
                f,
                "the store took away {domains} of {of_domains} domains and {servers} of {of_servers} servers that had requests, \
                 {per_second:.1} a second; that is held back until PUT /__erulb__/resync?confirm=1"
            );
        }
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
    use crate::control::tests::stored;

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

    fn changes(contents: &Contents, domains: &[&str]) -> Vec<KeyChange> {
        let rule = |domain: &&str| KeyChange::Rule {
            domain: (*domain).to_owned(),
            text: contents.rules.get(*domain).cloned(),
        };
        let server =
            KeyChange::Server { upstream: "up".into(), server: "127.0.0.1:81".into(), text: Some("".into()) };
        domains.iter().map(rule).chain([server]).collect()
    }

    #[test]
    fn a_hold_ends_at_once_when_all_is_back_and_after_a_while_when_most_is() {
        let (mut state, now) = (State::new(), Instant::now());
        let contents = stored(&["a", "b", "c", "d", "e", "f"]);
        state.load(contents.clone());
        let begin =
            || Held::judge(Contents::default(), &state, &Live::default(), &Losses::default(), now).unwrap();

        let mut held = begin();
        held.apply(&changes(&contents, &["a", "b"]), now);
        assert!(!held.is_over(&state, now + 100 * QUIET), "4 of 6 are lacking");
        held.apply(&changes(&contents, &["c", "d"]), now + QUIET);
        assert!(!held.is_over(&state, now + QUIET), "2 of 6, and more may be on their way");
        assert_eq!(held.dropped().domains, 2);
        assert!(held.is_over(&state, now + 2 * QUIET));

        let mut held = begin();
        held.apply(&changes(&contents, &["a", "b", "c", "d", "e", "f"]), now);
        assert!(held.is_over(&state, now), "nothing is lacking");
        assert_eq!(held.contents(), contents);
    }
}
