//! What is known of the certificates that clients are shown: how many, until when they are good, and what is wrong.
//!
//! It owns what is told of them, never a file. Next: [`certificates`](super::certificates) tells, [`alarms`](super::alarms) and
//! [`admin`](super::admin) show it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::timeout;

use super::alarms::{Alarms, Subject};
use crate::tls::{Certified, Expiry, KeyText};

/// So long before its end a certificate is told of. Who renews by itself has done so by then.
const EARLY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What is known of all certificates.
#[derive(Debug, Clone, Default)]
pub(super) struct Certificates {
    /// How many are shown.
    pub(super) count: usize,
    /// The one that ends first.
    pub(super) soonest: Option<Expiry>,
    /// Why some of them cannot be used as they are, in a sentence.
    pub(super) fault: Option<String>,
    /// When that was.
    pub(super) at: Option<SystemTime>,
    /// Each of them, also what cannot be used.
    pub(super) rows: Arc<[Row]>,
    /// Workers have everything that etcd had up to this revision.
    pub(super) revision: i64,
}

/// One certificate.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// The stem of its file, or its name in etcd.
    pub(super) name: Box<str>,
    /// What is shown; nothing where that was never good.
    pub(super) certified: Option<Arc<Certified>>,
    pub(super) origin: Origin,
    /// Why what there is now cannot be used.
    pub(super) fault: Option<Box<str>>,
    /// As it stands in etcd, its key included: for the next process alone.
    pub(super) text: Option<KeyText>,
}

/// Where a certificate is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// In the folder.
    Folder,
    /// In etcd.
    Etcd {
        /// Its key is sealed there.
        is_sealed: bool,
    },
}

/// The same as it was told last; nothing where there are no certificates. Copies are one.
#[derive(Debug, Clone, Default)]
pub(super) struct CertificatesSeen {
    told: watch::Sender<Option<Certificates>>,
    /// What the process before had of etcd. A lock that a panic poisoned still holds it.
    before: Arc<Mutex<Inherited>>,
}

/// Certificates of etcd as they stand there, by name.
pub(super) type Texts = BTreeMap<String, String>;

/// The same, out of every log.
#[derive(Default)]
struct Inherited(Texts);

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inherited").field(&self.0.len()).finish()
    }
}

impl CertificatesSeen {
    pub(super) fn tell(&self, now: Certificates) {
        self.told.send_replace(Some(now));
    }

    pub(super) fn get(&self) -> Option<Certificates> {
        self.told.borrow().clone()
    }

    /// What the next process is told, as it may start without etcd.
    pub(super) fn texts(&self) -> Texts {
        let rows = self.get().unwrap_or_default().rows;
        let text = |row: &Row| Some((row.name.to_string(), row.text.as_ref()?.expose().to_owned()));
        rows.iter().filter_map(text).collect()
    }

    /// The process before had these.
    pub(super) fn inherit(&self, texts: Texts) {
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Inherited(texts);
    }

    /// Those that the process before had, once.
    pub(super) fn take_inherited(&self) -> Texts {
        std::mem::take(&mut self.before.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Waits until workers have what etcd had at this revision. Says whether they do.
    pub(super) async fn reaches(&self, revision: i64, within: Duration) -> bool {
        let mut seen = self.told.subscribe();
        let reached = seen.wait_for(|now| now.as_ref().is_some_and(|now| now.revision >= revision));
        matches!(timeout(within, reached).await, Ok(Ok(_)))
    }
}

/// Looks at what was told last.
pub(super) fn judge(alarms: &mut Alarms, seen: &CertificatesSeen) {
    let Some(certificates) = seen.get() else { return };
    match &certificates.fault {
        Some(fault) => alarms.raise(Subject::CertificatesUnusable, fault.clone()),
        None => alarms.clear(Subject::CertificatesUnusable, "the certificates can be used again"),
    }
    match certificates.ending() {
        Some(words) => alarms.raise(Subject::CertificatesExpire, words),
        None => {
            alarms.clear(Subject::CertificatesExpire, "all certificates are good for 30 days or more again")
        }
    }
}

impl Certificates {
    /// What is to be told of the one that ends first, if it does so soon.
    fn ending(&self) -> Option<String> {
        ends_soon(self.soonest.as_ref()?, self.at?)
    }
}

/// What is to be told of one that ends soon.
pub(super) fn ends_soon(ends: &Expiry, now: SystemTime) -> Option<String> {
    const DAY: u64 = 24 * 60 * 60;
    let name = &ends.name;
    match ends.at.duration_since(now) {
        Ok(left) if left > EARLY => None,
        Ok(left) if left.as_secs() < DAY => Some(format!("the certificate for {name} ends within a day")),
        Ok(left) => Some(format!("the certificate for {name} ends in {} days", left.as_secs() / DAY)),
        Err(_) => Some(format!("the certificate for {name} has ended: clients refuse it")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn one_that_ends_soon_is_an_alarm_and_so_is_a_folder_that_cannot_be_used() {
        let (mut alarms, seen) = (Alarms::default(), CertificatesSeen::default());
        judge(&mut alarms, &seen);
        assert_eq!(alarms.warnings().count(), 0, "there are none");
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        for (at, words) in [
            (now + days(31), None),
            (now + days(30), Some("ends in 30 days")),
            (now + days(1), Some("ends in 1 days")),
            (now + days(1) / 2, Some("ends within a day")),
            (now - days(1), Some("has ended")),
            (now + days(90), None),
        ] {
            let soonest = Some(Expiry { name: "a.test".into(), at });
            seen.tell(Certificates { count: 1, soonest, at: Some(now), ..Certificates::default() });
            judge(&mut alarms, &seen);
            let told = alarms.of(Subject::CertificatesExpire);
            assert_eq!(told.is_some(), words.is_some(), "{told:?}");
            assert!(
                told.is_none_or(|told| told.contains("a.test") && told.contains(words.unwrap())),
                "{told:?}"
            );
        }
        seen.tell(Certificates {
            fault: Some("no key".to_owned()),
            at: Some(now),
            ..Certificates::default()
        });
        judge(&mut alarms, &seen);
        assert_eq!(alarms.of(Subject::CertificatesUnusable), Some("no key"));
        seen.tell(Certificates::default());
        judge(&mut alarms, &seen);
        assert_eq!(alarms.warnings().count(), 0);
    }
}
