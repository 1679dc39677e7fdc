//! Ids of requests: 128 bits that nobody guesses and no two requests share, made without asking the system.
//!
//! It owns how one is made of a key that is drawn once and the number of the request (SipHash, as hash tables use it against
//! those who would guess). Next: [`super::aside`] gives them out.

use std::hash::{BuildHasher, RandomState};

use siphasher::sip128::SipHasher13;

/// Digits of an id.
const ID: usize = 32;

/// One worker's ids.
#[derive(Debug)]
pub struct Ids {
    hasher: SipHasher13,
    given: u64,
}

impl Default for Ids {
    /// With a key that the system drew.
    fn default() -> Self {
        let draw = || RandomState::new().hash_one(0_u64);
        Self { hasher: SipHasher13::new_with_keys(draw(), draw()), given: 0 }
    }
}

impl Ids {
    /// The next one, as hexadecimal digits.
    pub(super) fn next(&mut self) -> [u8; ID] {
        self.given = self.given.wrapping_add(1);
        let hash = self.hasher.hash(&self.given.to_le_bytes()).as_bytes();
        let mut digits = [0; ID];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        digits
    }
}

const DIGITS: [u8; 16] = *b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_equal_and_each_is_hexadecimal() {
        let (mut one, mut two) = (Ids::default(), Ids::default());
        let all: HashSet<[u8; ID]> = (0..1000).flat_map(|_| [one.next(), two.next()]).collect();
        assert_eq!(all.len(), 2000);
        assert!(all.iter().flatten().all(u8::is_ascii_hexdigit));
    }
}
