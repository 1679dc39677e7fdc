//! Whose answers are compressed: what an operator asks for, and what a client takes (RFC 9110, section 12.5.3).
//!
//! It owns the defaults and what `Accept-Encoding` means, never a head or a byte of content. Next: `model::rule::backend`
//! reads what is asked for, `http1::gzipped` judges and changes heads, `exchange::press` compresses.

use super::syntax::is_token;

/// Types that are compressed where a rule names none: what the web has of text. Pictures, films, fonts of today and archives
/// are compressed already, and a stream of events is for whoever asks for it by name.
pub const TYPES: [&str; 9] = [
    "text/html",
    "text/css",
    "text/plain",
    "text/xml",
    "text/javascript",
    "application/javascript",
    "application/json",
    "application/xml",
    "image/svg+xml",
];

/// How hard it is tried where a rule does not say, from 1 to 9. Of pages, scripts and JSON, 3 leaves a quarter to a third less
/// than 1 does, at half its speed (120 to 230 MB/s on one core); 6 leaves another 2 to 15 % less and takes 1.3 to 2 times as
/// long as 3, time that others on the same core wait for.
pub const LEVEL: u8 = 3;

/// Content that is shorter is not compressed, unless a rule says another length: with its head it leaves in one packet
/// anyway, and fewer bytes in that one save nobody time.
pub const MIN_LENGTH: u32 = 1024;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gzip {
    /// Media types, in lower case and without parameters; nothing for [`TYPES`].
    pub types: Option<Box<[Box<str>]>>,
    /// From 1 to 9.
    pub level: u8,
    /// Bytes of content from which on it is compressed, as far as its length is known.
    pub min_length: u32,
}

impl Default for Gzip {
    fn default() -> Self {
        Self { types: None, level: LEVEL, min_length: MIN_LENGTH }
    }
}

impl Gzip {
    /// Whether content of the type that this `Content-Type` names is to be compressed.
    #[must_use]
    pub fn has_type(&self, content_type: &[u8]) -> bool {
        let named = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is = |known: &str| named.eq_ignore_ascii_case(known.as_bytes());
        match &self.types {
            Some(types) => types.iter().any(|known| is(known)),
            None => TYPES.into_iter().any(is),
        }
    }
}

/// Whether a text is a media type without parameters, `type/subtype`. A pattern such as `text/*` is none.
#[must_use]
pub fn is_type(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| is_token(byte) && byte != b'*');
    text.split_once('/').is_some_and(|(kind, subtype)| is_part(kind) && is_part(subtype))
}

/// What a client says of compressed answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Takes {
    /// It takes them.
    pub gzip: bool,
    /// The answer that it has and asks about is told from others by a weak tag, as one that was compressed is.
    pub weakly: bool,
}

impl Takes {
    /// By the values of the fields of its request: `values(name)` are those of that name, in any case.
    pub fn of<'a, V: Iterator<Item = &'a [u8]>>(values: impl Fn(&'static [u8]) -> V) -> Self {
        Self {
            gzip: is_accepted(values(b"accept-encoding")) && !forbids_change(values(b"cache-control")),
            weakly: values(b"if-none-match").flat_map(members).any(|tag| tag.starts_with(b"W/")),
        }
    }
}

/// Whether `Accept-Encoding` names gzip with another weight than none, or names all others so. That something else is
/// liked better says nothing: what is offered is gzip or the content as it is. A weight that cannot be read is none.
fn is_accepted<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut gzip, mut others) = (None, None);
    for member in values.flat_map(members) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let coding = parts.next().unwrap_or_default();
        let place = match coding {
            b"*" => &mut others,
            _ if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") => &mut gzip,
            _ => continue,
        };
        *place = Some(place.unwrap_or(true) && parts.all(has_weight));
    }
    gzip.or(others).unwrap_or(false)
}

