//! What ELB answers itself where rules lead to no server.
//!
//! It owns the form of these answers, never the decision: workers give them, and what they would give is explained by them.
//! Next: [`crate::model::route()`] decides, [`crate::http1::reply`] writes.

use std::time::Duration;

use crate::exchange::{Env, Routing};
use crate::http1::reply::{Body, Reply};
use crate::http1::rewrite::decimal;
use crate::model::Verdict;
use crate::reason::Reason;

/// Answers a request with what a verdict comes to that sends it nowhere. `way` are further fields, each a line with its end.
#[cold]
#[inline(never)]
pub fn answer(verdict: &Verdict<'_>, routing: Routing<'_>, env: &Env, way: &str) {
    give(verdict, |reply| {
        let [own, _] = reply.lines;
        routing.reply(env, &Reply { lines: [own, way.as_bytes()], ..*reply });
    });
}

/// Gives the reply that a verdict comes to which sends a request nowhere.
pub fn give<T>(verdict: &Verdict<'_>, to: impl FnOnce(&Reply<'_>) -> T) -> T {
    let mut seconds = Vec::new();
    let location;
    let again;
    let reply = match *verdict {
        Verdict::Denied { reason } => Reply::refusal(reason),
        Verdict::Refused { reason, status, wait } => {
            let reply = Reply::refusal_as(reason, status);
            match wait {
                // What a refusal says that follows from its status is meant for those that ELB makes for itself.
                None => Reply { fields: &[], ..reply },
                Some(wait) => {
                    decimal(
                        &mut seconds,
                        wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait == Duration::ZERO),
                    );
                    again = [("Retry-After", [&seconds[..], b"", b"", b""])];
                    Reply { fields: &again, ..reply }
                }
            }
        }
        Verdict::Respond { page, is_known: true } => {
            Reply { lines: [page.lines().as_bytes(), b""], ..Reply::plain(304) }
        }
        Verdict::Respond { page, is_known: false } => {
            let text = [page.body().as_bytes(), b"", b"", b""];
            let body = (!page.body().is_empty()).then_some(Body { kind: page.kind(), text });
            Reply { lines: [page.lines().as_bytes(), b""], body, ..Reply::plain(page.status()) }
        }
        Verdict::Redirect { code, to } => {
            location = [("Location", [to, b"", b"", b""])];
            Reply { fields: &location, ..Reply::plain(code) }
        }
        // It is no answer: whoever asks has not looked.
        Verdict::Forward { .. } => Reply::refusal(Reason::NoUpstream),
    };
    to(&reply)
}
