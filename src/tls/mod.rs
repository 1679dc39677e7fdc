//! Which certificate a client is shown, whom one trusts as a server, and what a session of TLS begins with.

mod certified;
mod clients;
mod config;
mod expiry;
mod seal;
mod shown;
mod stored;
mod toward;

pub use certified::{Certified, PairText};
pub use clients::{ClientTrust, LONGEST_IDENTITY, identity};
pub use config::Sessions;
pub use expiry::Expiry;
pub use seal::SealKeys;
pub use shown::Shown;
pub use stored::{KeyText, LONGEST, StoredCertificate, Wrong, is_staple, sound_name};
pub use toward::{Toward, Trust};
