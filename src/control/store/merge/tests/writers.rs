//! Several writers of one store, and whatever order the world chooses: nobody's write is lost.
//!
//! Two ELBs (their state and their dumps, without a thread or a socket) and somebody with `etcdctl` write a few keys of a
//! store that has etcd's rules: revisions, guarded transactions, events in order. Between any two steps of one, anybody
//! else may come: events are late, answers are lost, transactions arrive after their time has run out, everything is read
//! anew. Held to after every commit and every answer:
//!
//! * a dump writes only what was put there after the last change of the key that its ELB had heard of, and only over
//!   what its ELB had heard of;
//! * what was answered with success was in the store at some moment between the question and the answer;
//! * in the end, with all heard and dumped, every ELB has the store's contents in force, and no edit is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use proptest::prelude::*;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::super::*;
use crate::control::dumps::{Dumps, Known};
use crate::control::replies::DumpError;
use crate::control::store::port::{Dumped, StoreCommand};
use crate::model::{Contents, Edit, Named, State};

mod elb;
mod store;

use elb::*;
use store::*;

#[derive(Debug, Clone, Copy)]
enum Act {
    Put {
        elb: usize,
        what: usize,
        dump: bool,
    },
    /// One server of an upstream that is served: a new number, or away with it.
    Patch {
        elb: usize,
        at: usize,
        delete: bool,
        dump: bool,
    },
    Delete {
        elb: usize,
        what: usize,
        dump: bool,
    },
    DumpAll {
        elb: usize,
    },
    Else {
        what: usize,
        delete: bool,
    },
    Hear {
        elb: usize,
    },
    Relist {
        elb: usize,
    },
    Work {
        elb: usize,
        lost: bool,
    },
    Answer {
        elb: usize,
    },
    Stray {
        elb: usize,
    },
}

fn any_act() -> impl Strategy<Value = Act> {
    let elb = || 0..2usize;
    prop_oneof![
        4 => (elb(), 0..4usize, any::<bool>()).prop_map(|(elb, what, dump)| Act::Put { elb, what, dump }),
        3 => (elb(), 0..3usize, any::<bool>(), any::<bool>())
            .prop_map(|(elb, at, delete, dump)| Act::Patch { elb, at, delete, dump }),
        1 => (elb(), 0..3usize, any::<bool>()).prop_map(|(elb, what, dump)| Act::Delete { elb, what, dump }),
        1 => elb().prop_map(|elb| Act::DumpAll { elb }),
        4 => (0..5usize, prop::bool::weighted(0.3)).prop_map(|(what, delete)| Act::Else { what, delete }),
        8 => elb().prop_map(|elb| Act::Hear { elb }),
        1 => elb().prop_map(|elb| Act::Relist { elb }),
        12 => (elb(), prop::bool::weighted(0.05)).prop_map(|(elb, lost)| Act::Work { elb, lost }),
        6 => elb().prop_map(|elb| Act::Answer { elb }),
        1 => elb().prop_map(|elb| Act::Stray { elb }),
    ]
}

#[derive(Default)]
struct World {
    store: Store,
    elbs: Vec<Elb>,
    next: Number,
}

impl World {
    fn new() -> World {
        World { elbs: vec![Elb::new(), Elb::new()], ..World::default() }
    }

