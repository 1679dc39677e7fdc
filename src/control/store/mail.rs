//! News of the certificates in etcd, for whoever shows them.
//!
//! It owns what waits to be taken; never what a certificate is. Next: [`etcd`](super::etcd) follows them with the same watch as all else,
//! `control::certificates` takes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// What came, and was not taken yet.
#[derive(Debug, Default)]
pub struct CertificateNews {
    /// All that etcd holds, where everything was read: what is not among them is not there.
    pub whole: Option<BTreeMap<String, StoredText>>,
    /// What changed after that.
    pub changes: BTreeMap<String, StoredChange>,
    /// The revision of the last of it.
    pub revision: i64,
    /// Why some or all of them cannot be read.
    pub fault: Option<String>,
}

/// The text of a key, and the revision of that.
pub type StoredText = (String, i64);
/// The same of one that may be gone.
pub type StoredChange = (Option<String>, i64);

/// Where they wait. What is newer takes the place of what is older, so it holds no more than etcd does. Copies are one.
#[derive(Debug, Clone, Default)]
pub struct CertificateMail(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// A lock that a panic poisoned still holds what came.
    news: Mutex<CertificateNews>,
    came: Notify,
}

impl CertificateMail {
    /// All was read, at this revision.
    pub(super) fn loaded(&self, all: BTreeMap<String, StoredText>, revision: i64) {
        self.put(|news| {
            *news = CertificateNews { whole: Some(all), revision, ..CertificateNews::default() };
        });
    }

    /// Some changed.
    pub(super) fn changed(&self, changes: Vec<(String, StoredChange)>) {
        self.put(|news| {
            for (name, change) in changes {
                news.revision = news.revision.max(change.1);
                news.changes.insert(name, change);
            }
        });
    }

    /// They cannot be read, for this reason; the rest of etcd can.
    pub(super) fn refused(&self, reason: String) {
        self.put(|news| news.fault = Some(reason));
    }

    /// These were deleted by this process, at this revision: they are gone although etcd, where they were not, has no news of it.
    pub fn gone(&self, names: impl IntoIterator<Item = String>, revision: i64) {
        let mut names = names.into_iter().peekable();
        if names.peek().is_none() {
            return;
        }
        self.put(|news| {
            for name in names {
                if news.changes.get(&name).is_none_or(|known| known.1 < revision) {
                    news.changes.insert(name, (None, revision));
                }
            }
            news.revision = news.revision.max(revision);
        });
    }

    /// What has come, if there is any.
    #[must_use]
    pub fn take(&self) -> Option<CertificateNews> {
        let mut news = self.0.news.lock().unwrap_or_else(PoisonError::into_inner);
        let is_some = news.whole.is_some() || news.revision > 0 || news.fault.is_some();
        is_some.then(|| std::mem::take(&mut *news))
    }

    /// Waits until there is something to take. May be dropped at any await.
    pub async fn came(&self) {
        self.0.came.notified().await;
    }

    fn put(&self, put: impl FnOnce(&mut CertificateNews)) {
        put(&mut self.0.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.came.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, revision: i64) -> StoredChange {
        (Some(text.to_owned()), revision)
    }

    #[test]
    fn what_is_newer_takes_the_place_of_what_waits() {
        let mail = CertificateMail::default();
        assert!(mail.take().is_none());
        mail.changed(vec![("a".to_owned(), text("1", 3)), ("b".to_owned(), text("1", 3))]);
        mail.loaded(BTreeMap::from([("a".to_owned(), ("2".to_owned(), 4))]), 5);
        mail.changed(vec![("c".to_owned(), text("1", 6)), ("c".to_owned(), (None, 7))]);
        let news = mail.take().unwrap();
        assert_eq!(news.whole.unwrap().into_keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!((news.changes, news.revision), (BTreeMap::from([("c".to_owned(), (None, 7))]), 7));
        assert!(mail.take().is_none());
    }

    #[test]
    fn what_this_process_deleted_is_gone_unless_it_came_again() {
        let mail = CertificateMail::default();
        mail.changed(vec![("a".to_owned(), text("new", 9))]);
        mail.gone(["a".to_owned(), "b".to_owned()], 8);
        let news = mail.take().unwrap();
        let expected = [("a".to_owned(), text("new", 9)), ("b".to_owned(), (None, 8))];
        assert_eq!((news.changes, news.revision), (BTreeMap::from(expected), 9));
    }

    #[tokio::test]
    async fn who_waits_is_told_of_what_came_before() {
        let mail = CertificateMail::default();
        mail.refused("no right".to_owned());
        mail.came().await;
        assert_eq!(mail.take().unwrap().fault.as_deref(), Some("no right"));
    }
}
