//! What the two processes say to each other.
//!
//! It owns the words and the number of their form. A form that is not known is refused by whoever meets it, and the old process goes
//! on serving: so an ELB never takes from another what it would not understand. Next: [`frame`](super::frame) carries them.

use serde::{Deserialize, Serialize};

use super::carried::Carried;
use super::stock::Offered;

/// The form of all that is said here.
pub(super) const FORM: u32 = 1;

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Party {
    pub(super) form: u32,
    /// Of ELB, for the log.
    pub(super) version: String,
    /// The process, as it knows itself.
    pub(super) process: u32,
    /// What its keys in etcd begin with.
    pub(super) name: String,
}

impl Party {
    pub(super) fn this(name: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { form: FORM, version, process: std::process::id(), name: name.to_owned() }
    }

    /// Why there is nothing to be done with the other one, if so.
    pub(super) fn objection(&self, other: &Self) -> Option<String> {
        if other.form != self.form {
            let (there, here) = (other.form, self.form);
            return Some(format!(
                "the other process speaks form {there} of the hand-over, and this one {here}"
            ));
        }
        (other.name != self.name)
            .then(|| format!("the other process is called {}, and this one {}", other.name, self.name))
    }
}

/// Whatever is said.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub(super) enum Say {
    /// The new one is there.
    Hello(Party),
    /// The old one has these sockets.
    Offer {
        by: Party,
        sockets: Vec<Offered>,
    },
    /// One of the two does not go on.
    Refused {
        why: String,
        is_ending: bool,
    },
    /// The new one wants what is only in memory.
    Carry,
    Carried(Box<Carried>),
    /// Every worker of the new one serves.
    Ready,
    /// The old one lets go.
    Go,
    /// The new one has heard it.
    Mine,
}
