//! The description of the API (`src/control/admin/openapi.json`) held against the router, the manual and the schema of OpenAPI.
//!
//! It owns what can be known without a call; `e2e/openapi.rs` holds it against answers. `schema-3.1.json` beside it is that of the OpenAPI
//! Initiative, <https://spec.openapis.org/oas/3.1/schema/2022-10-07>, under the Apache License 2.0.

use std::collections::BTreeSet;
use std::fs;

use elb::warning::Code;
use serde_json::Value;

use crate::pages::{Page, root};
use crate::snake;

const METHODS: [&str; 5] = ["get", "put", "patch", "delete", "post"];
/// What to do about a route that is not described.
const HINT: &str = "each route of router.rs has a description in src/control/admin/openapi.json and a call in tests/e2e/openapi.rs";

fn document() -> Value {
    let text = fs::read_to_string(root().join("src/control/admin/openapi.json")).expect("the document");
    serde_json::from_str(&text).expect("JSON")
}

/// What stands between two texts behind `from`, and what follows.
fn between<'t>(text: &'t str, from: &str, to: &str) -> (&'t str, &'t str) {
    let (_, rest) = text.split_once(from).expect(from);
    rest.split_once(to).expect(to)
}

/// Path, method in lower case, and the words that it knows, of each route: `.route("/__erulb__/domain", only("GET, PUT", &[Dump], …`.
fn routes() -> Vec<(String, String, BTreeSet<String>)> {
    let router = fs::read_to_string(root().join("src/control/admin/router.rs")).expect("the router");
    let (api, _) = router.split_once("fn metrics_api").expect("the API before the metrics");
    let mut routes = Vec::new();
    for route in api.split(".route(").skip(1) {
        let (path, rest) = between(route, "\"", "\"");
        let (methods, rest) = between(rest, "only(", "&[");
        let (words, _) = rest.split_once(']').expect("words");
        let words: BTreeSet<String> =
            words.split(',').map(|word| snake(word.trim())).filter(|word| !word.is_empty()).collect();
        for method in methods.trim().trim_matches([',', '"']).split(", ") {
            routes.push((path.to_owned(), method.to_lowercase(), words.clone()));
        }
    }
    assert!(routes.len() > 30, "only {} routes were read", routes.len());
    routes
}

/// Each operation that is described, with what is said of its path.
fn operations(document: &Value) -> Vec<(&str, &str, &Value, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let of = |(path, item)| {
        METHODS.map(|method| (method, path, item)).into_iter().filter_map(
            |(method, path, item): (&'static str, &String, &Value)| {
                Some((path.as_str(), method, item.get(method)?, item))
            },
        )
    };
    paths.iter().flat_map(of).collect()
}

/// Each reference below a value.
fn references<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The parameters of an operation, and of its path.
fn parameters<'d>(document: &'d Value, operation: &'d Value, item: &'d Value) -> Vec<&'d Value> {
    let own = [operation, item].into_iter().filter_map(|of| of["parameters"].as_array()).flatten();
    let pointer =
        |reference: &'d Value| reference["$ref"].as_str().expect("a reference").trim_start_matches('#');
    own.map(|parameter| document.pointer(pointer(parameter)).expect("a parameter")).collect()
}

fn words(values: &Value) -> BTreeSet<&str> {
    values.as_array().expect("a list").iter().map(|word| word.as_str().expect("a word")).collect()
}

#[test]
fn every_route_is_described_and_no_other() {
    let document = document();
    let described: BTreeSet<String> = operations(&document)
        .into_iter()
        .map(|(path, method, ..)| format!("{} {path}", method.to_uppercase()))
        .collect();
    let known: BTreeSet<String> =
        routes().iter().map(|(path, method, _)| format!("{} {path}", method.to_uppercase())).collect();
    let missing: Vec<_> = known.difference(&described).collect();
    assert!(missing.is_empty(), "openapi.json lacks {missing:?}: {HINT}");
    let more: Vec<_> = described.difference(&known).collect();
    assert!(more.is_empty(), "openapi.json describes {more:?}, which router.rs does not have");
}

