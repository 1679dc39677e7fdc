//! The one routing function: a snapshot and a request in, a decision out.
//!
//! It owns the order of things (domain, rules, the path that goes out) and the reasons for a denial, never a lookup of
//! its own. It is pure, ends after at most [`super::ruleset::RULES`] rules, and allocates nothing once its scratch has
//! grown. Next: `hosts` and `ruleset` for the two lookups.

use super::encode::encode;
use super::rule::Backend;
use super::scratch::Scratch;
use super::snapshot::Snapshot;
use crate::reason::Reason;
use crate::semantics::RequestView;

/// Watches one request on its way; what is not of interest is ignored and costs nothing.
pub trait Recorder {
    /// Whether it is told anything at all.
    const WATCHES: bool = true;
    /// The request belongs to this domain, named as the operator wrote it.
    fn domain(&mut self, _name: &str) {}
    /// A rule was asked, and matched or not. A backend always does, and is the last.
    fn step(&mut self, _rule: &str, _matched: bool) {}
}

/// Records nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Recorder for Silent {
    const WATCHES: bool = false;
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<'s> {
    /// It goes no further; ELB answers.
    Denied {
        /// The slot of its domain, if it has one.
        domain: Option<u32>,
        /// Why: no domain, a rule says so, or an impossible new path.
        reason: Reason,
    },
    /// It goes to an upstream.
    Forward {
        /// The slot of its domain.
        domain: u32,
        /// The upstream's name and what is said to the server besides.
        backend: &'s Backend,
        /// The path that a rule made, percent-encoded, without query; `None`: the path stays as it was received.
        path: Option<&'s [u8]>,
    },
}

/// Decides what becomes of a request.
pub fn route<'s, R: Recorder>(
    snapshot: &'s Snapshot,
    request: &RequestView<'_>,
    scratch: &'s mut Scratch,
    recorder: &mut R,
) -> Decision<'s> {
    scratch.begin();
    let Some((domain, rules)) = snapshot.domain(request, &mut scratch.host) else {
        return Decision::Denied { domain: None, reason: Reason::NoDomain };
    };
    if R::WATCHES {
        recorder.domain(snapshot.domain_name(domain));
    }
    let Some(backend) = rules.walk(request, scratch, recorder) else {
        return Decision::Denied { domain: Some(domain), reason: Reason::RuleDenied };
    };
    match scratch.encode_path(encode) {
        None => Decision::Forward { domain, backend, path: None },
        Some(Some(path)) => Decision::Forward { domain, backend, path: Some(path) },
        Some(None) => Decision::Denied { domain: Some(domain), reason: Reason::BadRewrite },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Edit, State};
    use crate::semantics::Sketch;
    use serde_json::{Value, json};

    fn snapshot(domains: Value) -> Snapshot {
        let mut state = State::new();
        let Value::Object(domains) = domains else { panic!("an object") };
        state.edit(Edit::PutDomains(domains)).unwrap();
        state.snapshot(1)
    }

    /// `^/blog` goes to `up`, with what follows as its path; nothing else does.
    fn blog(pattern: &str) -> Value {
        json!({"init": "a", "rules": {
            "a": {"type": "path", "args": {"pattern": pattern, "regex": true, "rewrite": true, "succ": "b"}},
            "b": {"type": "backend", "args": {"servername": "Up", "X-From": "elb"}}}})
    }

    #[derive(Default)]
    struct Notes(Vec<String>);

    impl Recorder for Notes {
        fn domain(&mut self, name: &str) {
            self.0.push(name.to_owned());
        }
        fn step(&mut self, rule: &str, matched: bool) {
            self.0.push(format!("{rule}={matched}"));
        }
    }

    #[test]
    fn every_outcome() {
        let snapshot = snapshot(json!({"H.test": blog("^/blog(.*)$"), "a.test": blog("x")}));
        let mut scratch = Scratch::new();
        let mut ask = |host: &str, path: &str| match route(
            &snapshot,
            &Sketch::new(host, path).view(),
            &mut scratch,
            &mut Silent,
        ) {
            Decision::Denied { domain, reason } => format!("{domain:?} {reason}"),
            Decision::Forward { domain, backend, path } => {
                format!("{domain} {} {:?}", backend.servername(), path.map(String::from_utf8_lossy))
            }
        };
        assert_eq!(ask("h.test", "/blog/a b%"), r#"0 Up Some("/a%20b%25")"#);
        assert_eq!(ask("h.test", "/blog"), r#"0 Up Some("/")"#);
        assert_eq!(ask("h.test", "/shop"), "Some(0) rule-denied");
        assert_eq!(ask("a.test", "/shop"), "Some(1) rule-denied");
        assert_eq!(ask("b.test", "/blog"), "None no-domain");
        assert_eq!(ask("h.test", "/blog/\n\n"), "Some(0) rule-denied", "a dot takes no line end");
        assert_eq!(ask("h.test", "/blog/a\n"), r#"0 Up Some("/a")"#, "a $ stands before the last one");
        assert_eq!(ask("h.test", "/blog/\u{1}"), "Some(0) bad-rewrite");
        assert_eq!(ask("h.test", "/blog../secret"), "Some(0) bad-rewrite");
        assert_eq!(ask("h.test", "/blog/a"), r#"0 Up Some("/a")"#, "nothing is left of the request before");
    }

    #[test]
    fn a_recorder_sees_the_way() {
        let snapshot = snapshot(json!({"H.test": blog("^/blog(.*)$")}));
        let mut notes = Notes::default();
        route(&snapshot, &Sketch::new("h.test", "/blog/a").view(), &mut Scratch::new(), &mut notes);
        assert_eq!(notes.0, ["H.test", "a=true", "b=true"]);
        let mut notes = Notes::default();
        route(&snapshot, &Sketch::new("h.test", "/").view(), &mut Scratch::new(), &mut notes);
        assert_eq!(notes.0, ["H.test", "a=false"]);
    }
}
