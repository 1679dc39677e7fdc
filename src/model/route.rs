//! The one routing function: a snapshot and a request in, a decision out.
//!
//! It owns the order of things (domain, rules, the path that goes out) and the reasons for a denial, never a lookup of
//! its own. It is pure, ends after at most [`super::graph::RULES`] rules, and allocates nothing once its scratch has
//! grown. Next: [`hosts`](super::hosts) and [`ruleset`](super::ruleset) for the two lookups.

use std::time::Duration;

use super::encode::encode;
use super::recorder::Recorder;
use super::rule::{Backend, Respond, Terminal};
use super::scratch::Scratch;
use super::snapshot::Snapshot;
use crate::reason::Reason;
use crate::semantics::RequestView;

/// What becomes of a request, and how that came.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision<'s> {
    /// The slot of its domain; `None` when there is none.
    pub domain: Option<u32>,
    /// The last rule that was asked, by its number ([`Snapshot::rule_name`]); `None` without a domain. Who wants the whole
    /// way sends a [`Recorder`] along.
    pub rule: Option<u16>,
    /// What follows.
    pub verdict: Verdict<'s>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'s> {
    /// It goes no further; ELB answers.
    Denied {
        /// Why: no domain, a rule says so, or an impossible new path.
        reason: Reason,
    },
    /// It goes no further, as a rule says: it is denied, or came too soon after others. ELB answers.
    Refused {
        /// Why.
        reason: Reason,
        /// With this status.
        status: u16,
        /// After that time there would be room for it.
        wait: Option<Duration>,
    },
    /// ELB answers with a page of the rules.
    Respond {
        /// The page.
        page: &'s Respond,
        /// The client has it already.
        is_known: bool,
    },
    /// ELB sends the client elsewhere.
    Redirect {
        /// The status.
        code: u16,
        /// Where to: the value of `Location`.
        to: &'s [u8],
    },
    /// It goes to an upstream.
    Forward {
        /// The upstream's name and what is said to the server besides.
        backend: &'s Backend,
        /// The path that a rule made, percent-encoded, without query; `None`: the path stays as it was received.
        path: Option<&'s [u8]>,
    },
}

/// Decides what becomes of a request. `draw` is its chance: any number, for rules that leave something to it.
pub fn route<'s, R: Recorder>(
    snapshot: &'s Snapshot,
    request: &RequestView<'_>,
    draw: u64,
    scratch: &'s mut Scratch,
    recorder: &mut R,
) -> Decision<'s> {
    scratch.begin();
    let Some((domain, rules)) = snapshot.domain(request, &mut scratch.host) else {
        let verdict = Verdict::Denied { reason: Reason::NoDomain };
        return Decision { domain: None, rule: None, verdict };
    };
    scratch.rating.domain = domain;
    if R::WATCHES {
        recorder.domain(snapshot.domain_name(domain), snapshot.lookup(domain, request));
    }
    let (rule, end) = rules.walk(request, draw, scratch, recorder);
    let verdict = match end {
        None => match rules.refusal(rule) {
            None => Verdict::Denied { reason: Reason::RuleDenied },
            Some(status) => {
                let wait = Some(scratch.rating.wait);
                Verdict::Refused { reason: Reason::RateLimited, status, wait }
            }
        },
        Some(Terminal::Backend(backend)) => match scratch.encode_path(encode) {
            None => Verdict::Forward { backend, path: None },
            Some(Some(path)) => Verdict::Forward { backend, path: Some(path) },
            Some(None) => Verdict::Denied { reason: Reason::BadRewrite },
        },
        Some(end) => answered(end, *request, scratch),
    };
    Decision { domain: Some(domain), rule: Some(rule), verdict }
}

