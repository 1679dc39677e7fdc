//! Checking what an operator gives, before anything is done with it.
//!
//! It owns the reading of whole collections (domains, upstreams, a document of both) with every fault at its place,
//! never a state: the same checks serve the admin API and `elb check`. Next: [`ruleset`](super::ruleset) and
//! [`upstream`](super::upstream) read one each.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::fault::{Fault, Report, step};
use super::host;
use super::implicit;
use super::library::Library;
use super::ruleset::RuleSet;
use super::storable;
use super::upstream::UpstreamSpec;
use crate::warning::{Code, Warning};

/// Every fault of a document `{"domains": {name: rule set}, "upstreams": {name: {server: parameters}}}`, either of
/// which may be absent. None: a store of these contents is served as it is. An argument that its rule does not have is a
/// warning here, as a store that has it is served; the admin API refuses it.
pub fn check(document: &Value) -> Vec<Fault> {
    check_all(document).0
}

/// Every fault, as [`check`], and what an operator should know besides.
pub fn check_all(document: &Value) -> (Vec<Fault>, Vec<Warning>) {
    let mut report = Report::default();
    let Value::Object(members) = document else {
        return (vec![Fault::new("", "must be an object with domains and upstreams")], Vec::new());
    };
    let mut rules = Vec::new();
    let mut names = BTreeSet::new();
    for (name, value) in members {
        let mut inner = Report::default();
        match (name.as_str(), value) {
            ("domains", Value::Object(given)) => {
                rules = domains(given, &Library::default(), &mut inner);
                inner.tolerate_unknown();
            }
            ("upstreams", Value::Object(given)) => {
                upstreams(given, &mut inner);
                names = given.keys().map(|name| name.to_ascii_lowercase()).collect();
            }
            ("domains" | "upstreams", _) => inner.fault("", "must be an object"),
            _ => inner.fault("", "is neither domains nor upstreams"),
        }
        report.absorb(name, inner);
    }
    let mut advice = Report::default();
    let pairs = rules.iter().map(|(domain, rules)| (domain, rules));
    servernames(pairs, |key| names.contains(key), &mut advice);
    report.absorb("domains", advice);
    (report.faults, report.warnings)
}

/// Reads rule sets by domain; those at fault are left out and reported. Arguments that their rules do not have are
/// reported as unknown.
fn domains(
    given: &Map<String, Value>,
    library: &Library,
    report: &mut Report,
) -> Vec<(String, Arc<RuleSet>)> {
    let mut domains = Vec::with_capacity(given.len());
    let mut seen = DomainNames::default();
    for (name, rules) in given {
        let read = rule_set(name, rules, library, &mut seen, report, |_| {});
        domains.extend(read.map(|rules| (name.clone(), rules)));
    }
    domains
}

/// The names that were given together: no two may be one domain.
#[derive(Debug, Default)]
pub(crate) struct DomainNames(HashMap<String, String>);

impl DomainNames {
    /// Adds a name, unless no request could ask for it or it is there in another spelling.
    fn add(&mut self, name: &str) -> Result<(), String> {
        match self.0.entry(host::asked_as(name)?) {
            Entry::Occupied(known) if known.get() != name => Err(host::same_domain(known.get())),
            entry => {
                entry.insert_entry(name.to_owned());
                Ok(())
            }
        }
    }
}

/// Reads the rule set of one domain as an operator puts it; what is at fault is reported, arguments that no rule has
/// included.
pub(crate) fn domain(
    name: &str,
    rules: &Value,
    library: &Library,
    seen: &mut DomainNames,
    report: &mut Report,
) -> Option<Arc<RuleSet>> {
    rule_set(name, rules, library, seen, report, Report::refuse_unknown)
}

fn rule_set(
    name: &str,
    rules: &Value,
    library: &Library,
    seen: &mut DomainNames,
    report: &mut Report,
    unknown: impl FnOnce(&mut Report),
) -> Option<Arc<RuleSet>> {
    if let Err(message) = seen.add(name) {
        report.fault(step(name), message);
        return None;
    }
    let mut inner = Report::default();
    let read = library.read(rules, &mut inner);
    unknown(&mut inner);
    let read = read.filter(|_| inner.faults.is_empty());
    report.absorb(name, inner);
    let read = read?;
    if let Err(message) = storable::fits(name, read.text()) {
        report.fault(step(name), message);
        return None;
    }
    Some(read)
}

/// Reads upstreams by name; those at fault are left out and reported, as is a name that differs from another only in
/// case.
pub(crate) fn upstreams(given: &Map<String, Value>, report: &mut Report) -> Vec<UpstreamSpec> {
    each_upstream(given, report, |name, servers, report| {
        let read = UpstreamSpec::read(name, servers, report);
        for server in read.iter().flat_map(|read| &read.servers) {
            let fault = storable::server(&server.name).map_err(str::to_owned);
            if let Err(message) = fault.and_then(|()| storable::fits(name, &server.name)) {
                report.fault(step(&server.name), message);
            }
        }
        read
    })
}

