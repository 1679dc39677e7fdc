//! What may be done with a field, by its name: one row for each name, one column for each who asks.
//!
//! It owns these answers, never the bytes of a field. What is not in the table is ordinary everywhere. Next:
//! `model::rule::backend` asks for a rule, [`crate::http1::connection`] for a peer, [`crate::http1::body`] for a trailer.

use super::field::alike;

/// No rule can set it, for it says where a message ends or what becomes of the connection: ELB's own business.
const OURS: u8 = 1;
/// No peer can have it dropped by naming it in `Connection`: routing, framing, the forwarding fields and credentials rest
/// on such fields, and a proxy that drops them on demand has been a way around access checks.
const KEPT: u8 = 2;
/// It must not come after the content.
const EARLY: u8 = 4;
/// It frames or addresses a message: after the content it is an attack.
const FRAMES: u8 = 8;

/// All fields that are not ordinary in every respect. Response controls such as `Expires` are useless after the content
/// but harm nobody there.
const POLICY: [(&[u8], u8); 38] = [
    // Framing and the connection.
    (b"transfer-encoding", OURS | FRAMES),
    (b"content-length", OURS | KEPT | FRAMES),
    (b"host", KEPT | FRAMES),
    (b"connection", OURS | EARLY),
    (b"expect", OURS | EARLY),
    (b"keep-alive", OURS | EARLY),
    (b"proxy-connection", OURS | EARLY),
    (b"te", OURS | EARLY),
    (b"trailer", OURS | EARLY),
    (b"upgrade", OURS | EARLY),
    // Routing, and who the client is.
    (b"forwarded", KEPT | EARLY),
    (b"via", EARLY),
    (b"x-forwarded-for", KEPT | EARLY),
    (b"x-forwarded-host", KEPT | EARLY),
    (b"x-forwarded-port", KEPT | EARLY),
    (b"x-forwarded-proto", KEPT | EARLY),
    (b"x-real-ip", KEPT | EARLY),
    (b"remote-host", KEPT | EARLY),
    (b"client-cert", KEPT | EARLY),
    (b"client-cert-chain", KEPT | EARLY),
    (b"max-forwards", EARLY),
    (b"range", KEPT | EARLY),
    (b"referer", KEPT),
    (b"user-agent", KEPT),
    // Authentication.
    (b"authorization", KEPT | EARLY),
    (b"proxy-authorization", EARLY),
    (b"proxy-authenticate", EARLY),
    (b"www-authenticate", KEPT | EARLY),
    (b"cookie", KEPT | EARLY),
    (b"set-cookie", KEPT | EARLY),
    // How the content is to be read.
    (b"content-encoding", KEPT | EARLY),
    (b"content-type", KEPT | EARLY),
    (b"content-range", KEPT | EARLY),
    (b"content-location", KEPT),
    (b"location", KEPT),
    (b"cache-control", KEPT),
    (b"date", KEPT),
    // No name at all is no field.
    (b"", FRAMES),
];

/// What these begin with is of their kind, whatever follows.
const FORWARDING: &[u8] = b"x-forwarded";

/// Whether the table says so of a name, in any case.
fn says(name: &[u8], what: u8) -> bool {
    POLICY.iter().any(|(known, columns)| columns & what != 0 && name.eq_ignore_ascii_case(known))
}

/// Whether a field is ELB's own business, so that no rule can set it.
#[must_use]
pub fn is_ours(name: &[u8]) -> bool {
    says(name, OURS)
}

/// Whether a field of an answer is ELB's own business: what is so in a request, when the answer was made, and why.
#[must_use]
pub fn is_ours_in_answers(name: &[u8]) -> bool {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    is_ours(name) || is(b"date") || name.get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case(b"x-elb-"))
}

/// Whether a field passes even where a peer names it in `Connection`.
#[must_use]
pub fn is_kept(name: &[u8]) -> bool {
    says(name, KEPT)
}

/// What the name of a trailer means (RFC 9110, section 6.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailerName {
    /// Whoever sent it can take it back by what the field says: it goes on.
    Passes,
    /// A recipient that merges trailers into the head would then route, authenticate or read the message otherwise than
    /// was done. It is dropped: the message is good without it.
    Ends,
    /// It would frame the message otherwise, or send it elsewhere. Nobody means that well, and the message is refused.
    Frames,
}

impl TrailerName {
    /// What this name means, in any case. One that a CGI-style server would take for a forbidden one, as it spells `-`
    /// with `_`, does not pass.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        if says(name, FRAMES) {
            return Self::Frames;
        }
        let forwards = name.get(..FORWARDING.len()).is_some_and(|start| alike(start, FORWARDING));
        let known = |(known, columns): &(&[u8], u8)| columns & (EARLY | FRAMES) != 0 && alike(name, known);
        if forwards || POLICY.iter().any(known) { Self::Ends } else { Self::Passes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::field::{Name, name};

    fn names(what: u8) -> impl Iterator<Item = &'static [u8]> {
        POLICY.into_iter().filter(move |(_, columns)| columns & what != 0).map(|(name, _)| name)
    }

    #[test]
    fn trailers_are_known_in_any_case_and_spelling() {
        use TrailerName::{Ends, Frames, Passes};
        for name in names(FRAMES) {
            assert_eq!(TrailerName::of(name), Frames, "{}", name.escape_ascii());
            assert_eq!(TrailerName::of(&name.to_ascii_uppercase()), Frames, "{}", name.escape_ascii());
        }
        for name in names(EARLY) {
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

    #[test]
    fn no_rule_sets_what_frames_a_message_and_no_peer_drops_who_the_client_is() {
        for name in ["Content-Length", "transfer-encoding", "Connection", "TE", "upgrade", "Expect"] {
            assert!(is_ours(name.as_bytes()), "{name}");
        }
        for name in ["host", "X-Forwarded-For", "x-own", "Cookie", ""] {
            assert!(!is_ours(name.as_bytes()), "{name}");
        }
        for name in ["Host", "x-forwarded-proto", "COOKIE", "content-length", "User-Agent"] {
            assert!(is_kept(name.as_bytes()), "{name}");
        }
        for name in ["x-own", "x-forwarded", "keep-alive", "upgrade"] {
            assert!(!is_kept(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_is_ours_means_something_to_whoever_reads_a_head() {
        for own in names(OURS) {
            assert!(!matches!(name(own), Name::Other | Name::Ours), "{}", own.escape_ascii());
        }
    }

    #[test]
    fn a_name_has_one_row() {
        for (at, (name, _)) in POLICY.iter().enumerate() {
            assert!(!POLICY[..at].iter().any(|(other, _)| alike(name, other)), "{}", name.escape_ascii());
        }
    }
}
