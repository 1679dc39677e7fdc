//! Patterns that a linear engine cannot match: look-around, back-references, atomic groups. Each step of a search is
//! counted, and a search ends where its budget does.

mod bytes;
mod compile;
mod program;
mod run;
mod width;

pub(crate) use compile::compile;
pub(crate) use program::Program;
pub(crate) use run::{GivenUp, Memory};
