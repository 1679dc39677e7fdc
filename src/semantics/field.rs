//! What the names of fields mean to a proxy.
//!
//! It owns names as they are read, never what may be done with a field: that is `policy`. Next: `http1::lines` asks for
//! every line of a head, so that a name that means nothing costs one look at its first letter.

/// What a header name means to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Nothing: it passes.
    Other,
    /// `Host`.
    Host,
    /// `User-Agent`.
    UserAgent,
    /// `Authorization`.
    Authorization,
    /// `Connection`.
    Connection,
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// `Expect`.
    Expect,
    /// `Upgrade`.
    Upgrade,
    /// `TE`.
    Te,
    /// `Trailer`.
    Trailer,
    /// `X-Forwarded-For`.
    ForwardedFor,
    /// `X-Forwarded-Host`.
    ForwardedHost,
    /// `X-Forwarded-Port`.
    ForwardedPort,
    /// `X-Forwarded-Proto`.
    ForwardedProto,
    /// `Client-Cert` (RFC 9440): who the client is by its certificate. Only a proxy that is trusted may say so.
    ClientCert,
    /// `Client-Cert-Chain`, who signed it: the same.
    ClientCertChain,
    /// `WWW-Authenticate`, `Proxy-Authenticate`, `Proxy-Authorization`: as `Authorization` they pass, and may bind a connection
    /// (`http1::fields::binds`).
    Credentials,
    /// `X-ELB-Explain`: the client asks for the way of its request.
    Explain,
    /// A field of this hop that never passes: `Keep-Alive`, `Proxy-Connection`, `HTTP2-Settings`, and `Close`, which
    /// `Connection: close` names.
    Hop,
    /// A field that ELB writes itself (`X-Real-IP`, `REMOTE-HOST`), or one that a CGI-style server would confuse with
    /// a field that ELB writes or frames by, or that rules see, as `X_Real_IP`: the client's own does not pass.
    Ours,
}

/// What this name means. Names compare without regard to case.
#[inline]
#[must_use]
pub fn name(name: &[u8]) -> Name {
    // Most names begin as none of those does that are as long.
    let Some(first) = name.first() else { return Name::Other };
    match BEGIN.get(name.len()) {
        Some(letters) if letters >> (first & 31) & 1 == 1 => known(name),
        _ => Name::Other,
    }
}

/// With which letters the known names of each length begin: bit 1 is A, of either case.
static BEGIN: [u32; 20] = {
    let mut table = [0; 20];
    let mut names: &[(usize, &[u8])] = &[
        (2, b"t"),
        (4, b"h"),
        (5, b"c"),
        (6, b"e"),
        (7, b"ut"),
        (9, b"x"),
        (10, b"uck"),
        (11, b"rc"),
        (13, b"ax"),
        (14, b"ch"),
        (15, b"x"),
        (16, b"pwx"),
        (17, b"tcx"),
        (18, b"p"),
        (19, b"p"),
    ];
    while let [(length, letters), rest @ ..] = names {
        let mut letters = *letters;
        while let [letter, rest @ ..] = letters {
            table[*length] |= 1 << (*letter & 31);
            letters = rest;
        }
        names = rest;
    }
    table
};

/// The slow half of [`name`]: what nearly every head has.
#[inline(never)]
fn known(name: &[u8]) -> Name {
    let ends = ends(name);
    match name.len() {
        4 if ends == HOST => Name::Host,
        10 if ends == USER_AGENT => Name::UserAgent,
        10 if ends == CONNECTION => Name::Connection,
        14 if ends == CONTENT_LENGTH => Name::ContentLength,
        15 if ends == FORWARDED_FOR => Name::ForwardedFor,
        _ => seldom(name),
    }
}

/// What some heads have.
#[inline(never)]
fn seldom(name: &[u8]) -> Name {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match name.len() {
        2 if is(b"te") => Name::Te,
        5 if is(b"close") => Name::Hop,
        6 if is(b"expect") => Name::Expect,
        7 if is(b"upgrade") => Name::Upgrade,
        7 if is(b"trailer") => Name::Trailer,
        10 if is(b"keep-alive") => Name::Hop,
        11 if is(b"client-cert") => Name::ClientCert,
        13 if is(b"authorization") => Name::Authorization,
        13 if is(b"x-elb-explain") => Name::Explain,
        14 if is(b"http2-settings") => Name::Hop,
        16 if is(b"proxy-connection") => Name::Hop,
        16 if is(b"www-authenticate") => Name::Credentials,
        16 if is(b"x-forwarded-host") => Name::ForwardedHost,
        16 if is(b"x-forwarded-port") => Name::ForwardedPort,
        17 if is(b"x-forwarded-proto") => Name::ForwardedProto,
        17 if is(b"client-cert-chain") => Name::ClientCertChain,
        17 if is(b"transfer-encoding") => Name::TransferEncoding,
        18 if is(b"proxy-authenticate") => Name::Credentials,
        19 if is(b"proxy-authorization") => Name::Credentials,
        _ if confusing(name) => Name::Ours,
        _ => Name::Other,
    }
}

