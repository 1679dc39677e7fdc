//! A certificate as etcd has it, and as the API takes it: a JSON object of texts.
//!
//! It owns that form, either way, and what is wrong with one; never a store. A private key goes in, and never out again but to where it is kept.
//! Next: [`super::seal`] seals the key, [`super::certified`] reads what is in the texts.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::certified::{Certified, PairText};
use super::seal::SealKeys;

/// Bytes of one text: a chain is some kilobytes.
pub const LONGEST: usize = 256 * 1024;
/// Bytes of a name.
const LONGEST_NAME: usize = 255;

/// The members that there are.
const MEMBERS: [&str; 4] = ["certificate", "key", "sealed_key", "ocsp"];

/// What is wrong: the member, which is empty for the whole, and why.
pub type Wrong = (&'static str, String);

/// One that was read.
#[derive(Debug)]
pub struct StoredCertificate {
    /// What is shown.
    pub certified: Certified,
    /// Whether its key is sealed where it is kept.
    pub is_sealed: bool,
    /// How it is kept.
    text: KeyText,
}

/// A text with a private key in it, sealed or not. `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(Arc<str>);

impl KeyText {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for where it is kept.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(..)")
    }
}

impl StoredCertificate {
    /// Reads one as it is kept.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(name: &str, text: &str, keys: Option<&SealKeys>) -> Result<Self, Wrong> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| ("", format!("is no JSON: {error}")))?;
        Self::parse(name, &value, keys).map(|(certified, sealed)| Self {
            certified,
            is_sealed: sealed.is_some(),
            text: KeyText::new(text),
        })
    }

    /// Takes one as it was given, and seals its key if there are keys for that.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn take(name: &str, value: &Value, keys: Option<&SealKeys>) -> Result<Self, Wrong> {
        let (certified, sealed) = Self::parse(name, value, keys)?;
        let is_plain = sealed.is_none();
        let mut kept = value.as_object().cloned().unwrap_or_default();
        if let Some(keys) = keys.filter(|_| is_plain) {
            let plain = kept.remove("key");
            let plain = plain.as_ref().and_then(Value::as_str).unwrap_or_default();
            let sealed = keys.seal(name, plain).map_err(|why| ("key", why))?;
            kept.insert("sealed_key".to_owned(), sealed.into());
        }
        Ok(Self {
            certified,
            is_sealed: !is_plain || keys.is_some(),
            text: KeyText::new(Value::Object(kept).to_string()),
        })
    }

    /// As it is kept.
    #[must_use]
    pub fn into_parts(self) -> (Certified, KeyText) {
        (self.certified, self.text)
    }

    /// What is shown, and the sealed key if there is one.
    fn parse(
        name: &str,
        value: &Value,
        keys: Option<&SealKeys>,
    ) -> Result<(Certified, Option<String>), Wrong> {
        sound_name(name).map_err(|why| ("", why))?;
        let members = value.as_object().ok_or_else(|| ("", "must be an object".to_owned()))?;
        if let Some(unknown) = members.keys().find(|member| !MEMBERS.contains(&member.as_str())) {
            return Err(("", format!("has the member {unknown:?}; {} are known", MEMBERS.join(", "))));
        }
        let text = |member: &'static str| text(members, member);
        let certificate = text("certificate")?.ok_or_else(|| ("", "has no certificate".to_owned()))?;
        let (key, sealed) = match (text("key")?, text("sealed_key")?) {
            (Some(plain), None) => (plain.to_owned(), None),
            (None, Some(sealed)) => {
                let told = |why: &str| ("sealed_key", why.to_owned());
                let keys = keys.ok_or_else(|| told("is sealed, and there is no --certs-key to open it"))?;
                (keys.open(name, sealed).map_err(|why| told(&why))?, Some(sealed.to_owned()))
            }
            (None, None) => return Err(("", "has no key".to_owned())),
            (Some(_), Some(_)) => return Err(("", "has a key and a sealed_key".to_owned())),
        };
        let told = |()| ("ocsp", "is no answer of OCSP: DER in base64 is expected".to_owned());
        let staple = text("ocsp")?.map(|text| STANDARD.decode(text)).transpose().map_err(|_| told(()))?;
        if staple.as_ref().is_some_and(|bytes| !is_staple(bytes)) {
            return Err(told(()));
        }
        let pair = PairText {
            certificate: (Path::new("certificate"), certificate),
            key: (Path::new("key"), &key),
            staple: staple.as_deref(),
        };
        let certified = Certified::read(name, pair).map_err(|why| {
            // It says which of the two is meant.
            let of_key = why.starts_with("key") || why.starts_with("the key");
            (
                if of_key && sealed.is_none() {
                    "key"
                } else if of_key {
                    "sealed_key"
                } else {
                    "certificate"
                },
                why,
            )
        })?;
        Ok((certified, sealed))
    }
}

/// Whether these bytes can be what an authority says of a certificate: one sequence of DER. What is none would be sent to clients,
/// which break off for it.
#[must_use]
pub fn is_staple(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30)
}

