//! TLS to etcd: what a connection is made with, and what was wrong when none came of it.
//!
//! It owns the reading of the files, anew for each connection as they may have been renewed, and the words for a handshake that
//! failed; never the connection. Next: [`connection`](super::connection) is made with it.

use std::error::Error as StdError;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use etcd_client::{Certificate, Error, Identity, TlsOptions};
use rustls::{CertificateError, InvalidMessage};

use crate::settings::Certificates;

/// The largest file that is read: all authorities of a system are a quarter of that.
const MOST: u64 = 1024 * 1024;
/// Causes of an error that are looked at; there are five in an error of the library.
const CAUSES: usize = 16;

/// Who closes a connection at the first word of a handshake, or says something else than TLS.
const CLEAR: &str = "it does not speak TLS; is http:// meant?";

/// How a connection ends that the other side did not understand, or did not want.
const ENDINGS: [&str; 4] = ["connection closed", "broken pipe", "reset", "frame with invalid size"];

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

/// What was wrong with the other side at this endpoint, or with what it was shown; nothing if that was not it.
pub(super) fn fault(error: &Error, endpoint: &str, certificates: &Certificates) -> Option<String> {
    let mut cause: Option<&(dyn StdError + 'static)> = match error {
        Error::GRpcStatus(status) => status.source(),
        other => Some(other),
    };
    let mut last = None;
    for _ in 0..CAUSES {
        let Some(this) = cause else { break };
        if let Some(certificate) = of_tls(this) {
            return Some(told(certificate, certificates));
        }
        (last, cause) = (Some(this), this.source());
    }
    // What comes after the handshake comes as a text.
    let last = last?.to_string();
    let is_cut = ENDINGS.iter().any(|ending| last.contains(ending));
    match last.split_once("received fatal alert: ") {
        Some((_, alert)) => Some(alerted(alert, certificates)),
        None if last == "tls handshake eof" => Some(CLEAR.to_owned()),
        // Some of what the other side says gets lost when it closes at once.
        None if is_cut && endpoint.starts_with("https://") => Some(cut(&last, certificates)),
        None if is_cut => {
            Some(format!("the connection ended as soon as it was made ({last}); is https:// meant?"))
        }
        None => None,
    }
}

/// An error of TLS, which mostly comes in an error of the connection below it.
fn of_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let inner = || error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref();
    error.downcast_ref().or_else(inner)
}

fn told(error: &rustls::Error, certificates: &Certificates) -> String {
    use CertificateError as Of;
    let rustls::Error::InvalidCertificate(fault) = error else {
        return match error {
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => CLEAR.to_owned(),
            rustls::Error::AlertReceived(alert) => alerted(&format!("{alert:?}"), certificates),
            _ => error.to_string(),
        };
    };
    match (fault, &certificates.ca) {
        (Of::UnknownIssuer | Of::BadSignature, Some(ca)) => {
            format!("its certificate is not trusted: none of {} has signed it", ca.display())
        }
        (Of::UnknownIssuer | Of::BadSignature, None) => "its certificate is not trusted: nobody whom this \
            system trusts has signed it; --etcd-ca names the file of who has"
            .to_owned(),
        (Of::NotValidForNameContext { expected, presented }, _) => format!(
            "the name does not match: its certificate is for {}, not for {}",
            if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") },
            expected.to_str()
        ),
        (Of::Expired | Of::ExpiredContext { .. }, _) => "its certificate has expired".to_owned(),
        (Of::NotValidYet | Of::NotValidYetContext { .. }, _) => {
            "its certificate is not valid yet; is the clock of this machine right?".to_owned()
        }
        _ => format!("its certificate is not accepted: {error}"),
    }
}

fn cut(how: &str, certificates: &Certificates) -> String {
    let asked = match &certificates.own {
        Some((own, _)) => format!("does it not accept the certificate in {}?", own.display()),
        None => {
            "does it want to be shown a certificate? --etcd-cert and --etcd-key name the files".to_owned()
        }
    };
    format!("the connection ended as soon as it was made ({how}); {asked}")
}

/// What the other side has said of what it was shown.
fn alerted(alert: &str, certificates: &Certificates) -> String {
    match &certificates.own {
        Some((own, _)) => format!("it does not accept the certificate in {} ({alert})", own.display()),
        None if matches!(alert, "BadCertificate" | "CertificateRequired") => {
            "it wants to be shown a certificate: --etcd-cert and --etcd-key name the files".to_owned()
        }
        None => format!("it does not accept the connection ({alert})"),
    }
}
