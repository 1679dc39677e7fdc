//! How one process takes the place of another on the same machine, without one lost connection.
//!
//! The two meet at a unix socket ([`Place`]). The old one gives its listening sockets away, every queue of them, so that what
//! waits in a queue is reset by nobody; then what is only in its memory. It goes on serving until the new one has said that
//! every worker serves, and has taken the word for it back:
//!
//! ```text
//!   new                                  old
//!    │── hello ──────────────────────────►│   who is there; a stranger is refused before that
//!    │◄───────────────────────── offer ───│   which sockets, then these themselves (SCM_RIGHTS)
//!    │   reads its store                  │
//!    │── carry ──────────────────────────►│   from here on it takes no change any more
//!    │◄─────────────────────── carried ───│   what is not saved, what is known of servers
//!    │   starts its workers               │
//!    │── ready ──────────────────────────►│
//!    │◄──────────────────────────── go ───│
//!    │── mine ───────────────────────────►│   only now it drains
//! ```
//!
//! Whatever else happens (an end, a time that is over, a word that is none) leaves the old one serving as before, and it takes
//! changes again. Every message and every wait has a bound. This room knows bytes, descriptors and paths; never a rule, a worker
//! or a decision: `control` gives, `command` takes.

mod activation;
mod carried;
mod frame;
mod give;
mod place;
mod say;
mod stock;
mod take;
mod trouble;

pub use activation::activated;
pub use carried::{Carried, CarriedCertificates, CarriedServer, CarriedStore};
pub use give::{Desk, Step, give, refusal};
pub use place::{Claim, Place};
pub use stock::{Queue, Stock, Use};
pub use take::{Heir, take};
pub use trouble::{Told, Trouble};

#[cfg(test)]
mod tests;
