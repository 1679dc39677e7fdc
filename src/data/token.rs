//! One `usize` that says what a readiness event is about, and back.
//!
//! It owns the layout of the bits, never the tables that slots point into. Next: [`super::worker`], which takes events
//! apart.

// The layout needs 64 bits; a smaller one would wrap generations too soon to be of use.
const _: () = assert!(usize::BITS == 64);

const GENERATION_SHIFT: u32 = 32;
const KIND_SHIFT: u32 = 62;

/// What a slot is a slot of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A listening socket.
    Listener = 0,
    /// A client connection.
    Client = 1,
    /// A connection to a server.
    Server = 2,
}

/// The name of a socket in its worker: a slot in the table of its kind, and which tenant of the slot is meant.
///
/// A slot is used again as soon as it is free, while events and timers of its last tenant may still be on the way; so
/// each tenant gets the next generation, and whoever holds an older one is told apart from the new owner.
///
/// As a `usize`: the slot in bits 0 to 31, the generation in 32 to 61, the kind in 62 and 63. The fourth kind, all
/// ones, does not exist, so no token equals `usize::MAX`, which is left to the worker's waker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    /// Which table.
    pub kind: Kind,
    /// Which entry of it.
    pub slot: u32,
    /// Which tenant; compare only with generations that came from [`Token::new`].
    pub generation: u32,
}

impl Token {
    /// The highest generation; the next is 0 again.
    pub const LAST_GENERATION: u32 = (1 << (KIND_SHIFT - GENERATION_SHIFT)) - 1;

    /// A token; a generation beyond [`LAST_GENERATION`](Self::LAST_GENERATION) loses its upper bits, so a plain
    /// wrapping counter may be passed.
    #[inline]
    #[must_use]
    pub fn new(kind: Kind, slot: u32, generation: u32) -> Self {
        Self { kind, slot, generation: generation & Self::LAST_GENERATION }
    }

    /// The bits.
    #[inline]
    #[must_use]
    pub fn to_usize(self) -> usize {
        let kind = self.kind as usize;
        let generation = (self.generation & Self::LAST_GENERATION) as usize;
        kind << KIND_SHIFT | generation << GENERATION_SHIFT | self.slot as usize
    }

    /// The token these bits came from; nothing when they came from no token, as the waker's.
    #[inline]
    #[must_use]
    pub fn from_usize(bits: usize) -> Option<Self> {
        let kind = match bits >> KIND_SHIFT {
            0 => Kind::Listener,
            1 => Kind::Client,
            2 => Kind::Server,
            _ => return None,
        };
        Some(Self::new(kind, bits as u32, (bits >> GENERATION_SHIFT) as u32))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_kind() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Listener), Just(Kind::Client), Just(Kind::Server)]
    }

    #[test]
    fn the_waker_is_no_token() {
        assert_eq!(Token::from_usize(usize::MAX), None);
        let highest = Token::new(Kind::Server, u32::MAX, u32::MAX);
        assert_eq!(highest.generation, Token::LAST_GENERATION);
        assert!(highest.to_usize() < usize::MAX);
        assert_eq!(Token::from_usize(highest.to_usize()), Some(highest));
    }

    #[test]
    fn generations_wrap() {
        assert_eq!(Token::new(Kind::Client, 7, Token::LAST_GENERATION + 1), Token::new(Kind::Client, 7, 0));
        assert_eq!(Token::new(Kind::Client, 7, 0).to_usize(), 1 << 62 | 7);
        assert_eq!(Token::new(Kind::Listener, 7, 1).to_usize(), 1 << 32 | 7);
    }

    proptest! {
        #[test]
        fn there_and_back(kind in any_kind(), slot: u32, generation: u32) {
            let token = Token::new(kind, slot, generation);
            prop_assert_eq!(Token::from_usize(token.to_usize()), Some(token));
        }

        #[test]
        fn back_and_there(bits: usize) {
            let again = Token::from_usize(bits).map(Token::to_usize);
            prop_assert_eq!(again, (bits >> 62 != 3).then_some(bits));
        }
    }
}
