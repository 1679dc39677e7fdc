//! Writes that were sent to the store and whose events have not come back: they tell an echo from somebody else's change.
//!
//! It owns the digests of those texts, by key, until the store reports the key; never an edit and never a text, as a dump of all would
//! hold all of them once more. A write whose outcome is unknown (a lost answer, a timeout) stays here, because it may still arrive: until
//! then the value of its key is uncertain. Next: [`domains`](super::domains) and [`upstreams`](super::upstreams) ask whose change it is.

use std::collections::BTreeMap;
use std::ops::Range;

use super::digest::Digest;

/// Most texts of one key that are remembered. Each is one dump whose outcome is unknown. Above that the oldest is forgotten,
/// and its event, if it still comes, counts as somebody else's change.
const TEXTS: usize = 8;

/// What is on its way, by the key of a layer.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Ordered by part; of one part that which was sent first.
    keys: BTreeMap<Box<str>, Vec<Note>>,
}

/// A write below a key of a layer. One in a list takes a tenth of what it would take in a map of its own.
#[derive(Debug)]
struct Note {
    /// The store's key below it.
    part: Box<str>,
    /// Of the text; `None` deletes.
    text: Option<Digest>,
}

impl Sent {
    /// `text` goes to the store; `None` deletes.
    pub(crate) fn note(&mut self, key: &str, part: &str, text: Option<&str>) {
        let text = text.map(Digest::of_text);
        let notes = self.keys.entry(key.into()).or_insert_with(|| Vec::with_capacity(1));
        let mut there = place(notes, part);
        if notes.get(there.clone()).into_iter().flatten().any(|note| note.text == text) {
            return;
        }
        if there.len() >= TEXTS {
            notes.remove(there.start);
            there.end -= 1;
        }
        notes.insert(there.end, Note { part: part.into(), text });
    }

    /// The store says `text` of this key. True when that is what was sent; whatever else was sent will not come any more,
    /// for each write holds only if the key is still as it was read.
    pub(crate) fn heard(&mut self, key: &str, part: &str, text: Option<&str>) -> bool {
        let Some(notes) = self.keys.get_mut(key) else { return false };
        let text = text.map(Digest::of_text);
        let is_own = notes.drain(place(notes, part)).fold(false, |is_own, note| is_own | (note.text == text));
        if notes.is_empty() {
            self.keys.remove(key);
        }
        is_own
    }

    /// Whether anything of a layer's key is on its way.
    pub(crate) fn away(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The store's keys below a layer's key of which anything is on its way.
    pub(crate) fn parts(&self, key: &str) -> impl Iterator<Item = &str> {
        let notes = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        notes.chunk_by(|one, next| one.part == next.part).filter_map(|notes| Some(&*notes.first()?.part))
    }

    /// Whether anything of this very key is.
    pub(crate) fn holds(&self, key: &str, part: &str) -> bool {
        self.keys.get(key).is_some_and(|notes| !place(notes, part).is_empty())
    }
}

/// Where the notes of a part are, or would be.
fn place(notes: &[Note], part: &str) -> Range<usize> {
    let begin = notes.partition_point(|note| *note.part < *part);
    let end = notes.partition_point(|note| *note.part <= *part);
    begin..end
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
    fn parts_of_one_key_are_told_apart_in_whatever_order_they_come() {
        let mut sent = Sent::default();
        for part in ["c", "a", "b", "a"] {
            for text in ["1", "2"] {
                sent.note("up", part, Some(text));
            }
        }
        assert_eq!(sent.parts("up").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(sent.heard("up", "b", Some("1")) && !sent.holds("up", "b"));
        assert_eq!(sent.parts("up").collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(sent.parts("other").count(), 0);
    }

    #[test]
    fn what_never_comes_back_is_bounded() {
        let mut sent = Sent::default();
        for number in 0..2 * TEXTS {
            sent.note("d", "", Some(&number.to_string()));
        }
        assert_eq!(sent.keys["d"].len(), TEXTS);
        assert!(sent.heard("d", "", Some(&(2 * TEXTS - 1).to_string())));
    }
}
