//! What a pattern means to Perl, in words that both engines read alike.

mod class;
mod escape;
mod judge;
mod read;

pub(crate) use judge::{Verdict, judge};
pub(crate) use read::{Meant, read};

#[cfg(test)]
mod tests;
