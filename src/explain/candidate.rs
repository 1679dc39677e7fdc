//! A configuration that is not served, to be asked what it would do.
//!
//! It owns nothing but the order in which it is read. Names of servers are not looked up: such servers have no address. Next:
//! [`State`].

use serde_json::Value;

use crate::model::{Edit, Fault, Library, Snapshot, State};

/// What a document `{"domains", "upstreams"}` would serve. Patterns are shared with `library`.
///
/// # Errors
/// The first fault, with its pointer.
pub fn candidate(document: &Value, library: Library) -> Result<Snapshot, Fault> {
    let mut state = State::reading_with(library);
    let Value::Object(members) = document else {
        return Err(Fault::new("", "must be an object with domains and upstreams"));
    };
    for (name, value) in members {
        let given = match value {
            Value::Object(given) => given.clone(),
            _ => return Err(Fault::new("", "must be an object").below(name)),
        };
        let edit = match name.as_str() {
            "domains" => Edit::PutDomains(given),
            "upstreams" => Edit::PutUpstreams(given),
            _ => return Err(Fault::new("", "is neither domains nor upstreams").below(name)),
        };
        state.edit(edit).map_err(|faults| Fault::clone(&faults).below(name))?;
    }
    Ok(state.snapshot(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_read_and_its_fault_has_a_place() {
        let rules = json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "up"}}}});
        let good = json!({"domains": {"a.test": rules}, "upstreams": {"up": {"10.0.0.1:80": ""}}});
        let snapshot = candidate(&good, Library::default()).unwrap();
        assert!(snapshot.domain_count() == 1 && snapshot.upstream_named("up").is_some());
        for (bad, fault) in [
            (json!([]), "must be an object with domains and upstreams"),
            (json!({"domain": {}}), "/domain: is neither domains nor upstreams"),
            (json!({"domains": []}), "/domains: must be an object"),
            (json!({"domains": {"a": {"rules": {}}}}), "/domains/a: has no init"),
        ] {
            assert_eq!(candidate(&bad, Library::default()).unwrap_err().to_string(), fault);
        }
    }
}
