//! How much text a part of a pattern can take, and what it can begin with.
//!
//! It owns these two questions, never an instruction. Next: [`compile`](mod@super::compile) asks them for look-behind,
//! loops and the first byte.

use fancy_regex::{Assertion, Expr};

use super::bytes::one_of;
use super::program::Set;

/// The fewest bytes that it takes, and the most, if there is a most.
pub(super) fn width(part: &Expr) -> (usize, Option<usize>) {
    match part {
        Expr::Literal { val, .. } => (val.len(), Some(val.len())),
        Expr::LiteralBytes { bytes } => (bytes.len(), Some(bytes.len())),
        Expr::Any { .. } | Expr::Delegate { .. } => (1, Some(1)),
        Expr::GeneralNewline { .. } => (1, Some(2)),
        Expr::Concat(parts) => parts.iter().map(width).fold((0, Some(0)), |(low, high), (least, most)| {
            (low.saturating_add(least), high.zip(most).and_then(|(high, most)| high.checked_add(most)))
        }),
        Expr::Alt(parts) => parts.iter().map(width).reduce(either).unwrap_or_default(),
        Expr::Conditional { condition, true_branch, false_branch } => {
            let (low, high) = either(width(true_branch), width(false_branch));
            (low, high.zip(width(condition).1).map(|(high, most)| high.saturating_add(most)))
        }
        Expr::Group(inner) => width(inner),
        Expr::AtomicGroup(inner) => width(inner),
        Expr::Repeat { child, lo, hi, .. } => {
            let (least, most) = width(child);
            let most = if most == Some(0) { Some(0) } else { most.filter(|_| *hi != usize::MAX) };
            (least.saturating_mul(*lo), most.and_then(|most| most.checked_mul(*hi)))
        }
        Expr::Backref { .. } => (0, None),
        _ => (0, Some(0)),
    }
}

fn either(one: (usize, Option<usize>), other: (usize, Option<usize>)) -> (usize, Option<usize>) {
    (one.0.min(other.0), one.1.zip(other.1).map(|(a, b)| a.max(b)))
}

/// What it can begin with; `true` when it may also take nothing.
pub(super) fn first(part: &Expr) -> (Set, bool) {
    if let Some(set) = one_of(part) {
        return (set, false);
    }
    match part {
        Expr::Literal { val, casei } => match val.bytes().next() {
            Some(byte) if *casei => (Set::of(&[byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]), false),
            Some(byte) => (Set::of(&[byte]), false),
            None => (Set::NONE, true),
        },
        Expr::LiteralBytes { bytes } => {
            bytes.first().map_or((Set::NONE, true), |byte| (Set::of(&[*byte]), false))
        }
        Expr::GeneralNewline { .. } => (Set::of(b"\n\x0b\x0c\r\x85"), false),
        Expr::Concat(parts) => {
            let mut all = Set::NONE;
            for part in parts {
                let (set, empty) = first(part);
                all = all.or(set);
                if !empty {
                    return (all, false);
                }
            }
            (all, true)
        }
        Expr::Alt(parts) => parts
            .iter()
            .map(first)
            .fold((Set::NONE, false), |(all, some), (set, empty)| (all.or(set), some || empty)),
        Expr::Group(inner) => first(inner),
        Expr::AtomicGroup(inner) => first(inner),
        Expr::Repeat { child, lo, .. } => {
            let (set, empty) = first(child);
            (set, empty || *lo == 0)
        }
        Expr::Backref { .. } | Expr::Conditional { .. } => (Set::ALL, true),
        _ => (Set::NONE, true),
    }
}

/// Whether it can match at the beginning of the text only.
pub(super) fn is_anchored(part: &Expr) -> bool {
    match part {
        Expr::Assertion(Assertion::StartText) | Expr::ContinueFromPreviousMatchEnd => true,
        Expr::Concat(parts) => parts.iter().find(|part| **part != Expr::Empty).is_some_and(is_anchored),
        Expr::Alt(parts) => !parts.is_empty() && parts.iter().all(is_anchored),
        Expr::Group(inner) => is_anchored(inner),
        Expr::AtomicGroup(inner) => is_anchored(inner),
        Expr::Repeat { child, lo, .. } => *lo > 0 && is_anchored(child),
        _ => false,
    }
}
