//! Why a hand-over does not go on, and who goes on serving then.
//!
//! It owns these two distinctions; its words are for the log. Next: [`take`](mod@super::take) and [`give`](mod@super::give) meet it.

use std::fmt;
use std::io;

/// What went wrong between the two processes.
#[derive(Debug)]
pub enum Trouble {
    /// The other one is gone, or has closed the connection without a word.
    Gone,
    /// The other one said why it does not go on.
    Refused(Told),
    /// The place is none, for this reason.
    Unusable(String),
    /// It took too long, a message was none, or the kernel refused something.
    Broken(String),
}

/// Why the old process does not hand over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// For people.
    pub why: String,
    /// It is ending anyway, so the new one may begin as if there was no other.
    pub is_ending: bool,
}

impl Told {
    /// It goes on serving, for this reason.
    #[must_use]
    pub fn stays(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_ending: false }
    }

    /// It is ending, so whoever comes need not wait for it.
    #[must_use]
    pub fn ends(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_ending: true }
    }
}

impl Trouble {
    /// The other one has ended or is about to, so this process goes on alone.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Gone | Self::Refused(Told { is_ending: true, .. }))
    }

    /// What an error of a socket comes to.
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Self::Gone
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Self::Broken("the other process did not answer in time".to_owned())
            }
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the other process has ended"),
            Self::Refused(told) => f.write_str(&told.why),
            Self::Broken(what) | Self::Unusable(what) => f.write_str(what),
        }
    }
}
