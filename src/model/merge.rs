//! A JSON merge patch (RFC 7396).
//!
//! It owns that and nothing else. Values come from JSON that was read, which is nested no deeper than that allows. Next:
//! `control::admin` makes a rule set of one in force and of a patch.

use serde_json::{Map, Value};

/// What a value becomes by a patch: a member that is null goes, an object is patched in turn, and anything else takes the place
/// of what was there.
#[must_use]
pub fn merge(value: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut members = match value {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, patch) in patch {
        if patch.is_null() {
            members.shift_remove(&name);
        } else {
            let before = members.get_mut(&name).map(Value::take).unwrap_or_default();
            members.insert(name, merge(before, patch));
        }
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_rfc_has_these_examples() {
        for (value, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(merge(value.clone(), patch.clone()), merged, "{value} {patch}");
        }
    }
}
