//! TLS to etcd: what a connection is made with, and what was wrong when none came of it.
//!
//! It owns the reading of the files, anew for each connection as they may have been renewed, and the words for a handshake that
//! failed; never the connection. Next: [`connection`](super::connection) is made with it.

use std::error::Error as StdError;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use etcd_client::{Certificate, Error, Identity, TlsOptions};
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use crate::settings::Certificates;

/// The largest file that is read: all authorities of a system are a quarter of that.
const MOST: u64 = 1024 * 1024;
/// Causes of an error that are looked at; there are five in an error of the library.
const CAUSES: usize = 16;

/// What a connection to an `https://` endpoint is made with; nothing for another one.
pub(super) async fn options(
    endpoint: &str,
    certificates: &Certificates,
) -> Result<Option<TlsOptions>, String> {
    if !endpoint.starts_with("https://") {
        return Ok(None);
    }
    let certificates = certificates.clone();
    // On a thread of its own: a file may lie where it takes long to read.
    let read = tokio::task::spawn_blocking(move || certificates.read(&text)).await;
    let texts = read.map_err(|ended| ended.to_string())??;
    let options = match texts.ca {
        Some(ca) => TlsOptions::new().ca_certificate(Certificate::from_pem(ca)),
        None => TlsOptions::new().with_native_roots(),
    };
    Ok(Some(match texts.own {
        Some((certificate, key)) => options.identity(Identity::from_pem(certificate, key)),
        None => options,
    }))
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MOST).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read < MOST) {
        Ok(text)
    } else {
        Err(io::Error::other(format!("it has more than {MOST} bytes, which no file of certificates has")))
    }
}

/// What was wrong with the other side, or with what it was shown; nothing if that was not it.
pub(super) fn fault(error: &Error, certificates: &Certificates) -> Option<String> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    for _ in 0..CAUSES {
        let this = cause?;
        if let Some(found) = of_tls(this) {
            return Some(told(found, certificates));
        }
        cause = this.source();
    }
    None
}

/// An error of TLS, which mostly comes in an error of the connection below it.
fn of_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let inner = || error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref();
    error.downcast_ref().or_else(inner)
}

fn told(error: &rustls::Error, certificates: &Certificates) -> String {
    use rustls::Error as Tls;
    let ca = certificates.ca.as_ref();
    let own = certificates.own.as_ref().map(|(certificate, _)| certificate.display());
    match error {
        Tls::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => match ca
        {
            Some(ca) => format!("its certificate is not trusted: none of {} has signed it", ca.display()),
            None => "its certificate is not trusted: nobody whom this system trusts has signed it; \
                --etcd-ca names the file of who has"
                .to_owned(),
        },
        Tls::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => format!(
            "the name does not match: its certificate is for {}, not for {}",
            if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") },
            expected.to_str()
        ),
        Tls::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired".to_owned()
        }
        Tls::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "its certificate is not valid yet; is the clock of this machine right?".to_owned(),
        Tls::InvalidCertificate(_) => format!("its certificate is not accepted: {error}"),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "it does not speak TLS; is http:// meant?".to_owned()
        }
        Tls::AlertReceived(AlertDescription::CertificateRequired) => wanted(),
        // What etcd says when it was shown none, and when it does not like what it was shown.
        Tls::AlertReceived(alert) => match own {
            None if *alert == AlertDescription::BadCertificate => wanted(),
            None => format!("it does not accept the connection ({alert:?})"),
            Some(own) => format!("it does not accept the certificate in {own} ({alert:?})"),
        },
        _ => error.to_string(),
    }
}

fn wanted() -> String {
    "it wants to be shown a certificate: --etcd-cert and --etcd-key name the files".to_owned()
}
