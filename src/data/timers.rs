//! A hashed timer wheel: 4096 slots of 100 ms, re-armed lazily.
//!
//! It owns when a token is looked at again, never what its deadline means: the connection keeps its own and compares.
//! It reads no clock; `now` is an argument. Next: [`super::token`], and [`super::worker`], which asks once a turn.

use std::time::{Duration, Instant};

use super::token::{Kind, Token};

#[cfg(test)]
mod tests;

/// The grain of all deadlines. They are seconds long, so a tenth of one is exact enough, and a busy worker looks at
/// the wheel ten times a second instead of once a turn.
const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_SECOND: u64 = 10;
const TICK_NANOS: u32 = 100_000_000;

/// One revolution is 410 s: everything but an idle tunnel comes due in its first. 64 words of 64, so that one more
/// word can say which of them are not empty.
const SLOTS: usize = 64 * 64;

/// An entry that is in no list.
const UNARMED: u64 = u64::MAX;

/// The wheel. A token is in it at most once, so it holds one small entry for each slot of a connection table and
/// nothing else: whatever is armed, and however often, it grows with the tables only.
#[derive(Debug)]
pub struct Timers {
    start: Instant,
    /// The tick that was looked at last, counted from `start`.
    tick: u64,
    /// When the next one begins: until then there is nothing to do.
    boundary: Instant,
    /// The first entry of each slot's list.
    first: Box<[Id; SLOTS]>,
    /// A bit for each slot that has a list.
    occupied: [u64; 64],
    /// A bit for each word of `occupied` that is not 0.
    words: u64,
    /// Entries by kind and slot of their token.
    entries: [Vec<Entry>; 3],
    /// Entries that are in a list.
    armed: usize,
}

/// What an owner remembers of its entry, so that a deadline that only moves later does not touch the wheel: its memory is
/// another line of the cache for each connection.
#[derive(Debug, Default, Clone, Copy)]
pub struct Alarm(Option<Instant>);

impl Alarm {
    /// As [`Timers::arm`], which is called when the wheel would ring too late.
    #[inline]
    pub fn set(&mut self, timers: &mut Timers, token: Token, at: Instant) {
        if self.0.is_none_or(|armed| at < armed) {
            timers.arm(token, at);
            self.0 = Some(at);
        }
    }

    /// The token was handed out: nothing is armed any more.
    pub fn fired(&mut self) {
        self.0 = None;
    }
}

/// What the wheel knows of a token, and its place in the list of its slot.
#[derive(Debug, Clone)]
struct Entry {
    /// What it was armed for. Told apart from `tick` so that a later deadline costs one comparison and no division.
    at: Instant,
    /// When it comes due.
    tick: u64,
    generation: u32,
    before: Id,
    after: Id,
}

/// Which entry: the kind in the upper two bits, the slot in the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id(u32);

impl Id {
    const SLOT_BITS: u32 = 30;
    /// Of a kind that does not exist, so no entry is found under it.
    const NONE: Self = Self(u32::MAX);

    fn of(token: Token) -> Self {
        debug_assert!(token.slot >> Self::SLOT_BITS == 0, "more connections than descriptors");
        Self((token.kind as u32) << Self::SLOT_BITS | token.slot)
    }

    fn kind(self) -> usize {
        (self.0 >> Self::SLOT_BITS) as usize
    }

    fn slot(self) -> u32 {
        self.0 & ((1 << Self::SLOT_BITS) - 1)
    }

    fn token(self, generation: u32) -> Option<Token> {
        let kind = [Kind::Listener, Kind::Client, Kind::Server].get(self.kind()).copied()?;
        Some(Token::new(kind, self.slot(), generation))
    }
}

impl Timers {
    /// An empty wheel with room for so many clients before it grows. No deadline that is armed later may lie before
    /// `now`.
    #[must_use]
    pub fn new(now: Instant, clients: usize) -> Self {
        let mut entries = [const { Vec::new() }; 3];
        if let Some(entries) = entries.get_mut(Kind::Client as usize) {
            entries.reserve(clients);
        }
        Self {
            start: now,
            tick: 0,
            boundary: now + TICK,
            first: Box::new([Id::NONE; SLOTS]),
            occupied: [0; 64],
            words: 0,
            entries,
            armed: 0,
        }
    }

    /// Sees to it that `token` is handed out as soon as `at` has passed, or earlier.
    ///
    /// Earlier, because a token that is armed for an earlier time stays where it is: its owner then finds that its
    /// deadline has moved, and arms it again. So moving a deadline later costs a comparison here, and may be left out.
    /// A token that is handed out after its owner has gone is told by its generation; a slot's new tenant takes over
    /// the entry of the last one.
    #[inline]
    pub fn arm(&mut self, token: Token, at: Instant) {
        let id = Id::of(token);
        match self.entry(id) {
            Some(entry) => {
                entry.generation = token.generation;
                if entry.at <= at && entry.tick != UNARMED {
                    return;
                }
                self.unlink(id);
            }
            None => self.grow(token),
        }
        self.link(id, at);
    }

    /// Forgets a token whose owner has gone. Not needed for those that come due soon: it keeps a wheel small that many
    /// long deadlines pass through.
    pub fn disarm(&mut self, token: Token) {
        let id = Id::of(token);
        if self.entry(id).is_some_and(|entry| entry.generation == token.generation) {
            self.unlink(id);
        }
    }

    /// How many tokens will come due.
    #[must_use]
    pub fn armed(&self) -> usize {
        self.armed
    }

