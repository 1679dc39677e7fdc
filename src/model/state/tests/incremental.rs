//! Steps, one after the other, against the same configuration made at once.

use super::*;

proptest! {
    #[test]
    fn step_by_step_comes_to_the_same_as_all_at_once(acts in proptest::collection::vec(any_act(), 0..24)) {
        let mut state = State::new();
        let mut wanted = BTreeSet::new();
        let mut copies = Vec::new();
        for (version, one) in (1..).zip(acts) {
            act(&mut state, one);
            for (host, is_wanted) in state.take_host_news() {
                if is_wanted { wanted.insert(host.to_string()) } else { wanted.remove(&*host) };
            }
            prop_assert_eq!(&wanted, &state.hosts());
            if version % 2 == 0 {
                look_up(&mut state);
            }
            let mut fresh = anew(&state);
            prop_assert_eq!(state.hosts(), fresh.hosts());
            for host in state.hosts() {
                fresh.learn(&host, state.addresses(&host).to_vec());
            }
            let (snapshot, expected) = (state.snapshot(version), picture(&fresh.snapshot(version)));
            prop_assert_eq!(picture(&snapshot), expected.clone());
            copies.push((snapshot, expected));
        }
        for (snapshot, expected) in copies {
            prop_assert_eq!(picture(&snapshot), expected, "what was handed out stays what it was");
        }
    }
}

/// A state with no past that has the same in force.
fn anew(state: &State) -> State {
    let mut fresh = State::new();
    let mut contents = Contents::default();
    for spec in state.upstreams() {
        let texts = spec.parts().map(|(name, part)| (name.to_owned(), part.to_string())).collect();
        contents.upstreams.insert(spec.name.clone(), texts);
    }
    // The store cannot say that an upstream has no servers.
    contents.upstreams.values_mut().filter(|servers| servers.is_empty()).for_each(
        |servers: &mut BTreeMap<_, _>| {
            servers.insert("h:0".to_owned(), String::new());
        },
    );
    contents.rules = state.domain_texts().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    fresh.load(contents);
    fresh
}

fn look_up(state: &mut State) {
    for (number, host) in (1..).zip(state.hosts()) {
        state.learn(&host, vec![SocketAddr::from(([10, 0, 0, number], 80))]);
    }
}

/// Where requests go: host, domain, upstream and its servers.
fn picture(snapshot: &Snapshot) -> Vec<String> {
    use crate::model::{Scratch, Silent, Verdict, route};
    use crate::semantics::Sketch;
    let ask = |host: &&str| {
        let (request, mut scratch) = (Sketch::new(host, "/"), Scratch::new());
        let decision = route(snapshot, &request.view(), 0, &mut scratch, &mut Silent);
        let domain = decision.domain.map(|domain| snapshot.domain_name(domain));
        match decision.verdict {
            Verdict::Forward { backend, .. } => {
                let upstream = snapshot.upstream(backend.slot());
                let servers = upstream.map(|upstream| {
                    let servers: BTreeSet<_> = upstream
                        .servers
                        .iter()
                        .map(|server| format!("{} {}", server.endpoint, server.spec))
                        .collect();
                    (upstream.implicit, servers)
                });
                format!("{host}: {domain:?} {} {servers:?}", backend.servername())
            }
            denied => format!("{host}: {denied:?}"),
        }
    };
    ["a", "b", "A", "B", "c"].iter().map(ask).collect()
}