    fn act(&mut self, act: Act) {
        self.next += 1;
        let number = self.next;
        match act {
            Act::Put { elb, what, dump } if what < DOMAINS.len() => {
                let domain = DOMAINS[what];
                let given: Map<String, Value> = [(domain.to_owned(), rule(number))].into_iter().collect();
                let key = KeyChange::Rule { domain: domain.into(), text: None };
                self.elbs[elb].edit(&self.store, Edit::PutDomains(given), vec![(key, Some(number))], dump);
            }
            // An upstream is put whole: one server new, one as it is served, the third not mentioned.
            Act::Put { elb, what, dump } => {
                let (mut servers, mut keys) = (Map::new(), Vec::new());
                let served = self.elbs[elb].state.upstreams();
                let served = served.first().map(|spec| spec.servers.clone()).unwrap_or_default();
                for (at, server) in SERVERS.iter().enumerate() {
                    let key = &all_keys()[DOMAINS.len() + at];
                    let as_it_is = served.iter().find(|spec| spec.name == *server);
                    let wanted = match (at == what - DOMAINS.len(), as_it_is) {
                        (true, _) => Some(number),
                        (false, Some(spec)) if at == 2 => Some(spec.max_fails as usize),
                        _ => None,
                    };
                    if let Some(wanted) = wanted {
                        servers.insert((*server).to_owned(), Value::from(spelled(key, wanted)));
                    }
                    keys.push((key.clone(), wanted));
                }
                // What was not mentioned and not known is nobody's promise.
                let known: Vec<_> = keys
                    .iter()
                    .filter(|(key, wanted)| {
                        wanted.is_some() || served.iter().any(|spec| key.name().ends_with(&spec.name))
                    })
                    .cloned()
                    .collect();
                let given: Map<String, Value> = [(UPSTREAM.to_owned(), servers.into())].into_iter().collect();
                self.elbs[elb].edit(&self.store, Edit::PutUpstreams(given), known, dump);
            }
            Act::Patch { elb, at, delete, dump } => {
                let served = self.elbs[elb].state.upstreams();
                let Some(spec) = served.first() else { return };
                let others = spec.servers.iter().filter(|spec| spec.name != SERVERS[at]).count();
                if delete && (others == 0 || others == spec.servers.len()) {
                    return;
                }
                let key = all_keys()[DOMAINS.len() + at].clone();
                let wanted = (!delete).then_some(number);
                let said = wanted.map_or(Value::Null, |number| Value::from(spelled(&key, number)));
                let given: Map<String, Value> =
                    [(UPSTREAM.to_owned(), Map::from_iter([(SERVERS[at].to_owned(), said)]).into())]
                        .into_iter()
                        .collect();
                self.elbs[elb].edit(&self.store, Edit::PatchUpstreams(given), vec![(key, wanted)], dump);
            }
            Act::Delete { elb, what, dump } if what < DOMAINS.len() => {
                let key = KeyChange::Rule { domain: DOMAINS[what].into(), text: None };
                let edit = Edit::DeleteDomains(vec![DOMAINS[what].to_owned()]);
                self.elbs[elb].edit(&self.store, edit, vec![(key, None)], dump);
            }
            Act::Delete { elb, dump, .. } => {
                let served = self.elbs[elb].state.upstreams();
                let served = served.first().map(|spec| spec.servers.clone()).unwrap_or_default();
                let keys = all_keys().into_iter().skip(DOMAINS.len());
                let known = keys
                    .filter(|key| served.iter().any(|spec| key.name().ends_with(&spec.name)))
                    .map(|key| (key, None));
                let edit = Edit::DeleteUpstreams(vec![UPSTREAM.to_owned()]);
                self.elbs[elb].edit(&self.store, edit, known.collect(), dump);
            }
            Act::DumpAll { elb } => drop(self.elbs[elb].dumps.ask(Named::all(), true)),
            Act::Else { what, delete } => {
                let key = &all_keys()[what];
                let text = (!delete).then(|| spelled(key, number));
                self.store.write(vec![with_text(key, text)]);
            }
            Act::Hear { elb } => self.elbs[elb].hear(&self.store),
            Act::Relist { elb } => self.elbs[elb].relist(&self.store),
            Act::Work { elb, lost } => self.elbs[elb].work(&mut self.store, lost),
            Act::Answer { elb } => {
                let elb = &mut self.elbs[elb];
                if let Some(outcome) = elb.answers.pop() {
                    let known = elb.known();
                    elb.dumps.ended(&mut elb.state, known, outcome, elb.now);
                }
            }
            Act::Stray { elb } => {
                if let Some(operations) = self.elbs[elb].strays.pop() {
                    self.elbs[elb].commit(&mut self.store, &operations);
                }
            }
        }
        for elb in &mut self.elbs {
            elb.settle(&self.store);
        }
    }

    /// Whoever still waits for word of what it wrote asks for all anew, as it does after some seconds: what was written and
    /// replaced before a listing is in no event and in no listing.
    fn ask_anew(&mut self) {
        for elb in [0, 1] {
            if self.elbs[elb].dumps.is_awaited() {
                self.act(Act::Relist { elb });
            }
        }
    }

    /// Everything is heard, carried out and dumped, with nobody else writing.
    fn calm_down(&mut self) {
        // Nothing can stop what makes a key that is not there, but nothing is under way for ever: it comes now or never.
        for elb in &mut self.elbs {
            for operations in std::mem::take(&mut elb.strays) {
                if operations.iter().any(|(operation, _)| operation.revision == 0) {
                    elb.commit(&mut self.store, &operations);
                } else {
                    elb.strays.push(operations);
                }
            }
        }
        for elb in [0, 1] {
            self.act(Act::DumpAll { elb });
            for _ in 0..400 {
                self.act(Act::Work { elb, lost: false });
                self.act(Act::Answer { elb });
                self.act(Act::Hear { elb: 0 });
                self.act(Act::Hear { elb: 1 });
            }
            self.ask_anew();
            self.act(Act::DumpAll { elb });
            for _ in 0..100 {
                self.act(Act::Work { elb, lost: false });
                self.act(Act::Answer { elb });
                self.act(Act::Hear { elb: 0 });
                self.act(Act::Hear { elb: 1 });
            }
            self.ask_anew();
        }
        for elb in &mut self.elbs {
            let revision = self.store.revision();
            for operations in std::mem::take(&mut elb.strays) {
                elb.commit(&mut self.store, &operations);
            }
            assert_eq!(self.store.revision(), revision, "what was given up cannot come any more");
        }
        for (nth, elb) in self.elbs.iter().enumerate() {
            assert!(elb.task.is_none() && elb.asked.is_empty(), "ELB {nth} is not done");
            assert_eq!(elb.state.pending_edits(), 0, "ELB {nth}");
            for key in all_keys() {
                let (stored, known) = (self.store.text(&key), elb.state_text(&key));
                assert_eq!(stored, known, "ELB {nth}, {}", key.name());
                let served = elb.state.effective();
                assert_eq!(number(served.get(&key)), number(stored.as_deref()), "ELB {nth}, {}", key.name());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nobodys_write_is_lost(acts in proptest::collection::vec(any_act(), 0..120)) {
        let mut world = World::new();
        acts.into_iter().for_each(|act| world.act(act));
        world.calm_down();
    }
}
