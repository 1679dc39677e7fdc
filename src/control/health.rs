//! How servers do, in words: the state that is shown of each, and what is told when one goes and when it is back.
//!
//! It owns these words, and that each turn is told once; never what is known of a server. Workers share what they know
//! without telling anybody, so all of it is looked through once a second; what a check found is told at once. Next:
//! [`servers`](super::servers) looks, `model::ServerState` knows.

use std::collections::BTreeMap;
use tracing::{info, warn};

use crate::model::{Blame, Condition, Server, ServerId, Upstream};

/// Lines in a second: when a whole network goes, one more line says how many servers there were beside these.
const LINES: usize = 32;

/// Whom it was told of that they are gone.
#[derive(Debug, Default)]
pub(super) struct Journal {
    gone: BTreeMap<ServerId, &'static str>,
    /// Turns within this second.
    turned: usize,
}

/// What is to be told of a server.
#[derive(Debug)]
struct Turn<'u> {
    server: &'u Server,
    upstream: &'u Upstream,
    condition: Condition,
}

impl Journal {
    /// Looks through all servers, and tells what is new of them. `why` gives the reason of one whose checks fail. To be called
    /// once a second.
    pub(super) fn look<'u>(
        &mut self,
        upstreams: impl Iterator<Item = &'u Upstream>,
        why: impl Fn(ServerId) -> Option<String>,
    ) {
        let turned = std::mem::take(&mut self.turned);
        if let Some(more) = turned.checked_sub(LINES).filter(|more| *more > 0) {
            warn!("{more} more servers have gone or are back; GET /__erulb__/servers shows how each does");
        }
        upstreams.for_each(|upstream| self.look_at(upstream, &why));
    }

    /// The same for one upstream, at any time.
    pub(super) fn look_at(&mut self, upstream: &Upstream, why: impl Fn(ServerId) -> Option<String>) {
        for server in &upstream.servers {
            // Nothing is known against nearly all of them, and that is one number to look at.
            if server.state.is_sound() && !self.gone.contains_key(&server.id) {
                continue;
            }
            let Some(turn) = self.turn(server, upstream) else { continue };
            self.turned += 1;
            if self.turned <= LINES {
                turn.tell(&why);
            }
        }
    }

    /// The server is in force no longer.
    pub(super) fn forget(&mut self, id: ServerId) {
        self.gone.remove(&id);
    }

    fn turn<'u>(&mut self, server: &'u Server, upstream: &'u Upstream) -> Option<Turn<'u>> {
        let condition = Condition::of(server, upstream);
        let now = condition.is_gone().then(|| condition.word());
        let before = match now {
            Some(word) => self.gone.insert(server.id, word),
            None => self.gone.remove(&server.id),
        };
        // An operator who takes a server away knows that.
        let is_told = before != now && !matches!(condition, Condition::Draining | Condition::Down);
        is_told.then_some(Turn { server, upstream, condition })
    }
}

impl Turn<'_> {
    fn tell(&self, why: impl Fn(ServerId) -> Option<String>) {
        let words = self.words(why);
        if self.condition.is_gone() { warn!("{words}") } else { info!("{words}") }
    }

    fn words(&self, why: impl Fn(ServerId) -> Option<String>) -> String {
        let Self { server, upstream, condition } = self;
        let what = match condition {
            Condition::Failing => {
                let why = why(server.id).map(|why| format!(" ({why})")).unwrap_or_default();
                format!("fails its checks{why}")
            }
            Condition::Aside { .. } => format!("is put aside after {}", failures(server)),
            _ => "is back".to_owned(),
        };
        let usable = upstream.servers.iter().filter(|one| Condition::of(one, upstream) == Condition::Up);
        let (usable, all) = (usable.count(), upstream.servers.len());
        let (upstream, server) = (&upstream.name, name(server));
        format!("upstream {upstream:?}: server {server} {what}; {usable} of {all} servers can be used")
    }
}

/// How often it failed, and how the last time, in words.
pub(super) fn failures(server: &Server) -> String {
    let last = server.state.blame().map(Blame::word).unwrap_or_default();
    match server.state.failures() {
        1 => format!("1 failure ({last})"),
        several => format!("{several} failures, the last {last}"),
    }
}

/// The name of a server, with its address where that is something else.
fn name(server: &Server) -> String {
    let address = server.endpoint.to_string();
    let own = &server.spec.name;
    // A port that is left out is 80.
    if address == *own || address.strip_suffix(":80") == Some(own) {
        return address;
    }
    format!("{own} ({address})")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;
    use crate::model::{Edit, State};

    /// An upstream of these servers, each `name parameters`.
    fn upstream(servers: &[(&str, &str)]) -> Upstream {
        let mut state = State::new();
        let given = servers.iter().map(|(name, parameters)| ((*name).to_owned(), json!(parameters)));
        let given = json!({"Up": serde_json::Value::Object(given.collect())});
        state.edit(Edit::PutUpstreams(given.as_object().unwrap().clone())).unwrap();
        Upstream::clone(state.snapshot(1).upstreams().next().unwrap())
    }

    #[test]
    fn each_turn_is_told_once_with_its_reason_and_who_remains() {
        let upstream = upstream(&[("10.0.0.1", ""), ("10.0.0.2:81", "max_fails=2"), ("10.0.0.3", "")]);
        let (mut journal, now) = (Journal::default(), Instant::now());
        let mut told = |server: usize| {
            let turn = journal.turn(&upstream.servers[server], &upstream);
            turn.map(|turn| turn.words(|_| Some("status 503".to_owned())))
        };
        let state = |server: usize| &upstream.servers[server].state;
        assert_eq!(told(0), None);
        state(0).set_check(false, now);
        let words =
            r#"upstream "Up": server 10.0.0.1:80 fails its checks (status 503); 2 of 3 servers can be used"#;
        assert_eq!((told(0).as_deref(), told(0)), (Some(words), None));
        state(1).fail(Blame::ErrorStatus, false, 2, now);
        assert_eq!(told(1), None, "one is not enough");
        state(1).fail(Blame::ErrorStatus, false, 2, now);
        let words = r#"upstream "Up": server 10.0.0.2:81 is put aside after 2 failures, the last error-status; 1 of 3 servers can be used"#;
        assert_eq!(told(1).as_deref(), Some(words));
        state(0).set_check(true, now);
        let words = r#"upstream "Up": server 10.0.0.1:80 is back; 2 of 3 servers can be used"#;
        assert_eq!((told(0).as_deref(), told(0)), (Some(words), None));
    }

    #[test]
    fn a_second_has_so_many_lines_and_the_rest_is_a_number() {
        let names: Vec<String> = (0..LINES + 5).map(|n| format!("10.0.0.{n}")).collect();
        let upstream = upstream(&names.iter().map(|name| (&**name, "")).collect::<Vec<_>>());
        let mut journal = Journal::default();
        upstream.servers.iter().for_each(|server| server.state.set_check(false, Instant::now()));
        journal.look_at(&upstream, |_| None);
        assert_eq!((journal.turned, journal.gone.len()), (LINES + 5, LINES + 5));
        journal.look(std::iter::once(&upstream), |_| None);
        assert_eq!(journal.turned, 0, "nothing is new");
    }
}
