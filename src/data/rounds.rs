//! Takes the connections of a turn through their rounds side by side: all of a group read, then all decide, then all write.
//!
//! It owns the order of stages and who is in a group, never what a stage does. A stage's code, and the kernel's behind it,
//! is more than the first cache holds beside that of the others, so it is used for many before the next one comes. Next:
//! [`super::pump`].

use super::conn::Conn;
use super::ctx::Ctx;
use super::pump;
use super::turn::{Turn, Verdict};
use super::worker::{Worker, queue};
use crate::exchange::Heads;

/// Connections of a group. With more there is nothing left to gain, and the first of them waits for all.
pub(super) const GROUP: usize = 32;
/// A group that has read so many bytes goes on with what it has: they are to be in the first cache when they are written.
const AT_HAND: usize = 16 * 1024;
/// Bulk does not fit there. Of that a group reads so much before it writes, for the second cache holds it: a peer that is
/// awake and has the next piece at hand when it is done with one need not be woken for it, and to wake a core that sleeps
/// costs as much as to pass half a megabyte on.
const BULK_AT_HAND: usize = 256 * 1024;

/// A stage of a round: [`pump::receive`], [`pump::decide`], [`pump::send`]. Says what becomes of the connection.
trait Stage: Fn(&mut Conn, &mut Ctx, &mut Heads, &mut Turn) -> Verdict {}
impl<F: Fn(&mut Conn, &mut Ctx, &mut Heads, &mut Turn) -> Verdict> Stage for F {}

/// Reads.
#[inline(always)]
fn receive(conn: &mut Conn, ctx: &mut Ctx, _: &mut Heads, turn: &mut Turn) -> Verdict {
    pump::receive(conn, ctx, turn)
}

/// Writes.
#[inline(always)]
fn send(conn: &mut Conn, ctx: &mut Ctx, _: &mut Heads, turn: &mut Turn) -> Verdict {
    pump::send(conn, ctx, turn)
}

impl Worker {
    /// Moves what can be moved of all these connections.
    pub(super) fn pump_all(&mut self, mut slots: &[u32]) {
        while !slots.is_empty() {
            let mut turns = [Turn::NEW; GROUP];
            let mut members = 0;
            let mut read = 0;
            for (&slot, turn) in slots.iter().zip(&mut turns) {
                self.stage(&receive, slot, turn);
                members += 1;
                read += turn.read();
                if read >= if turn.filled { BULK_AT_HAND } else { AT_HAND } {
                    break;
                }
            }
            let (group, others) = slots.split_at(members);
            slots = others;
            self.go_on(group, &mut turns[..members]);
        }
    }

    /// Goes on with a group that has read once.
    fn go_on(&mut self, group: &[u32], turns: &mut [Turn]) {
        while turns.iter().any(Turn::goes_on) {
            self.each(group, turns, pump::decide);
            self.each(group, turns, send);
            self.each(group, turns, receive);
        }
    }

    /// Takes those through a stage whose turn goes on.
    #[inline]
    fn each(&mut self, group: &[u32], turns: &mut [Turn], stage: impl Stage) {
        for (&slot, turn) in group.iter().zip(turns) {
            if turn.goes_on() {
                self.stage(&stage, slot, turn);
            }
        }
    }

    /// Takes one connection through a stage.
    #[inline]
    fn stage(&mut self, stage: &impl Stage, slot: u32, turn: &mut Turn) {
        let Some(conn) = self.conns.get_mut(slot as usize) else {
            turn.verdict = Verdict::Close;
            return;
        };
        turn.verdict = stage(conn, &mut self.ctx, &mut self.heads, turn);
        match turn.verdict {
            Verdict::GoOn | Verdict::Rest => {}
            Verdict::More => queue(&mut self.later, conn),
            Verdict::Close => self.close(slot),
            Verdict::Adopt => self.hand_over(slot),
        }
    }
}
