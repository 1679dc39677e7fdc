//! The certificates that clients are shown, by the name that they ask for.
//!
//! It owns the choice among them, and reads them as PEM; never a file. Ten thousand are found as fast as one. Next: [`super::config`] has
//! sessions begin with them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::SignatureAlgorithm;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::expiry::{self, Expiry};
use crate::settings::certified_key;

/// The stem of the certificate that is shown where no other fits.
const DEFAULT: &str = "default";

/// A certificate and its key, as they were read.
#[derive(Clone, Copy)]
pub struct PairText<'a> {
    /// Where its chain was read.
    pub certificate: (&'a Path, &'a str),
    /// Where its key was read.
    pub key: (&'a Path, &'a str),
    /// What its authority says of it (OCSP, RFC 6960), in DER, for clients that ask; nothing for none.
    pub staple: Option<&'a [u8]>,
}

/// All certificates that are shown.
#[derive(Debug)]
pub struct Shown {
    /// By a name in lower case; what is for all names of one more label, `*.example.com`, is `.example.com`. Those for one name
    /// are of several kinds of keys, the ones that cost less first.
    names: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// For clients that ask for no name, or for one that there is no certificate for.
    default: Vec<Arc<CertifiedKey>>,
    count: usize,
    /// The one that ends first.
    soonest: Option<Expiry>,
}

impl Shown {
    /// Reads them. The default is the one whose file is called so, or else the first.
    ///
    /// # Errors
    /// Which file cannot be used, and why; or there is no certificate at all.
    pub fn read<'a>(pairs: impl IntoIterator<Item = PairText<'a>>) -> Result<Self, String> {
        let mut shown = Self { names: HashMap::new(), default: Vec::new(), count: 0, soonest: None };
        for pair in pairs {
            let mut certified = certified_key(pair.certificate, pair.key)?;
            certified.ocsp = pair.staple.map(<[u8]>::to_vec);
            let certified = Arc::new(certified);
            let names = names(&certified);
            shown.note_end(&certified, names.first().map_or_else(|| stem(pair), |name| whole(name)));
            for name in names {
                shown.names.entry(name).or_default().push(Arc::clone(&certified));
            }
            let is_default = pair.certificate.0.file_stem().is_some_and(|stem| stem == DEFAULT);
            if shown.default.is_empty() || is_default {
                shown.default = vec![certified];
            }
            shown.count += 1;
        }
        if shown.default.is_empty() {
            return Err("there is no certificate".to_owned());
        }
        for of_name in shown.names.values_mut() {
            of_name.sort_by_key(|certified| certified.key.algorithm() == SignatureAlgorithm::RSA);
        }
        Ok(shown)
    }

    /// How many certificates.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    fn note_end(&mut self, certified: &CertifiedKey, name: Box<str>) {
        let Some(at) = expiry::of(&certified.cert) else { return };
        if self.soonest.as_ref().is_none_or(|known| at < known.at) {
            self.soonest = Some(Expiry { name, at });
        }
    }

    /// The certificate that ends first.
    #[must_use]
    pub fn soonest(&self) -> Option<&Expiry> {
        self.soonest.as_ref()
    }

    /// How many names they are for.
    #[must_use]
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// Those for a name, or the default.
    fn of(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let found = name.and_then(|name| {
            let lower = name.to_ascii_lowercase();
            let parent = lower.find('.').and_then(|dot| lower.get(dot..));
            self.names.get(&*lower).or_else(|| self.names.get(parent?))
        });
        found.unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let all = self.of(hello.server_name());
        let fits =
            |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(hello.signature_schemes()).is_some();
        all.iter().find(fits).or(all.first()).cloned()
    }
}

/// A name as people write it: one of all names of one more label begins with a dot here.
fn whole(name: &str) -> Box<str> {
    if name.starts_with('.') { format!("*{name}").into() } else { name.into() }
}

/// The name of its file.
fn stem(pair: PairText<'_>) -> Box<str> {
    pair.certificate.0.file_stem().unwrap_or_default().to_string_lossy().into()
}

/// The names that a certificate is for (RFC 5280, section 4.2.1.6), as they are looked up.
fn names(certified: &CertifiedKey) -> Vec<Box<str>> {
    let certificate = certified.end_entity_cert().map(CertificateDer::as_ref).unwrap_or_default();
    let certificate = CertificateDer::from(certificate);
    let Ok(read) = webpki::EndEntityCert::try_from(&certificate) else { return Vec::new() };
    let name = |name: &str| name.strip_prefix('*').unwrap_or(name).to_ascii_lowercase().into();
    read.valid_dns_names().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate for these names, with its key, in PEM.
    fn pair(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn read(pairs: &[(&str, (String, String))]) -> Result<Shown, String> {
        Shown::read(pairs.iter().map(|(path, (certificate, key))| PairText {
            certificate: (Path::new(path), certificate),
            key: (Path::new(path), key),
            staple: None,
        }))
    }

    /// Which of the files is shown to who asks for this name.
    fn shown_for(shown: &Shown, pairs: &[(&str, (String, String))], name: Option<&str>) -> String {
        let of = shown.of(name)[0].cert[0].clone();
        let is = |(_, (text, _)): &&(&str, (String, String))| {
            use rustls::pki_types::pem::PemObject;
            CertificateDer::from_pem_slice(text.as_bytes()).unwrap() == of
        };
        pairs.iter().find(is).unwrap().0.to_owned()
    }

    #[test]
    fn the_nearest_name_counts_and_then_the_default() {
        let of = |names: &[&str]| pair(names, &rcgen::PKCS_ECDSA_P256_SHA256);
        let pairs = [
            ("a.crt", of(&["a.test", "www.a.test"])),
            ("all.crt", of(&["*.a.test"])),
            ("default.crt", of(&["other.test"])),
        ];
        let shown = read(&pairs).unwrap();
        assert_eq!((shown.count(), shown.names()), (3, 4));
        for (name, file) in [
            (Some("a.test"), "a.crt"),
            (Some("WWW.a.test"), "a.crt"),
            (Some("b.a.test"), "all.crt"),
            (Some("c.b.a.test"), "default.crt"),
            (Some("other.test"), "default.crt"),
            (Some("nobody.test"), "default.crt"),
            (None, "default.crt"),
        ] {
            assert_eq!(shown_for(&shown, &pairs, name), file, "{name:?}");
        }
        let shown = read(&pairs[..2]).unwrap();
        assert_eq!(shown_for(&shown, &pairs, None), "a.crt", "the first");
    }

    #[test]
    fn what_cannot_be_used_is_named_and_nothing_is_no_set() {
        let (certificate, key) = pair(&["a.test"], &rcgen::PKCS_ECDSA_P256_SHA256);
        let (_, other) = pair(&["a.test"], &rcgen::PKCS_ECDSA_P256_SHA256);
        let error = read(&[("a", (certificate.clone(), other))]).unwrap_err();
        assert!(error.contains("does not fit the certificate in a"), "{error}");
        assert!(read(&[("b", (key.clone(), key))]).unwrap_err().contains("b is not PEM"));
        assert_eq!(read(&[]).unwrap_err(), "there is no certificate");
    }
}
