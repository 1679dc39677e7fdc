//! Reads a request that nobody sent, and writes down what becomes of it.
//!
//! It owns no rule and no answer: it asks the functions that workers ask, and stops where they would connect. Next:
//! [`way`](super::way) for the rules, [`servers`] for who could answer, [`Preview`] for the heads.

use std::time::Instant;

use serde_json::{Value, json};

use super::asked::Asked;
use super::servers;
use super::way::Way;
use crate::answer::give;
use crate::exchange::{Forward, Policy, Preview};
use crate::http1::reply::Reply;
use crate::model::{self, Scratch, Snapshot, Verdict};
use crate::policy;
use crate::reason::Reason;
use crate::semantics::forwarded::client_of;
use crate::semantics::reserved::{self, Reserved};
use crate::settings::{AllowList, Settings};

/// The date of answers that nobody gets.
const DATE: [u8; 29] = *b"Thu, 01 Jan 1970 00:00:00 GMT";

/// Explains what workers with the same settings would do.
#[derive(Debug, Clone)]
pub struct Explainer {
    policy: Policy,
    trusted_proxies: AllowList,
}

impl Explainer {
    /// One for these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { policy: policy::of(settings), trusted_proxies: settings.trusted_proxies.clone() }
    }

    /// One for the settings that ELB has without flags and variables.
    #[must_use]
    pub fn usual() -> Option<Self> {
        Settings::from_flags(&[]).ok().map(|settings| Self::new(&settings))
    }

    /// What would become of a request now, as JSON: `request`, `version`, `domain`, `rules`, `end`, `upstream`, and what would be
    /// sent: `to_server`, or `answer` where ELB answers itself. `draw` is its chance, any number. Nothing is counted.
    #[must_use]
    pub fn explain(&self, snapshot: &Snapshot, asked: &Asked, now: Instant, draw: u64) -> Value {
        let (wire, peer) = (asked.wire(), asked.client.to_string());
        let mut client = peer.clone();
        let mut way = Way::default();
        let outcome = match Preview::read(&wire, &self.policy) {
            Err(reason) => Outcome::Answered(Preview::refused(reason, &DATE)),
            Ok(preview) => {
                client = self.client(&preview, asked);
                let peer = Some(peer.as_bytes()).filter(|_| self.trusted_proxies.holds(asked.client));
                self.routed(snapshot, &preview, (&client, peer), (now, draw), &mut way)
            }
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (mut upstream, mut to_server, mut answer, mut is_ours) = (Value::Null, None, None, false);
        match outcome {
            Outcome::Ours => is_ours = true,
            Outcome::Answered(bytes) => answer = Some(shown(&text(bytes))),
            Outcome::Forwarded { slot, head } => {
                let named = snapshot.upstream(slot).zip(snapshot.upstream_name(slot));
                upstream = named.map_or(Value::Null, |(upstream, name)| servers::shown(upstream, name));
                to_server = Some(text(head));
            }
        }
        json!({
            "request": {"method": asked.method, "host": asked.host, "path": asked.path, "client": client},
            "version": snapshot.version,
            "is_admin_api": is_ours,
            "domain": way.domain_shown(),
            "rules": way.take_steps(),
            "end": way.end_shown(),
            "upstream": upstream,
            "to_server": to_server,
            "answer": answer,
        })
    }

    /// Whose the request is, as rules see it.
    fn client(&self, preview: &Preview<'_>, asked: &Asked) -> String {
        let view = preview.view(b"");
        let values: Vec<&[u8]> = view.field(b"x-forwarded-for").collect();
        client_of(asked.client, values, |address| self.trusted_proxies.holds(address)).to_string()
    }

    /// Where a request goes that is understood.
    fn routed(
        &self,
        snapshot: &Snapshot,
        preview: &Preview<'_>,
        (client, peer): (&str, Option<&[u8]>),
        (now, draw): (Instant, u64),
        way: &mut Way,
    ) -> Outcome {
        let refused = |reason| Outcome::Answered(preview.answered(&Reply::refusal(reason), &DATE));
        match preview.reserved() {
            Reserved::No => {}
            Reserved::Exact => return Outcome::Ours,
            Reserved::Misspelt => return refused(Reason::ReservedPath),
        }
        let mut scratch = Scratch::new();
        scratch.look_at(now);
        let view = preview.view(client.as_bytes());
        match model::route(snapshot, &view, draw, &mut scratch, way).verdict {
            Verdict::Forward { path: Some(path), .. } if reserved::is_under(path) => {
                refused(Reason::ReservedPath)
            }
            Verdict::Forward { backend, path } => {
                let host = backend.host().map(str::as_bytes);
                let forward = Forward {
                    client: client.as_bytes(),
                    peer,
                    session: None,
                    path,
                    host,
                    extra: backend.headers(),
                };
                Outcome::Forwarded { slot: backend.slot(), head: preview.forwarded(&forward, &self.policy) }
            }
            verdict => Outcome::Answered(give(&verdict, |reply| preview.answered(reply, &DATE))),
        }
    }
}

