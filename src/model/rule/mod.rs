//! The rule types, one file each. A new type is a file here and a variant in `kind`.

mod args;
mod backend;
mod kind;
mod path;
mod ua;

pub(crate) use args::Args as RuleArgs;
pub use backend::Backend;
pub(crate) use kind::{Filter, Rule};
