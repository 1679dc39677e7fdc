//! Lets an exchange read a request that nobody sent, and writes down what becomes of it.
//!
//! It owns no rule and no answer: it asks the functions that workers ask, and stops where they would connect. Next:
//! [`way`](super::way) for the rules, [`servers`](super::servers) for who could answer, `data::dispatch` for the shell of a worker.

use std::ops::ControlFlow;
use std::time::Instant;

use serde_json::{Value, json};

use super::asked::Asked;
use super::servers;
use super::way::Way;
use crate::answer::answer;
use crate::exchange::{
    Env, Exchange, FIRST_WINDOW, Fate, Forward, Heads, Policy, Routing, Shell, Side, Sign, drive,
};
use crate::http1::buf::Buf;
use crate::http1::reply::Reply;
use crate::model::{self, Scratch, Snapshot, Verdict};
use crate::policy;
use crate::reason::Reason;
use crate::semantics::reserved::{self, Reserved};
use crate::settings::Settings;

/// The date of answers that nobody gets.
const DATE: [u8; 29] = *b"Thu, 01 Jan 1970 00:00:00 GMT";

/// Explains what workers with the same settings would do.
#[derive(Debug, Clone)]
pub struct Explainer {
    policy: Policy,
}

impl Explainer {
    /// One for these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { policy: policy::of(settings) }
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
        let wire = asked.wire();
        let mut desk = Desk {
            snapshot,
            env: Env { now, policy: self.policy.clone(), date: DATE, draining: false },
            client: asked.client.to_string(),
            draw,
            scratch: Scratch::new(),
            way: Way::default(),
            is_ours: false,
            upstream: None,
        };
        let mut exchange = Exchange::new(&desk.env);
        drop(exchange.lend(Side::Client, Buf::new(wire.len().max(FIRST_WINDOW))));
        if let Some(room) = exchange.room(Side::Client).get_mut(..wire.len()) {
            room.copy_from_slice(&wire);
            exchange.filled(Side::Client, wire.len());
        }
        let driven = drive(&mut exchange, &mut Heads::new(), &mut desk);
        debug_assert!(driven.is_continue() || desk.is_ours, "a step that only a peer can bring about");
        desk.shown(asked, &exchange)
    }
}

/// Where the request is looked at.
struct Desk<'s> {
    snapshot: &'s Snapshot,
    env: Env,
    client: String,
    draw: u64,
    scratch: Scratch,
    way: Way,
    /// Its path is the admin API's.
    is_ours: bool,
    /// Where it would go, as a slot of the snapshot.
    upstream: Option<u32>,
}

impl Desk<'_> {
    fn shown(mut self, asked: &Asked, exchange: &Exchange) -> Value {
        let text = |side| {
            let bytes = exchange.out(side).concat();
            (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
        };
        let answer = text(Side::Client).map(|head| {
            let reason = head.lines().find_map(|line| line.strip_prefix("X-ELB-Reason: "));
            json!({"status": exchange.status(), "reason": reason, "text": head})
        });
        let upstream = self.upstream.map(|slot| {
            let named = self.snapshot.upstream(slot).zip(self.snapshot.upstream_name(slot));
            named.map_or(Value::Null, |(upstream, name)| servers::shown(upstream, name))
        });
        json!({
            "request": {"method": asked.method, "host": asked.host, "path": asked.path, "client": self.client},
            "version": self.snapshot.version,
            "is_admin_api": self.is_ours,
            "domain": self.way.domain_shown(),
            "rules": self.way.take_steps(),
            "end": self.way.end_shown(),
            "upstream": upstream,
            "to_server": text(Side::Server),
            "answer": answer,
        })
    }
}

impl Shell for Desk<'_> {
    type End = ();

    fn env(&self) -> &Env {
        &self.env
    }

    fn route(&mut self, routing: Routing<'_>) -> ControlFlow<()> {
        match routing.reserved() {
            Reserved::No => {}
            Reserved::Exact => {
                self.is_ours = true;
                return ControlFlow::Break(());
            }
            Reserved::Misspelt => {
                routing.reply(&self.env, &Reply::refusal(Reason::ReservedPath));
                return ControlFlow::Continue(());
            }
        }
        let client = self.client.as_bytes();
        self.scratch.look_at(self.env.now);
        let view = routing.view(client);
        let decision = model::route(self.snapshot, &view, self.draw, &mut self.scratch, &mut self.way);
        match decision.verdict {
            Verdict::Forward { path: Some(path), .. } if reserved::is_under(path) => {
                routing.reply(&self.env, &Reply::refusal(Reason::ReservedPath));
            }
            Verdict::Forward { backend, path } => {
                self.upstream = Some(backend.slot());
                let host = backend.host().map(str::as_bytes);
                let forward = Forward { peer: client, path, host, extra: backend.headers() };
                routing.forward(&self.env, &forward);
            }
            verdict => answer(&verdict, routing, &self.env, ""),
        }
        ControlFlow::Continue(())
    }

    /// A server is there at once, so that the head is written that it would be sent.
    fn connect(&mut self, exchange: &mut Exchange, _same: bool) {
        exchange.connected(&self.env, false);
    }

    fn has_other(&mut self) -> Option<bool> {
        None
    }

    fn drop_server(&mut self, _sign: Sign) {}

    fn shutdown(&mut self, _side: Side) {}

    fn finished(&mut self, _exchange: &mut Exchange, _fate: Fate) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn close(&mut self, _exchange: &mut Exchange, _reset: bool, _sign: Sign) {}
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