/// What ELB answers where a walk ends at one of its own answers.
#[cold]
#[inline(never)]
fn answered<'s>(end: &'s Terminal, request: RequestView<'_>, scratch: &'s mut Scratch) -> Verdict<'s> {
    match end {
        Terminal::Deny(deny) => {
            Verdict::Refused { reason: Reason::RuleDenied, status: deny.status(), wait: None }
        }
        Terminal::Respond(page) => Verdict::Respond { page, is_known: page.is_known(&request) },
        Terminal::Redirect(redirect) => {
            match scratch.locate(|scratch, out| redirect.write(&request, scratch, out)) {
                Some(to) => Verdict::Redirect { code: redirect.code(), to },
                None => Verdict::Denied { reason: Reason::BadRewrite },
            }
        }
        Terminal::Backend(_) => Verdict::Denied { reason: Reason::RuleDenied },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recorder::{Look, Lookup, Silent, Step};
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
        fn domain(&mut self, name: &str, found: Lookup) {
            self.0.push(format!("{name} {}", found.word()));
        }
        fn step(&mut self, Step { rule, kind, look, branch, next, path, .. }: Step<'_>) {
            let (Look { what, value, test }, path) = (look, String::from_utf8_lossy(path));
            self.0.push(format!("{rule} {kind} {what} {value:?} {test} {branch} {next:?} {path}"));
        }
        fn end(&mut self, rule: &str, kind: &'static str) {
            self.0.push(format!("{rule} {kind}"));
        }
    }

    #[test]
    fn every_outcome() {
        let snapshot = snapshot(json!({"H.test": blog("^/blog(.*)$"), "a.test": blog("x")}));
        let mut scratch = Scratch::new();
        let mut ask = |host: &str, path: &str| {
            let request = Sketch::new(host, path);
            let decision = route(&snapshot, &request.view(), 0, &mut scratch, &mut Silent);
            let rule =
                decision.domain.zip(decision.rule).map(|(domain, rule)| snapshot.rule_name(domain, rule));
            let came = match decision.verdict {
                Verdict::Denied { reason } => reason.to_string(),
                Verdict::Refused { status, wait, .. } => format!("{status} {wait:?}"),
                Verdict::Respond { page, is_known } => format!("{} {is_known}", page.status()),
                Verdict::Redirect { code, to } => format!("{code} {}", String::from_utf8_lossy(to)),
                Verdict::Forward { backend, path } => {
                    format!("{} {:?}", backend.servername(), path.map(String::from_utf8_lossy))
                }
            };
            format!("{} {} {came}", decision.domain.map_or(-1, i64::from), rule.unwrap_or("-"))
        };
        assert_eq!(ask("h.test", "/blog/a b%"), r#"0 b Up Some("/a%20b%25")"#);
        assert_eq!(ask("h.test", "/blog"), r#"0 b Up Some("/")"#);
        assert_eq!(ask("h.test", "/shop"), "0 a rule-denied");
        assert_eq!(ask("a.test", "/shop"), "1 a rule-denied");
        assert_eq!(ask("b.test", "/blog"), "-1 - no-domain");
        assert_eq!(ask("h.test", "/blog/\n\n"), "0 a rule-denied", "a dot takes no line end");
        assert_eq!(ask("h.test", "/blog/a\n"), r#"0 b Up Some("/a")"#, "a $ stands before the last one");
        assert_eq!(ask("h.test", "/blog/\u{1}"), "0 b bad-rewrite");
        assert_eq!(ask("h.test", "/blog../secret"), "0 b bad-rewrite");
        assert_eq!(ask("h.test", "/blog/a"), r#"0 b Up Some("/a")"#, "nothing is left of the request before");
    }

    #[test]
    fn a_limit_without_a_rule_to_go_on_with_refuses_and_says_for_how_long() {
        let rules = |args: Value| {
            let backend = json!({"type": "backend", "args": {"servername": "up"}});
            json!({"init": "a", "rules": {"a": {"type": "limit", "args": args}, "b": backend, "c": backend}})
        };
        let snapshot = snapshot(json!({
            "a.test": rules(json!({"rate": "1r/s", "succ": "b", "status": 503})),
            "b.test": rules(json!({"rate": "1r/s", "succ": "b", "fail": "c"})),
        }));
        let (mut scratch, now) = (Scratch::new(), std::time::Instant::now());
        let mut ask = |host: &str, looks: bool| {
            if looks {
                scratch.look_at(now)
            } else {
                scratch.at(now)
            }
            let decision = route(&snapshot, &Sketch::new(host, "/").view(), 0, &mut scratch, &mut Silent);
            let rule =
                decision.rule.zip(decision.domain).map(|(rule, domain)| snapshot.rule_name(domain, rule));
            match decision.verdict {
                Verdict::Refused { status, wait: Some(wait), .. } => format!("{status} {wait:?}"),
                _ => rule.unwrap_or("-").to_owned(),
            }
        };
        assert_eq!([ask("a.test", true), ask("a.test", true), ask("a.test", false)], ["b", "b", "b"]);
        assert_eq!([ask("a.test", true), ask("a.test", false)], ["503 1s", "503 1s"]);
        assert_eq!([ask("b.test", false), ask("b.test", false), ask("b.test", false)], ["b", "c", "c"]);
    }

    #[test]
    fn a_walk_may_end_at_an_answer_of_elb() {
        let end = |kind: &str, args: Value| json!({"type": kind, "args": args});
        let path = |pattern: &str, succ: &str, fail: &str| json!({"type": "path", "args": {"pattern": pattern, "regex": true, "succ": succ, "fail": fail}});
        let snapshot = snapshot(json!({"a.test": {"init": "a", "rules": {
            "a": path("^/old/(.*)$", "go", "b"), "b": path("^/page", "page", "no"),
            "go": end("redirect", json!({"to": "https://$host/new/$1$query", "code": 301})),
            "page": end("respond", json!({"body": "hello"})),
            "no": end("deny", json!({"status": 451}))}}}));
        let mut scratch = Scratch::new();
        let mut ask = |sketch: Sketch| match route(&snapshot, &sketch.view(), 0, &mut scratch, &mut Silent)
            .verdict
        {
            Verdict::Redirect { code, to } => format!("{code} {}", String::from_utf8_lossy(to)),
            Verdict::Respond { page, is_known } => format!("{} {is_known} {}", page.status(), page.body()),
            Verdict::Refused { reason, status, wait } => format!("{status} {reason} {wait:?}"),
            other => format!("{other:?}"),
        };
        let sketch = |path: &str| Sketch::new("a.test:80", path);
        assert_eq!(ask(sketch("/old/x y").query("q")), "301 https://a.test/new/x%20y?q");
        assert_eq!(ask(sketch("/old/../x")), "Denied { reason: BadRewrite }");
        assert_eq!(ask(sketch("/page")), "200 false hello");
        assert_eq!(ask(sketch("/page").field("If-None-Match", "*")), "200 true hello");
        assert_eq!(ask(sketch("/x")), "451 rule-denied None");
    }

    #[test]
    fn a_recorder_sees_the_way() {
        let snapshot = snapshot(json!({"H.test": blog("^/blog(.*)$")}));
        let mut notes = Notes::default();
        route(&snapshot, &Sketch::new("h.test", "/blog/a").view(), 0, &mut Scratch::new(), &mut notes);
        let step = r#"a path path Some("/blog/a") ^/blog(.*)$ succ Some("b") /a"#;
        assert_eq!(notes.0, ["H.test normal form", step, "b backend"]);
        let mut notes = Notes::default();
        route(&snapshot, &Sketch::new("h.test", "/").view(), 0, &mut Scratch::new(), &mut notes);
        let step = r#"a path path Some("/") ^/blog(.*)$ fail None /"#;
        assert_eq!(notes.0, ["H.test normal form", step]);
    }
}