/// Reads what is given of each upstream; what is at fault is left out and reported, as is a name that differs from another
/// only in case.
pub(crate) fn each_upstream<T>(
    given: &Map<String, Value>,
    report: &mut Report,
    read: impl Fn(&str, &Value, &mut Report) -> Option<T>,
) -> Vec<T> {
    let mut upstreams = Vec::with_capacity(given.len());
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (name, given) in given {
        if let Some(twin) = seen.insert(name.to_ascii_lowercase(), name) {
            report.fault(step(name), format!("is the same upstream as {twin}: case makes no difference"));
            continue;
        }
        if let Err(message) = storable::upstream(name) {
            report.fault(step(name), message);
            continue;
        }
        let mut inner = Report::default();
        let read = read(name, given, &mut inner);
        upstreams.extend(read.filter(|_| inner.faults.is_empty()));
        report.absorb(name, inner);
    }
    upstreams
}

/// Warns of names in rules that are no upstream and may be meant to be. `known` is asked in lower case.
pub(crate) fn servernames<'a>(
    domains: impl Iterator<Item = (&'a String, &'a Arc<RuleSet>)>,
    known: impl Fn(&str) -> bool,
    report: &mut Report,
) {
    for (domain, rules) in domains {
        for (rule, backend) in rules.named_backends().filter(|(_, backend)| !known(backend.name().key())) {
            if let Some(advice) = implicit::advice(backend.servername()) {
                report.warn(
                    Code::UnknownUpstream,
                    format!("{}/rules{}/args/servername", step(domain), step(rule)),
                    advice,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_document_is_checked_whole() {
        let document = json!({
            "domains": {
                "": {}, "a/b": {"init": "x", "rules": {}}, "good": {"init": "r", "rules": {
                    "r": {"type": "ua", "args": {"pattern": "(?!bot)", "succ": "s", "fail": "t"}},
                    "s": {"type": "backend", "args": {"servername": "UP1"}},
                    "t": {"type": "backend", "args": {"servername": "up2"}}}}
            },
            "upstreams": {"up1": {"h:1": ""}, "UP1": {"h:1": ""}, "up3": {"h:0": "", "h:1": "x"}},
            "domain": {}
        });
        let (faults, warnings) = check_all(&document);
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        let expected = [
            "/domains/",
            "/domains/a~1b",
            "/upstreams/UP1",
            "/upstreams/up3/h:0",
            "/upstreams/up3/h:1",
            "/domain",
        ];
        assert_eq!(pointers, expected);
        let warnings = crate::warning::lines(&warnings);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(
            warnings[0].starts_with("/domains/good/rules/r/args/pattern: the pattern needs backtracking")
        );
        assert!(warnings[1].starts_with("/domains/good/rules/t/args/servername: there is no upstream up2"));
        assert!(faults.iter().all(|fault| document.pointer(&fault.pointer).is_some()));
        assert_eq!(check(&document), faults);
    }

    #[test]
    fn what_no_store_can_hold_is_a_fault_at_its_place() {
        let rules = json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "up"}}}});
        let mut huge = rules.clone();
        huge["note"] = json!("x".repeat(storable::OBJECT_BYTES));
        let document = json!({
            "domains": {"": rules, "@x": rules, "a.test/@y": rules, "a.test/y": rules, "huge.test": huge},
            "upstreams": {"": {"h:1": ""}, "@u": {"h:1": ""}, "a/b": {"h:1": ""}, "u": {"unix:/run/@s": ""}}
        });
        let pointers: Vec<_> = check(&document).into_iter().map(|fault| fault.pointer).collect();
        let expected = [
            "/domains/",
            "/domains/@x",
            "/domains/a.test~1@y",
            "/domains/a.test~1y",
            "/domains/huge.test",
            "/upstreams/",
            "/upstreams/@u",
            "/upstreams/a~1b",
            "/upstreams/u/unix:~1run~1@s",
        ];
        assert_eq!(pointers, expected);
    }

    #[test]
    fn an_argument_that_no_rule_has_is_served_and_so_is_a_warning() {
        let document = json!({"domains": {"a": {"init": "r", "rules": {
            "r": {"type": "ua", "args": {"pattern": "x", "patern": "y", "succ": "s"}},
            "s": {"type": "backend", "args": {"servername": "h.test"}}}}}});
        let (faults, warnings) = check_all(&document);
        assert_eq!(faults, []);
        assert_eq!(
            crate::warning::lines(&warnings),
            [
                "/domains/a/rules/r/args/patern: is no argument of a rule of type ua; is pattern meant? (a store is served \
              without it; the admin API refuses it) [unknown-argument]"
            ]
        );
    }

    #[test]
    fn what_is_absent_is_no_fault() {
        assert_eq!(check_all(&json!({})), (vec![], vec![]));
        assert_eq!(check(&json!([])).len(), 1);
        assert_eq!(check(&json!({"domains": [], "upstreams": null})).len(), 2);
    }

    proptest! {
        #[test]
        fn no_upstream_makes_checking_panic(name in "\\PC{0,8}", server in "\\PC{0,12}", params in "\\PC{0,12}") {
            let document = json!({"upstreams": {name: {server: params}}});
            for fault in check(&document) {
                prop_assert!(document.pointer(&fault.pointer).is_some());
            }
        }
    }
}
