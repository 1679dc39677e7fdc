//! Plans and merges on small stores: what is written, in which order, how it is cut, and what is left alone.

use super::*;

mod writers;

fn keys() -> Keys {
    Keys::new("ELB")
}

fn rule(domain: &str, read: Option<&str>, wanted: Option<&str>) -> KeyWrite {
    let wanted = KeyChange::Rule { domain: domain.into(), text: wanted.map(Into::into) };
    KeyWrite { read: read.map(Into::into), wanted, doubtful: false }
}

fn server(upstream: &str, server: &str, read: Option<&str>, wanted: Option<&str>) -> KeyWrite {
    let (upstream, server) = (upstream.into(), server.into());
    let wanted = KeyChange::Server { upstream, server, text: wanted.map(Into::into) };
    KeyWrite { read: read.map(Into::into), wanted, doubtful: false }
}

fn present(keys: &[(&str, &str, i64)]) -> BTreeMap<String, Present> {
    let entry = |(key, value, revision): &(&str, &str, i64)| {
        ((*key).to_owned(), Present { value: value.as_bytes().to_vec(), revision: *revision })
    };
    keys.iter().map(entry).collect()
}

/// `+key@guard` for what is written, `-key@guard` for what is deleted, `!key` for a conflict.
fn shown(merged: &Merged) -> Vec<String> {
    let one = |operation: &Operation| {
        let sign = if operation.value.is_some() { '+' } else { '-' };
        format!("{sign}{}@{}", operation.key, operation.revision)
    };
    let conflicts = merged.conflicts.iter().map(|key| format!("!{}", key.name()));
    merged.operations.iter().map(one).chain(conflicts).collect()
}

fn merged(writes: Vec<KeyWrite>, there: &[(&str, &str, i64)]) -> Vec<String> {
    let plan = plan(&keys(), writes);
    plan.batches.iter().flat_map(|batch| shown(&merge(batch, &present(there)))).collect()
}

#[test]
fn what_is_no_longer_as_it_was_read_is_left_alone() {
    let rows = [
        // read, wanted, there, done
        (Some("a"), Some("b"), Some("a"), "+/ELB/rules/d@7"),
        (Some("a"), None, Some("a"), "-/ELB/rules/d@7"),
        (None, Some("b"), None, "+/ELB/rules/d@0"),
        (Some("a"), Some("b"), Some("c"), "!rules/d"),
        (Some("a"), None, Some("c"), "!rules/d"),
        // It was there and is gone (a lease that ended): it does not come back.
        (Some("a"), Some("b"), None, "!rules/d"),
        (None, Some("b"), Some("c"), "!rules/d"),
        // Somebody was faster and did the same.
        (Some("a"), Some("b"), Some("b"), ""),
        (Some("a"), None, None, ""),
        // Only looked at.
        (Some("a"), Some("a"), Some("a"), ""),
        (None, None, None, ""),
        (Some("a"), Some("a"), Some("c"), "!rules/d"),
        (Some("a"), Some("a"), None, "!rules/d"),
        (None, None, Some("c"), "!rules/d"),
    ];
    for (read, wanted, there, done) in rows {
        let there: Vec<(&str, &str, i64)> = there.map(|text| ("/ELB/rules/d", text, 7)).into_iter().collect();
        let expected: Vec<&str> = Some(done).filter(|done| !done.is_empty()).into_iter().collect();
        assert_eq!(merged(vec![rule("d", read, wanted)], &there), expected, "{read:?} {wanted:?} {there:?}");
    }
}

#[test]
fn a_key_in_doubt_is_written_though_it_is_as_it_should_be() {
    let mut write = rule("d", Some("a"), Some("a"));
    write.doubtful = true;
    assert_eq!(merged(vec![write], &[("/ELB/rules/d", "a", 7)]), ["+/ELB/rules/d@7"]);
}

#[test]
fn bytes_that_are_no_text_are_compared_as_they_were_read() {
    let there = [("/ELB/rules/d".to_owned(), Present { value: b"{\xff".to_vec(), revision: 7 })].into();
    let plan = plan(&keys(), vec![rule("d", Some("\u{fffd} not UTF-8 at byte 1"), Some("{}"))]);
    assert_eq!(shown(&merge(&plan.batches[0], &there)), ["+/ELB/rules/d@7"]);
}

#[test]
fn upstreams_are_written_first_and_deleted_last() {
    let writes = vec![
        rule("gone", Some("{}"), None),
        rule("changed", Some("old"), Some("new")),
        rule("fresh", None, Some("{}")),
        server("gone", "s", Some(""), None),
        server("changed", "s", Some(""), Some("weight=2")),
        server("fresh", "s", None, Some("")),
    ];
    let there = [
        ("/ELB/rules/changed", "old", 3),
        ("/ELB/rules/gone", "{}", 4),
        ("/ELB/upstreams/changed/s", "", 5),
        ("/ELB/upstreams/gone/s", "", 6),
    ];
    assert_eq!(
        merged(writes, &there),
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
fn a_transaction_has_at_most_120_keys() {
    let writes = (0..300).map(|number| rule(&format!("d{number:03}"), None, Some("{}"))).collect();
    let plan = plan(&keys(), writes);
    assert_eq!(plan.batches.iter().map(Vec::len).collect::<Vec<_>>(), [120, 120, 60]);
}

#[test]
fn a_transaction_of_several_stays_below_the_size_of_a_request_and_of_an_answer() {
    let large = "x".repeat(BATCH_BYTES / 2 - 100);
    let writes = ["a", "b", "c"].map(|domain| rule(domain, None, Some(&large))).to_vec();
    assert_eq!(plan(&keys(), writes).batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    let large = "x".repeat(READ_BYTES / 2);
    let writes = ["a", "b", "c"].map(|domain| rule(domain, Some(&large), None)).to_vec();
    assert_eq!(plan(&keys(), writes).batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn what_cannot_be_stored_holds_up_nothing_else() {
    let writes =
        vec![server("a/b", "s", None, Some("")), rule("@a", None, Some("{}")), rule("a", None, Some("{}"))];
    let plan = plan(&keys(), writes);
    let refused: Vec<&str> = plan.refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(refused, ["upstreams/a/b/s", "rules/@a"]);
    assert_eq!(plan.batches.len(), 1);
}
