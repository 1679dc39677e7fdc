//! What the watch of a store takes away, key by key: most of it in a short time is told, though it is done.
//!
//! It owns the count of what is gone and not back, never what is served. Deletions that come as events are meant more
//! often than not, so they are not held back as a load is; but the operator is told how much is gone.
//! Next: [`store_guard`](super::store_guard) asks it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::held::is_suspicious;
use crate::model::{Dropped, KeyChange, State};

/// Removals that are no further apart than this are one: a script that deletes a thousand keys takes its time.
const WINDOW: Duration = Duration::from_secs(60);

/// What was removed lately.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// Domains that are gone and not back. No more than the store ever held.
    domains: BTreeSet<String>,
    /// How many domains and upstreams there were before.
    before: (usize, usize),
    last: Option<Instant>,
    alarming: bool,
}

impl Removals {
    /// Notes changes before `state` takes them.
    pub(super) fn note<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a KeyChange>,
        state: &State,
        now: Instant,
    ) {
        let is_old = self.last.is_none_or(|last| now >= last + WINDOW);
        if is_old && !self.alarming {
            *self = Removals { before: state.stored(), ..Removals::default() };
        }
        for change in changes {
            match change {
                KeyChange::Rule { domain, text: Some(_) } => drop(self.domains.remove(domain)),
                KeyChange::Rule { domain, text: None } if state.stores(domain) => {
                    self.domains.insert(domain.clone());
                    self.last = Some(now);
                }
                KeyChange::Server { text: None, .. } => self.last = Some(now),
                _ => {}
            }
        }
    }

    /// How much is gone, if it is alarming.
    pub(super) fn alarming(&mut self, state: &State) -> Option<Dropped> {
        self.last?;
        let ((of_domains, of_upstreams), (_, upstreams)) = (self.before, state.stored());
        let upstreams = of_upstreams.saturating_sub(upstreams);
        let dropped = Dropped { domains: self.domains.len(), of_domains, upstreams, of_upstreams };
        self.alarming = is_suspicious(&dropped);
        self.alarming.then_some(dropped)
    }

    /// It was meant.
    pub(super) fn forget(&mut self) {
        *self = Removals::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::tests::stored;

    fn rule(domain: &str, text: Option<&str>) -> KeyChange {
        KeyChange::Rule { domain: domain.to_owned(), text: text.map(str::to_owned) }
    }

    fn takes(removals: &mut Removals, state: &mut State, changes: Vec<KeyChange>, now: Instant) {
        removals.note(changes.iter(), state, now);
        state.store_changed(changes);
    }

    #[test]
    fn most_domains_one_by_one_are_alarming_until_they_are_back() {
        let (mut removals, mut state, now) = (Removals::default(), State::new(), Instant::now());
        let contents = stored(&["a", "b", "c", "d", "e", "f"]);
        let text = contents.rules.get("a").cloned();
        state.load(contents);
        for (nth, domain) in (0..).zip(["a", "b", "c"]) {
            takes(&mut removals, &mut state, vec![rule(domain, None)], now + WINDOW / 2 * nth);
            assert_eq!(removals.alarming(&state), None);
        }
        takes(&mut removals, &mut state, vec![rule("d", None), rule("nobody", None)], now + WINDOW);
        let dropped = removals.alarming(&state).unwrap();
        assert_eq!((dropped.domains, dropped.of_domains), (4, 6));
        let late = now + 10 * WINDOW;
        takes(&mut removals, &mut state, vec![rule("other", text.as_deref())], late);
        assert!(removals.alarming(&state).is_some(), "time alone brings nothing back");
        takes(&mut removals, &mut state, vec![rule("d", text.as_deref())], late);
        assert_eq!(removals.alarming(&state), None);
    }

    #[test]
    fn a_few_in_an_hour_and_all_that_are_left_are_no_alarm() {
        let (mut removals, mut state, now) = (Removals::default(), State::new(), Instant::now());
        state.load(stored(&["a", "b", "c", "d"]));
        for (nth, domain) in (0..).zip(["a", "b", "c", "d"]) {
            takes(&mut removals, &mut state, vec![rule(domain, None)], now + WINDOW * nth);
            assert_eq!(removals.alarming(&state), None, "{domain}");
        }
    }

    #[test]
    fn all_upstreams_are_alarming_and_what_was_meant_is_not() {
        let (mut removals, mut state, now) = (Removals::default(), State::new(), Instant::now());
        state.load(stored(&["a"]));
        let gone = KeyChange::Server { upstream: "up".into(), server: "127.0.0.1:81".into(), text: None };
        takes(&mut removals, &mut state, vec![gone], now);
        assert_eq!(removals.alarming(&state).unwrap().upstreams, 1);
        removals.forget();
        assert_eq!(removals.alarming(&state), None);
    }
}