/// What becomes of a request.
enum Outcome {
    /// The admin API answers.
    Ours,
    /// ELB answers with these bytes.
    Answered(Vec<u8>),
    /// A server of the upstream in this slot gets this head.
    Forwarded { slot: u32, head: Vec<u8> },
}

/// An answer of ELB.
fn shown(text: &str) -> Value {
    let status = text.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    let reason = text.lines().find_map(|line| line.strip_prefix("X-ELB-Reason: "));
    json!({"status": status, "reason": reason, "text": text})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Edit, State};

    fn explain(asked: Value) -> Value {
        let mut state = State::new();
        let domains = json!({
            "a.test": {"init": "p", "rules": {
                "p": {"type": "path", "args": {"pattern": "^/blog(.*)$", "regex": true, "rewrite": true, "succ": "b", "fail": "u"}},
                "u": {"type": "ua", "args": {"pattern": "curl", "succ": "c"}},
                "b": {"type": "backend", "args": {"servername": "up", "X-Blog": "1"}},
                "c": {"type": "backend", "args": {"servername": "10.9.9.9:81"}}}},
            "*.few.test": {"init": "l", "rules": {
                "l": {"type": "limit", "args": {"rate": "1r/m", "succ": "b", "status": 503}},
                "b": {"type": "backend", "args": {"servername": "none"}}}}});
        let upstreams = json!({"up": {"10.0.0.1:80": "", "10.0.0.2:80": "down"}});
        state.edit(Edit::PutDomains(domains.as_object().unwrap().clone())).unwrap();
        state.edit(Edit::PutUpstreams(upstreams.as_object().unwrap().clone())).unwrap();
        let explainer = Explainer::new(&Settings::from_flags(&[]).unwrap());
        let asked = Asked::read(asked.as_object().unwrap()).unwrap();
        explainer.explain(&state.snapshot(3), &asked, Instant::now(), 0)
    }

    #[test]
    fn a_request_is_followed_to_the_head_that_a_server_would_get() {
        let told = explain(json!({"host": "A.test:80", "path": "/blog/x?y=1", "client": "192.0.2.7"}));
        assert_eq!(told["domain"], json!({"name": "a.test", "found": "normal form"}));
        assert_eq!(
            told["rules"],
            json!([{"rule": "p", "type": "path", "looks_at": "path", "value": "/blog/x", "test": "^/blog(.*)$",
                "branch": "succ", "next": "b", "path": "/x"}])
        );
        assert_eq!((&told["end"], &told["version"]), (&json!({"rule": "b", "type": "backend"}), &json!(3)));
        assert_eq!(told["upstream"]["name"], "up");
        let may: Vec<_> =
            told["upstream"]["servers"].as_array().unwrap().iter().map(|one| &one["can_be_chosen"]).collect();
        assert_eq!(may, [true, false]);
        let head = told["to_server"].as_str().unwrap();
        assert!(head.starts_with("GET /x?y=1 HTTP/1.1\r\nHost: a.test\r\n"), "{head}");
        assert!(
            head.contains("\r\nX-Real-IP: 192.0.2.7\r\n") && head.contains("\r\nX-Blog: 1\r\n"),
            "{head}"
        );
        assert_eq!(told["answer"], json!(null));
    }

    #[test]
    fn a_request_that_elb_answers_has_that_answer() {
        for (asked, status, reason, rules) in [
            (json!({"host": "b.test"}), 404, "no-domain", 0),
            (json!({"host": "a.test"}), 403, "rule-denied", 2),
            (json!({"host": "a.test", "path": "x"}), 400, "bad-target", 0),
            (json!({"host": "a.test", "path": "/blog/__erulb__/x"}), 404, "reserved-path", 1),
            (json!({"host": "a.test", "path": "//__erulb__/x"}), 404, "reserved-path", 0),
            (json!({"host": "a.test", "headers": {"Content-Length": "x"}}), 400, "bad-content-length", 0),
        ] {
            let told = explain(asked.clone());
            let answer = &told["answer"];
            assert_eq!((&answer["status"], &answer["reason"]), (&json!(status), &json!(reason)), "{asked}");
            assert_eq!(told["rules"].as_array().unwrap().len(), rules, "{asked}");
            assert_eq!((&told["to_server"], &told["upstream"]), (&json!(null), &json!(null)), "{asked}");
        }
        let ours = explain(json!({"host": "a.test", "path": "/__erulb__/domain"}));
        assert_eq!((&ours["is_admin_api"], &ours["answer"]), (&json!(true), &json!(null)));
    }

    #[test]
    fn to_be_asked_takes_nothing_of_a_limit() {
        for _ in 0..3 {
            let told = explain(json!({"host": "x.few.test"}));
            assert_eq!((&told["domain"]["found"], &told["end"]["rule"]), (&json!("suffix"), &json!("b")));
            assert_eq!(told["upstream"], json!(null), "there is none of that name");
        }
    }
}
