//! Who of an upstream could be chosen now, and why nobody else.
//!
//! It owns these sentences. Whose turn it is among those who can, each worker knows by itself, and nobody else does. Next:
//! `data::balancer` chooses by the same facts.

use serde_json::{Value, json};

use crate::model::{Condition, Server, Upstream, UpstreamName};

/// The upstream and each of its servers.
pub(super) fn shown(upstream: &Upstream, name: &UpstreamName) -> Value {
    let field = Field::of(upstream);
    let servers: Vec<Value> = upstream.servers.iter().map(|server| field.server(server, upstream)).collect();
    json!({
        "name": if upstream.name.is_empty() { name.key() } else { &upstream.name },
        "options": upstream.options.to_string(),
        "is_host": upstream.implicit,
        "servers": servers,
    })
}

/// Who is asked, of those that are not tried yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// Those that are no backups.
    First,
    /// None of these can be used.
    Backups,
    /// Nobody can be used, so nobody is left out for what it did.
    All,
}

impl Field {
    fn of(upstream: &Upstream) -> Field {
        let ready = |backup: bool| {
            let mut those = upstream.servers.iter().filter(|server| server.spec.backup == backup);
            those.any(|server| Condition::of(server, upstream) == Condition::Up && !is_full(server))
        };
        match (ready(false), ready(true)) {
            (true, _) => Field::First,
            (false, true) => Field::Backups,
            (false, false) => Field::All,
        }
    }

    fn server(self, server: &Server, upstream: &Upstream) -> Value {
        let spec = &server.spec;
        let condition = Condition::of(server, upstream);
        let (may, why) = match condition {
            Condition::Down => (false, "it is down".to_owned()),
            Condition::Draining => {
                (false, "it is drained: only clients that are kept there go on".to_owned())
            }
            _ if is_full(server) => {
                (false, format!("it has max_conns={} requests under way", spec.max_conns))
            }
            Condition::Aside { .. } if self != Field::All => {
                let last = server.state.blame().map(|blame| blame.word()).unwrap_or_default();
                (
                    false,
                    format!("it is put aside after {} failures, the last {last}", server.state.failures()),
                )
            }
            Condition::Failing if self != Field::All => (false, "its checks fail".to_owned()),
            Condition::Aside { .. } | Condition::Failing => {
                (true, "nobody can be used, so all are asked".to_owned())
            }
            Condition::Up if spec.backup && self == Field::First => {
                (false, "it is a backup, and others can be used".to_owned())
            }
            Condition::Up => (true, "it can be used".to_owned()),
        };
        json!({
            "server": spec.name,
            "address": server.endpoint.to_string(),
            "weight": spec.weight,
            "state": condition.word(),
            "can_be_chosen": may,
            "why": why,
        })
    }
}

/// As many requests are under way as `max_conns` allows.
fn is_full(server: &Server) -> bool {
    server.spec.max_conns != 0 && server.state.load().active() >= server.spec.max_conns
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::{Blame, Edit, State};

    fn told(state: &mut State) -> Vec<String> {
        let snapshot = state.snapshot(1);
        let upstream = snapshot.upstream_named("up").unwrap();
        let field = Field::of(upstream);
        let rows = upstream.servers.iter().map(|server| field.server(server, upstream));
        rows.map(|row| format!("{} {} {}", row["server"].as_str().unwrap(), row["can_be_chosen"], row["why"]))
            .collect()
    }

    #[test]
    fn each_server_has_its_reason() {
        let mut state = State::new();
        let servers = json!({"up": {
            "10.0.0.1": "", "10.0.0.2": "down", "10.0.0.3": "drain", "10.0.0.4": "backup", "10.0.0.5": "max_conns=1"}});
        state.edit(Edit::PutUpstreams(servers.as_object().unwrap().clone())).unwrap();
        let snapshot = state.snapshot(1);
        let servers = &snapshot.upstream_named("up").unwrap().servers;
        assert!(servers[4].state.load().enter(1));
        assert_eq!(
            told(&mut state),
            [
                r#"10.0.0.1 true "it can be used""#,
                r#"10.0.0.2 false "it is down""#,
                r#"10.0.0.3 false "it is drained: only clients that are kept there go on""#,
                r#"10.0.0.4 false "it is a backup, and others can be used""#,
                r#"10.0.0.5 false "it has max_conns=1 requests under way""#,
            ]
        );
        servers[0].state.fail(Blame::ErrorStatus, false, 1, Instant::now());
        let two = told(&mut state);
        assert_eq!(two[0], r#"10.0.0.1 false "it is put aside after 1 failures, the last error-status""#);
        assert_eq!(two[3], r#"10.0.0.4 true "it can be used""#);
        servers[3].state.set_check(false, Instant::now());
        let none = told(&mut state);
        assert_eq!(none[3], r#"10.0.0.4 true "nobody can be used, so all are asked""#);
        assert_eq!(none[1], r#"10.0.0.2 false "it is down""#);
    }
}
