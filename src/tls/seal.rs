//! Seals private keys for where others can read, and opens them.
//!
//! It owns the form of what is sealed and of the file with the keys for that; never where either is kept. A sealed text says nothing without
//! the key, and nobody can change it, or put it beside another name, without that being noticed. Next: [`super::stored`] has the
//! certificates whose keys are sealed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// What a sealed text begins with: its form. ChaCha20-Poly1305 (RFC 8439); a nonce of chance, the sealed bytes and their tag follow in
/// base64.
const FORM: &str = "v1:";
/// Bytes of a key.
const KEY: usize = 32;
/// Keys in a file: the one that seals, and those from before it.
const MOST: usize = 8;

/// The keys by which private keys are sealed. The first seals, all of them open.
pub struct SealKeys(Vec<LessSafeKey>);

impl SealKeys {
    /// Reads the text of a file: a key on a line, 32 bytes in base64, as `openssl rand -base64 32` makes them.
    ///
    /// # Errors
    /// What is wrong with it, without showing any of it.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (at, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bytes = STANDARD.decode(line).ok().filter(|bytes| bytes.len() == KEY);
            let key = bytes.and_then(|bytes| UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok());
            let line = at + 1;
            let key = key.ok_or_else(|| {
                format!("line {line} is not {KEY} bytes in base64; openssl rand -base64 {KEY} makes a key")
            })?;
            keys.push(LessSafeKey::new(key));
        }
        match keys.len() {
            0 => Err(format!("there is no key in it; openssl rand -base64 {KEY} makes one")),
            count if count > MOST => Err(format!("there are {count} keys in it, and {MOST} are the most")),
            _ => Ok(Self(keys)),
        }
    }

    /// Seals what belongs to this name.
    ///
    /// # Errors
    /// The system has no random numbers, or there is too much of it.
    pub fn seal(&self, name: &str, plain: &str) -> Result<String, String> {
        let failed = || "it cannot be sealed: the system gives no random numbers".to_owned();
        let key = self.0.first().ok_or_else(failed)?;
        // A key seals far fewer texts than the 2^32 after which nonces of chance could meet.
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| failed())?;
        let mut bytes = plain.as_bytes().to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), about(name), &mut bytes)
            .map_err(|_| failed())?;
        Ok(format!("{FORM}{}", STANDARD.encode([&nonce[..], &bytes].concat())))
    }

    /// Opens what was sealed for this name.
    ///
    /// # Errors
    /// It is no sealed text, was sealed for another name or by another key, or was changed.
    pub fn open(&self, name: &str, sealed: &str) -> Result<String, String> {
        let bytes = sealed.strip_prefix(FORM).and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes
            .ok_or_else(|| format!("is no sealed key: it does not begin with {FORM}, or is no base64"))?;
        for key in &self.0 {
            let Some((nonce, rest)) = bytes.split_first_chunk::<NONCE_LEN>() else { break };
            let mut rest = rest.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            if let Ok(plain) = key.open_in_place(nonce, about(name), &mut rest)
                && let Ok(text) = std::str::from_utf8(plain)
            {
                return Ok(text.to_owned());
            }
        }
        Err("was sealed by another key than those in the file of --certs-key, or for another name, or was changed".to_owned())
    }
}

/// What is bound to the sealed bytes without being among them.
fn about(name: &str) -> Aad<Vec<u8>> {
    Aad::from([b"ELB certs/".as_slice(), name.as_bytes()].concat())
}

/// The keys stay out of every log.
impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKeys").field("count", &self.0.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OTHER: &str = "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_for_the_same_name_alone() {
        let keys = SealKeys::read(ONE).unwrap();
        let sealed = keys.seal("a.test", "secret").unwrap();
        assert!(sealed.starts_with("v1:") && !sealed.contains("secret"));
        assert_ne!(sealed, keys.seal("a.test", "secret").unwrap(), "no two are alike");
        assert_eq!(keys.open("a.test", &sealed).unwrap(), "secret");
        assert!(keys.open("b.test", &sealed).unwrap_err().contains("another name"));
        assert!(SealKeys::read(OTHER).unwrap().open("a.test", &sealed).is_err());
        let mut bytes = STANDARD.decode(&sealed[3..]).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            let changed = format!("v1:{}", STANDARD.encode(&bytes));
            assert!(keys.open("a.test", &changed).is_err(), "byte {at} was changed");
            bytes[at] ^= 1;
        }
        for cut in 0..bytes.len() {
            assert!(keys.open("a.test", &format!("v1:{}", STANDARD.encode(&bytes[..cut]))).is_err());
        }
    }

    #[test]
    fn a_new_key_stands_before_the_old_one_and_both_open() {
        let sealed = SealKeys::read(ONE).unwrap().seal("a", "secret").unwrap();
        let both = SealKeys::read(&format!("# newer\n{OTHER}\n\n {ONE} \n")).unwrap();
        assert_eq!(both.open("a", &sealed).unwrap(), "secret");
        let newer = both.seal("a", "secret").unwrap();
        assert!(SealKeys::read(ONE).unwrap().open("a", &newer).is_err());
        assert_eq!(SealKeys::read(OTHER).unwrap().open("a", &newer).unwrap(), "secret");
    }

    #[test]
    fn a_file_that_is_wrong_is_told_without_being_shown() {
        let short = "c2hvcnQ=";
        for (text, told) in [
            ("", "there is no key"),
            ("# nothing\n", "there is no key"),
            (short, "line 1 is not 32 bytes"),
            (&format!("{ONE}\nnot base64 at all!"), "line 2 is not 32 bytes"),
            (&format!("{ONE}\n").repeat(9), "9 keys"),
        ] {
            let why = SealKeys::read(text).unwrap_err();
            assert!(why.contains(told) && !why.contains(short) && !why.contains("not base64 at"), "{why}");
        }
        for text in ["", "v1", "v1:", "v2:AAAA", "v1:!", "v1:AAAA"] {
            assert!(SealKeys::read(ONE).unwrap().open("a", text).is_err(), "{text}");
        }
        assert!(!format!("{:?}", SealKeys::read(ONE).unwrap()).contains("AAEC"));
    }
}
