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
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use super::super::*;
use crate::control::dumps::{Dumps, Known};
use crate::control::replies::DumpError;
use crate::control::store::port::{Dumped, StoreCommand};
use crate::model::{Contents, Edit, Named, State};

/// What a key holds: for servers their `max_fails`, for domains the upstream they name; always another number.
type Number = usize;

const DOMAINS: [&str; 2] = ["d0", "d1"];
const UPSTREAM: &str = "u";
const SERVERS: [&str; 3] = ["s0:1", "s1:1", "s2:1"];

fn rule(number: Number) -> Value {
    json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": format!("n{number}")}}}})
}

/// The text of a key with this number, as other people write it.
fn spelled(key: &KeyChange, number: Number) -> String {
    match key {
        KeyChange::Rule { .. } => format!("{:#}", rule(number)),
        KeyChange::Server { .. } => format!("max_fails={number}"),
    }
}

/// The number in a text, however it is spelled.
fn number(text: Option<&str>) -> Option<Number> {
    let text = text?;
    let (_, rest) = text.split_once("max_fails=").or_else(|| {
        text.split_once(r#""n"#).map(|_| {
            let at = text.find(r#""n"#).unwrap_or(0);
            text.split_at(at + 2)
        })
    })?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn all_keys() -> Vec<KeyChange> {
    let rules = DOMAINS.map(|domain| KeyChange::Rule { domain: domain.into(), text: None });
    let servers = SERVERS.map(|server| KeyChange::Server {
        upstream: UPSTREAM.into(),
        server: server.into(),
        text: None,
    });
    rules.into_iter().chain(servers).collect()
}

fn with_text(key: &KeyChange, text: Option<String>) -> KeyChange {
    match key.clone() {
        KeyChange::Rule { domain, .. } => KeyChange::Rule { domain, text },
        KeyChange::Server { upstream, server, .. } => KeyChange::Server { upstream, server, text },
    }
}

/// A store with etcd's rules.
#[derive(Default)]
struct Store {
    keys: BTreeMap<String, (KeyChange, i64)>,
    /// What each revision, from 1 on, changed.
    history: Vec<Vec<KeyChange>>,
}

impl Store {
    fn revision(&self) -> i64 {
        i64::try_from(self.history.len()).unwrap()
    }

    fn write(&mut self, changes: Vec<KeyChange>) {
        let revision = self.revision() + 1;
        let mut told = Vec::new();
        for change in changes {
            let name = change.name();
            if change.text().is_some() {
                self.keys.insert(name, (change.clone(), revision));
            } else if self.keys.remove(&name).is_none() {
                continue;
            }
            told.push(change);
        }
        if !told.is_empty() {
            self.history.push(told);
        }
    }

    fn text(&self, key: &KeyChange) -> Option<String> {
        self.keys.get(&key.name()).and_then(|(change, _)| change.text()).map(str::to_owned)
    }

    fn present(&self, batch: &[Wish]) -> BTreeMap<String, Present> {
        let one = |wish: &Wish| {
            let (change, revision) = self.keys.get(&wish.write.wanted.name())?;
            let value = change.text()?.as_bytes().to_vec();
            Some((wish.key.clone(), Present { value, revision: *revision }))
        };
        batch.iter().filter_map(one).collect()
    }

    /// The numbers that a key had from one revision to another, both included.
    fn numbers(&self, key: &KeyChange, from: i64, to: i64) -> Vec<Option<Number>> {
        let (mut now, mut numbers) = (None, Vec::new());
        if from == 0 {
            numbers.push(None);
        }
        for (revision, changes) in (1..).zip(&self.history) {
            for change in changes.iter().filter(|change| change.is_same_key(key)) {
                now = number(change.text());
            }
            if (from..=to).contains(&revision) {
                numbers.push(now);
            }
        }
        numbers
    }
}

/// A dump on its way through a store's task.
struct Task {
    left: Vec<Vec<Wish>>,
    found: Option<BTreeMap<String, Present>>,
    dumped: Dumped,
}

/// A request that waits.
struct Asked {
    /// The keys it is about, each with the number it should have.
    keys: Vec<(KeyChange, Option<Number>)>,
    at: i64,
    outcome: oneshot::Receiver<Result<i64, DumpError>>,
}

struct Elb {
    state: State,
    dumps: Dumps,
    /// What a dump waits for comes when the world chooses: no time passes.
    now: Instant,
    commands: mpsc::Receiver<StoreCommand>,
    /// Revisions that were heard of.
    heard: usize,
    loads: u64,
    loaded_at: i64,
    task: Option<Task>,
    /// Transactions whose answer was given up, and which may still arrive.
    strays: Vec<Vec<(Operation, KeyChange)>>,
    answers: Vec<Result<Dumped, String>>,
    asked: Vec<Asked>,
    /// A clock of this ELB's own: when each key was edited last, with what, and when a change of another was heard.
    clock: u64,
    edited: BTreeMap<String, Vec<(u64, Option<Number>)>>,
    overheard: BTreeMap<String, u64>,
    /// What was read of each key when a dump of it began, whichever that was.
    read: BTreeSet<(String, Option<String>)>,
    /// What was sent of each key. The same by another cannot be told from it, and need not be.
    sent: BTreeSet<(String, Option<Number>)>,
    /// The places in the history that are this ELB's own.
    own: BTreeSet<usize>,
}

impl Elb {
    fn new() -> Elb {
        let (tell, commands) = mpsc::channel(4);
        Elb {
            state: State::new(),
            dumps: Dumps::new(tell),
            now: Instant::now(),
            commands,
            heard: 0,
            loads: 0,
            loaded_at: 0,
            task: None,
            strays: Vec::new(),
            answers: Vec::new(),
            asked: Vec::new(),
            clock: 0,
            edited: BTreeMap::new(),
            overheard: BTreeMap::new(),
            read: BTreeSet::new(),
            sent: BTreeSet::new(),
            own: BTreeSet::new(),
        }
    }

    fn known(&self) -> Known<'static> {
        Known { held: None, down: None, revision: 0, loads: self.loads, loaded_at: self.loaded_at }
    }

    fn settle(&mut self, store: &Store) {
        let known = self.known();
        self.dumps.settle(&mut self.state, known, self.now);
        if let Ok(StoreCommand::Dump { writes }) = self.commands.try_recv() {
            assert!(self.task.is_none(), "one dump at a time");
            for write in writes.iter().filter(|write| !write.is_check()) {
                self.is_ours(&write.wanted);
                self.sent.insert((write.wanted.name(), number(write.wanted.text())));
            }
            self.read.extend(
                writes
                    .iter()
                    .map(|write| (Keys::new("ELB").write(&Key::of(&write.wanted)), write.read.clone())),
            );
            let mut left = Vec::new();
            // One or two keys in a transaction, so that there are several.
            for batch in plan(&Keys::new("ELB"), writes).batches {
                left.extend(batch.chunks(2).map(<[Wish]>::to_vec));
            }
            left.reverse();
            self.task = Some(Task { left, found: None, dumped: Dumped::default() });
        }
        let mut asked = std::mem::take(&mut self.asked);
        asked.retain_mut(|asked| match asked.outcome.try_recv() {
            Ok(outcome) => {
                self.judge(store, asked, &outcome);
                false
            }
            Err(_) => true,
        });
        self.asked.extend(asked);
    }

    /// What is to be written was put here after whatever was heard of the key last.
    fn is_ours(&self, change: &KeyChange) {
        let edits = self.edited.get(&change.name()).map(Vec::as_slice).unwrap_or_default();
        let edit = edits.iter().rev().find(|(_, wanted)| *wanted == number(change.text()));
        let (at, _) = edit.unwrap_or_else(|| panic!("nobody asked here for {change:?}"));
        let overheard = self.overheard.get(&change.name()).copied().unwrap_or(0);
        assert!(*at > overheard, "{change:?} is older than what was heard since");
    }

    /// What was answered with success was there meanwhile, or something that was put here later.
    fn judge(&self, store: &Store, asked: &Asked, outcome: &Result<i64, DumpError>) {
        if outcome.is_err() {
            return;
        }
        for (key, wanted) in &asked.keys {
            let numbers = store.numbers(key, asked.at, store.revision());
            let later = self.edited.get(&key.name()).into_iter().flatten().map(|(_, number)| *number);
            let mut right = later.skip_while(|number| number != wanted).chain([*wanted]);
            assert!(
                right.any(|number| numbers.contains(&number)),
                "{} was answered with success for {wanted:?} and held {numbers:?}",
                key.name()
            );
        }
    }

    fn edit(&mut self, store: &Store, edit: Edit, keys: Vec<(KeyChange, Option<Number>)>, dump: bool) {
        self.clock += 1;
        for (key, number) in &keys {
            self.edited.entry(key.name()).or_default().push((self.clock, *number));
        }
        let prepared = self.state.library().prepare(edit).unwrap();
        let named = self.state.named(&prepared);
        self.state.apply(prepared);
        if dump {
            let outcome = self.dumps.ask(named, true);
            self.asked.push(Asked { keys, at: store.revision(), outcome });
        }
    }

    fn hear(&mut self, store: &Store) {
        let Some(changes) = store.history.get(self.heard).cloned() else { return };
        self.overhear(store, self.heard + 1, false);
        self.state.heed(true);
        let outcome = self.state.store_changed(changes);
        self.dumps.gave_way(&outcome.overridden, &outcome.others.unwrap_or_default());
    }

    /// Notes whose changes are heard of, up to this place in the history; all at once if that is `listed`.
    fn overhear(&mut self, store: &Store, until: usize, listed: bool) {
        self.clock += 1;
        let all = |at: usize| store.history[at].iter().map(move |change| (at, change));
        for (at, change) in (self.heard..until).flat_map(all).filter(|(at, _)| !self.own.contains(at)) {
            // A listing says what came last, and nothing of what is as it was.
            let is_last = !(at + 1..until).flat_map(all).any(|(_, later)| later.is_same_key(change));
            let is_told = !listed || (is_last && self.state_text(change) != store.text(change));
            if is_told && !self.sent.contains(&(change.name(), number(change.text()))) {
                self.overheard.insert(change.name(), self.clock);
            }
        }
        self.heard = until;
    }

    fn relist(&mut self, store: &Store) {
        let mut contents = Contents::default();
        store.keys.values().for_each(|(change, _)| contents.apply(change.clone()));
        self.overhear(store, store.history.len(), true);
        self.loads += 1;
        self.loaded_at = store.revision();
        self.state.heed(true);
        let outcome = self.state.load(contents);
        self.dumps.gave_way(&outcome.overridden, &outcome.others.unwrap_or_default());
    }

    /// One step of the store's task: read, or commit. `lost`: the transaction is given up, and may arrive or not.
    fn work(&mut self, store: &mut Store, lost: bool) {
        let Some(task) = &mut self.task else { return };
        let Some(batch) = task.left.last() else {
            let dumped = std::mem::take(&mut task.dumped);
            self.task = None;
            // Nothing can stop what makes a key that is not there; it is taken not to come after a later dump was answered.
            self.strays.retain(|operations| operations.iter().all(|(operation, _)| operation.revision != 0));
            return self.answers.push(Ok(dumped));
        };
        let Some(found) = task.found.take() else {
            task.found = Some(store.present(batch));
            return;
        };
        let merged = merge(batch, &found);
        let key = |operation: &Operation| {
            let wish = batch.iter().find(|wish| wish.key == operation.key).unwrap();
            with_text(&wish.write.wanted, operation.value.clone())
        };
        let operations: Vec<(Operation, KeyChange)> =
            merged.operations.into_iter().map(|operation| (operation.clone(), key(&operation))).collect();
        if lost {
            self.task = None;
            self.strays.push(operations);
            return self.answers.push(Err("no answer".to_owned()));
        }
        // If the guards do not hold, it is read again.
        if operations.is_empty() || self.commit(store, &operations) {
            let Some(task) = &mut self.task else { return };
            task.dumped.revision = store.revision();
            task.dumped.conflicts.extend(merged.conflicts);
            task.left.pop();
        }
    }

    /// Carries a transaction out if all its guards hold, and says whether they did.
    fn commit(&mut self, store: &mut Store, operations: &[(Operation, KeyChange)]) -> bool {
        let revision = |key: &KeyChange| store.keys.get(&key.name()).map_or(0, |(_, revision)| *revision);
        if operations.iter().any(|(operation, key)| revision(key) != operation.revision) {
            return false;
        }
        for (operation, change) in operations {
            let now = store.text(change);
            assert!(
                self.read.contains(&(operation.key.clone(), now.clone())),
                "{change:?} replaces {now:?} unread"
            );
        }
        let changes: Vec<KeyChange> = operations.iter().map(|(_, change)| change.clone()).collect();
        let before = store.history.len();
        store.write(changes);
        self.own.extend(before..store.history.len());
        true
    }

    /// What this ELB takes the store to hold of a key.
    fn state_text(&self, key: &KeyChange) -> Option<String> {
        let named = Named {
            domains: DOMAINS.map(str::to_owned).into(),
            upstreams: [(UPSTREAM.to_owned(), (UPSTREAM.to_owned(), SERVERS.map(str::to_owned).into()))]
                .into(),
            ..Named::default()
        };
        let writes = self.state.to_write(&named, None);
        writes.into_iter().find(|write| write.wanted.is_same_key(key)).and_then(|write| write.read)
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Put { elb: usize, what: usize, dump: bool },
    Delete { elb: usize, what: usize, dump: bool },
    DumpAll { elb: usize },
    Else { what: usize, delete: bool },
    Hear { elb: usize },
    Relist { elb: usize },
    Work { elb: usize, lost: bool },
    Answer { elb: usize },
    Stray { elb: usize },
}

fn any_act() -> impl Strategy<Value = Act> {
    let elb = || 0..2usize;
    prop_oneof![
        4 => (elb(), 0..4usize, any::<bool>()).prop_map(|(elb, what, dump)| Act::Put { elb, what, dump }),
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
