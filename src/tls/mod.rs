//! Which certificate a client is shown, and what a session of TLS begins with.

mod config;
mod shown;

pub use config::Sessions;
pub use shown::{PairText, Shown};
