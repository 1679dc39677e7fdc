//! What compresses content, and the stock of these: one is lent to an answer from its head to the end of its content.
//!
//! It owns how many there are at once, and what was made of them; never which answers are compressed, nor what of them leaves
//! when. Next: [`super::response`].

use std::sync::Arc;

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::http1::rewrite;

/// Answers that a worker compresses at once; further ones leave as they came. One takes 380 KB, so all of them take 24 MB, and
/// a worker that has so many under way is at the end of its time and not of this number: what comes in one piece is through
/// at once, and only what a server or a client is slow with keeps its press.
pub const MOST_PRESSES: usize = 64;

/// Presses that are kept when nobody needs them: 3 MB. To make one takes 4 µs longer than to use one again, which is what 400
/// bytes of content take, and much longer where its memory has to be had from the system.
const KEPT: usize = 8;

/// The largest window that matches are looked for in, as a power of two; what all clients can read.
const WINDOW_BITS: u8 = 15;

/// Room that is made for what comes out, again and again.
const STEP: usize = 16 * 1024;

/// What came out and is not to leave yet waits for more, up to this many bytes: a smaller chunk is not worth a packet.
const CHUNK: usize = 4 * 1024;

/// Content that was compressed since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pressed {
    /// Answers that were, or have begun to be.
    pub answers: u64,
    /// Bytes of their content, as it came.
    pub taken: u64,
    /// Bytes that came of it.
    pub given: u64,
    /// Answers that were not, as there were [`MOST_PRESSES`] under way.
    pub refused: u64,
}

/// What is to become of content that is put into a press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Push {
    /// It may stay there until there is more.
    Gather,
    /// It comes out.
    Flush,
    /// It comes out, and is the last.
    Finish,
}

/// What compresses one answer. It goes back to its stock at the end of the content, and is freed wherever else its exchange ends.
#[derive(Debug)]
pub(super) struct Press {
    compress: Compress,
    level: u8,
    /// What came out and was not put into a chunk.
    out: Vec<u8>,
    /// Something is in it that did not come out.
    holds: bool,
    /// A chunk was made of it.
    pub(super) has_given: bool,
    /// It takes nothing before that chunk has left: what the next one is made of is there.
    pub(super) waits: bool,
    /// Its place among those under way, which it gives up wherever it ends.
    _place: Arc<()>,
}

/// All presses of a worker.
#[derive(Debug, Default)]
pub(super) struct Presses {
    #[allow(clippy::vec_box)] // Each goes where it is lent to, which is one word there.
    kept: Vec<Box<Press>>,
    place: Arc<()>,
    pressed: Pressed,
}

impl Presses {
    /// One that tries so hard, if there may be one more.
    pub(super) fn take(&mut self, level: u8) -> Option<Box<Press>> {
        if self.under_way() >= MOST_PRESSES {
            self.pressed.refused += 1;
            return None;
        }
        self.pressed.answers += 1;
        let at = self.kept.iter().position(|press| press.level == level);
        let kept = at.map(|at| self.kept.swap_remove(at));
        Some(kept.unwrap_or_else(|| Box::new(Press::new(level, Arc::clone(&self.place)))))
    }

    /// How many are lent.
    fn under_way(&self) -> usize {
        Arc::strong_count(&self.place) - 1 - self.kept.len()
    }

    /// One has done its work.
    pub(super) fn give(&mut self, mut press: Box<Press>) {
        if self.kept.len() < KEPT {
            press.reset();
            self.kept.push(press);
        } else if let Some(oldest) = self.kept.first_mut() {
            // Those that are asked for are kept, whatever level was asked for before.
            press.reset();
            *oldest = press;
        }
    }

    /// Compresses; `false` if that cannot be, which would be a fault of the library.
    pub(super) fn press(&mut self, press: &mut Press, content: &[u8], push: Push) -> bool {
        let before = press.compress.total_out();
        let pressed = press.push(content, push);
        self.pressed.taken += content.len() as u64;
        self.pressed.given += press.compress.total_out() - before;
        pressed.is_some()
    }

    /// What was compressed since the start.
    pub(super) fn pressed(&self) -> Pressed {
        self.pressed
    }
}

impl Press {
    fn new(level: u8, place: Arc<()>) -> Self {
        let compress = Compress::new_gzip(Compression::new(u32::from(level)), WINDOW_BITS);
        Self { compress, level, out: Vec::new(), holds: false, has_given: false, waits: false, _place: place }
    }

    fn reset(&mut self) {
        self.compress.reset();
        self.out = Vec::new();
        (self.holds, self.has_given, self.waits) = (false, false, false);
    }

    fn push(&mut self, mut content: &[u8], push: Push) -> Option<()> {
        let flush = match push {
            Push::Gather => FlushCompress::None,
            Push::Flush => FlushCompress::Sync,
            Push::Finish => FlushCompress::Finish,
        };
        if content.is_empty() && !self.holds && push != Push::Finish {
            return Some(());
        }
        self.holds = push == Push::Gather;
        loop {
            self.out.reserve(STEP);
            let (taken, given) = (self.compress.total_in(), self.out.len());
            let status = self.compress.compress_vec(content, &mut self.out, flush).ok()?;
            let taken = usize::try_from(self.compress.total_in() - taken).ok()?;
            content = content.get(taken..)?;
            let is_through = match push {
                Push::Finish => status == Status::StreamEnd,
                _ => content.is_empty() && self.out.len() < self.out.capacity(),
            };
            if is_through {
                return Some(());
            }
            if taken == 0 && self.out.len() == given {
                return None; // With room for more, it would go on like that for ever.
            }
        }
    }

    /// What came out is enough for a chunk.
    pub(super) fn has_a_chunk(&self) -> bool {
        self.out.len() >= CHUNK
    }

    /// Puts what came out into a chunk, if it is to leave; behind the last one, the chunk that ends the body.
    pub(super) fn put_chunk(&mut self, to: &mut Vec<u8>, push: Push) {
        if push == Push::Gather && !self.has_a_chunk() {
            return;
        }
        if !self.out.is_empty() {
            rewrite::hexadecimal(to, self.out.len() as u64);
            to.extend_from_slice(b"\r\n");
            to.append(&mut self.out);
            self.out.shrink_to(STEP);
            to.extend_from_slice(b"\r\n");
            self.has_given = true;
        }
        if push == Push::Finish {
            to.extend_from_slice(b"0\r\n\r\n");
        }
    }
}
