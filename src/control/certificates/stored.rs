//! The certificates that etcd has: each as it can be used, and what cannot be.
//!
//! It owns what becomes of news of etcd: a text that cannot be used is set aside, and what was good under that name is shown on; a load that
//! lacks all of them takes none away. Never a connection. Next: [`keeper`](super::keeper) brings the news.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::control::store::{CertificateNews, StoredText};
use crate::tls::{Certified, KeyText, SealKeys, StoredCertificate};

/// Certificates that are taken. More are a mistake.
const MOST: usize = 20_000;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Stored {
    keys: Option<Arc<SealKeys>>,
    records: BTreeMap<String, Record>,
    /// Why they cannot be read.
    unread: Option<String>,
    /// Why some are shown that etcd does not have.
    held: Option<String>,
    /// Why some that it has are not.
    over: Option<String>,
    /// Everything up to this revision is in them.
    revision: i64,
    /// How often they, or what is wrong with them, became others.
    version: u64,
}

/// What one key came to.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// What is shown: the last text that could be used.
    pub(super) good: Option<Good>,
    /// The text that there is now, and why it cannot be used.
    pub(super) bad: Option<(KeyText, String)>,
    revision: i64,
}

/// One that can be used.
#[derive(Debug)]
pub(super) struct Good {
    pub(super) certified: Arc<Certified>,
    pub(super) is_sealed: bool,
    pub(super) text: KeyText,
}

impl Stored {
    /// None yet.
    pub(super) fn new(keys: Option<Arc<SealKeys>>) -> Self {
        Self { keys, ..Self::default() }
    }

    /// Each by its name.
    pub(super) fn records(&self) -> &BTreeMap<String, Record> {
        &self.records
    }

