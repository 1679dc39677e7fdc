//! Where this process keeps certificates, as its settings say.
//!
//! It owns the reading of the keys that seal, once at the start; never a certificate. Next: [`keeper`](super::keeper) has what clients are
//! shown, [`desk`](super::desk) what the API writes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::desk::Desk;
use super::keeper::Kept;
use super::remembered::Remembered;
use crate::control::store::{CertificateMail, EtcdOptions};
use crate::control::validity::CertificatesSeen;
use crate::settings::{Settings, StoreKind};
use crate::tls::SealKeys;

/// All places.
#[derive(Debug)]
pub(in crate::control) struct Places {
    kept: Kept,
    desk: Desk,
}

impl Places {
    /// Those of the settings.
    ///
    /// # Errors
    /// The file with the keys that seal cannot be used, and why.
    pub(in crate::control) fn of(settings: &Settings) -> Result<Self, String> {
        let is_etcd = settings.store == StoreKind::Etcd;
        let is_shown = settings.listen.iter().any(|on| on.tls);
        let keys = settings.tls.certs_key.as_deref().map(keys).transpose()?.map(Arc::new);
        let mail = (is_etcd && is_shown).then(CertificateMail::default);
        let remembered = settings.state_file.as_deref().filter(|_| mail.is_some());
        let kept = Kept {
            folder: settings.tls.dir.clone().filter(|_| is_shown),
            clients: settings
                .tls
                .client_ca
                .clone()
                .filter(|_| is_shown)
                .map(|ca| (ca, settings.tls.client_must)),
            mail: mail.clone(),
            keys: keys.clone(),
            remembered: remembered.map(|path| Remembered::beside(path, &settings.name)),
        };
        let etcd = is_etcd.then(|| Arc::new(EtcdOptions::set(&settings.etcd, &settings.name)));
        Ok(Self { kept, desk: Desk { etcd, keys, mail, seen: CertificatesSeen::default() } })
    }

    /// Where etcd's news of them go.
    pub(in crate::control) fn mail(&self) -> Option<CertificateMail> {
        self.kept.mail.clone()
    }

    /// What the API asks, and what is to be begun; `seen` is told how they stand.
    pub(in crate::control) fn seen_by(self, seen: &CertificatesSeen) -> (Desk, Kept) {
        (Desk { seen: seen.clone(), ..self.desk }, self.kept)
    }
}

fn keys(path: &Path) -> Result<SealKeys, String> {
    let told = |why: String| format!("the keys in {} cannot be used: {why} (--certs-key)", path.display());
    let text = fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
    SealKeys::read(&text).map_err(told)
}
