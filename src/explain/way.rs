//! The way of a request through the rules, as it is written down while it goes.
//!
//! It owns the members of that JSON. Next: [`desk`](super::desk) sends one along.

use serde_json::{Value, json};

use crate::model::{Lookup, Recorder, Step};

/// What was recorded.
#[derive(Debug, Default)]
pub(super) struct Way {
    domain: Option<(String, Lookup)>,
    steps: Vec<Value>,
    end: Option<(String, &'static str)>,
}

impl Recorder for Way {
    fn domain(&mut self, name: &str, found: Lookup) {
        self.domain = Some((name.to_owned(), found));
    }

    fn step(&mut self, step: Step<'_>) {
        let Step { rule, kind, look, branch, next, path, .. } = step;
        self.steps.push(json!({
            "rule": rule,
            "type": kind,
            "looks_at": look.what,
            "value": look.value,
            "test": look.test,
            "branch": branch,
            "next": next,
            "path": String::from_utf8_lossy(path),
        }));
    }

    fn end(&mut self, rule: &str, kind: &'static str) {
        self.end = Some((rule.to_owned(), kind));
    }
}

impl Way {
    /// The domain, or null.
    pub(super) fn domain_shown(&self) -> Value {
        self.domain.as_ref().map_or(Value::Null, |(name, found)| json!({"name": name, "found": found.word()}))
    }

    /// Every rule that was asked, in order.
    pub(super) fn take_steps(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.steps)
    }

    /// The rule at which the walk ended, or null.
    pub(super) fn end_shown(&self) -> Value {
        self.end.as_ref().map_or(Value::Null, |(rule, kind)| json!({"rule": rule, "type": kind}))
    }
}