#[test]
fn every_change_has_the_words_of_its_route_and_every_path_its_names() {
    let document = document();
    let routes = routes();
    let mut ids = BTreeSet::new();
    for (path, method, operation, item) in operations(&document) {
        let parameters = parameters(&document, operation, item);
        let named = |place: &str| -> BTreeSet<String> {
            let there = parameters.iter().filter(|parameter| parameter["in"] == place);
            there.map(|parameter| parameter["name"].as_str().expect("a name").to_owned()).collect()
        };
        let in_path = path.split('{').skip(1).map(|rest| rest.split('}').next().expect("a name").to_owned());
        assert_eq!(named("path"), in_path.collect(), "{method} {path}");
        let (_, _, words) = routes
            .iter()
            .find(|(route, known, _)| route == path && known == method)
            .unwrap_or_else(|| panic!("{method} {path}: {HINT}"));
        if method != "get" {
            assert_eq!(named("query"), *words, "{method} {path}: words of the query, and those of router.rs");
        }
        assert!(
            ids.insert(operation["operationId"].as_str().expect("an id")),
            "{method} {path} has an id twice"
        );
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    // A 405 belongs to no operation, and an overview is the data of an event.
    let spared = ["#/components/responses/MethodNotAllowed", "#/components/schemas/Overview"];
    for kind in ["parameters", "headers", "responses", "schemas"] {
        for name in document["components"][kind].as_object().expect("components").keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(
                found.contains(&&*reference) || spared.contains(&&*reference),
                "nobody refers to {reference}"
            );
        }
    }
}

#[test]
fn the_document_is_openapi_and_its_schemas_are_schemas() {
    let document = document();
    let text = include_str!("schema-3.1.json");
    let schema = serde_json::from_str(text).expect("the schema of OpenAPI");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let faults: Vec<String> =
        validator.iter_errors(&document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}

/// Codes of failures with their status, as the manual has them.
fn told() -> BTreeSet<(String, String)> {
    let mut told = BTreeSet::new();
    for row in Page::read("src/manual/admin_api.md").rows("codes") {
        let codes: Vec<&str> = row[0].split(", ").map(|code| code.trim_matches('`')).collect();
        let statuses: Vec<&str> = row[1].split(", ").collect();
        for (at, code) in codes.iter().enumerate() {
            let status = statuses.get(at).unwrap_or(&statuses[0]);
            told.insert(((*code).to_owned(), (*status).to_owned()));
        }
    }
    told
}

#[test]
fn every_code_of_the_manual_is_described_with_its_status_and_no_other() {
    let document = document();
    let told = told();
    let known: BTreeSet<&str> = told.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(words(&document["components"]["schemas"]["Failure"]["properties"]["code"]["enum"]), known);
    let responses = &document["components"]["responses"];
    for (status, name) in [
        ("400", "BadRequest"),
        ("401", "Unauthorized"),
        ("403", "Forbidden"),
        ("404", "NotFound"),
        ("405", "MethodNotAllowed"),
        ("408", "TooSlow"),
        ("409", "Conflict"),
        ("412", "ConditionFailed"),
        ("413", "TooLarge"),
        ("500", "Internal"),
        ("503", "Unavailable"),
        ("504", "Late"),
    ] {
        let schema = &responses[name]["content"]["application/json"]["schema"]["allOf"][1];
        let of: BTreeSet<&str> =
            told.iter().filter(|(_, of)| of == status).map(|(code, _)| code.as_str()).collect();
        assert_eq!(words(&schema["properties"]["code"]["enum"]), of, "{name}");
        for (path, method, operation, _) in operations(&document) {
            let described = &operation["responses"][status];
            // What answers something else besides has a description of its own.
            let has_own = path == "/__erulb__/ready" && status == "503";
            assert!(
                described.is_null()
                    || has_own
                    || described["$ref"] == format!("#/components/responses/{name}"),
                "{method} {path}: {status} is {described}"
            );
        }
    }
    let warnings = &document["components"]["schemas"]["Warning"]["properties"]["code"]["enum"];
    assert_eq!(words(warnings), Code::ALL.map(Code::word).into());
}

#[test]
fn every_type_of_a_rule_is_described_and_no_other() {
    let document = document();
    let rule = &document["components"]["schemas"]["Rule"];
    let rows = Page::read("src/manual/rules.md").rows("rule-sets");
    assert_eq!(
        words(&rule["properties"]["type"]["enum"]),
        rows.iter().map(|row| row[0].trim_matches('`')).collect()
    );
    for row in &rows {
        let kind = row[0].trim_matches('`');
        let one = rule["oneOf"].as_array().expect("types").iter();
        let one = one.clone().find(|one| one["properties"]["type"]["const"] == kind).expect(kind);
        let reference = one["properties"]["args"]["$ref"].as_str().expect("arguments");
        let arguments = document.pointer(reference.trim_start_matches('#')).expect(reference);
        let described: BTreeSet<&str> =
            arguments["properties"].as_object().expect("arguments").keys().map(String::as_str).collect();
        // The last of `backend` are headers, by any name.
        let told = row[2].split(", ").filter(|word| word.starts_with('`')).map(|word| word.trim_matches('`'));
        assert_eq!(described, told.collect(), "{kind}");
    }
}
