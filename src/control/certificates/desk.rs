//! What the API does with certificates: it shows what is known of them, and writes them into etcd.
//!
//! It owns the bound of a change and the wait for workers; never a connection, nor the shape of an answer. A private key goes in and never comes
//! out. Next: [`admin::certificate`](crate::control::admin) asks, [`store`](crate::control::store) writes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tracing::info;

use crate::control::changes::Author;
use crate::control::rejections::some;
use crate::control::store::{AT_ONCE, CertificateMail, EtcdOptions, write_certificates};
use crate::control::validity::{CertificatesSeen, Row, ends_soon};
use crate::model::{Fault, Faults};
use crate::tls::{KeyText, SealKeys, StoredCertificate, sound_name};
use crate::warning::{Code, Warning};

/// How long the caller of a change waits for the workers.
const SERVED: Duration = Duration::from_secs(1);

/// All that the API needs for certificates.
#[derive(Debug, Clone, Default)]
pub(in crate::control) struct Desk {
    /// How etcd is reached, where that is the store.
    pub(in crate::control) etcd: Option<Arc<EtcdOptions>>,
    /// What seals private keys.
    pub(in crate::control) keys: Option<Arc<SealKeys>>,
    /// Where news of etcd wait; nothing where no client is shown any certificate.
    pub(in crate::control) mail: Option<CertificateMail>,
    /// What is known of those that clients are shown.
    pub(in crate::control) seen: CertificatesSeen,
}

/// A change that was checked.
#[derive(Debug)]
pub(in crate::control) struct Checked {
    writes: Vec<(String, Option<KeyText>)>,
    pub(in crate::control) warnings: Vec<Warning>,
}

/// A change that was made.
#[derive(Debug)]
pub(in crate::control) struct Taken {
    /// The revision of etcd that holds it; nothing where there was nothing to do.
    pub(in crate::control) revision: Option<i64>,
    /// What the operator should know.
    pub(in crate::control) warnings: Vec<Warning>,
    /// For deletions, those that were not there.
    pub(in crate::control) absent: Vec<String>,
}

/// Why a change was not made.
#[derive(Debug)]
pub(in crate::control) enum Trouble {
    /// There is no etcd.
    NoEtcd,
    /// etcd did not take it, or it is not known whether it did.
    Store(String),
}

impl Desk {
    /// Each certificate that clients are shown or would be, if it could be used.
    pub(in crate::control) fn rows(&self) -> Arc<[Row]> {
        self.seen.get().unwrap_or_default().rows
    }

    /// Reads what was given, and seals the keys.
    ///
    /// # Errors
    /// What is wrong with it, with pointers into what was given.
    pub(in crate::control) fn check(
        &self,
        given: &Map<String, Value>,
        now: SystemTime,
    ) -> Result<Checked, Faults> {
        few(given.len())?;
        let (mut writes, mut warnings, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in given {
            match StoredCertificate::take(name, value, self.keys.as_deref()) {
                Ok(taken) => {
                    let pointer = Fault::new("", "").below(name).pointer;
                    if !taken.is_sealed {
                        let message = "the private key is in the clear in etcd, for whoever may read there; with --certs-key it is sealed";
                        warnings.push(Warning::new(Code::KeyInClear, &*pointer, message));
                    }
                    let (certified, text) = taken.into_parts();
                    if let Some(words) = certified.ends.as_ref().and_then(|ends| ends_soon(ends, now)) {
                        warnings.push(Warning::new(Code::CertificatesExpire, pointer, words));
                    }
                    writes.push((name.clone(), Some(text)));
                }
                Err((member, message)) => {
                    let at = if member.is_empty() { String::new() } else { format!("/{member}") };
                    faults.push(Fault::new(at, message).below(name));
                }
            }
        }
        Faults::of(faults).map_or(Ok(Checked { writes, warnings }), Err)
    }

    /// What deletes these.
    ///
    /// # Errors
    /// There are too many, or one is no name.
    pub(in crate::control) fn deletion(&self, names: Vec<String>) -> Result<Checked, Faults> {
        few(names.len())?;
        let fault = |(at, name): (usize, &String)| {
            sound_name(name).err().map(|why| Fault::new(format!("/{at}"), why))
        };
        let faults = names.iter().enumerate().filter_map(fault).collect();
        let writes = names.into_iter().map(|name| (name, None)).collect();
        Faults::of(faults).map_or(Ok(Checked { writes, warnings: Vec::new() }), Err)
    }

    /// Has etcd hold it, all or nothing, and waits until workers have it.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::control) async fn write(&self, checked: Checked, author: Author) -> Result<Taken, Trouble> {
        let Checked { writes, mut warnings } = checked;
        let etcd = self.etcd.as_ref().ok_or(Trouble::NoEtcd)?;
        if writes.is_empty() {
            return Ok(Taken { revision: None, warnings, absent: Vec::new() });
        }
        let written = write_certificates(etcd, &writes).await.map_err(Trouble::Store)?;
        tell(&writes, written.revision, author);
        let is_absent = |((name, text), was_there): (&(String, Option<KeyText>), bool)| {
            (text.is_none() && !was_there).then(|| name.clone())
        };
        let absent: Vec<String> = writes.iter().zip(written.were_there).filter_map(is_absent).collect();
        if let Some(mail) = &self.mail {
            let deleted = writes.into_iter().filter(|(_, text)| text.is_none()).map(|(name, _)| name);
            mail.gone(deleted, written.revision);
            if !self.seen.reaches(written.revision, SERVED).await {
                let message = "workers do not show it yet; certificate has each as it is shown";
                warnings.push(Warning::new(Code::WorkersBehind, "", message));
            }
        }
        Ok(Taken { revision: Some(written.revision), warnings, absent })
    }
}

/// One line of the log for a change, as of changes of the configuration.
fn tell(writes: &[(String, Option<KeyText>)], revision: i64, author: Author) {
    let names = |is_put: bool| -> Vec<String> {
        let of_kind = writes.iter().filter(|(_, text)| text.is_some() == is_put);
        of_kind.map(|(name, _)| name.clone()).collect()
    };
    let who = author.who.map_or("-".to_owned(), |who| who.to_string());
    for (names, what) in [(names(true), "put"), (names(false), "deleted")] {
        if !names.is_empty() {
            info!(revision, who, "certificates {what}: {}", some(&names));
        }
    }
}

/// Whether there are few enough for one change.
fn few(count: usize) -> Result<(), Faults> {
    if count <= AT_ONCE {
        return Ok(());
    }
    Err(Fault::new("", format!("has {count} certificates; {AT_ONCE} at once are the most")).into())
}
