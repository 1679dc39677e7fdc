//! A rule set: checked without a panic, and if it is accepted, every walk through it ends and it is shown as it was put.
//!
//! The input is the JSON of one domain's rules.

use std::collections::HashSet;

use elb::model::{self, Edit, Recorder, Scratch, Snapshot, State, Step, Verdict};
use elb::reason::Reason;
use elb::semantics::Sketch;
use serde_json::{Map, Value, json};

/// A domain name that no rule set can influence.
const HOST: &str = "fuzz.test";

pub fn run(bytes: &[u8]) {
    let Ok(given) = serde_json::from_slice::<Value>(bytes) else { return };
    let document = json!({"domains": {HOST: given}});
    let (faults, warnings) = model::check_all(&document);
    for fault in &faults {
        assert!(document.pointer(&fault.pointer).is_some(), "a fault at {} that is nowhere", fault.pointer);
    }
    let mut state = State::new();
    let outcome = state.edit(Edit::PutDomains(Map::from_iter([(HOST.to_owned(), given.clone())])));
    // An edit is stricter in one thing: an argument that its rule does not have, of which the check warns.
    let is_doubtful = warnings.iter().any(|warning| warning.message.contains("the admin API refuses it"));
    assert_eq!(
        outcome.is_ok(),
        faults.is_empty() && !is_doubtful,
        "the check and the edit agree: {outcome:?} {faults:?} {warnings:?}"
    );
    if outcome.is_err() {
        assert!(state.domains().is_empty(), "a refused edit left something behind");
        return;
    }
    assert_eq!(state.domains()[HOST], given);
    let snapshot = state.snapshot(1);
    routes(&snapshot, &given);
    // What a dump writes is what a load reads.
    let mut again = State::new();
    let loaded = again.load(state.effective());
    assert!(loaded.rejected.is_empty(), "{loaded:?}");
    assert_eq!(again.domains(), state.domains());
}

/// Sends every text of the rule set through it, as path and as user agent.
fn routes(snapshot: &Snapshot, given: &Value) {
    let mut texts = vec![String::new(), "/".to_owned(), "/blog/a/b".to_owned()];
    gather(given, &mut texts);
    let mut scratch = Scratch::new();
    for text in texts.iter().take(40) {
        let path = format!("/{text}");
        for (path, agent) in
            [(path.as_bytes(), Some(text.as_bytes())), (b"/a", Some(b"HTTPie")), (b"/", None)]
        {
            let request = Sketch::new(HOST, path).agent(agent);
            let mut steps = Steps::default();
            let decision = model::route(snapshot, &request.view(), 0, &mut scratch, &mut steps);
            let last =
                decision.domain.zip(decision.rule).map(|(domain, rule)| snapshot.rule_name(domain, rule));
            assert_eq!(last, steps.last.as_deref(), "the way ends at another rule than was asked last");
            match decision.verdict {
                Verdict::Denied { reason } => {
                    assert!(matches!(reason, Reason::RuleDenied | Reason::BadRewrite), "{reason}");
                }
                Verdict::Refused { status, .. } => assert!((400..600).contains(&status), "{status}"),
                Verdict::Respond { page, .. } => {
                    assert!((200..600).contains(&page.status()), "{}", page.status());
                    assert!(
                        page.lines().split_terminator("\r\n").all(|line| !line.contains(['\r', '\n', '\0']))
                    );
                }
                Verdict::Redirect { code, to } => {
                    assert!(
                        (301..=308).contains(&code) && to.iter().all(u8::is_ascii_graphic),
                        "{}",
                        to.escape_ascii()
                    );
                    assert!(!to.starts_with(b"//") && !to.contains(&b'\\'), "{}", to.escape_ascii());
                }
                Verdict::Forward { backend, path } => {
                    assert!(snapshot.upstream(backend.slot()).is_none_or(|upstream| upstream.implicit));
                    assert!(path.is_none_or(is_sendable), "{path:?}");
                    for (name, values) in backend.headers() {
                        assert!(values.iter().chain([name]).all(|text| !text.contains(['\r', '\n', '\0'])));
                    }
                }
            }
        }
    }
}

fn is_sendable(path: &[u8]) -> bool {
    path.starts_with(b"/")
        && path.iter().all(|byte| byte.is_ascii_graphic() && !b"#?%\"<>".contains(byte) || *byte == b'%')
}

/// No rule is asked twice: a walk has no circle, and goes on where the rule before said.
#[derive(Default)]
struct Steps {
    asked: HashSet<String>,
    last: Option<String>,
    next: Option<String>,
}

impl Steps {
    fn came_to(&mut self, rule: &str) {
        assert!(self.asked.insert(rule.to_owned()), "{rule} was asked twice");
        assert!(self.next.take().is_none_or(|next| next == rule), "the walk did not come to {rule}");
        self.last = Some(rule.to_owned());
    }
}

impl Recorder for Steps {
    fn step(&mut self, step: Step<'_>) {
        self.came_to(step.rule);
        self.next = step.next.map(str::to_owned);
    }

    fn end(&mut self, rule: &str, _kind: &'static str) {
        self.came_to(rule);
    }
}

/// Every text in a value.
fn gather(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(members) => members.values().for_each(|member| gather(member, texts)),
        _ => {}
    }
}
