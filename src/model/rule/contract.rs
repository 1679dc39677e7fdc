//! What every rule type says of itself, and what one that is asked answers.
//!
//! It owns these words, never a type. Next: [`kind`](super::kind) has the list of types, [`ua`](super::ua) is one to
//! begin with.

use super::args::{Args, Arguments};
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// A rule type.
pub(crate) trait Kind: Sized {
    /// Its arguments. Others are told before it reads.
    const ARGUMENTS: Arguments;

    /// Reads a rule, its links among the arguments; `None` when they are at fault, which is then reported.
    fn read(args: &mut Args<'_>) -> Option<Self>;
}

/// A rule type that is asked where to go on.
pub(crate) trait Ask: Kind {
    /// Which of its successors comes next: the number of one of the links that it has read, from 0 on in the order in which
    /// it read them. `draw` is the request's chance, so that one that chooses at random needs no other, and a run is a
    /// seed.
    fn answer(&self, request: &RequestView<'_>, draw: u64, scratch: &mut Scratch) -> usize;

    /// What it looks at in this request, for whoever wants to know why; asked before it answers.
    fn look(&self, request: &RequestView<'_>, scratch: &mut Scratch) -> Look;

    /// Whether it surely says yes wherever `other` does: a rule behind one that covers it, and that said no, is not asked
    /// anything new. False where that is not known.
    fn covers(&self, other: &Self) -> bool {
        let _ = other;
        false
    }

    /// Whether rules behind this answer see another path.
    fn changes_path(&self, answer: bool) -> bool {
        let _ = answer;
        false
    }

    /// The argument that names that successor.
    fn branch(&self, successor: usize) -> String {
        (if successor == 0 { "fail" } else { "succ" }).to_owned()
    }
}
