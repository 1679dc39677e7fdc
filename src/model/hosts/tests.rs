//! Hosts: the order of the search, and that the index finds what a plain search finds.

use std::collections::BTreeSet;

use super::*;
use crate::model::fault::Report;
use crate::model::host::normal;
use crate::model::library::Library;
use crate::semantics::Sketch;
use proptest::prelude::*;
use serde_json::json;

fn rules() -> Arc<RuleSet> {
    let given = json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "u"}}}});
    Library::default().read(&given, &mut Report::default()).unwrap()
}

fn find_in(hosts: &Hosts, host: &str) -> Option<String> {
    hosts
        .find(&Sketch::new(host, "/").view(), &mut Vec::new())
        .map(|(slot, _)| hosts.name_of(slot).to_owned())
}

fn find<'k>(keys: &[&'k str], host: &str) -> Option<&'k str> {
    let mut editable = EditableHosts::default();
    for key in keys {
        editable.set(&Arc::from(*key), Some(rules()));
    }
    let found = find_in(&editable.hosts(), host)?;
    keys.iter().find(|key| **key == found).copied()
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

#[test]
fn a_name_beyond_ascii_is_found_by_its_a_label() {
    let keys = ["b\u{fc}cher.test", "*.B\u{dc}CHER.test", "stra\u{df}e.test:81"];
    assert_eq!(find(&keys, "xn--bcher-kva.test"), Some(keys[0]));
    assert_eq!(find(&keys, "XN--Bcher-KVA.test.:80"), Some(keys[0]));
    assert_eq!(find(&keys, "a.xn--bcher-kva.test"), Some(keys[1]));
    assert_eq!(find(&keys, "xn--strae-oqa.test:81"), Some(keys[2]));
    assert_eq!(find(&keys, "xn--strae-oqa.test"), None);
    let both = ["b\u{fc}cher.test", "xn--bcher-kva.test"];
    assert_eq!(find(&both, "xn--bcher-kva.test"), Some(both[1]), "what is written so comes first");
}

#[test]
fn the_twin_of_a_name_is_found() {
    let mut hosts = EditableHosts::default();
    let names = ["b.test", "C.test", "d.test.", "\u{e9}.test", "*.F.test", "*", "B.test"];
    let set = |hosts: &mut EditableHosts, name: &str, rules| hosts.set(&Arc::from(name), rules);
    names.iter().for_each(|name| set(&mut hosts, name, Some(rules())));
    let twin = |hosts: &EditableHosts, name: &str| {
        hosts.twin(name, &host::asked_as(name).unwrap()).map(str::to_owned)
    };
    for (name, other) in [
        ("b.TEST", "b.test"),
        ("b.test", "B.test"),
        ("c.test", "C.test"),
        ("D.test", "d.test."),
        ("xn--9ca.test", "\u{e9}.test"),
        ("*.f.test", "*.F.test"),
    ] {
        assert_eq!(twin(&hosts, name).as_deref(), Some(other), "{name}");
    }
    for name in ["C.test", "f.test", "*", "b.test:80", "a.test"] {
        assert_eq!(twin(&hosts, name), None, "{name}");
    }
    set(&mut hosts, "C.test", None);
    assert_eq!(twin(&hosts, "c.test"), None, "it is gone");
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

proptest! {
    #[test]
    fn the_index_finds_what_a_plain_search_finds(
        keys in proptest::collection::btree_set("(\\*\\.)?[aB](\\.[abA]){0,2}(:8)?|\\*", 0..8),
        host in "[abA](\\.[abB]){0,3}\\.?(:8)?",
    ) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        prop_assert_eq!(find(&keys, &host), plainly(&keys, &host));
    }

    /// Whatever was set and taken away before, the same is found as if it had all been set at once; and a copy that was
    /// taken on the way still says what it said.
    #[test]
    fn what_is_found_does_not_depend_on_the_way_there(
        steps in proptest::collection::vec(("(\\*\\.)?[aB](\\.[abA]){0,1}\\.?|\\*|[ab]{60}", any::<bool>()), 0..24),
        hosts in proptest::collection::vec("[abA](\\.[abB]){0,2}\\.?|[ab]{60}", 1..6),
    ) {
        let rules = rules();
        let (mut editable, mut names, mut copies) = (EditableHosts::default(), BTreeSet::new(), Vec::new());
        for (name, there) in &steps {
            editable.set(&Arc::from(name.as_str()), there.then(|| Arc::clone(&rules)));
            if *there { names.insert(name.as_str()) } else { names.remove(name.as_str()) };
            copies.push((editable.hosts(), names.clone()));
        }
        for (copy, names) in copies {
            let keys: Vec<&str> = names.into_iter().collect();
            prop_assert_eq!(copy.count(), keys.len());
            for key in &keys {
                let slot = copy.slot_of(key).unwrap();
                prop_assert!(copy.name_of(slot) == *key && (slot as usize) < copy.slots());
            }
            for host in &hosts {
                prop_assert_eq!(find_in(&copy, host), plainly(&keys, host).map(str::to_owned));
            }
        }
    }
}
