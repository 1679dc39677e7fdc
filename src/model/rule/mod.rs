//! The rule types, one file each. A new type is a file here and a line in `kind`.

mod args;
mod backend;
mod client;
mod contract;
mod cookie;
mod deny;
mod fields;
mod gzip;
mod header;
mod host;
mod kind;
mod limit;
mod literal;
mod matcher;
mod method;
mod named;
mod path;
mod query;
mod redirect;
mod respond;
mod rewrite;
mod split;
mod ua;

pub(crate) use args::{Args as RuleArgs, Link};
pub use backend::Backend;
pub use kind::Terminal;
pub(crate) use kind::{Rule, RuleRead, RuleType};
pub use redirect::Redirect;
pub use respond::Respond;