/// Whether a parameter is a weight above none (RFC 9110, section 12.4.2). There are no other parameters of a coding.
fn has_weight(parameter: &[u8]) -> bool {
    let [b'q' | b'Q', rest @ ..] = parameter else { return parameter.is_empty() };
    let Some(number) = rest.trim_ascii_start().strip_prefix(b"=").map(<[u8]>::trim_ascii) else {
        return false;
    };
    let (whole, fraction) = match number {
        [whole @ (b'0' | b'1')] => (*whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] => (*whole, fraction),
        _ => return false,
    };
    let is_read = fraction.len() <= 3 && fraction.iter().all(u8::is_ascii_digit);
    is_read && (whole == b'1' || fraction.iter().any(|digit| *digit != b'0'))
}

/// Whether `Cache-Control` says that nobody on the way may change the content (RFC 9111, sections 5.2.1.6 and 5.2.2.6).
pub fn forbids_change<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    values.flat_map(members).any(|member| member.eq_ignore_ascii_case(b"no-transform"))
}

/// The members of a comma-separated list, without the white space around them.
fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(fields: &[(&str, &str)]) -> Takes {
        Takes::of(|name| {
            let named = fields.iter().filter(move |(own, _)| own.as_bytes().eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.as_bytes())
        })
    }

    #[test]
    fn gzip_is_taken_where_it_is_named_with_a_weight() {
        for (values, taken) in [
            (&[][..], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZip"], true),
            (&["x-gzip"], true),
            (&["deflate, gzip, br"], true),
            (&["deflate", "br , gzip"], true),
            (&["gzip;q=1"], true),
            (&["gzip ; q=0.001"], true),
            (&["gzip;Q=1.000"], true),
            (&["gzip; q = 0.5"], true),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.0"], false),
            (&["gzip;q=0.000, identity"], false),
            (&["gzip;q="], false),
            (&["gzip;q=2"], false),
            (&["gzip;q=0.1234"], false),
            (&["gzip;q=-1"], false),
            (&["gzip;q=high"], false),
            (&["gzip;q"], false),
            (&["gzip;level=9"], false),
            (&["gzip;"], true),
            (&["*"], true),
            (&["*;q=0.1"], true),
            (&["*;q=0"], false),
            (&["gzip;q=0, *"], false),
            (&["*;q=0, gzip"], true),
            (&["gzip", "gzip;q=0"], false),
            (&["identity;q=0"], false),
            (&["identity"], false),
            (&["br;q=1.0, gzip;q=0.2, *;q=0"], true),
            (&["gzipped, xgzip, gzi p"], false),
        ] {
            let fields: Vec<_> = values.iter().map(|value| ("Accept-Encoding", *value)).collect();
            assert_eq!(takes(&fields).gzip, taken, "{values:?}");
        }
    }

    #[test]
    fn a_client_that_wants_no_change_gets_none() {
        let accepts = ("Accept-Encoding", "gzip");
        assert!(takes(&[accepts, ("Cache-Control", "no-cache, max-age=0")]).gzip);
        assert!(!takes(&[accepts, ("cache-control", "no-cache , No-Transform")]).gzip);
    }

    #[test]
    fn a_client_that_knows_a_weak_tag_is_known() {
        for (tags, weakly) in [("\"a\"", false), ("W/\"a\"", true), ("\"a\", W/\"b\"", true), ("*", false)] {
            assert_eq!(takes(&[("If-None-Match", tags)]), Takes { gzip: false, weakly }, "{tags}");
        }
    }

    #[test]
    fn types_compare_without_parameters_and_in_any_case() {
        let html = Gzip::default();
        for (value, has) in [
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            (" text/html ;x", true),
            ("text/htm", false),
            ("image/png", false),
            ("text/event-stream", false),
            ("", false),
        ] {
            assert_eq!(html.has_type(value.as_bytes()), has, "{value}");
        }
        let own = Gzip { types: Some(["font/ttf".into()].into()), ..Gzip::default() };
        assert!(own.has_type(b"Font/TTF") && !own.has_type(b"text/html"));
    }

    #[test]
    fn a_type_has_two_parts_and_no_star() {
        for text in TYPES.into_iter().chain(["application/vnd.api+json", "x/y"]) {
            assert!(is_type(text), "{text}");
        }
        for text in ["", "html", "text/", "/html", "text/*", "*/*", "a/b/c", "text/html; a=b", "text /html"] {
            assert!(!is_type(text), "{text}");
        }
    }
}