const HOST: (u64, u64) = ends(b"host");
const USER_AGENT: (u64, u64) = ends(b"user-agent");
const CONNECTION: (u64, u64) = ends(b"connection");
const CONTENT_LENGTH: (u64, u64) = ends(b"content-length");
const FORWARDED_FOR: (u64, u64) = ends(b"x-forwarded-for");

/// The first and the last eight bytes of a name, or four of a shorter one, in lower case: all of it, if it has 4, 8 to
/// 16 bytes.
const fn ends(name: &[u8]) -> (u64, u64) {
    let (first, last) = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match name.first_chunk() {
            Some(first) => (u32::from_le_bytes(*first) as u64, 0),
            None => (0, 0),
        },
    };
    // What makes a letter a small one is set where the bit of letters is. Nothing else becomes a letter, digit or dash.
    const LETTER: u64 = u64::from_le_bytes([0x40; 8]);
    (first | (first & LETTER) >> 1, last | (last & LETTER) >> 1)
}

/// Whether an application behind CGI, WSGI or PHP, which spell names with `_` for `-`, would take this name for one that
/// ELB writes or frames by, or that rules see: `X_Real_IP` would reach it as ours, `User_Agent` as what a rule let through.
fn confusing(name: &[u8]) -> bool {
    const OURS: [&[u8]; 11] = [
        b"x-real-ip",
        b"remote-host",
        b"content-length",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"transfer-encoding",
        b"user-agent",
        b"client-cert",
        b"client-cert-chain",
    ];
    let like = |known: &[u8]| {
        name.iter().zip(known).all(|(a, b)| a.eq_ignore_ascii_case(b) || (*a == b'_' && *b == b'-'))
    };
    OURS.iter().any(|ours| ours.len() == name.len() && like(ours))
}

/// Whether two names are one to a server that spells them as CGI does, with `_` for `-` and in one case.
#[must_use]
pub fn alike(one: &[u8], other: &[u8]) -> bool {
    let same =
        |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || matches!((a, b), (b'_', b'-') | (b'-', b'_'));
    one.len() == other.len() && one.iter().zip(other).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(name(b"hOsT"), Name::Host);
        assert_eq!(name(b"TE"), Name::Te);
        assert_eq!(name(b"Content-length"), Name::ContentLength);
        assert_eq!(name(b"X-Other"), Name::Other);
    }

    /// Every known name is found in any case, and nothing that differs from it by one byte.
    #[test]
    fn names_are_compared_whole() {
        for (known, means) in [
            ("te", Name::Te),
            ("host", Name::Host),
            ("close", Name::Hop),
            ("expect", Name::Expect),
            ("upgrade", Name::Upgrade),
            ("trailer", Name::Trailer),
            ("x-real-ip", Name::Ours),
            ("user-agent", Name::UserAgent),
            ("connection", Name::Connection),
            ("authorization", Name::Authorization),
            ("x-elb-explain", Name::Explain),
            ("keep-alive", Name::Hop),
            ("remote-host", Name::Ours),
            ("content-length", Name::ContentLength),
            ("http2-settings", Name::Hop),
            ("x-forwarded-for", Name::ForwardedFor),
            ("client-cert", Name::ClientCert),
            ("client-cert-chain", Name::ClientCertChain),
            ("x-forwarded-host", Name::ForwardedHost),
            ("x-forwarded-port", Name::ForwardedPort),
            ("x-forwarded-proto", Name::ForwardedProto),
            ("proxy-connection", Name::Hop),
            ("transfer-encoding", Name::TransferEncoding),
            ("www-authenticate", Name::Credentials),
            ("proxy-authenticate", Name::Credentials),
            ("proxy-authorization", Name::Credentials),
        ] {
            assert_eq!(name(known.as_bytes()), means, "{known}");
            assert_eq!(name(known.to_uppercase().as_bytes()), means, "{known}");
            assert_eq!(name(&known.as_bytes()[1..]), Name::Other, "{known}");
            assert_eq!(name(format!("{known}x").as_bytes()), Name::Other, "{known}");
            for at in 0..known.len() {
                let right = known.as_bytes()[at];
                for byte in (0..=255_u8).filter(|byte| !byte.eq_ignore_ascii_case(&right)) {
                    let mut other = known.as_bytes().to_vec();
                    other[at] = byte;
                    let confusing = right == b'-'
                        && byte == b'_'
                        && !matches!(means, Name::Hop | Name::Credentials | Name::Explain);
                    let expected = if confusing { Name::Ours } else { Name::Other };
                    assert_eq!(name(&other), expected, "{}", other.escape_ascii());
                }
            }
        }
        assert_eq!(name(b""), Name::Other);
    }

    #[test]
    fn confusing_spellings_are_ours() {
        for confusing in [
            "X_Real_IP",
            "x-real_ip",
            "X_Forwarded_For",
            "X-Forwarded_Proto",
            "Remote_Host",
            "Content_Length",
            "transfer_encoding",
            "User_Agent",
            "Client_Cert",
            "client-cert_chain",
        ] {
            assert_eq!(name(confusing.as_bytes()), Name::Ours, "{confusing}");
        }
        assert_eq!(name(b"X_Trace_Id"), Name::Other);
        assert!(alike(b"X-User_ID", b"x_user-id") && alike(b"a", b"A"));
        assert!(!alike(b"X-User", b"X-Users") && !alike(b"X-User", b"X.User"));
    }
}
