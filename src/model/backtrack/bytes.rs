//! Parts of a pattern that take exactly one byte, as the set of bytes that they take.
//!
//! It owns that reading, never an instruction. Next: [`compile`](mod@super::compile) and [`width`](super::width) ask.

use fancy_regex::Expr;
use regex_syntax::hir::{Class, HirKind};

use super::program::Set;

/// The bytes of which it takes exactly one, if it is of that kind.
pub(super) fn one_of(part: &Expr) -> Option<Set> {
    match part {
        Expr::Any { newline: true, .. } => Some(Set::ALL),
        Expr::Any { newline: false, crlf: false } => Some(Set::of(b"\n").not()),
        Expr::Literal { val, casei } => match *val.as_bytes() {
            [byte] if *casei => Some(Set::of(&[byte.to_ascii_lowercase(), byte.to_ascii_uppercase()])),
            [byte] => Some(Set::of(&[byte])),
            _ => None,
        },
        Expr::LiteralBytes { bytes } => match **bytes {
            [byte] => Some(Set::of(&[byte])),
            _ => None,
        },
        Expr::Delegate { inner, casei } => class(inner, *casei),
        _ => None,
    }
}

/// The bytes of a class such as `\w` or `[a-z]`; none when it is of characters.
fn class(text: &str, any_case: bool) -> Option<Set> {
    let mut parser = regex_syntax::ParserBuilder::new();
    let tree = parser.unicode(false).utf8(false).case_insensitive(any_case).build().parse(text).ok()?;
    let mut set = Set::NONE;
    match tree.kind() {
        HirKind::Class(Class::Bytes(class)) => {
            class
                .ranges()
                .iter()
                .flat_map(|range| range.start()..=range.end())
                .for_each(|byte| set.add(byte));
        }
        HirKind::Class(Class::Unicode(class)) => {
            for range in class.ranges() {
                let (low, high) = (u8::try_from(range.start()).ok()?, u8::try_from(range.end()).ok()?);
                if !high.is_ascii() {
                    return None;
                }
                (low..=high).for_each(|byte| set.add(byte));
            }
        }
        HirKind::Literal(literal) => match *literal.0 {
            [byte] => set.add(byte),
            _ => return None,
        },
        HirKind::Empty => return None,
        // A class of nothing.
        _ => {}
    }
    Some(set)
}
