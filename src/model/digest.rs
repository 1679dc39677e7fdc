//! A digest of what is in force: two ELBs that serve the same have the same, whatever way it came and in whatever order.
//!
//! It owns the canonical form and how digests are put together, never what is in force. It is made so, `H` being SHA-256
//! (FIPS 180-4):
//!
//! * the content of an entry is `H` of its JSON in one line, members sorted by name. That of a domain is its rule set; that of
//!   an upstream has a string for each server and for its options, in the form that dumps are written in;
//! * an entry is `H` of its kind, a zero byte, its name, a zero byte, and its content;
//! * 256 buckets for each kind hold the entries, by their first byte; a bucket is `H` of its entries in ascending order;
//! * a kind is `H` of its buckets in order, and the whole is `H` of the domains and the upstreams.
//!
//! A change costs its entry, its bucket and the 256 buckets, 20 KiB among 100,000 domains, instead of hashing all of them. Two
//! configurations with one digest would be a collision of SHA-256 at one of these steps. Next: [`ledger`](super::ledger)
//! keeps it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Buckets of one kind: the values of a byte. With 100,000 entries a bucket has 400 of them, so that its hashing costs about as
/// much as that of all buckets.
const BUCKETS: usize = 256;

/// A SHA-256 digest. It shows itself as 64 hexadecimal digits, or as the first ones of them: `{:.16}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these texts, one after the other.
    fn of<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut hasher = Sha256::new();
        texts.into_iter().for_each(|text| hasher.update(text));
        Digest(hasher.finalize().into())
    }

    /// Of a text as it stands.
    pub(crate) fn of_text(text: &str) -> Digest {
        Digest::of([text.as_bytes()])
    }

    /// Of a JSON value in its canonical form.
    pub(crate) fn of_json(value: &Value) -> Digest {
        let mut text = Vec::with_capacity(512);
        canonical(value, &mut text);
        Digest::of([&text[..]])
    }

    /// Of a thing of this kind and name with this content. The kind has no zero byte and the content has one length, so no two
    /// entries are one text.
    pub(crate) fn of_entry(kind: &str, name: &str, content: Digest) -> Digest {
        Digest::of([kind.as_bytes(), &[0], name.as_bytes(), &[0], &content.0])
    }

    /// Of these digests in this order.
    pub(crate) fn of_all<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Digest {
        Digest::of(digests.into_iter().map(|digest| &digest.0[..]))
    }
}

