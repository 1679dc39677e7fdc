//! How a server does, in one word: what an operator said of it comes first, then what checks and requests have found.
//!
//! It owns that order and these words, never what is known of a server. Next: [`server_state`](super::server_state) knows;
//! `control` shows it, and tells of changes; `explain` says who may be chosen.

use std::time::Instant;

use super::server_state::Health;
use super::upstream::{Server, Upstream};

/// What is shown of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Requests go to it.
    Up,
    /// It failed too often, and gets no requests until then.
    Aside {
        /// The end of that, from which on one request shows whether it is over.
        until: Instant,
    },
    /// Its checks fail.
    Failing,
    /// It is to get no new requests, and finishes what it has.
    Draining,
    /// It is to get none.
    Down,
}

impl Condition {
    /// That of a server of this upstream.
    #[must_use]
    pub fn of(server: &Server, upstream: &Upstream) -> Self {
        let spec = &server.spec;
        if spec.down {
            return Self::Down;
        }
        match server.state.health(spec.max_fails, spec.fail_timeout) {
            Health::Failing => Self::Failing,
            // The only one is never put aside, however often it fails.
            Health::Aside { until } if !is_alone(server, upstream) => Self::Aside { until },
            _ if spec.drain => Self::Draining,
            _ => Self::Up,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Aside { .. } => "aside",
            Self::Failing => "failing",
            Self::Draining => "draining",
            Self::Down => "down",
        }
    }

    /// It is gone by itself: nobody said so.
    #[must_use]
    pub fn is_gone(self) -> bool {
        matches!(self, Self::Aside { .. } | Self::Failing)
    }
}

/// It is the only one that new requests may go to.
fn is_alone(server: &Server, upstream: &Upstream) -> bool {
    let mut others = upstream.servers.iter().filter(|other| other.id != server.id);
    !server.spec.drain && !others.any(|other| !other.spec.down && !other.spec.drain)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::model::{Blame, Edit, State};

    /// An upstream of these servers, each `name parameters`.
    fn upstream(servers: &[(&str, &str)]) -> Upstream {
        let mut state = State::new();
        let given = servers.iter().map(|(name, parameters)| ((*name).to_owned(), json!(parameters)));
        let given = json!({"Up": serde_json::Value::Object(given.collect())});
        state.edit(Edit::PutUpstreams(given.as_object().unwrap().clone())).unwrap();
        Upstream::clone(state.snapshot(1).upstreams().next().unwrap())
    }

    #[test]
    fn a_server_has_one_word_and_what_an_operator_said_comes_first() {
        let upstream = upstream(&[
            ("10.0.0.1", ""),
            ("10.0.0.2", "drain"),
            ("10.0.0.3", "down"),
            ("10.0.0.4", "max_fails=0"),
        ]);
        let now = Instant::now();
        let words = || -> Vec<&str> {
            upstream.servers.iter().map(|server| Condition::of(server, &upstream).word()).collect()
        };
        assert_eq!(words(), ["up", "draining", "down", "up"]);
        upstream
            .servers
            .iter()
            .for_each(|server| server.state.fail(Blame::ErrorStatus, false, server.spec.max_fails, now));
        assert_eq!(words(), ["aside", "aside", "down", "up"]);
        upstream.servers.iter().for_each(|server| server.state.set_check(false, now));
        assert_eq!(words(), ["failing", "failing", "down", "failing"]);
        let until = now + Duration::from_secs(10);
        upstream.servers[0].state.set_check(true, now);
        assert_eq!(Condition::of(&upstream.servers[0], &upstream), Condition::Aside { until });
    }

    #[test]
    fn the_only_one_is_never_aside() {
        let upstream = upstream(&[("10.0.0.1", ""), ("10.0.0.2", "down"), ("10.0.0.3", "drain")]);
        upstream
            .servers
            .iter()
            .for_each(|server| server.state.fail(Blame::ErrorStatus, false, 1, Instant::now()));
        let words: Vec<_> =
            upstream.servers.iter().map(|server| Condition::of(server, &upstream).word()).collect();
        assert_eq!(words, ["up", "down", "aside"]);
    }
}
