//! What an upstream asks for by its options, and what holds where it asks for nothing.
//!
//! It owns that choice between the two, never a request. Next: [`super::view`] keeps it beside each upstream in use.

use super::budget::Allowance;
use super::opening::Opening;
use crate::exchange::{Policy, Terms};
use crate::model::{Server, UpstreamOptions};
use crate::tls::Toward;

/// What holds for every upstream that says nothing else.
#[derive(Debug, Clone)]
pub struct Defaults {
    terms: Terms,
    retry_budget: u32,
    workers: usize,
    toward: Toward,
}

impl Defaults {
    /// Those of a policy; second tries for a hundred requests, all `workers` together; what sessions with servers begin
    /// with.
    #[must_use]
    pub fn new(policy: &Policy, retry_budget: u32, workers: usize, toward: Toward) -> Self {
        Self { terms: Terms::of(policy), retry_budget, workers, toward }
    }

    /// What the exchanges of an upstream with these options are told.
    pub(super) fn terms(&self, options: &UpstreamOptions) -> Terms {
        Terms {
            connect_timeout: options.connect_timeout.unwrap_or(self.terms.connect_timeout),
            server_timeout: options.server_timeout.unwrap_or(self.terms.server_timeout),
            tries: options.retries.unwrap_or(self.terms.tries),
            ..self.terms.clone()
        }
    }

    /// How connections to a server of an upstream with these options begin.
    pub(super) fn opening(&self, options: &UpstreamOptions, server: &Server) -> Option<Box<Opening>> {
        Opening::of(options, server, &self.toward)
    }

    /// Whether that is something else than holds anyway, or may be: a cookie for a client that is kept at a server.
    pub(super) fn are_not(&self, options: &UpstreamOptions) -> bool {
        options.sticky.is_some() || self.terms(options) != self.terms
    }

    /// The second tries that its requests may have.
    pub(super) fn allowance(&self, options: &UpstreamOptions) -> Allowance {
        Allowance::new(options.retry_budget.unwrap_or(self.retry_budget), self.workers)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tls::Trust;

    #[test]
    fn what_an_upstream_says_holds_and_the_rest_is_as_for_all() {
        let defaults = Defaults::new(&Policy::for_tests(), 20, 1, Trust::nobody().toward().unwrap());
        let read = |text: &str| UpstreamOptions::parse(text).unwrap();
        assert!(!defaults.are_not(&read("method=round_robin retries=3")), "that is what holds anyway");
        let options = read("server_timeout=2m retries=1");
        assert!(defaults.are_not(&options) && defaults.are_not(&read("sticky=cookie:a")));
        let terms = defaults.terms(&options);
        assert_eq!((terms.server_timeout, terms.tries), (Duration::from_secs(120), 1));
        assert_eq!(terms.connect_timeout, Policy::for_tests().connect_timeout);
        assert_eq!(defaults.allowance(&read("retry_budget=50%")).percent, 50);
        assert_eq!(defaults.allowance(&read("")).percent, 20);
    }
}
