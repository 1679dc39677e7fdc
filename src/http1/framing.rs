//! Which body follows a head, and which mixtures are smuggling (RFC 9112, section 6).
//!
//! It owns the decision from framing headers to a [`Framing`], never the bytes of the body. Next: [`super::body`].

use super::error::Refusal;
use super::fields::tokens;
use super::limits;
use crate::semantics::syntax::is_token;

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks, to the last one and its trailers.
    Chunked,
    /// Until the peer closes (responses only).
    Close,
}

/// The versions that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: closes by default, knows no chunks and no interim responses.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// What the framing headers of one head declare, collected field by field.
#[derive(Debug, Clone, Copy, Default)]
pub struct Declared {
    length: Option<u64>,
    chunked: bool,
}

impl Declared {
    /// Takes one `Content-Length` field: a single run of digits, and a single field. Repetition is refused even when
    /// the values agree, because a server behind may pick another rule for it.
    ///
    /// # Errors
    /// [`Refusal::ContentLength`].
    pub fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() || value.is_empty() || value.len() > limits::LENGTH_DIGITS {
            return Err(Refusal::ContentLength);
        }
        let mut length = 0u64;
        for byte in value {
            if !byte.is_ascii_digit() {
                return Err(Refusal::ContentLength);
            }
            length = length * 10 + u64::from(byte - b'0');
        }
        // Parsers that keep lengths signed would read the upper half as negative.
        if length > i64::MAX as u64 {
            return Err(Refusal::ContentLength);
        }
        self.length = Some(length);
        Ok(())
    }

    /// Takes one `Transfer-Encoding` field: `chunked`, alone and once.
    ///
    /// # Errors
    /// [`Refusal::UnknownCoding`] when another coding is named and `chunked`, if there, is last; else
    /// [`Refusal::TransferEncoding`].
    pub fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if value.eq_ignore_ascii_case(b"chunked") {
            return if self.chunked {
                Err(Refusal::TransferEncoding)
            } else {
                self.chunked = true;
                Ok(())
            };
        }
        if self.chunked || value.len() > limits::SHORT_LIST {
            return Err(Refusal::TransferEncoding);
        }
        let codings = tokens(value).filter(|coding| coding.eq_ignore_ascii_case(b"chunked")).count();
        let last = tokens(value).last().unwrap_or_default();
        let well_formed =
            tokens(value).all(|coding| !coding.is_empty() && coding.iter().all(|b| is_token(*b)));
        match codings {
            0 if well_formed && !last.is_empty() => Err(Refusal::UnknownCoding),
            1 if well_formed && last.eq_ignore_ascii_case(b"chunked") => Err(Refusal::UnknownCoding),
            _ => Err(Refusal::TransferEncoding),
        }
    }

    /// The body of a request (RFC 9112, section 6.3): no length and no chunks mean no body.
    ///
    /// # Errors
    /// [`Refusal::TwoFramings`] and [`Refusal::ChunkedInOldVersion`].
    pub fn of_request(self, version: Version) -> Result<Framing, Refusal> {
        self.consistent(version)?;
        Ok(match self.length {
            _ if self.chunked => Framing::Chunked,
            Some(0) | None => Framing::None,
            Some(length) => Framing::Length(length),
        })
    }

    /// The body of a final response. `bodiless` says that there is none whatever the headers say: the answer to HEAD,
    /// 204, and 304.
    ///
    /// # Errors
    /// [`Refusal::TwoFramings`] and [`Refusal::ChunkedInOldVersion`].
    pub fn of_response(self, version: Version, bodiless: bool) -> Result<Framing, Refusal> {
        self.consistent(version)?;
        Ok(match self.length {
            _ if bodiless => Framing::None,
            _ if self.chunked => Framing::Chunked,
            Some(0) => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Close,
        })
    }

    /// Whether bytes of a body are announced.
    #[must_use]
    pub fn announces(self) -> bool {
        self.chunked || self.length.is_some_and(|length| length > 0)
    }

    fn consistent(self, version: Version) -> Result<(), Refusal> {
        if self.chunked && self.length.is_some() {
            return Err(Refusal::TwoFramings);
        }
        if self.chunked && version == Version::Http10 {
            return Err(Refusal::ChunkedInOldVersion);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(values: &[&[u8]]) -> Result<Framing, Refusal> {
        let mut declared = Declared::default();
        for value in values {
            declared.content_length(value)?;
        }
        declared.of_request(Version::Http11)
    }

    fn coding(values: &[&[u8]]) -> Result<Framing, Refusal> {
        let mut declared = Declared::default();
        for value in values {
            declared.transfer_encoding(value)?;
        }
        declared.of_request(Version::Http11)
    }

    #[test]
    fn a_length_is_one_run_of_digits() {
        assert_eq!(length(&[]), Ok(Framing::None));
        assert_eq!(length(&[b"0"]), Ok(Framing::None));
        assert_eq!(length(&[b"9223372036854775807"]), Ok(Framing::Length(i64::MAX as u64)));
        assert_eq!(length(&[b"0000000000000000007"]), Ok(Framing::Length(7)));
        for bad in ["", "-1", "+1", "1 2", "1,1", "5,5", "5, 5", "0x10", "1.0", "1e3", "1_0", "1a", "\u{661}"]
        {
            assert_eq!(length(&[bad.as_bytes()]), Err(Refusal::ContentLength), "{bad:?}");
        }
        for large in
            ["9223372036854775808", "9999999999999999999", "18446744073709551616", "00000000000000000007"]
        {
            assert_eq!(length(&[large.as_bytes()]), Err(Refusal::ContentLength), "{large:?}");
        }
        assert_eq!(length(&[b"5", b"5"]), Err(Refusal::ContentLength));
    }

    #[test]
    fn only_one_chunked_is_known() {
        assert_eq!(coding(&[b"chunked"]), Ok(Framing::Chunked));
        assert_eq!(coding(&[b"ChunKed"]), Ok(Framing::Chunked));
        for (values, refusal) in [
            (&[&b"gzip"[..]][..], Refusal::UnknownCoding),
            (&[b"gzip, chunked"], Refusal::UnknownCoding),
            (&[b"gzip", b"chunked"], Refusal::UnknownCoding),
            (&[b"identity"], Refusal::UnknownCoding),
            (&[b"xchunked"], Refusal::UnknownCoding),
            (&[b"chunked, gzip"], Refusal::TransferEncoding),
            (&[b"chunked", b"gzip"], Refusal::TransferEncoding),
            (&[b"chunked, chunked"], Refusal::TransferEncoding),
            (&[b"chunked", b"chunked"], Refusal::TransferEncoding),
            (&[b"chunked;q=1"], Refusal::TransferEncoding),
            (&[b"\"chunked\""], Refusal::TransferEncoding),
            (&[b""], Refusal::TransferEncoding),
            (&[b","], Refusal::TransferEncoding),
        ] {
            assert_eq!(coding(values), Err(refusal), "{values:?}");
        }
    }

    #[test]
    fn mixtures_are_smuggling() {
        let mut both = Declared::default();
        both.content_length(b"3").unwrap();
        both.transfer_encoding(b"chunked").unwrap();
        assert_eq!(both.of_request(Version::Http11), Err(Refusal::TwoFramings));
        assert_eq!(both.of_response(Version::Http11, true), Err(Refusal::TwoFramings));
        let chunked = Declared { length: None, chunked: true };
        assert_eq!(chunked.of_request(Version::Http10), Err(Refusal::ChunkedInOldVersion));
        assert_eq!(chunked.of_response(Version::Http10, false), Err(Refusal::ChunkedInOldVersion));
    }

    #[test]
    fn a_response_without_framing_ends_with_its_connection() {
        assert_eq!(Declared::default().of_response(Version::Http11, false), Ok(Framing::Close));
        assert_eq!(Declared::default().of_response(Version::Http11, true), Ok(Framing::None));
        let sized = Declared { length: Some(9), chunked: false };
        assert_eq!(sized.of_response(Version::Http10, false), Ok(Framing::Length(9)));
        assert_eq!(sized.of_response(Version::Http10, true), Ok(Framing::None));
    }
}
