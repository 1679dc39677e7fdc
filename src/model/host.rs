//! The normal form of a host.
//!
//! It owns what is a host and how it is written when it is compared, never a search. It is asked for what operators
//! write; `http1::target` does the same for what clients send. Next: `hosts` finds a domain by a host.

/// A host in lower case, without port and trailing dot; `None` when it is none.
pub(crate) fn normal(text: &str) -> Option<String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')? + 2;
            let address = text.get(1..end - 1)?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            text.split_at_checked(end)?
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    if !port.strip_prefix(':').unwrap_or(port).bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[:]".contains(&byte);
    // An empty label is no name, and taking one trailing dot away must not leave another.
    let labelled = host.split('.').all(|label| !label.is_empty());
    (labelled && host.bytes().all(plain)).then(|| host.to_ascii_lowercase())
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
