//! What a pattern means to Perl, in words that both engines read alike.

mod class;
mod escape;
mod judge;
mod read;
mod reader;

pub(crate) use judge::{Verdict, judge};
pub(crate) use read::read;
pub(crate) use reader::Meant;

#[cfg(test)]
mod tests;
