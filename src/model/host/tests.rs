//! Hosts: the order of the search, and that the index finds what a plain search finds.

use super::*;
use proptest::prelude::*;

fn find<'k>(keys: &[&'k str], host: &str) -> Option<&'k str> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    let index = HostIndex::new(keys.iter().map(|key| Arc::from(*key)).collect());
    let normal = normal(host).unwrap();
    let request =
        Request { host: host.as_bytes(), host_normal: normal.as_bytes(), path: b"/", user_agent: None };
    index.find(&request, &mut Vec::new()).map(|slot| keys[slot as usize])
}

#[test]
fn normal_hosts_are_lower_case_without_port_and_dot() {
    for (given, expected) in
        [("H.Test:80", "h.test"), ("h.test.", "h.test"), ("h.:80", "h"), ("[::1]:8", "[::1]"), ("h:", "h")]
    {
        assert_eq!(normal(given).as_deref(), Some(expected), "{given}");
    }
    for none in ["", ":80", ".", "h:x", "a b", "h/x", "[::1", "[x]", "[::1]x", "a@b", "é"] {
        assert_eq!(normal(none), None, "{none}");
    }
}

#[test]
fn the_exact_host_comes_first_then_the_normal_one() {
    let keys = ["h.test", "h.test:18080", "127.0.0.1", "[::1]", "under_score"];
    assert_eq!(find(&keys, "h.test"), Some("h.test"));
    assert_eq!(find(&keys, "h.test:18080"), Some("h.test:18080"));
    assert_eq!(find(&keys, "H.TEST:18080"), Some("h.test:18080"));
    assert_eq!(find(&keys, "H.test.:80"), Some("h.test"));
    assert_eq!(find(&keys, "127.0.0.1:8080"), Some("127.0.0.1"));
    assert_eq!(find(&keys, "[::1]:8080"), Some("[::1]"));
    assert_eq!(find(&keys, "under_score"), Some("under_score"));
    assert_eq!(find(&keys, "x.h.test"), None);
    assert_eq!(find(&["h.test:80"], "h.test"), None, "a key with a port is for that port");
}

#[test]
fn keys_match_in_any_case_but_their_own_spelling_first() {
    assert_eq!(find(&["Example.COM"], "example.com"), Some("Example.COM"));
    assert_eq!(find(&["Example.COM", "example.com"], "Example.COM"), Some("Example.COM"));
    assert_eq!(find(&["Example.COM", "example.com"], "EXAMPLE.com"), Some("example.com"));
    assert_eq!(find(&["example.com."], "example.com"), Some("example.com."));
}

#[test]
fn then_the_longest_suffix_then_the_rest() {
    let keys = ["*.example.com", "*.b.Example.com", "a.example.com", "*"];
    assert_eq!(find(&keys, "x.example.com:80"), Some("*.example.com"));
    assert_eq!(find(&keys, "x.B.example.com"), Some("*.b.Example.com"));
    assert_eq!(find(&keys, "x.y.b.example.com"), Some("*.b.Example.com"));
    assert_eq!(find(&keys, "a.example.com"), Some("a.example.com"));
    assert_eq!(find(&keys, "example.com"), Some("*"), "a suffix needs something before it");
    assert_eq!(find(&keys[..3], "example.com"), None);
    assert_eq!(find(&["*.com"], &format!("{}com", "a.".repeat(4000))), Some("*.com"));
}

/// Says the same as the index, slowly: the rules of the search one after the other.
fn plainly<'k>(keys: &[&'k str], host: &str) -> Option<&'k str> {
    let folded = |key: &str| key.strip_suffix('.').unwrap_or(key).to_ascii_lowercase();
    let (lower, normal) = (host.to_ascii_lowercase(), normal(host).unwrap());
    let named = |name: &str| {
        let exact = keys.iter().find(|key| **key == name);
        exact.or_else(|| keys.iter().find(|key| folded(key) == name))
    };
    let suffix = || {
        let fits = |key: &&&str| {
            folded(key).strip_prefix('*').is_some_and(|dotted| {
                dotted.starts_with('.') && normal.ends_with(dotted) && dotted.len() < normal.len() + 1
            })
        };
        // Of equally long ones the first, as `max_by_key` gives the last.
        keys.iter().rev().filter(fits).max_by_key(|key| folded(key).len())
    };
    let rest = || keys.iter().find(|key| **key == "*");
    let found = keys.iter().find(|key| **key == host);
    found.or_else(|| named(&lower)).or_else(|| named(&normal)).or_else(suffix).or_else(rest).copied()
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
    fn the_index_finds_what_a_plain_search_finds(
        keys in proptest::collection::btree_set("(\\*\\.)?[aB](\\.[abA]){0,2}(:8)?|\\*", 0..8),
        host in "[abA](\\.[abB]){0,3}\\.?(:8)?",
    ) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        prop_assert_eq!(find(&keys, &host), plainly(&keys, &host));
    }

    #[test]
    fn normal_never_panics_and_is_normal(text in "\\PC{0,20}") {
        if let Some(host) = normal(&text) {
            prop_assert_eq!(normal(&host), Some(host.clone()));
        }
    }
}
