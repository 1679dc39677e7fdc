//! Which certificate a client is shown, whom one trusts as a server, and what a session of TLS begins with.

mod config;
mod expiry;
mod shown;
mod toward;

pub use config::Sessions;
pub use expiry::Expiry;
pub use shown::{PairText, Shown};
pub use toward::{Toward, Trust};
