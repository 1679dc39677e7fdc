//! Writes that were sent to the store and whose events have not come back: they tell an echo from somebody else's change.
//!
//! It owns those texts, by key, until the store reports the key; never an edit. A write whose outcome is unknown (a
//! lost answer, a timeout) stays here, because it may still arrive: until then the value of its key is uncertain. Next:
//! [`domains`](super::domains) and [`upstreams`](super::upstreams) ask whose change it is.

use std::collections::BTreeMap;

/// Most texts of one key that are remembered. Each is one dump whose outcome is unknown. Above that the oldest is forgotten,
/// and its event, if it still comes, counts as somebody else's change.
const TEXTS: usize = 8;

/// What is on its way, by the key of a layer and by the store's key below it.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    keys: BTreeMap<String, BTreeMap<String, Vec<Option<String>>>>,
}

impl Sent {
    /// `text` goes to the store; `None` deletes.
    pub(crate) fn note(&mut self, key: &str, part: &str, text: Option<&str>) {
        let texts = self.keys.entry(key.to_owned()).or_default().entry(part.to_owned()).or_default();
        if texts.iter().any(|sent| sent.as_deref() == text) {
            return;
        }
        if texts.len() >= TEXTS {
            texts.remove(0);
        }
        texts.push(text.map(str::to_owned));
    }

    /// The store says `text` of this key. True when that is what was sent; whatever else was sent will not come any more,
    /// for each write holds only if the key is still as it was read.
    pub(crate) fn heard(&mut self, key: &str, part: &str, text: Option<&str>) -> bool {
        let Some(parts) = self.keys.get_mut(key) else { return false };
        let own = parts.remove(part).is_some_and(|texts| texts.iter().any(|sent| sent.as_deref() == text));
        if parts.is_empty() {
            self.keys.remove(key);
        }
        own
    }

    /// Whether anything of a layer's key is on its way.
    pub(crate) fn away(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The store's keys below a layer's key of which anything is on its way.
    pub(crate) fn parts(&self, key: &str) -> impl Iterator<Item = &str> {
        self.keys.get(key).into_iter().flat_map(|parts| parts.keys().map(String::as_str))
    }

    /// Whether anything of this very key is.
    pub(crate) fn holds(&self, key: &str, part: &str) -> bool {
        self.keys.get(key).is_some_and(|parts| parts.contains_key(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_known_once_until_the_store_says_anything() {
        let mut sent = Sent::default();
        sent.note("up", "up/s", Some("a"));
        sent.note("up", "up/s", None);
        sent.note("up", "up/t", Some(""));
        assert!(sent.away("up") && sent.holds("up", "up/s") && !sent.holds("up", "up/u"));
        assert!(!sent.heard("up", "up/u", Some("a")), "nothing was sent there");
        assert!(sent.heard("up", "up/s", None));
        assert!(!sent.heard("up", "up/s", Some("a")), "the other can not come any more");
        assert!(!sent.heard("up", "up/t", Some("b")), "somebody else's");
        assert!(!sent.away("up"));
    }

    #[test]
    fn what_never_comes_back_is_bounded() {
        let mut sent = Sent::default();
        for number in 0..2 * TEXTS {
            sent.note("d", "", Some(&number.to_string()));
        }
        assert_eq!(sent.keys["d"][""].len(), TEXTS);
        assert!(sent.heard("d", "", Some(&(2 * TEXTS - 1).to_string())));
    }
}
