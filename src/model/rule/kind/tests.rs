//! The table of types, held against all that speaks of them.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path as FilePath;

use super::testing::read;
use super::*;
use crate::model::fault::Report;
use crate::model::parts::Parts;
use crate::model::rule::args::Link;
use serde_json::{Map, json};

/// Where operators read of the types: a table of which each row begins with a type's name, and ends with its arguments.
const TABLE: &str = "src/manual/rules.md";
/// What fuzzing begins with.
const CORPUS: &str = "tests/corpus/rule_set";

fn path(name: &str) -> std::path::PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn operators_read_of_every_type_and_every_argument() {
    let text = fs::read_to_string(path(TABLE)).unwrap();
    let head = |line: &&str| line.replace(' ', "").starts_with("|type|");
    let rows = text.lines().skip_while(|line| !head(line)).skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.trim_matches('|').split(" | ").collect()).collect();
    let told: Vec<_> = rows.iter().map(|row| words(row[0])).collect();
    let types: Vec<_> = RuleType::ALL.iter().map(|known| vec![known.name]).collect();
    assert_eq!(told, types, "the types that {TABLE} has a row for");
    for (known, row) in RuleType::ALL.iter().zip(&rows) {
        let arguments: BTreeSet<&str> = words(row[row.len() - 1]).into_iter().collect();
        assert_eq!(arguments, known.arguments.named.iter().copied().collect(), "{} in {TABLE}", known.name);
    }
}

#[test]
fn fuzzing_begins_with_every_type_and_every_argument() {
    let files = fs::read_dir(path(CORPUS)).unwrap();
    let texts: Vec<String> =
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default()).collect();
    for known in RuleType::ALL {
        let of_type: Vec<_> =
            texts.iter().filter(|text| text.contains(&format!("\"type\": \"{}\"", known.name))).collect();
        for argument in known.arguments.named {
            let quoted = format!("\"{argument}\":");
            assert!(of_type.iter().any(|text| text.contains(&quoted)), "{argument} of {}", known.name);
        }
    }
}

#[test]
fn a_rule_leads_to_so_many_others_and_no_more() {
    let (mut report, parts, rules) = (Report::default(), Parts::default(), HashMap::from([("a", 0)]));
    let given = Map::new();
    let mut args = Args::new(&given, "/args".to_owned(), &rules, &parts, &mut report);
    args.link("succ");
    (1..Link::MOST).for_each(|number| args.link_to(format!("/to/{number}"), "a"));
    assert!(args.report.faults.is_empty());
    args.link_to("/to/last".to_owned(), "a");
    let links = args.into_links();
    assert_eq!((links.len(), links[0].to, links[1].to), (Link::MOST, None, Some(0)));
    assert_eq!(report.faults[0].to_string(), "/args/to/last: has more than 32 rules behind it");
}

#[test]
fn types_are_told_as_a_sentence_has_them() {
    assert_eq!(listed(["a", "b", "c"], "or"), "a, b or c");
    assert_eq!((listed(["a", "b"], "and"), listed(["a"], "and")), ("a and b".to_owned(), "a".to_owned()));
    assert!(RuleType::list().starts_with("ua, path"));
    assert!(RuleType::named("statics").is_none());
}

#[test]
fn an_argument_that_a_type_does_not_have_is_told_with_the_one_that_was_meant() {
    let fault = |kind: &str, args| read(kind, args).unwrap_err()[0].to_string();
    assert_eq!(
        fault("ua", json!({"patern": "x", "succ": "a"})),
        "/args/patern: is no argument of a rule of type ua; is pattern meant?"
    );
    assert_eq!(
        fault("path", json!({"pattern": "/", "Rewrite": true})),
        "/args/Rewrite: is no argument of a rule of type path; is rewrite meant?"
    );
    assert_eq!(
        fault("ua", json!({"pattern": "x", "a/b": 1})),
        "/args/a~1b: is no argument of a rule of type ua, which has pattern, succ and fail"
    );
    assert!(read("backend", json!({"servername": "u", "patern": "x"})).is_ok(), "it is a header");
}
