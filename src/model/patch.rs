//! A change of some parts of an upstream: what it names becomes what it says, and the rest stays.
//!
//! It is a merge patch (RFC 7396) of what a PUT takes: a string replaces the parameters of a server whole, `null` takes the
//! server away. Two things are stricter, because a slip in a name would otherwise do something else than what was meant:
//! the upstream must be there, and is not taken away by a `null` of its own. This file owns the reading of a patch and what
//! it makes of an upstream, never a state. Next: [`state`](super::state) knows what is in force.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::check;
use super::fault::{Fault, Report, step};
use super::shapes;
use super::storable;
use super::upstream::UpstreamSpec;
use super::upstream_options::OPTIONS;
use super::upstream_part::Part;
use crate::warning::{Code, Warning};

/// What is said of one upstream.
#[derive(Debug)]
pub(crate) struct UpstreamPatch {
    /// Its name as it was given; case makes no difference.
    pub(crate) name: String,
    /// The parts that are named: each is this from now on, or (`None`) is gone.
    pub(crate) parts: Vec<(String, Option<Part>)>,
    /// An upstream that is not there is made.
    pub(crate) may_be_new: bool,
}

impl UpstreamPatch {
    /// Reads patches by the names of upstreams; those at fault are left out and reported.
    pub(crate) fn read_all(given: &Map<String, Value>, report: &mut Report) -> Vec<UpstreamPatch> {
        check::each_upstream(given, report, UpstreamPatch::read)
    }

    fn read(name: &str, given: &Value, report: &mut Report) -> Option<UpstreamPatch> {
        let Value::Object(given) = given else {
            let message = "must be an object: server → parameters, or null to take the server away";
            report.fault("", message);
            return None;
        };
        let mut parts = Vec::with_capacity(given.len());
        for (part, said) in given {
            match read_part(name, part, said) {
                Ok(said) => parts.push((part.clone(), said)),
                Err(message) => report.fault(step(part), message),
            }
        }
        Some(UpstreamPatch { name: name.to_owned(), parts, may_be_new: false })
    }

    /// The upstream that it makes of one that is in force. Servers that it takes away and that are not there are warned of.
    ///
    /// # Errors
    /// The upstream is not there, or would be one that no PUT may make.
    pub(crate) fn complete(
        self,
        in_force: Option<&Arc<UpstreamSpec>>,
        warnings: &mut Vec<Warning>,
    ) -> Result<UpstreamSpec, Fault> {
        let place = step(&self.name);
        let mut spec = match in_force {
            Some(before) => UpstreamSpec::clone(before),
            None if self.may_be_new => UpstreamSpec { name: self.name, servers: Vec::new(), options: None },
            None => return Err(Fault::new(place, "there is no such upstream; PUT makes one")),
        };
        for (name, part) in self.parts {
            if part.is_none() && spec.part(&name).is_none() {
                let pointer = format!("{place}{}", step(&name));
                let message = "was not there, so nothing is taken away";
                warnings.push(Warning::new(Code::NotThere, pointer, message));
            }
            spec.set(&name, part);
        }
        match spec.lacks() {
            Some(lack) => Err(Fault::new(place, lack)),
            None => Ok(spec),
        }
    }
}

