//! Plans on small stores: what is written, in which order, and how it is cut into transactions.

use super::*;

const NAME: &str = "ELB";

fn contents(rules: &[(&str, &str)], servers: &[(&str, &str, &str)]) -> Contents {
    let mut contents = Contents::default();
    for (domain, text) in rules {
        contents.rules.insert((*domain).into(), (*text).into());
    }
    for (upstream, server, text) in servers {
        let servers = contents.upstreams.entry((*upstream).into()).or_default();
        servers.insert((*server).into(), (*text).into());
    }
    contents
}

fn present(keys: &[(&str, &str, i64)]) -> BTreeMap<String, Present> {
    let entry = |(key, value, revision): &(&str, &str, i64)| {
        ((*key).to_owned(), Present { value: value.as_bytes().to_vec(), revision: *revision })
    };
    keys.iter().map(entry).collect()
}

/// `+key@guard` for what is written, `-key@guard` for what is deleted.
fn shown(batches: &[Vec<Operation>]) -> Vec<String> {
    let one = |operation: &Operation| {
        let sign = if operation.value.is_some() { '+' } else { '-' };
        format!("{sign}{}@{}", operation.key, operation.revision)
    };
    batches.iter().flatten().map(one).collect()
}

#[test]
fn what_is_equal_is_not_written() {
    let there = present(&[("/ELB/rules/a", "{}", 3), ("/ELB/upstreams/u/s", "weight=1", 4)]);
    let wanted = contents(&[("a", "{}")], &[("u", "s", "weight=1")]);
    assert_eq!(plan(&Keys::new(NAME), &there, &wanted), Ok(Vec::new()));
}

#[test]
fn upstreams_are_written_first_and_deleted_last() {
    let there = present(&[
        ("/ELB/rules/changed", "old", 3),
        ("/ELB/rules/gone", "{}", 4),
        ("/ELB/upstreams/changed/s", "", 5),
        ("/ELB/upstreams/gone/s", "", 6),
    ]);
    let wanted =
        contents(&[("changed", "new"), ("fresh", "{}")], &[("changed", "s", "weight=2"), ("fresh", "s", "")]);
    let batches = plan(&Keys::new(NAME), &there, &wanted).unwrap();
    assert_eq!(
        shown(&batches),
        [
            "+/ELB/upstreams/changed/s@5",
            "+/ELB/upstreams/fresh/s@0",
            "+/ELB/rules/changed@3",
            "+/ELB/rules/fresh@0",
            "-/ELB/rules/gone@4",
            "-/ELB/upstreams/gone/s@6",
        ]
    );
}

#[test]
fn keys_that_are_not_data_are_left_alone() {
    let there = present(&[
        ("/ELB/@nodes/1", "up", 2),
        ("/ELB/rules/@note", "text", 3),
        ("/ELB/upstreams/u/@method", "p2c", 4),
        ("/ELB/certs/a", "pem", 5),
        ("/ELB/upstreams/empty", "", 6),
    ]);
    assert_eq!(plan(&Keys::new(NAME), &there, &Contents::default()), Ok(Vec::new()));
}

#[test]
fn a_transaction_has_at_most_120_operations() {
    let names: Vec<String> = (0..300).map(|n| format!("d{n:03}")).collect();
    let rules: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "{}")).collect();
    let batches = plan(&Keys::new(NAME), &BTreeMap::new(), &contents(&rules, &[])).unwrap();
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [120, 120, 60]);
}

#[test]
fn a_transaction_stays_below_the_size_of_a_request() {
    let large = "x".repeat(BATCH_BYTES / 2 - 100);
    let wanted = contents(&[("a", &large), ("b", &large), ("c", &large)], &[]);
    let batches = plan(&Keys::new(NAME), &BTreeMap::new(), &wanted).unwrap();
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn what_cannot_be_stored_is_refused_before_anything_is_written() {
    let keys = Keys::new(NAME);
    let huge = "x".repeat(VALUE_BYTES + 1);
    for (wanted, complaint) in [
        (contents(&[], &[("a/b", "s", "")]), "/ELB/upstreams/a/b/s: this name cannot be stored"),
        (contents(&[("@a", "{}")], &[]), "/ELB/rules/@a: this name cannot be stored"),
        (contents(&[("a", &huge)], &[]), "/ELB/rules/a: 1048577 bytes"),
    ] {
        let error = plan(&keys, &BTreeMap::new(), &wanted).unwrap_err();
        assert!(error.starts_with(complaint), "{error}");
    }
}

/// However many transactions of a dump were carried out, the next dump finishes it.
#[test]
fn a_dump_that_was_cut_can_be_run_again() {
    let keys = Keys::new(NAME);
    let names: Vec<String> = (0..200).map(|n| format!("n{n:03}")).collect();
    let rules: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "new")).collect();
    let wanted = contents(&rules, &[("u", "s", "")]);
    let old: Vec<(String, i64)> = (0..200).map(|n| (format!("/ELB/rules/o{n:03}"), n + 1)).collect();
    let there: Vec<(&str, &str, i64)> =
        old.iter().map(|(key, revision)| (key.as_str(), "old", *revision)).collect();
    let there = present(&there);
    let batches = plan(&keys, &there, &wanted).unwrap();
    for cut in 0..=batches.len() {
        let mut store = there.clone();
        apply(&mut store, &batches[..cut]);
        let rest = plan(&keys, &store, &wanted).unwrap();
        apply(&mut store, &rest);
        assert_eq!(plan(&keys, &store, &wanted), Ok(Vec::new()), "cut after {cut}");
    }
}

fn apply(store: &mut BTreeMap<String, Present>, batches: &[Vec<Operation>]) {
    for operation in batches.iter().flatten() {
        match &operation.value {
            Some(text) => {
                let value = text.as_bytes().to_vec();
                store.insert(operation.key.clone(), Present { value, revision: operation.revision + 1000 })
            }
            None => store.remove(&operation.key),
        };
    }
}