    /// Those that are shown.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &Arc<Certified>> {
        self.records.values().filter_map(|record| record.good.as_ref()).map(|good| &good.certified)
    }

    /// The texts of those: what is worth keeping over a restart.
    pub(super) fn texts(&self) -> BTreeMap<&str, &str> {
        self.records
            .iter()
            .filter_map(|(name, record)| Some((name.as_str(), record.good.as_ref()?.text.expose())))
            .collect()
    }

    /// Another number is another state of them.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Everything up to this revision is in them.
    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    /// What is wrong, in a sentence.
    pub(super) fn fault(&self) -> Option<String> {
        let mut bad = self.records.iter().filter_map(|(name, record)| Some((name, &record.bad.as_ref()?.1)));
        let unusable = bad.next().map(|(name, why)| {
            let more = match bad.count() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            format!("certs/{name} in etcd cannot be used: {why}{more}")
        });
        self.unread.clone().or_else(|| self.held.clone()).or(unusable).or_else(|| self.over.clone())
    }

    /// Takes what an earlier process knew. What of it cannot be used is left out.
    pub(super) fn remember(&mut self, texts: BTreeMap<String, String>) {
        let all = texts.into_iter().map(|(name, text)| (name, (text, 0)));
        self.load(all.collect());
        self.records.retain(|_, record| record.good.is_some());
    }

    /// Takes news of etcd. Says whether anything is different for them.
    pub(super) fn take(&mut self, news: CertificateNews) -> bool {
        let before = self.version;
        if news.whole.is_some() || news.fault.is_some() {
            self.unread = news.fault.map(|why| format!("the certificates in etcd cannot be read: {why}"));
        }
        if let Some(whole) = news.whole {
            // An etcd that was wiped or restored counts anew: what was known before is older than anything that it says.
            self.revision = 0;
            self.records.values_mut().for_each(|record| record.revision = 0);
            self.load(whole);
        }
        for (name, (text, revision)) in news.changes {
            if self.records.get(&name).is_some_and(|known| known.revision >= revision) {
                continue;
            }
            match text {
                Some(text) => self.put(name, text, revision),
                None => self.version += u64::from(self.records.remove(&name).is_some()),
            }
        }
        self.revision = self.revision.max(news.revision);
        self.version != before
    }

    fn load(&mut self, whole: BTreeMap<String, StoredText>) {
        let shown = self.certificates().count();
        // An etcd that was wiped would leave nothing to show.
        self.held = (whole.is_empty() && shown > 0).then(|| {
            format!("etcd has no certificates any more; the {shown} from before are shown on until it has some, or they are deleted")
        });
        if self.held.is_some() {
            return;
        }
        self.over = None;
        let before = self.records.len();
        self.records.retain(|name, _| whole.contains_key(name));
        self.version += u64::from(self.records.len() < before);
        for (name, (text, revision)) in whole {
            self.put(name, text, revision);
        }
    }

    fn put(&mut self, name: String, text: String, revision: i64) {
        if self.records.len() >= MOST && !self.records.contains_key(&name) {
            self.over =
                Some(format!("etcd has more than {MOST} certificates; {name} and others are not shown"));
            return;
        }
        let record = self.records.entry(name.clone()).or_default();
        record.revision = revision;
        let bad = record.bad.as_ref().map(|bad| bad.0.expose());
        let known = bad.or(record.good.as_ref().map(|good| good.text.expose()));
        if known == Some(&*text) {
            return;
        }
        self.version += 1;
        if record.good.as_ref().is_some_and(|good| good.text.expose() == text) {
            record.bad = None;
            return;
        }
        match StoredCertificate::read(&name, &text, self.keys.as_deref()) {
            Ok(read) => {
                let is_sealed = read.is_sealed;
                let (certified, text) = read.into_parts();
                record.good = Some(Good { certified: Arc::new(certified), is_sealed, text });
                record.bad = None;
            }
            Err((member, why)) => {
                let place = if member.is_empty() { String::new() } else { format!("{member}: ") };
                record.bad = Some((KeyText::new(text), format!("{place}{why}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(name: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
        json!({"certificate": certificate.pem(), "key": key.serialize_pem()}).to_string()
    }

    fn whole(all: &[(&str, &str)], revision: i64) -> CertificateNews {
        let all = all.iter().map(|(name, text)| ((*name).to_owned(), ((*text).to_owned(), revision)));
        CertificateNews { whole: Some(all.collect()), revision, ..CertificateNews::default() }
    }

    fn change(name: &str, text: Option<&str>, revision: i64) -> CertificateNews {
        let changes = BTreeMap::from([(name.to_owned(), (text.map(str::to_owned), revision))]);
        CertificateNews { changes, revision, ..CertificateNews::default() }
    }

    /// Which are shown.
    fn shown(stored: &Stored) -> Vec<&str> {
        stored.certificates().map(|certified| &*certified.name).collect()
    }

    #[test]
    fn what_cannot_be_used_is_set_aside_and_the_last_good_one_is_shown_on() {
        let (a, b) = (text("a.test"), text("b.test"));
        let mut stored = Stored::new(None);
        assert!(stored.take(whole(&[("a", &a), ("b", &b)], 5)));
        assert!(!stored.take(whole(&[("a", &a), ("b", &b)], 6)), "nothing is new in it");
        assert!(stored.take(change("a", Some("{}"), 7)));
        assert_eq!(shown(&stored), ["a", "b"]);
        assert!(stored.fault().unwrap().contains("certs/a in etcd cannot be used: has no certificate"));
        assert!(!stored.take(change("a", Some("{}"), 8)), "it is known");
        assert!(stored.take(change("c", Some("{"), 9)));
        assert!(stored.fault().unwrap().ends_with("and 1 more"), "{:?}", stored.fault());
        assert_eq!(stored.texts().into_iter().collect::<Vec<_>>(), [("a", &*a), ("b", &*b)]);
        assert!(stored.take(change("a", Some(&a), 10)) && stored.take(change("c", None, 11)));
        assert_eq!((stored.fault(), shown(&stored), stored.revision()), (None, vec!["a", "b"], 11));
        assert!(stored.take(whole(&[("b", &b)], 12)));
        assert_eq!(shown(&stored), ["b"]);
    }

    #[test]
    fn news_that_is_older_than_what_is_known_changes_nothing() {
        let (old, new) = (text("a.test"), text("b.test"));
        let mut stored = Stored::new(None);
        stored.take(whole(&[("a", &new)], 9));
        assert!(!stored.take(change("a", Some(&old), 8)) && !stored.take(change("a", None, 7)));
        assert_eq!(shown(&stored), ["a"]);
    }

    #[test]
    fn an_etcd_that_has_none_any_more_takes_none_away() {
        let (a, b) = (text("a.test"), text("b.test"));
        let mut stored = Stored::new(None);
        stored.remember(BTreeMap::from([("a".to_owned(), a.clone()), ("bad".to_owned(), "{".to_owned())]));
        assert_eq!(shown(&stored), ["a"], "what an earlier life could not use is nothing");
        stored.take(whole(&[], 5));
        assert_eq!(shown(&stored), ["a"]);
        assert!(stored.fault().unwrap().contains("etcd has no certificates any more; the 1 from before"));
        stored.take(whole(&[("b", &b)], 6));
        assert_eq!((shown(&stored), stored.fault()), (vec!["b"], None));
        // It counts anew, and what comes then is newer than what is held.
        stored.take(whole(&[], 1));
        let next = text("c.test");
        assert!(stored.take(change("b", Some(&next), 2)));
        assert_eq!((stored.texts()["b"], stored.revision()), (&*next, 2));
        stored.take(change("b", None, 7));
        assert_eq!(shown(&stored), Vec::<&str>::new(), "one that is deleted is gone");
        stored.take(whole(&[], 8));
        assert_eq!(stored.fault(), None);
    }

    #[test]
    fn who_may_not_read_them_is_told_so_until_he_may() {
        let mut stored = Stored::new(None);
        let fault = Some("permission denied".to_owned());
        stored.take(CertificateNews { fault, ..CertificateNews::default() });
        assert!(stored.fault().unwrap().contains("cannot be read: permission denied"));
        stored.take(whole(&[], 3));
        assert_eq!(stored.fault(), None);
    }
}