fn read_part(upstream: &str, name: &str, said: &Value) -> Result<Option<Part>, String> {
    if name != OPTIONS {
        storable::server(name)?;
        storable::fits(upstream, name)?;
    }
    match said {
        Value::Null => Ok(None),
        Value::String(text) => Part::read(name, text).map(Some),
        Value::Object(_) if name != OPTIONS => {
            let text = shapes::parameters(said).map_err(|fault| fault.to_string())?.unwrap_or_default();
            Part::read(name, &text).map(Some)
        }
        _ => Err("must be a string of parameters, or null to take it away".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Edit, KeyChange, State};

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn state() -> State {
        let mut state = State::new();
        let upstreams = json!({"Up1": {"b:1": "weight=2", "a:1": "", "@options": "method=round_robin"}, "up2": {"a:1": ""}});
        state.edit(Edit::PutUpstreams(object(upstreams))).unwrap();
        state
    }

    fn shown(state: &State) -> Vec<String> {
        let parts = |spec: &Arc<UpstreamSpec>| {
            let parts: Vec<_> = spec.parts().map(|(name, part)| format!("{name} {part}")).collect();
            format!("{}: {}", spec.name, parts.join(", "))
        };
        let shown = state.upstreams();
        shown.iter().map(|spec| parts(spec).replace("weight=1 max_fails=1 fail_timeout=10", "-")).collect()
    }

    #[test]
    fn what_is_named_changes_and_the_rest_stays() {
        let mut state = state();
        let patch = json!({"up1": {"a:1": "down", "c:1": "weight=3", "@options": null}, "UP2": {}});
        let outcome = state.edit(Edit::PatchUpstreams(object(patch))).unwrap();
        assert!(outcome.changed && outcome.warnings.is_empty(), "{outcome:?}");
        let expected = [
            "Up1: b:1 weight=2 max_fails=1 fail_timeout=10, a:1 - down, c:1 weight=3 max_fails=1 fail_timeout=10",
            "up2: a:1 -",
        ];
        assert_eq!(shown(&state), expected, "the spelling stays, and so does the order");
        let patch = json!({"up1": {"b:1": null, "c:1": null, "d:1": null, "a:1": "", "@options": null}});
        let outcome = state.edit(Edit::PatchUpstreams(object(patch))).unwrap();
        assert_eq!(shown(&state), ["Up1: a:1 -", "up2: a:1 -"]);
        assert_eq!(
            crate::warning::lines(&outcome.warnings),
            [
                "/up1/d:1: was not there, so nothing is taken away [not-there]",
                "/up1/@options: was not there, so nothing is taken away [not-there]"
            ]
        );
    }

    #[test]
    fn what_is_in_quarantine_is_warned_of_unless_the_patch_names_it() {
        let mut state = State::new();
        let server = |server: &str, text: &str| KeyChange::Server {
            upstream: "up".into(),
            server: server.into(),
            text: Some(text.into()),
        };
        state.store_changed(vec![server("a:1", ""), server("b:1", "wait=3"), server("c:1", "")]);
        let mut patch = |patch: Value| {
            let outcome = state.edit(Edit::PatchUpstreams(object(json!({"up": patch})))).unwrap();
            crate::warning::lines(&outcome.warnings)
        };
        let told = patch(json!({"a:1": "down"}));
        assert_eq!(
            told,
            ["/up/b:1: is in quarantine; a dump replaces it with what serves instead [in-quarantine]"]
        );
        assert_eq!(patch(json!({"b:1": "weight=3"})), [""; 0]);
    }

    #[test]
    fn a_patch_at_fault_changes_nothing_and_names_the_place() {
        let mut state = state();
        let before = shown(&state);
        let good = json!({"a:1": "down"});
        for (patch, fault) in [
            (json!({"up2": good, "up3": good}), "/up3: there is no such upstream; PUT makes one"),
            (
                json!({"up2": good, "up1": null}),
                "/up1: must be an object: server → parameters, or null to take the server away",
            ),
            (
                json!({"up2": good, "up1": {"a:1": 5}}),
                "/up1/a:1: must be a string of parameters, or null to take it away",
            ),
            (json!({"up2": good, "up1": {"a:1": "weight=0"}}), "/up1/a:1: weight=0: must be 1 or more"),
            (json!({"up2": good, "up1": {"a:0": ""}}), "/up1/a:0: "),
            (json!({"up2": good, "up1": {"@opts": ""}}), "/up1/@opts: no part of a name can begin with @"),
            (
                json!({"up2": good, "up1": {"@options": "metod=x"}}),
                "/up1/@options: metod=x: there is no such option",
            ),
            (json!({"up2": good, "UP2": good}), "/UP2: is the same upstream as up2"),
            (json!({"up1": {"c:1": ""}, "up2": {"a:1": null}}), "/up2: has no servers"),
            (json!({"up1": {"c:1": ""}, "up2": {"a:1": "backup"}}), "/up2: has only backup servers"),
        ] {
            let refused = state.edit(Edit::PatchUpstreams(object(patch.clone()))).unwrap_err().to_string();
            assert!(refused.starts_with(fault), "{patch}: {refused}");
            assert_eq!(shown(&state), before, "{patch}");
        }
    }
}
