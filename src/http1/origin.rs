//! How a request came to ELB, as servers are told: `X-Forwarded-Proto`, `X-Forwarded-Port` and `X-Forwarded-Host`; and `Client-Cert`.
//!
//! It owns these fields: what they say, and whose word counts. A rule's does before all others, then that of a proxy that
//! is trusted, then ELB's own; what anybody else sent is dropped, for servers make links, decide on redirects and let people in by it. The
//! first three may also pass as they came. Next: [`super::rewrite`] writes them into the head.

use super::fields::{ExtraFields, Span};
use super::request_head::RequestHead;
use crate::semantics::field::{Name, alike};

/// What is said of a plain request whose `Host` names no port; the host follows.
pub(super) const PLAIN: &[u8] = b"\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nX-Forwarded-Host: ";

/// The fields, in the order in which they are written.
const FIELDS: [(Name, &str); 3] = [
    (Name::ForwardedProto, "X-Forwarded-Proto"),
    (Name::ForwardedPort, "X-Forwarded-Port"),
    (Name::ForwardedHost, "X-Forwarded-Host"),
];

/// Who the client is by its certificate (RFC 9440).
const IDENTITY: [(Name, &str); 2] =
    [(Name::ClientCert, "Client-Cert"), (Name::ClientCertChain, "Client-Cert-Chain")];

/// What servers are told of the certificate that a client has shown, as `Client-Cert` has it; nothing where it has shown none. One word
/// refers to it, for each request that comes in the clear is told that there is none.
#[derive(Debug, Default)]
pub struct Identity(Box<[u8]>);

impl Identity {
    /// That of a client with this certificate. The value is ELB's own: it begins no new line.
    #[must_use]
    pub fn new(value: Box<[u8]>) -> Self {
        Self(value)
    }
}

/// How a request came.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// `Host` as it came, or the target's authority in its place; empty for none.
    pub authority: &'a [u8],
    /// The authority is a host alone, without port.
    pub is_bare: bool,
    /// A proxy that is trusted brought it.
    pub is_trusted: bool,
    /// It came by TLS, by this client.
    pub session: Option<&'a Identity>,
    /// The fields pass as they came, and ELB says nothing.
    pub passes: bool,
}

impl Origin<'_> {
    /// Whether [`PLAIN`] and the authority are all that is to be said, unless a rule or the client said something.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        self.is_bare && !self.passes && self.session.is_none() && !self.authority.is_empty()
    }
}

/// Whether a rule's field is one of these to a server.
pub(super) fn is_one(name: &[u8]) -> bool {
    FIELDS.iter().chain(&IDENTITY).any(|(_, field)| alike(name, field.as_bytes()))
}

/// Appends the fields, each behind a line end, where they are not plain. What it needs is given in parts: so the whole of what a
/// head needs lies in registers.
#[cold]
#[inline(never)]
pub(super) fn write(
    out: &mut Vec<u8>,
    bytes: &[u8],
    head: &RequestHead,
    extra: &ExtraFields,
    authority: &[u8],
    [is_trusted, passes]: [bool; 2],
    session: Option<&Identity>,
) {
    let by_tls = session.is_some();
    let said = |which: Name| {
        head.origin
            .iter()
            .filter(move |(name, _)| *name == which)
            .map(|(_, value): &(Name, Span)| value.of(bytes))
    };
    let mut of_trusted = said(Name::ForwardedProto).filter(|_| is_trusted).peekable();
    let is_secure = match of_trusted.peek() {
        Some(_) => of_trusted.any(|proto| matches!(proto, b"https" | b"wss")),
        None => by_tls,
    };
    let is_rules = |field: &str| extra.iter().any(|(name, _)| alike(name.as_bytes(), field.as_bytes()));
    for (which, field) in FIELDS.into_iter().filter(|(_, field)| !is_rules(field)) {
        let mut put = |value: &[u8]| put(out, field, value);
        if passes || is_trusted {
            let mut count = 0;
            said(which).for_each(|value| {
                put(value);
                count += 1;
            });
            if passes || count > 0 {
                continue;
            }
        }
        match which {
            _ if authority.is_empty() && which != Name::ForwardedProto => {}
            Name::ForwardedHost => put(authority),
            Name::ForwardedPort => put(port(authority).unwrap_or(if is_secure { b"443" } else { b"80" })),
            _ => put(if by_tls { b"https" } else { b"http" }),
        }
    }
    for (which, field) in IDENTITY.into_iter().filter(|(_, field)| !is_rules(field)) {
        match session {
            // The certificate of a proxy is not that of its client, whom it alone knows.
            _ if is_trusted => said(which).for_each(|value| put(out, field, value)),
            Some(Identity(own)) if which == Name::ClientCert && !own.is_empty() => put(out, field, own),
            _ => {}
        }
    }
}

fn put(out: &mut Vec<u8>, field: &str, value: &[u8]) {
    for part in [b"\r\n", field.as_bytes(), b": ", value] {
        out.extend_from_slice(part);
    }
}

