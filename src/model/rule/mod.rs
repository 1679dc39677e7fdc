//! The rule types, one file each.

mod backend;

pub use backend::Backend;
