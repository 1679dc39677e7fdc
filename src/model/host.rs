//! Hosts as operators write them.
//!
//! It owns which of them a domain or a rule may name, and in which form a request asks for it; never how hosts are compared:
//! that is `semantics::host`, for what clients send as well. A name beyond ASCII is kept as the operator wrote it, and asked
//! for as its A-label: that is what clients send. Next: [`hosts`](super::hosts) finds a domain by a host.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use crate::semantics::host::HostPort;

/// A host in lower case, without port and trailing dot, as its A-label if it is beyond ASCII; `None` when it is none that an
/// operator means. Clients may write more: escapes and marks such as `!` name no machine.
pub(crate) fn normal(text: &str) -> Option<String> {
    let text = ascii(text)?;
    let HostPort { name, port, .. } = HostPort::split(text.as_bytes()).ok()?;
    let is_sound = port.iter().all(u8::is_ascii_digit) && name.iter().all(|byte| is_plain(*byte));
    std::str::from_utf8(name).ok().filter(|_| is_sound).map(str::to_ascii_lowercase)
}

/// The form in which requests ask for a domain of that name: `*`, `*.name` or `host[:port]`, in lower case, without the dot
/// that marks a full name, and of A-labels. Two names of one form are one domain.
///
/// # Errors
/// Why no request could ask for it, and what to write.
pub(crate) fn asked_as(name: &str) -> Result<String, String> {
    if name == "*" {
        return Ok(name.to_owned());
    }
    look_for_slips(name)?;
    let (mark, host) = name.strip_prefix("*.").map_or(("", name), |suffix| ("*.", suffix));
    let Some(ascii) = ascii(host) else {
        return Err("is no name of the DNS: IDNA (UTS 46) knows no ASCII form of it".to_owned());
    };
    let Some(normal) = normal(&ascii) else { return Err(why_no_host(&ascii, mark)) };
    match port(&ascii) {
        None => Ok(format!("{mark}{normal}")),
        Some(_) if !mark.is_empty() => {
            Err(format!("stands for names with any port; leave the port out: *.{normal}"))
        }
        Some(port) if !port.is_empty() && port.parse::<u16>().is_err() => {
            Err(format!("has a port above 65535; write one that a client can use, or {normal} for any"))
        }
        Some(port) => Ok(format!("{normal}:{port}")),
    }
}

/// Two names of one domain, as the fault of one of them.
pub(crate) fn same_domain(twin: &str) -> String {
    format!(
        "is the same domain as {twin}: case, a dot at the end and the form of IDNA make no difference; keep one of them"
    )
}

/// What is often written instead of a host.
fn look_for_slips(name: &str) -> Result<(), String> {
    let host = name.strip_prefix("*.").unwrap_or(name);
    let why = if name.is_empty() {
        "a domain needs a name".to_owned()
    } else if let Some((_, rest)) = name.split_once("://") {
        format!("is a URL; a domain is a host: {}", or_example(rest.split(['/', '?', '#']).next()))
    } else if name.contains('/') {
        let host = or_example(name.split('/').next());
        format!("holds a slash; a domain is a host without a path: {host} (a rule of type path asks for one)")
    } else if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "holds a blank or a control character, which no host has; take it out (one name each)".to_owned()
    } else if host.contains('*') {
        let tail = or_example(name.rsplit('*').next().map(|tail| tail.trim_start_matches('.')));
        format!("has a * that stands for nothing; only * alone and *.name stand for other names: *.{tail}")
    } else if !host.starts_with('[') && host.parse::<Ipv6Addr>().is_ok() {
        format!("is no host; an IPv6 address stands in brackets: [{host}]")
    } else {
        return Ok(());
    };
    Err(why)
}

/// A part of a name, if it is a domain by itself: a cure that is none would be worse than an example.
fn or_example(part: Option<&str>) -> &str {
    let is_plain = |part: &&str| !part.contains(['*', '/']) && asked_as(part).is_ok();
    part.filter(is_plain).unwrap_or("www.example.com")
}

/// Why a name of ASCII is no host.
fn why_no_host(host: &str, mark: &str) -> String {
    if host.contains(['[', ']']) {
        return "is no host: only an IPv6 address stands in brackets, such as [::1] or [::1]:8080".to_owned();
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let odd = |c: &char| u8::try_from(*c).map_or(true, |byte| !is_plain(byte));
    if let Some(odd) = name.chars().find(odd) {
        return format!("is no host: it holds {odd}, and names are of letters, digits, dots, - and _");
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("is no host: its port is no number; write {name}:8080, or {name} for any");
    }
    let joined = name.split('.').filter(|label| !label.is_empty()).collect::<Vec<_>>().join(".");
    let cure = if joined.is_empty() { "www.example.com" } else { &joined };
    let is_suffix = mark.is_empty() && name.starts_with('.');
    let below = if is_suffix { format!(", or *.{cure} for all below it") } else { String::new() };
    format!("is no host: it has an empty label; write {mark}{cure}{below}")
}

/// What stands in the hosts that operators mean.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~[:]".contains(&byte)
}

