//! Until when certificates are good.
//!
//! It owns how that is read of a certificate; no clock. Next: [`super::shown`] keeps the one that ends first.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509CertificateParser;
use x509_parser::nom::Parser;

/// The end of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The first name that it is for, or that of its file.
    pub name: Box<str>,
    /// It is good until then (`notAfter`; RFC 5280, section 4.1.2.5).
    pub at: SystemTime,
}

/// Until when a chain is good, which is as long as each certificate in it.
pub(super) fn of(chain: &[CertificateDer<'_>]) -> Option<SystemTime> {
    chain.iter().filter_map(end).min()
}

fn end(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    // What stands behind the times is read elsewhere.
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    let (_, read) = parser.parse(certificate.as_ref()).ok()?;
    let seconds = u64::try_from(read.validity().not_after.timestamp()).unwrap_or_default();
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;

    use super::*;

    fn until(year: i32) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_chain_is_good_as_long_as_each_certificate_in_it() {
        // 2031 stands in two digits in it, 2051 in four.
        let [early, late] = [until(2031), until(2051)];
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(of(std::slice::from_ref(&early)), at(1_924_992_000));
        assert_eq!(of(std::slice::from_ref(&late)), at(2_556_144_000));
        assert_eq!(of(&[late, early]), at(1_924_992_000));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[CertificateDer::from(vec![0x30, 0x82])]), None, "what is none has no end");
    }
}