fn text<'m>(members: &'m Map<String, Value>, member: &'static str) -> Result<Option<&'m str>, Wrong> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= LONGEST => Ok(Some(text)),
        Some(Value::String(_)) => Err((member, format!("is longer than {LONGEST} bytes"))),
        Some(_) => Err((member, "must be a text".to_owned())),
    }
}

/// Whether a certificate may be called so.
///
/// # Errors
/// Why not.
pub fn sound_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(format!("its name must have 1 to {LONGEST_NAME} bytes"));
    }
    if name.chars().any(char::is_control)
        || name.split('/').any(|part| part.starts_with('@') || part.is_empty())
    {
        return Err("its name has a control character, or a part of it is empty or begins with @".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn whatever_a_store_holds_is_a_certificate_or_a_fault(
            text in "\\PC{0,200}",
            member in proptest::sample::select(&MEMBERS[..]),
            value in prop_oneof![any::<i32>().prop_map(Value::from), "\\PC{0,80}".prop_map(Value::from)],
            at in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let keys = SealKeys::read(KEY).unwrap();
            prop_assert!(StoredCertificate::read("a", &text, Some(&keys)).is_err());
            let (certificate, key) = pair("a.test");
            let mut given = json!({"certificate": certificate, "key": key});
            let mut broken = given.to_string().into_bytes();
            let at = at.index(broken.len());
            broken[at] = byte;
            let _ = StoredCertificate::read("a", &String::from_utf8_lossy(&broken), Some(&keys));
            given[member] = value;
            let _ = StoredCertificate::take("a", &given, Some(&keys));
        }
    }

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn pair(name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn a_key_is_sealed_before_it_is_kept_and_what_is_kept_is_read_again() {
        let keys = SealKeys::read(KEY).unwrap();
        let (certificate, key) = pair("a.test");
        let given = json!({"certificate": certificate, "key": key});
        for keys in [None, Some(&keys)] {
            let taken = StoredCertificate::take("shop", &given, keys).unwrap();
            assert_eq!(taken.is_sealed, keys.is_some());
            let (certified, text) = taken.into_parts();
            let text = text.expose();
            assert_eq!(
                (&*certified.name, &*certified.names[0], certified.kind()),
                ("shop", "a.test", "ECDSA")
            );
            assert_eq!(text.contains("PRIVATE KEY"), keys.is_none());
            let read = StoredCertificate::read("shop", text, keys).unwrap();
            assert_eq!(
                (read.is_sealed, &read.certified.fingerprint),
                (keys.is_some(), &certified.fingerprint)
            );
            // What was sealed once is taken as it is, by who can open it.
            let again = StoredCertificate::take("shop", &serde_json::from_str(text).unwrap(), keys).unwrap();
            assert_eq!(again.is_sealed, keys.is_some());
            if keys.is_some() {
                let (member, why) = StoredCertificate::read("other", text, keys).unwrap_err();
                assert!(member == "sealed_key" && why.contains("another name"), "{why}");
                let (member, why) = StoredCertificate::read("shop", text, None).unwrap_err();
                assert!(member == "sealed_key" && why.contains("--certs-key"), "{why}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_member() {
        let ((certificate, key), (_, other)) = (pair("a.test"), pair("a.test"));
        for (name, given, member, told) in [
            ("a", json!([]), "", "must be an object"),
            ("a", json!({"key": key}), "", "no certificate"),
            ("a", json!({"certificate": certificate}), "", "no key"),
            (
                "a",
                json!({"certificate": certificate, "key": key, "sealed_key": "v1:"}),
                "",
                "a key and a sealed_key",
            ),
            ("a", json!({"certificate": certificate, "key": key, "chain": ""}), "", "\"chain\""),
            ("a", json!({"certificate": 7, "key": key}), "certificate", "must be a text"),
            ("a", json!({"certificate": "x".repeat(LONGEST + 1), "key": key}), "certificate", "is longer"),
            ("a", json!({"certificate": key, "key": key}), "certificate", "is not PEM"),
            ("a", json!({"certificate": certificate, "key": certificate}), "key", "is not PEM"),
            ("a", json!({"certificate": certificate, "key": other}), "key", "does not fit"),
            ("a", json!({"certificate": certificate, "key": key, "ocsp": "AAAA"}), "ocsp", "OCSP"),
            ("a", json!({"certificate": certificate, "key": key, "ocsp": "!"}), "ocsp", "OCSP"),
            ("", json!({"certificate": certificate, "key": key}), "", "name"),
            ("@a", json!({"certificate": certificate, "key": key}), "", "name"),
            ("a\nb", json!({"certificate": certificate, "key": key}), "", "name"),
            (&"a".repeat(256), json!({"certificate": certificate, "key": key}), "", "name"),
        ] {
            let (at, why) = StoredCertificate::take(name, &given, None).unwrap_err();
            assert!(
                at == member && why.contains(told) && !why.contains("BEGIN PRIVATE KEY-----\n"),
                "{given}: {at}: {why}"
            );
        }
        for text in ["", "{", "7"] {
            assert_eq!(StoredCertificate::read("a", text, None).unwrap_err().0, "");
        }
    }
}