/// A host of A-labels (RFC 5890, section 2.3.2.1), its port kept; one of ASCII is as it was. `None` when there is none.
fn ascii(host: &str) -> Option<Cow<'_, str>> {
    if host.is_ascii() {
        return Some(Cow::Borrowed(host));
    }
    let port = port(host);
    let name = match port {
        Some(port) => host.strip_suffix(port)?.strip_suffix(':')?,
        None => host,
    };
    let (deny, hyphens, length) = (AsciiDenyList::URL, Hyphens::Allow, DnsLength::VerifyAllowRootDot);
    let name = Uts46::new().to_ascii(name.as_bytes(), deny, hyphens, length).ok()?;
    Some(match port {
        Some(port) => Cow::Owned(format!("{name}:{port}")),
        None => Cow::Owned(name.into_owned()),
    })
}

/// The digits behind the last colon, none included; `None` without a colon that has only such behind it.
fn port(host: &str) -> Option<&str> {
    let (_, port) = host.rsplit_once(':')?;
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn normal_hosts_are_lower_case_without_port_and_dot() {
        for (given, expected) in [
            ("H.Test:80", "h.test"),
            ("h.test.", "h.test"),
            ("h.:80", "h"),
            ("[::1]:8", "[::1]"),
            ("h:", "h"),
            ("É.test:80", "xn--9ca.test"),
        ] {
            assert_eq!(normal(given).as_deref(), Some(expected), "{given}");
        }
        for none in ["", ":80", ".", "h:x", "a b", "h/x", "[::1", "[x]", "[::1]x", "a@b", "é..b", "ü@b"] {
            assert_eq!(normal(none), None, "{none}");
        }
    }

    #[test]
    fn domains_are_asked_for_in_one_form() {
        for (name, form) in [
            ("c.test", "c.test"),
            ("C.Test", "c.test"),
            ("c.test.", "c.test"),
            ("c.test:8080", "c.test:8080"),
            ("C.test.:8080", "c.test:8080"),
            ("c.test:", "c.test:"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::A]:80", "[::a]:80"),
            ("a_b", "a_b"),
            ("*", "*"),
            ("*.c.test", "*.c.test"),
            ("*.C.test.", "*.c.test"),
            ("xn--bcher-kva.test", "xn--bcher-kva.test"),
            ("-a", "-a"),
            ("a~b", "a~b"),
            ("*.test", "*.test"),
            ("bücher.test", "xn--bcher-kva.test"),
            ("BÜCHER.test.", "xn--bcher-kva.test"),
            ("*.bücher.test", "*.xn--bcher-kva.test"),
            ("bücher.test:8080", "xn--bcher-kva.test:8080"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("faß.test", "xn--fa-hia.test"),
        ] {
            assert_eq!(asked_as(name).as_deref(), Ok(form), "{name}");
        }
    }

    #[test]
    fn domains_that_nobody_can_ask_for_are_refused_with_the_cure() {
        let too_long = format!("ü{}.test", "a".repeat(60));
        for (name, why) in [
            ("", "needs a name"),
            ("http://c.test", "is a URL; a domain is a host: c.test"),
            ("http://c.test:80/x", "host: c.test:80"),
            ("http:///x", "host: www.example.com"),
            ("c.test/", "slash"),
            ("/c.test", "slash"),
            ("c.test/blog", "without a path: c.test (a rule"),
            ("c .test", "blank"),
            (" ", "blank"),
            ("c.test\n", "blank"),
            ("c.test, d.test", "blank"),
            ("c\u{0}", "control"),
            ("c\u{a0}.test", "blank"),
            ("www.*", "other names: *.www.example.com"),
            ("*c.test", "other names: *.c.test"),
            ("*.*.test", "other names: *.test"),
            ("**", "a *"),
            ("c.test:abc", "no number; write c.test:8080"),
            ("c.test:99999", "above 65535; write one that a client can use, or c.test for any"),
            ("*.c.test:8080", "leave the port out: *.c.test"),
            ("*.c.test:", "leave the port out: *.c.test"),
            ("*.", "empty label"),
            (".c.test", "write c.test, or *.c.test for all below it"),
            ("c..test", "empty label; write c.test"),
            ("c.test..", "empty label; write c.test"),
            (".", "empty label; write www.example.com"),
            (":80", "empty label"),
            ("::1", "brackets: [::1]"),
            ("a:b:80", "no number"),
            ("[::1", "such as [::1]"),
            ("[::1]x", "such as [::1]"),
            ("~^c\\.test$", "it holds ^"),
            ("%62.test", "it holds %"),
            ("a@b", "it holds @"),
            ("ü@b", "no ASCII form"),
            (&too_long, "no ASCII form"),
            ("ü..test", "no ASCII form"),
            ("\u{202e}.test", "no ASCII form"),
        ] {
            let error = asked_as(name).unwrap_err();
            assert!(error.contains(why), "{name:?}: {error}");
        }
    }

    #[test]
    fn empty_labels_are_no_host() {
        for text in ["", ".", "..", "a..", "a..b", ".a", ":80"] {
            assert_eq!(normal(text), None, "{text:?}");
        }
        assert_eq!(normal("A."), Some("a".to_owned()));
    }

    proptest! {
        #[test]
        fn normal_never_panics_and_is_normal(text in "\\PC{0,20}") {
            if let Some(host) = normal(&text) {
                prop_assert_eq!(normal(&host), Some(host.clone()));
            }
            if let Ok(form) = asked_as(&text) {
                prop_assert!(form.is_ascii());
                prop_assert_eq!(asked_as(&form), Ok(form.clone()));
            }
        }
    }
}
