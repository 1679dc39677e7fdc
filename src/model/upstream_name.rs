//! Names of upstreams as numbers: rules and snapshots find an upstream by its slot, without hashing its name.
//!
//! It owns the slots, never what is behind a name. A slot belongs to its name as long as anyone holds it (a rule set, a
//! snapshot, a worker), so whoever holds the name may rely on the slot. Next: `rule::backend` names,
//! [`targets`](super::targets) holds.

use std::sync::{Arc, Weak};

use super::intern::Interner;

/// Slots below which it is not worth looking for free ones.
const LOOK_FROM: usize = 64;

/// The name of an upstream in lower case (names are compared without regard to ASCII case, as in nginx), and its slot.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct UpstreamName {
    slot: u32,
    key: Box<str>,
}

impl UpstreamName {
    /// Its number, from 0 on.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The name in lower case.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Gives names their slots.
#[derive(Debug, Default)]
pub(crate) struct UpstreamNames {
    known: Interner<UpstreamName>,
    slots: Vec<Weak<UpstreamName>>,
    free: Vec<u32>,
    look_at: usize,
}

impl UpstreamNames {
    /// The name with this key, which is in lower case.
    pub(crate) fn get(&mut self, key: &str) -> Arc<UpstreamName> {
        debug_assert!(!key.bytes().any(|byte| byte.is_ascii_uppercase()));
        if let Some(known) = self.known.get(key, |name| &*name.key == key) {
            return known;
        }
        let slot = self.free_slot();
        let name = self.known.add(key, UpstreamName { slot, key: key.into() });
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Arc::downgrade(&name);
        }
        name
    }

    /// Looks for slots whose name is gone whenever their number may have doubled.
    fn free_slot(&mut self) -> u32 {
        if self.free.is_empty() && self.slots.len() >= self.look_at.max(LOOK_FROM) {
            let gone = (0..).zip(&self.slots).filter(|(_, name)| name.strong_count() == 0);
            self.free = gone.map(|(slot, _)| slot).collect();
            self.look_at = 2 * (self.slots.len() - self.free.len());
        }
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(Weak::new());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_when_nobody_holds_its_name() {
        let mut names = UpstreamNames::default();
        let held = names.get("up");
        assert_eq!((held.slot(), names.get("up").slot()), (0, 0));
        for number in 0..10 * LOOK_FROM {
            let name = names.get(&format!("up{number}"));
            assert_ne!(name.slot(), held.slot());
        }
        assert!(names.slots.len() <= 2 * LOOK_FROM, "{}", names.slots.len());
        let all: Vec<_> = (0..10 * LOOK_FROM).map(|number| names.get(&format!("x{number}"))).collect();
        let mut slots: Vec<u32> = all.iter().map(|name| name.slot()).collect();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), all.len());
    }
}
