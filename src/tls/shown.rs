//! The certificates that clients are shown, by the name that they ask for.
//!
//! It owns the choice among them; never a file. Ten thousand are found as fast as one. Next: [`super::config`] has sessions begin with
//! them.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certified::Certified;
use super::expiry::Expiry;

/// What the certificate is called that is shown where no other fits.
const DEFAULT: &str = "default";

/// All certificates that are shown.
#[derive(Debug, Default)]
pub struct Shown {
    /// By a name in lower case; what is for all names of one more label, `*.example.com`, is `.example.com`. Those for one name
    /// are of several kinds of keys, the ones that cost less first.
    names: HashMap<Box<str>, Vec<Arc<Certified>>>,
    /// For clients that ask for no name, or for one that there is no certificate for.
    default: Option<Arc<Certified>>,
    count: usize,
    /// The one that ends first.
    soonest: Option<Expiry>,
}

impl Shown {
    /// Shows these. Of two for one name with the same kind of key the first counts. The default is the first that is called so, or
    /// else the first of all.
    pub fn of<'a>(all: impl IntoIterator<Item = &'a Arc<Certified>>) -> Self {
        let mut shown = Self::default();
        for certified in all {
            for name in &certified.names {
                let name = name.strip_prefix('*').unwrap_or(name);
                match shown.names.get_mut(name) {
                    Some(of_name) => of_name.push(Arc::clone(certified)),
                    None => drop(shown.names.insert(name.into(), vec![Arc::clone(certified)])),
                }
            }
            let is_default = |one: &Arc<Certified>| &*one.name == DEFAULT;
            if shown.default.as_ref().is_none_or(|known| is_default(certified) && !is_default(known)) {
                shown.default = Some(Arc::clone(certified));
            }
            let ends = certified.ends.as_ref();
            if ends.is_some_and(|ends| shown.soonest.as_ref().is_none_or(|known| ends.at < known.at)) {
                shown.soonest = ends.cloned();
            }
            shown.count += 1;
        }
        for of_name in shown.names.values_mut() {
            of_name.sort_by_key(|certified| certified.is_slow());
        }
        shown
    }

    /// How many certificates.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
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
    fn of_name(&self, name: Option<&str>) -> &[Arc<Certified>] {
        let found = name.and_then(|name| {
            let lower = name.to_ascii_lowercase();
            let parent = lower.find('.').and_then(|dot| lower.get(dot..));
            self.names.get(&*lower).or_else(|| self.names.get(parent?))
        });
        found.map_or_else(|| self.default.as_slice(), Vec::as_slice)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let all = self.of_name(hello.server_name());
        let fits = |one: &&Arc<Certified>| one.key.key.choose_scheme(hello.signature_schemes()).is_some();
        all.iter().find(fits).or(all.first()).map(|one| Arc::clone(&one.key))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustls::pki_types::CertificateDer;

    use super::*;
    use crate::tls::PairText;

    /// A certificate for these names, with its key, in PEM.
    fn pair(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn read(pairs: &[(&str, (String, String))]) -> Result<Vec<Arc<Certified>>, String> {
        let one = |(name, (certificate, key)): &(&str, (String, String))| {
            let [certificate, key] = [certificate, key].map(|text| (Path::new(name), text.as_str()));
            Certified::read(name, PairText { certificate, key, staple: None }).map(Arc::new)
        };
        pairs.iter().map(one).collect()
    }

    /// Which of the files is shown to who asks for this name.
    fn shown_for(shown: &Shown, pairs: &[(&str, (String, String))], name: Option<&str>) -> String {
        let of = shown.of_name(name)[0].key.cert[0].clone();
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
            ("a", of(&["a.test", "www.a.test"])),
            ("all", of(&["*.a.test"])),
            ("default", of(&["other.test"])),
        ];
        let shown = Shown::of(&read(&pairs).unwrap());
        assert_eq!((shown.count(), shown.names()), (3, 4));
        for (name, file) in [
            (Some("a.test"), "a"),
            (Some("WWW.a.test"), "a"),
            (Some("b.a.test"), "all"),
            (Some("c.b.a.test"), "default"),
            (Some("other.test"), "default"),
            (Some("nobody.test"), "default"),
            (None, "default"),
        ] {
            assert_eq!(shown_for(&shown, &pairs, name), file, "{name:?}");
        }
        let shown = Shown::of(&read(&pairs[..2]).unwrap());
        assert_eq!(shown_for(&shown, &pairs, None), "a", "the first");
    }

    #[test]
    fn what_cannot_be_used_is_named_and_nothing_is_no_set() {
        let (certificate, key) = pair(&["a.test"], &rcgen::PKCS_ECDSA_P256_SHA256);
        let (_, other) = pair(&["a.test"], &rcgen::PKCS_ECDSA_P256_SHA256);
        let error = read(&[("a", (certificate.clone(), other))]).unwrap_err();
        assert!(error.contains("does not fit the certificate in a"), "{error}");
        assert!(read(&[("b", (key.clone(), key))]).unwrap_err().contains("b is not PEM"));
        assert!(Shown::of(&[]).of_name(Some("a.test")).is_empty(), "there is none to show");
    }
}
