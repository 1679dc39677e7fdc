//! Which fields may come after the content (RFC 9110, section 6.5.1).
//!
//! It owns the names that may not, never the bytes of a trailer section. Next: `body` reads it.

/// What the name of a trailer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrailerName {
    /// Whoever sent it can take it back by what the field says: it goes on.
    Passes,
    /// A recipient that merges trailers into the head would then route, authenticate or read the message otherwise than
    /// was done. It is dropped: the message is good without it.
    Ends,
    /// It would frame the message otherwise, or send it elsewhere. Nobody means that well, and the message is refused.
    Frames,
}

/// Names that frame or address a message. So does no name at all, which is no field.
const FRAMING: [&[u8]; 4] = [b"transfer-encoding", b"content-length", b"host", b""];

/// Fields that must not come after the content. Response controls such as `Expires` are useless there but harm nobody, and
/// pass.
const MISPLACED: [&[u8]; 22] = [
    // Framing and the connection.
    b"trailer",
    b"te",
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"upgrade",
    // Routing, and who the client is.
    b"forwarded",
    b"via",
    b"x-real-ip",
    b"remote-host",
    b"max-forwards",
    b"expect",
    b"range",
    // Authentication.
    b"authorization",
    b"proxy-authorization",
    b"proxy-authenticate",
    b"www-authenticate",
    b"cookie",
    b"set-cookie",
    // How the content is to be read.
    b"content-encoding",
    b"content-type",
    b"content-range",
];

impl TrailerName {
    /// What this name means, in any case. One that a CGI-style server would take for a forbidden one, as it spells `-`
    /// with `_`, does not pass.
    pub(super) fn of(name: &[u8]) -> Self {
        if FRAMING.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return Self::Frames;
        }
        let alike = |known: &&[u8]| name.len() == known.len() && begins_as(name, known);
        let ends = begins_as(name, b"x-forwarded") || FRAMING.iter().chain(&MISPLACED).any(alike);
        if ends { Self::Ends } else { Self::Passes }
    }
}

/// Whether a name begins with a known one; `_` counts as `-`, as it does for CGI.
fn begins_as(name: &[u8], known: &[u8]) -> bool {
    let same =
        |(&given, &known): (&u8, &u8)| given.to_ascii_lowercase() == known || (given, known) == (b'_', b'-');
    name.len() >= known.len() && name.iter().zip(known).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_any_case_and_spelling() {
        use TrailerName::{Ends, Frames, Passes};
        for name in FRAMING {
            assert_eq!(TrailerName::of(name), Frames, "{}", name.escape_ascii());
            assert_eq!(TrailerName::of(&name.to_ascii_uppercase()), Frames, "{}", name.escape_ascii());
        }
        for name in MISPLACED {
            assert_eq!(TrailerName::of(name), Ends, "{}", name.escape_ascii());
            assert_eq!(TrailerName::of(&name.to_ascii_uppercase()), Ends, "{}", name.escape_ascii());
            let cgi: Vec<u8> = name.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).collect();
            assert_eq!(TrailerName::of(&cgi), Ends, "{}", name.escape_ascii());
        }
        for (name, means) in [
            ("Transfer_Encoding", Ends),
            ("content_length", Ends),
            ("X-Forwarded-For", Ends),
            ("x_forwarded_host", Ends),
            ("x-forward", Passes),
            ("tee", Passes),
            ("hosts", Passes),
            ("Server-Timing", Passes),
            ("Expires", Passes),
        ] {
            assert_eq!(TrailerName::of(name.as_bytes()), means, "{name}");
        }
    }
}
