//! What an ELB says of its API in `/__erulb__/openapi.json`, and whether an answer is so.
//!
//! It owns the comparison of one answer with one description, and the list of what was asked; never which calls are made, which is
//! `e2e/openapi.rs`. Next: `admin` makes calls.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::admin::Admin;
use super::elb::Elb;
use super::message::{Head, Message};

pub(crate) const METHODS: [&str; 5] = ["get", "put", "patch", "delete", "post"];
/// Headers of answers that are the API's affair, in the way in which each begins.
const TOLD: [&str; 6] = ["x-elb-", "etag", "link", "retry-after", "allow", "www-authenticate"];
/// What an ELB says of its API, and what was asked of it so far.
pub(crate) struct Described {
    pub(crate) document: Value,
    /// Operation and status.
    pub(crate) asked: RefCell<BTreeSet<(String, u16)>>,
}

impl Described {
    pub(crate) fn of(elb: &Elb) -> Described {
        Described { document: elb.admin().get("openapi.json"), asked: RefCell::default() }
    }

    /// What a reference leads to, or the value itself.
    pub(crate) fn resolved<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).expect(reference),
            None => value,
        }
    }

    pub(crate) fn validator(&self, schema: &Value) -> Validator {
        let whole = json!({"allOf": [schema], "components": self.document["components"]});
        jsonschema::draft202012::options().should_validate_formats(true).build(&whole).expect("a schema")
    }

    /// What is wrong with a value by this schema.
    pub(crate) fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(schema);
        validator.iter_errors(value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect()
    }

    /// The described path that a target is one of, and its item.
    pub(crate) fn path(&self, target: &str) -> (&str, &Value) {
        let asked: Vec<&str> = target.split('?').next().expect("a path").split('/').collect();
        let paths = self.document["paths"].as_object().expect("paths").iter();
        let mut fitting = paths.filter(|(path, _)| {
            let known: Vec<&str> = path.trim_start_matches("/__erulb__/").split('/').collect();
            known.len() == asked.len() && known.iter().zip(&asked).all(|(a, b)| a.starts_with('{') || a == b)
        });
        let (path, item) = fitting.next().unwrap_or_else(|| panic!("openapi.json has no path for {target}"));
        (path, item)
    }

    /// Judges an answer by what is described for this operation.
    #[track_caller]
    pub(crate) fn judge(&self, method: &str, target: &str, answer: &Message) {
        let (path, item) = self.path(target);
        let operation = &item[method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not described");
        let status = answer.status();
        let described = &operation["responses"][status.to_string()];
        assert!(
            described.is_object(),
            "{method} {target}: {status} is not described for {method} {path}: {}",
            answer.text()
        );
        self.conform(&format!("{method} {target}"), self.resolved(described), answer);
        self.asked.borrow_mut().insert((format!("{method} {path}"), status));
    }

    /// Judges head and body of an answer by a description.
    #[track_caller]
    pub(crate) fn conform(&self, call: &str, described: &Value, answer: &Message) {
        let status = answer.status();
        self.headers(call, described, &answer.head);
        let kind = answer.head.get("content-type").expect("a type");
        let content = &described["content"][kind];
        assert!(content.is_object(), "{call}: {status} has the type {kind}, which is not described");
        let body = if kind == "application/json" { answer.json() } else { answer.text().into() };
        let faults = self.faults(&content["schema"], &body);
        assert!(faults.is_empty(), "{call}: {status} is not as described:\n{}\n{body:#}", faults.join("\n"));
    }

    #[track_caller]
    pub(crate) fn headers(&self, call: &str, described: &Value, head: &Head) {
        let empty = Map::new();
        let known = described["headers"].as_object().unwrap_or(&empty);
        for (name, value) in &head.fields {
            let small = name.to_lowercase();
            // Why a worker refused is said to everybody, of whatever is refused.
            if small == "x-elb-reason" || !TOLD.iter().any(|told| small.starts_with(told)) {
                continue;
            }
            let header = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let (_, header) =
                header.unwrap_or_else(|| panic!("{call}: {name} is not described for {}", head.line));
            let schema = &self.resolved(header)["schema"];
            let as_number = value.parse::<u64>().map(Value::from);
            let readings = [Some(Value::from(value.as_str())), as_number.ok()];
            let fits = readings.iter().flatten().any(|value| self.faults(schema, value).is_empty());
            assert!(fits, "{call}: {name}: {value} is not as described");
        }
    }

    /// A call whose status is known, and whose body is as described unless the body is what is wrong.
    #[track_caller]
    pub(crate) fn call(
        &self,
        admin: &Admin,
        (method, target, body, status): (&str, &str, Value, u16),
    ) -> Message {
        let text = (!body.is_null()).then(|| body.to_string());
        let answer = admin.call(method, target, text.as_deref());
        assert_eq!(answer.status(), status, "{method} {target} {body}: {}", answer.text());
        self.judge(method, target, &answer);
        if status != 400 && !body.is_null() {
            let (path, item) = self.path(target);
            let schema = &item[method.to_lowercase()]["requestBody"]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{method} {path}: no body is described");
            let faults = self.faults(schema, &body);
            assert!(
                faults.is_empty(),
                "{method} {target}: the body is not as described: {faults:?}\n{body:#}"
            );
        }
        answer
    }

    /// `GET /path` of all that is described.
    pub(crate) fn operations(&self) -> BTreeSet<String> {
        let paths = self.document["paths"].as_object().expect("paths");
        let of = |(path, item): (&String, &Value)| {
            let there = METHODS.into_iter().filter(|method| item[*method].is_object());
            there.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    /// Ends the test if an operation was not asked for with this status.
    #[track_caller]
    pub(crate) fn all_asked(&self, statuses: impl Fn(u16) -> bool, spared: &[&str]) {
        let asked = self.asked.borrow();
        let reached: BTreeSet<String> = asked
            .iter()
            .filter(|(_, status)| statuses(*status))
            .map(|(operation, _)| operation.clone())
            .collect();
        let all = self.operations();
        let missing: Vec<&String> =
            all.difference(&reached).filter(|operation| !spared.contains(&operation.as_str())).collect();
        assert!(missing.is_empty(), "tests/e2e/openapi.rs has no such call of {missing:?}: add one");
    }
}
