//! What is true of an exchange between any two calls, whatever the peers sent.
//!
//! It owns assertions about the machine's own state, never about a peer's bytes; release builds leave them out. Next:
//! `machine`, which sweeps them after each step.

use super::machine::Exchange;
use super::phase::{Env, Phase};

impl Exchange {
    /// Sweeps everything. Called by [`Exchange::step`] in debug builds.
    pub(super) fn check_invariants(&self, env: &Env) {
        self.request.check_invariants();
        self.response.check_invariants();
        let (request, response) = (&self.request, &self.response);
        match self.phase {
            Phase::Head | Phase::Route => {
                debug_assert!(!request.begun && request.kept, "sent before it was routed");
                debug_assert!(response.status == 0, "answered before it was routed");
            }
            Phase::Connect | Phase::Await | Phase::Better => {
                debug_assert!(response.status == 0, "a final head is out, and an attempt goes on");
            }
            Phase::Relay => {
                debug_assert!(response.status >= 200, "a response without a status is relayed");
                debug_assert!(!request.kept, "a request is kept for a replay that cannot come");
                debug_assert!(!(self.keep && response.until_close), "two ends for one connection");
            }
            Phase::Tunnel { .. } => {
                debug_assert!(response.status == 101 && request.done, "a tunnel that nobody dug");
                debug_assert!(request.unread().is_empty(), "bytes wait in a tunnel");
            }
            Phase::Reply { linger } => {
                debug_assert!(response.done && response.status >= 200, "an answer that is none");
                debug_assert!(!(linger && self.keep), "kept with half a request on the line");
            }
            Phase::Linger => debug_assert!(response.is_flushed(), "told before the answer was out"),
            Phase::Over => {}
        }
        debug_assert!(self.tries <= env.policy.tries.max(1), "tried {} times", self.tries);
    }
}
