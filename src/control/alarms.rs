//! What an operator should know with every answer of the API, until it is over.
//!
//! It owns that an alarm is one sentence a subject, one WARN when it begins and one line when it ends, however often it
//! is raised; never the judgement of what is alarming. Next: [`store_guard`](super::store_guard), [`run`](super::run)
//! and the hub raise them, [`admin`](super::admin) shows them.

use std::collections::BTreeMap;

use tracing::{info, warn};

use crate::warning::{Code, Warning};

/// What an alarm is about. They are shown in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The store is not there.
    Store,
    /// A load that would take too much away waits for a person.
    Held,
    /// Most of what was served was removed from the store, key by key.
    Removed,
    /// Keys of the store that are not served as they stand there.
    Rejected,
    /// The state file cannot be written.
    StateFile,
    /// Workers have as many connections as they may.
    Connections,
    /// The process has no descriptor left.
    Descriptors,
    /// A certificate ends soon.
    CertificatesExpire,
    /// The certificates that there are now cannot be used.
    CertificatesUnusable,
}

impl Subject {
    fn code(self) -> Code {
        match self {
            Subject::Store => Code::StoreDown,
            Subject::Held => Code::LoadHeld,
            Subject::Removed => Code::MostRemoved,
            Subject::Rejected => Code::KeysRejected,
            Subject::StateFile => Code::StateFile,
            Subject::Connections => Code::ConnectionsFull,
            Subject::Descriptors => Code::NoDescriptors,
            Subject::CertificatesExpire => Code::CertificatesExpire,
            Subject::CertificatesUnusable => Code::CertificatesUnusable,
        }
    }
}

/// The alarms that stand.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    standing: BTreeMap<Subject, String>,
}

impl Alarms {
    /// Raises an alarm about a subject, and logs it if none stood there. A newer text replaces an older one without a line
    /// in the log, so that a count that rises is logged once.
    pub(super) fn raise(&mut self, subject: Subject, text: String) {
        if !self.standing.contains_key(&subject) {
            warn!("{text}");
        }
        self.standing.insert(subject, text);
    }

    /// The same without a line in the log, for what was logged in other words.
    pub(super) fn note(&mut self, subject: Subject, text: String) {
        self.standing.insert(subject, text);
    }

    /// Ends the alarm about a subject: `words` are logged if one stood there.
    pub(super) fn clear(&mut self, subject: Subject, words: &str) {
        if self.standing.remove(&subject).is_some() {
            info!("{words}");
        }
    }

    /// What is said of a subject.
    pub(super) fn of(&self, subject: Subject) -> Option<&str> {
        self.standing.get(&subject).map(String::as_str)
    }

    /// All that is said.
    pub(super) fn warnings(&self) -> impl Iterator<Item = Warning> {
        self.standing.iter().map(|(subject, text)| Warning::new(subject.code(), "", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_sentence_and_an_order() {
        let mut alarms = Alarms::default();
        alarms.raise(Subject::Held, "2 of 6".to_owned());
        alarms.raise(Subject::Store, "down".to_owned());
        alarms.raise(Subject::Held, "4 of 6".to_owned());
        let told: Vec<_> = alarms.warnings().map(|alarm| alarm.to_string()).collect();
        assert_eq!(told, ["down [store-down]", "4 of 6 [load-held]"]);
        alarms.clear(Subject::Store, "back");
        alarms.clear(Subject::Store, "back");
        assert_eq!((alarms.of(Subject::Store), alarms.of(Subject::Held)), (None, Some("4 of 6")));
    }
}
