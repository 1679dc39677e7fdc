//! Hosts as operators write them.
//!
//! It owns which of them a domain or a rule may name, never how a host is compared: that is `semantics::host`, for what
//! clients send as well. Next: [`hosts`](super::hosts) finds a domain by a host.

use crate::semantics::host::HostPort;

/// A host in lower case, without port and trailing dot; `None` when it is none that an operator means. Clients may write
/// more: escapes and marks such as `!` name no machine.
pub(crate) fn normal(text: &str) -> Option<String> {
    let HostPort { name, port, .. } = HostPort::split(text.as_bytes()).ok()?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~[:]".contains(byte);
    let is_sound = port.iter().all(u8::is_ascii_digit) && name.iter().all(plain);
    std::str::from_utf8(name).ok().filter(|_| is_sound).map(str::to_ascii_lowercase)
}

/// Checks that a request could ask for a domain of that name: `*`, `*.name`, or what a `Host` may say.
///
/// # Errors
/// Why none could, and what to write.
pub(crate) fn check_domain(name: &str) -> Result<(), &'static str> {
    let Some(first) = name.chars().next() else { return Err("a domain needs a name") };
    if name == "*" {
        return Ok(());
    }
    if name.contains("://") {
        return Err("is a URL; a domain is a host, such as www.example.com");
    }
    if name.contains('/') {
        return Err("holds a slash; a domain is a host without a path, and a rule of type path asks for one");
    }
    if name.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err("holds a blank or a control character, which no host has");
    }
    if !name.is_ascii() {
        return Err("is not ASCII; hosts are asked for in their ASCII form, which begins with xn--");
    }
    let (is_suffix, host) = name.strip_prefix("*.").map_or((false, name), |suffix| (true, suffix));
    if host.contains('*') {
        return Err("has a * that stands for nothing; only * alone and *.name stand for other names");
    }
    if first != '[' && host.contains(['[', ']']) {
        return Err("is no host: only an IPv6 address stands in brackets");
    }
    if first != '[' && host.bytes().filter(|byte| *byte == b':').count() > 1 {
        return Err("is no host; an IPv6 address stands in brackets");
    }
    match normal(host) {
        None => Err("is no host: an empty label, a port that is no number, or a character that no host has"),
        Some(_) if port(host).is_some_and(|port| port.parse::<u16>().is_err()) => {
            Err("has a port above 65535")
        }
        Some(normal) if is_suffix && normal.len() < host.trim_end_matches('.').len() => {
            Err("stands for names with any port; leave the port out")
        }
        Some(_) => Ok(()),
    }
}

/// The digits behind the colon, if there are any.
fn port(host: &str) -> Option<&str> {
    let (_, port) = host.rsplit_once(':')?;
    let is_one = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    is_one.then_some(port)
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
        ] {
            assert_eq!(normal(given).as_deref(), Some(expected), "{given}");
        }
        for none in ["", ":80", ".", "h:x", "a b", "h/x", "[::1", "[x]", "[::1]x", "a@b", "é"] {
            assert_eq!(normal(none), None, "{none}");
        }
    }

    #[test]
    fn domains_that_can_be_asked_for() {
        for name in [
            "c.test",
            "C.Test",
            "c.test.",
            "c.test:8080",
            "c.test:",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "[::1]:80",
            "a_b",
            "*",
            "*.c.test",
            "*.C.test.",
            "xn--bcher-kva.test",
            "-a",
            "a~b",
            "*.test",
        ] {
            assert_eq!(check_domain(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn domains_that_nobody_can_ask_for() {
        for (name, why) in [
            ("", "needs a name"),
            ("http://c.test", "is a URL"),
            ("c.test/", "slash"),
            ("/c.test", "slash"),
            ("c.test/blog", "slash"),
            ("c .test", "blank"),
            (" ", "blank"),
            ("c.test\n", "blank"),
            ("c.test, d.test", "blank"),
            ("c\u{0}", "blank"),
            ("bücher.test", "xn--"),
            ("www.*", "a *"),
            ("*c.test", "a *"),
            ("*.*.test", "a *"),
            ("**", "a *"),
            ("c.test:abc", "no number"),
            ("c.test:99999", "above 65535"),
            ("*.c.test:8080", "any port"),
            ("*.", "empty label"),
            (".c.test", "empty label"),
            ("c..test", "empty label"),
            ("c.test..", "empty label"),
            (".", "empty label"),
            (":80", "empty label"),
            ("::1", "brackets"),
            ("[::1", "no host"),
            ("[::1]x", "no host"),
            ("~^c\\.test$", "no host"),
            ("%62.test", "no host"),
            ("a@b", "no host"),
        ] {
            let error = check_domain(name).unwrap_err();
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
        }
    }
}