impl Digest {
    /// The digest of this text, as [`fmt::Display`] writes it.
    #[must_use]
    pub fn read(text: &str) -> Option<Digest> {
        let digits = text.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Digest(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes JSON in one line with the members of objects sorted by the bytes of their names. What was read is nested no deeper
/// than the reader allows.
fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push(b'{');
            for (number, (name, value)) in members.into_iter().enumerate() {
                out.extend((number > 0).then_some(b','));
                plain(name, out);
                out.push(b':');
                canonical(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (number, item) in items.iter().enumerate() {
                out.extend((number > 0).then_some(b','));
                canonical(item, out);
            }
            out.push(b']');
        }
        other => plain(other, out),
    }
}

fn plain(value: &impl Serialize, out: &mut Vec<u8>) {
    // Memory takes what is written, and a string or a number has a form.
    let _ = serde_json::to_writer(out, value);
}

/// The digest of a set of entries, which follows the set as it changes.
#[derive(Debug)]
pub(crate) struct DigestTree {
    buckets: Box<[Bucket]>,
    /// That of all buckets; nothing when one of them has changed.
    root: Option<Digest>,
}

#[derive(Debug, Default)]
struct Bucket {
    /// In ascending order.
    entries: Vec<Digest>,
    /// Nothing when they have changed.
    digest: Option<Digest>,
}

impl Default for DigestTree {
    fn default() -> DigestTree {
        DigestTree { buckets: (0..BUCKETS).map(|_| Bucket::default()).collect(), root: None }
    }
}

impl DigestTree {
    /// One entry goes, another one comes, or both.
    pub(crate) fn replace(&mut self, before: Option<Digest>, after: Option<Digest>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.change(before, |entries| {
                if let Ok(at) = entries.binary_search(&before) {
                    entries.remove(at);
                }
            });
        }
        if let Some(after) = after {
            self.change(after, |entries| {
                if let Err(at) = entries.binary_search(&after) {
                    entries.insert(at, after);
                }
            });
        }
    }

    fn change(&mut self, entry: Digest, change: impl FnOnce(&mut Vec<Digest>)) {
        self.root = None;
        if let Some(bucket) = self.buckets.get_mut(usize::from(entry.0[0])) {
            bucket.digest = None;
            change(&mut bucket.entries);
        }
    }

    /// The digest of the set. It costs what has changed since this was asked.
    pub(crate) fn root(&mut self) -> Digest {
        if let Some(root) = self.root {
            return root;
        }
        let buckets = self.buckets.iter_mut();
        let digests: Vec<Digest> = buckets
            .map(|bucket| *bucket.digest.get_or_insert_with(|| Digest::of_all(&bucket.entries)))
            .collect();
        *self.root.insert(Digest::of_all(&digests))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_sha_256_and_shows_as_hexadecimal_digits() {
        // The example of FIPS 180-4.
        let digest = Digest::of([&b"a"[..], b"bc"]);
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((digest.to_string(), format!("{digest:.16}")), (text.to_owned(), text[..16].to_owned()));
    }

    #[test]
    fn json_has_one_form() {
        let form = |text: &str| {
            let mut out = Vec::new();
            canonical(&serde_json::from_str(text).unwrap(), &mut out);
            String::from_utf8(out).unwrap()
        };
        let given = r#"{ "b": [1, {"d": null, "c": "\u0061/\u00e9"}], "a": {"z": 1.50, "Z": true} }"#;
        assert_eq!(form(given), r#"{"a":{"Z":true,"z":1.5},"b":[1,{"c":"a/é","d":null}]}"#);
        assert_eq!(Digest::of_json(&json!({"a": 1, "b": 2})), Digest::of_json(&json!({"b": 2, "a": 1})));
        assert_ne!(Digest::of_json(&json!([1, 2])), Digest::of_json(&json!([2, 1])));
    }

    #[test]
    fn entries_of_other_kinds_and_names_are_others() {
        let content = Digest::of_json(&json!({}));
        let all = [("a", "b"), ("a", "c"), ("ab", ""), ("a", "b\0"), ("b", "a")];
        let digests: BTreeSet<Digest> =
            all.iter().map(|(kind, name)| Digest::of_entry(kind, name, content)).collect();
        assert_eq!(digests.len(), all.len());
    }

    fn entry(number: u16) -> Digest {
        Digest::of([&number.to_le_bytes()[..]])
    }

    #[test]
    fn a_change_costs_its_bucket_and_not_the_others() {
        let mut tree = DigestTree::default();
        (0..5000).for_each(|number| tree.replace(None, Some(entry(number))));
        tree.root();
        tree.replace(Some(entry(7)), None);
        assert_eq!(tree.buckets.iter().filter(|bucket| bucket.digest.is_none()).count(), 1);
        tree.root();
        tree.replace(Some(entry(8)), Some(entry(8)));
        assert!(tree.root.is_some(), "nothing has changed");
    }

    proptest! {
        /// Whatever came and went before, and whenever it was asked: what counts is what is there.
        #[test]
        fn the_root_is_that_of_what_is_there(steps in proptest::collection::vec((any::<bool>(), 0..50u16, any::<bool>()), 0..200)) {
            let (mut tree, mut set) = (DigestTree::default(), BTreeSet::new());
            for (comes, number, asks) in steps {
                let before = set.contains(&number).then(|| entry(number));
                tree.replace(before, comes.then(|| entry(number)));
                if comes { set.insert(number); } else { set.remove(&number); }
                if asks {
                    tree.root();
                }
            }
            let mut fresh = DigestTree::default();
            set.iter().rev().for_each(|number| fresh.replace(None, Some(entry(*number))));
            prop_assert_eq!(tree.root(), fresh.root());
            fresh.replace(None, Some(entry(50)));
            prop_assert_ne!(tree.root(), fresh.root());
        }
    }
}