/// The port that an authority names, which is one already.
fn port(authority: &[u8]) -> Option<&[u8]> {
    let behind = memchr::memrchr(b']', authority).map_or(0, |bracket| bracket + 1);
    let colon = behind + memchr::memchr(b':', authority.get(behind..)?)?;
    authority.get(colon + 1..).filter(|port| !port.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::rewrite::{Target, ToServer, request};
    use crate::http1::scan::Scan;

    /// The fields of the kind that a server gets, joined.
    fn seen(fields: &str, origin: Origin<'_>, extra: &ExtraFields) -> String {
        let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let found = Scan::default().find(bytes.as_bytes(), 1 << 16).unwrap().unwrap();
        let mut head = RequestHead::default();
        head.parse(bytes.as_bytes(), found).unwrap();
        let to = ToServer {
            client: b"192.0.2.1",
            peer: None,
            host: b"h",
            target: Target::AsCame,
            extra,
            id: b"",
            origin,
        };
        let mut out = Vec::new();
        request(&mut out, bytes.as_bytes(), &head, &to);
        let out = String::from_utf8(out).unwrap();
        assert!(out.ends_with("\r\n\r\n") && out.matches("\r\n\r\n").count() == 1, "{out}");
        let is_kind = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default().to_lowercase().replace('_', "-");
            (name.starts_with("x-forwarded-") && name != "x-forwarded-for") || name.starts_with("client-cert")
        };
        let lines = out.lines().filter(is_kind).map(|line| line.to_lowercase().replace("x-forwarded-", ""));
        lines.collect::<Vec<_>>().join(", ")
    }

    fn from(authority: &str) -> Origin<'_> {
        let is_bare = !authority.contains(':');
        Origin { authority: authority.as_bytes(), is_bare, is_trusted: false, session: None, passes: false }
    }

    const FORGED: &str = "X-Forwarded-Proto: https\r\nx-forwarded-host: evil\r\nX-Forwarded-Port: 1\r\nX_Forwarded_Host: evil\r\n";

    #[test]
    fn who_is_not_trusted_is_overwritten() {
        for fields in ["", FORGED] {
            assert_eq!(seen(fields, from("H.test"), &[]), "proto: http, port: 80, host: h.test");
            assert_eq!(seen(fields, from("h:81"), &[]), "proto: http, port: 81, host: h:81");
            assert_eq!(seen(fields, from("[::1]:8"), &[]), "proto: http, port: 8, host: [::1]:8");
            assert_eq!(seen(fields, from("[::1]"), &[]), "proto: http, port: 80, host: [::1]");
            assert_eq!(seen(fields, from("h:"), &[]), "proto: http, port: 80, host: h:");
            assert_eq!(seen(fields, from(""), &[]), "proto: http", "HTTP/1.0 names no host");
        }
    }

    #[test]
    fn who_is_trusted_is_believed_and_completed() {
        let origin = Origin { is_trusted: true, ..from("h.test") };
        assert_eq!(seen("", origin, &[]), "proto: http, port: 80, host: h.test");
        assert_eq!(
            seen("X-Forwarded-Proto: https\r\n", origin, &[]),
            "proto: https, port: 443, host: h.test"
        );
        let all = "X-Forwarded-Proto: https\r\nx-forwarded-host: a\r\nX-Forwarded-Port: 1\r\nX_Forwarded_Host: b\r\n";
        assert_eq!(seen(all, origin, &[]), "proto: https, port: 1, host: a");
    }

    #[test]
    fn a_rule_has_the_last_word() {
        let extra = [
            ("x-forwarded-proto".to_owned(), vec!["wss".to_owned()]),
            ("X_Forwarded_Port".to_owned(), vec![]),
        ];
        for origin in
            [from("h"), Origin { is_trusted: true, ..from("h") }, Origin { passes: true, ..from("h") }]
        {
            let host = if origin.is_trusted || origin.passes { "evil" } else { "h" };
            assert_eq!(seen(FORGED, origin, &extra), format!("host: {host}, proto: wss"));
        }
        let other = [("a".to_owned(), vec!["b".to_owned()])];
        assert_eq!(seen(FORGED, from("h"), &other), "proto: http, port: 80, host: h");
    }

    #[test]
    fn a_certificate_is_told_of_by_who_has_seen_it_and_by_nobody_else() {
        let (shown, none) = (Identity::new(b":MAA=:"[..].into()), Identity::default());
        let shown = Origin { session: Some(&shown), ..from("h") };
        let forged = "Client-Cert: :AAAA:\r\nclient-cert-chain: :AAAA:, :BBBB:\r\nClient_Cert: :CCCC:\r\n";
        let secure = "proto: https, port: 443, host: h";
        for passes in [false, true] {
            let [shown, none, plain] =
                [shown.session, Some(&none), None].map(|session| Origin { session, passes, ..from("h") });
            let other = |origin: Origin<'_>| match (passes, origin.session) {
                (true, _) => String::new(),
                (false, Some(_)) => secure.to_owned(),
                (false, None) => "proto: http, port: 80, host: h".to_owned(),
            };
            assert_eq!(seen(forged, none, &[]), other(none));
            assert_eq!(seen(forged, plain, &[]), other(plain));
            let separator = if passes { "" } else { ", " };
            assert_eq!(seen(forged, shown, &[]), format!("{}{separator}client-cert: :maa=:", other(shown)));
        }
        let proxy = Origin { is_trusted: true, ..shown };
        assert_eq!(seen("", proxy, &[]), secure, "its own certificate is not its client's");
        let told = "client-cert: :aaaa:, client-cert-chain: :aaaa:, :bbbb:";
        assert_eq!(seen(forged, proxy, &[]), format!("{secure}, {told}"));
        let rule = [("client-cert".to_owned(), vec!["x".to_owned()])];
        assert_eq!(seen(forged, shown, &rule), format!("{secure}, client-cert: x"));
    }

    #[test]
    fn they_pass_where_that_is_asked_for() {
        let origin = Origin { passes: true, ..from("h:81") };
        assert_eq!(seen("", origin, &[]), "");
        assert_eq!(seen("X-Forwarded-Host: a\r\nX-Forwarded-Host: b\r\n", origin, &[]), "host: a, host: b");
    }
}