    /// What a token is armed for.
    #[must_use]
    pub fn armed_for(&self, token: Token) -> Option<Instant> {
        let id = Id::of(token);
        let entry = self.entries.get(id.kind())?.get(id.slot() as usize)?;
        (entry.tick != UNARMED && entry.generation == token.generation).then_some(entry.at)
    }

    /// Hands out the tokens that have come due by `now`, each once, and forgets them. They are to be armed again by
    /// whoever still waits.
    #[inline]
    pub fn expire(&mut self, now: Instant, due: impl FnMut(Token)) {
        if now >= self.boundary {
            self.turn(now, due);
        }
    }

    /// How long the worker may sleep: until the next slot that holds anything. That may be too early by revolutions
    /// when all it holds is far away, and is never too late.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<Duration> {
        let tick = self.occupied_after(self.tick)?;
        Some(self.begin(tick).saturating_duration_since(now))
    }

    /// Turns the wheel up to `now`.
    fn turn(&mut self, now: Instant, mut due: impl FnMut(Token)) {
        let last = ticks_down(now.saturating_duration_since(self.start));
        // After a long sleep one revolution sees every slot there is.
        let end = last.min(self.tick + SLOTS as u64);
        let mut tick = self.tick;
        while let Some(next) = self.occupied_after(tick).filter(|&next| next <= end) {
            self.empty(slot_of(next), last, &mut due);
            tick = next;
        }
        self.tick = last;
        self.boundary = self.begin(last + 1);
    }

    /// Hands out what is due by the tick `last` in one slot; what is there for a later revolution stays.
    fn empty(&mut self, slot: usize, last: u64, due: &mut impl FnMut(Token)) {
        let mut id = self.first[slot];
        while let Some(&mut Entry { tick, generation, after, .. }) = self.entry(id) {
            if tick <= last {
                self.unlink(id);
                if let Some(token) = id.token(generation) {
                    due(token);
                }
            }
            id = after;
        }
    }

    /// The first tick after `tick` whose slot holds anything, at most a revolution later.
    fn occupied_after(&self, tick: u64) -> Option<u64> {
        let from = slot_of(tick + 1);
        let (word, bit) = (from / 64, from % 64);
        let here = self.occupied[word] >> bit;
        if here != 0 {
            return Some(tick + 1 + u64::from(here.trailing_zeros()));
        }
        // The words after this one, and this one last: what it holds then lies before `bit`.
        if self.words == 0 {
            return None;
        }
        let word = (word + 1 + self.words.rotate_right(word as u32 + 1).trailing_zeros() as usize) % 64;
        let slot = word * 64 + self.occupied[word].trailing_zeros() as usize;
        Some(tick + 1 + (slot + SLOTS - from) as u64 % SLOTS as u64)
    }

    /// When a tick begins.
    fn begin(&self, tick: u64) -> Instant {
        self.start + Duration::from_millis(tick * (1000 / TICKS_PER_SECOND))
    }

    #[inline]
    fn entry(&mut self, id: Id) -> Option<&mut Entry> {
        self.entries.get_mut(id.kind())?.get_mut(id.slot() as usize)
    }

    /// Makes an entry for a connection slot that is used for the first time.
    #[cold]
    fn grow(&mut self, token: Token) {
        let id = Id::of(token);
        let unarmed = Entry {
            at: self.start,
            tick: UNARMED,
            generation: token.generation,
            before: Id::NONE,
            after: Id::NONE,
        };
        if let Some(entries) = self.entries.get_mut(id.kind()) {
            entries.resize(id.slot() as usize + 1, unarmed);
        }
    }

    /// Puts an entry that is in no list into the one for `at`, or for the next tick when that has passed.
    fn link(&mut self, id: Id, at: Instant) {
        let tick = ticks_up(at.saturating_duration_since(self.start)).max(self.tick + 1);
        let slot = slot_of(tick);
        let after = std::mem::replace(&mut self.first[slot], id);
        if let Some(second) = self.entry(after) {
            second.before = id;
        }
        if let Some(entry) = self.entry(id) {
            (entry.at, entry.tick, entry.before, entry.after) = (at, tick, Id::NONE, after);
        }
        self.armed += 1;
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.words |= 1 << (slot / 64);
    }

    /// Takes an entry out of its list, if it is in one.
    fn unlink(&mut self, id: Id) {
        let Some(entry) = self.entry(id) else { return };
        let Entry { tick, before, after, .. } = *entry;
        if tick == UNARMED {
            return;
        }
        entry.tick = UNARMED;
        self.armed -= 1;
        if let Some(next) = self.entry(after) {
            next.before = before;
        }
        if let Some(previous) = self.entry(before) {
            previous.after = after;
            return;
        }
        let slot = slot_of(tick);
        self.first[slot] = after;
        if after == Id::NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
            if self.occupied[slot / 64] == 0 {
                self.words &= !(1 << (slot / 64));
            }
        }
    }
}

/// The slot of a tick, which as a remainder is always within the wheel.
#[inline]
fn slot_of(tick: u64) -> usize {
    tick as usize % SLOTS
}

/// Whole ticks in a time that has passed: the tick that has begun.
#[inline]
fn ticks_down(passed: Duration) -> u64 {
    passed.as_secs() * TICKS_PER_SECOND + u64::from(passed.subsec_nanos() / TICK_NANOS)
}

/// Ticks that cover a time to come: when they have passed, it has.
#[inline]
fn ticks_up(ahead: Duration) -> u64 {
    ahead.as_secs() * TICKS_PER_SECOND + u64::from(ahead.subsec_nanos().div_ceil(TICK_NANOS))
}
