//! Sound files are read, and of each that is not it is said which one and why.

use std::collections::BTreeMap;

use super::*;

/// A certificate of its own, and its key.
fn pair() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["etcd.test".to_owned()]).unwrap();
    (certificate.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn files(ca: Option<&str>, own: Option<(&str, &str)>) -> Certificates {
    Certificates { ca: ca.map(Into::into), own: own.map(|(cert, key)| (cert.into(), key.into())) }
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let ((cert, key), (other, _)) = (pair(), pair());
    let cut: String = cert.lines().take(3).map(|line| format!("{line}\n")).collect();
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let odd = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let texts: BTreeMap<&str, &str> = [
        ("cert", cert.as_str()),
        ("key", key.as_str()),
        ("other", other.as_str()),
        ("cut", cut.as_str()),
        ("empty", empty),
        ("encrypted", encrypted),
        ("odd", odd),
        ("words", "no PEM at all"),
    ]
    .into();
    let read = |path: &Path| match path.to_str() {
        Some("der") => Err(io::ErrorKind::InvalidData.into()),
        Some(path) => texts.get(path).map(|text| (*text).to_owned()).ok_or(io::ErrorKind::NotFound.into()),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    let all = files(Some("cert"), Some(("cert", "key"))).read(&read).unwrap();
    assert_eq!((all.ca.as_ref(), all.own.as_ref().unwrap()), (Some(&cert), &(cert.clone(), key.clone())));
    assert!(files(None, None).read(&read).unwrap() == CertificateTexts::default());
    for (given, why) in [
        (files(Some("missing"), None), "cannot read missing: "),
        (files(Some("der"), None), "der is not PEM: it is no text"),
        (files(Some("words"), None), "words is not PEM, or holds no certificate"),
        (files(Some("key"), None), "key is not PEM, or holds no certificate"),
        (files(Some("cut"), None), "cut is not PEM: "),
        (files(Some("empty"), None), "empty: a certificate in it cannot be read: "),
        (files(None, Some(("missing", "key"))), "cannot read missing: "),
        (files(None, Some(("cert", "missing"))), "cannot read missing: "),
        (files(None, Some(("words", "key"))), "words is not PEM, or holds no certificate"),
        (files(None, Some(("cert", "words"))), "words is not PEM, or cannot be used: there is no key in it"),
        (
            files(None, Some(("cert", "encrypted"))),
            "encrypted is not PEM, or cannot be used: its key is encrypted",
        ),
        (files(None, Some(("cert", "odd"))), "odd: a key of this kind cannot be used"),
        (files(None, Some(("other", "key"))), "the key in key does not fit the certificate in other"),
        (files(None, Some(("empty", "key"))), "empty: its first certificate cannot be read: "),
    ] {
        let Err(told) = given.read(&read) else { panic!("{why}") };
        assert!(told.starts_with(why), "{told}");
    }
}
