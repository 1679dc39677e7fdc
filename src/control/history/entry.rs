//! One version that differs from the one before it.
//!
//! It owns the two ways in which its differences are kept: as they came, sharing their texts with what is served, or packed, which
//! takes a tenth of that and leaves nothing in the way of giving memory back. Next: [`line`](mod@line) is what is packed,
//! [`versions`](super::versions) has the last of them.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::line::{self, Deflated, Stamp};
use crate::control::changes::{Author, Made};
use crate::model::{Counts, Differences, Digest, Touched};

/// Bytes of texts from which on they are packed: below, there is little to win, and what is shown most often is at hand.
const LARGE: usize = 256 * 1024;
/// Names that a list shows of each change: what makes a version known again.
const NAMES: usize = 10;

/// One version that differs from the one before it.
#[derive(Debug)]
pub(in crate::control) struct Entry {
    pub(in crate::control) version: u64,
    /// Of what it serves.
    pub(in crate::control) digest: Digest,
    pub(in crate::control) at: SystemTime,
    weight: usize,
    /// Locked for as long as a pointer takes to copy.
    kept: Mutex<Kept>,
}

/// What was changed, by whom; in the order in which it was accepted.
#[derive(Debug, Clone)]
enum Kept {
    Open(Arc<[Made]>),
    Packed(Arc<Packed>),
}

#[derive(Debug)]
struct Packed {
    line: Deflated,
    glances: Vec<Glance>,
}

/// What a list shows of a change.
#[derive(Debug, Clone)]
pub(in crate::control) struct Glance {
    pub(in crate::control) author: Author,
    pub(in crate::control) counts: Counts,
    /// The first of them, domains before upstreams.
    pub(in crate::control) names: Vec<String>,
}

impl Entry {
    /// A version with what it differs in.
    pub(super) fn new(version: u64, digest: Digest, at: SystemTime, changes: Vec<Made>) -> Self {
        let weight = changes.iter().map(|made| weight(&made.differences)).sum();
        Self { version, digest, at, weight, kept: Mutex::new(Kept::Open(changes.into())) }
    }

    /// The version that a line says; `None` if it says none.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let (Stamp { version, digest, at }, changes) = line::read(line)?;
        Some(Self::new(version, digest, at, changes))
    }

    /// What was changed, by whom; in the order in which it was accepted. Of a large version it takes its time.
    pub(in crate::control) fn changes(&self) -> Arc<[Made]> {
        match self.kept() {
            Kept::Open(changes) => changes,
            // What was packed here is whole.
            Kept::Packed(packed) => line::unpack(&packed.line).unwrap_or_default().into(),
        }
    }

    /// What a list shows of each change.
    pub(in crate::control) fn glances(&self) -> Vec<Glance> {
        match self.kept() {
            Kept::Open(changes) => glances(&changes),
            Kept::Packed(packed) => packed.glances.clone(),
        }
    }

    /// How much its texts are.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// What it keeps in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self.kept() {
            Kept::Open(_) => self.weight,
            Kept::Packed(packed) => packed.line.len(),
        }
    }

    /// Whether it is large, and not packed.
    pub(super) fn is_to_pack(&self) -> bool {
        self.weight >= LARGE && matches!(self.kept(), Kept::Open(_))
    }

    /// Packs it if that is worth the time; says whether it was done.
    pub(super) fn pack(&self) -> bool {
        let Kept::Open(changes) = self.kept() else { return false };
        if !self.is_to_pack() {
            return false;
        }
        // Nothing is written but memory, so there is nothing that fails; and if it did, it would stay as it is.
        let Ok(line) = line::pack(self.stamp(), &changes) else { return false };
        let packed = Packed { line, glances: glances(&changes) };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::Packed(Arc::new(packed));
        true
    }

    /// Writes it as a line, without its end.
    ///
    /// # Errors
    /// Those of `out`.
    pub(super) fn write(&self, out: impl Write) -> io::Result<()> {
        match self.kept() {
            Kept::Open(changes) => line::write(self.stamp(), &changes, out),
            Kept::Packed(packed) => packed.line.write(out),
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp { version: self.version, digest: self.digest, at: self.at }
    }

    fn kept(&self) -> Kept {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn glances(changes: &[Made]) -> Vec<Glance> {
    let glance = |Made { author, differences }: &Made| Glance {
        author: *author,
        counts: differences.counts(),
        names: differences.names().take(NAMES).map(str::to_owned).collect(),
    };
    changes.iter().map(glance).collect()
}

/// Bytes of the texts of differences. Those of one side are most often those of another version, so this is an upper bound.
fn weight(differences: &Differences) -> usize {
    let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
    let of = |touched: &Touched| -> usize {
        touched.iter().map(|touch| 64 + touch.name.len() + length(&touch.before) + length(&touch.after)).sum()
    };
    of(&differences.domains) + of(&differences.upstreams)
}

/// Who made a change, in words; nobody made one that came by itself.
pub(in crate::control) fn who(author: &Author) -> Option<String> {
    author.who.map(|who| who.to_canonical().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::changes::Via;
    use crate::model::{Edit, State};
    use serde_json::{Map, json};

    /// A version that brings so many domains.
    fn version(domains: usize) -> Entry {
        let mut state = State::new();
        let rules = json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "up"}}}});
        let domains: Map<_, _> = (0..domains).map(|n| (format!("d{n}.test"), rules.clone())).collect();
        state.edit(Edit::PutDomains(domains)).unwrap();
        let author = Author { who: Some([127, 0, 0, 1].into()), via: Via::Api };
        let made = Made { author, differences: state.take_differences() };
        Entry::new(3, state.digest(), SystemTime::UNIX_EPOCH, vec![made])
    }

    #[test]
    fn a_large_version_is_packed_and_says_what_it_said() {
        let entry = version(5_000);
        let (changes, glances, weight) =
            (format!("{:?}", entry.changes()), format!("{:?}", entry.glances()), entry.bytes());
        let line = |entry: &Entry| {
            let mut line = Vec::new();
            entry.write(&mut line).unwrap();
            line
        };
        let open = line(&entry);
        assert!(entry.pack() && !entry.pack());
        assert!(open == line(&entry));
        assert_eq!(format!("{:?}", Entry::read(&open).unwrap().changes()), changes);
        assert_eq!(format!("{:?}", entry.changes()), changes);
        assert_eq!(format!("{:?}", entry.glances()), glances);
        assert!(entry.bytes() * 10 < weight, "{} of {weight} bytes", entry.bytes());
        assert_eq!((entry.weight(), entry.glances()[0].names.len()), (weight, NAMES));
    }

    #[test]
    fn a_small_one_stays_at_hand() {
        let entry = version(10);
        assert!(!entry.pack());
        assert_eq!(entry.glances()[0].counts.domains.added, 10);
    }
}
