//! An ELB of the model: its state and its dumps, and what it has heard of the store.

use super::store::*;
use super::*;

/// A dump on its way through a store's task.
pub(super) struct Task {
    pub(super) left: Vec<Vec<Wish>>,
    pub(super) found: Option<BTreeMap<String, Present>>,
    pub(super) dumped: Dumped,
}

/// A request that waits.
pub(super) struct Asked {
    /// The keys it is about, each with the number it should have.
    pub(super) keys: Vec<(KeyChange, Option<Number>)>,
    pub(super) at: i64,
    pub(super) outcome: oneshot::Receiver<Result<i64, DumpError>>,
}

pub(super) struct Elb {
    pub(super) state: State,
    pub(super) dumps: Dumps,
    /// What a dump waits for comes when the world chooses: no time passes.
    pub(super) now: Instant,
    pub(super) commands: mpsc::Receiver<StoreCommand>,
    /// Revisions that were heard of.
    pub(super) heard: usize,
    pub(super) loads: u64,
    pub(super) loaded_at: i64,
    pub(super) task: Option<Task>,
    /// Transactions whose answer was given up, and which may still arrive.
    pub(super) strays: Vec<Vec<(Operation, KeyChange)>>,
    pub(super) answers: Vec<Result<Dumped, String>>,
    pub(super) asked: Vec<Asked>,
    /// A clock of this ELB's own: when each key was edited last, with what, and when a change of another was heard.
    pub(super) clock: u64,
    pub(super) edited: BTreeMap<String, Vec<(u64, Option<Number>)>>,
    pub(super) overheard: BTreeMap<String, u64>,
    /// What was read of each key when a dump of it began, whichever that was.
    pub(super) read: BTreeSet<(String, Option<String>)>,
    /// What was sent of each key. The same by another cannot be told from it, and need not be.
    pub(super) sent: BTreeSet<(String, Option<Number>)>,
    /// The places in the history that are this ELB's own.
    pub(super) own: BTreeSet<usize>,
}

impl Elb {
    pub(super) fn new() -> Elb {
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

    pub(super) fn known(&self) -> Known<'static> {
        Known { held: None, down: None, revision: 0, loads: self.loads, loaded_at: self.loaded_at }
    }

    pub(super) fn settle(&mut self, store: &Store) {
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
    pub(super) fn is_ours(&self, change: &KeyChange) {
        let edits = self.edited.get(&change.name()).map(Vec::as_slice).unwrap_or_default();
        let edit = edits.iter().rev().find(|(_, wanted)| *wanted == number(change.text()));
        let (at, _) = edit.unwrap_or_else(|| panic!("nobody asked here for {change:?}"));
        let overheard = self.overheard.get(&change.name()).copied().unwrap_or(0);
        assert!(*at > overheard, "{change:?} is older than what was heard since");
    }

    /// What was answered with success was there meanwhile, or something that was put here later.
    pub(super) fn judge(&self, store: &Store, asked: &Asked, outcome: &Result<i64, DumpError>) {
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

    pub(super) fn edit(
        &mut self,
        store: &Store,
        edit: Edit,
        keys: Vec<(KeyChange, Option<Number>)>,
        dump: bool,
    ) {
        self.clock += 1;
        for (key, number) in &keys {
            self.edited.entry(key.name()).or_default().push((self.clock, *number));
        }
        let prepared = self.state.library().prepare(edit).unwrap();
        let plan = self.state.plan(prepared).unwrap();
        let named = self.state.named(&plan);
        self.state.carry_out(plan);
        if dump {
            let outcome = self.dumps.ask(named, true);
            self.asked.push(Asked { keys, at: store.revision(), outcome });
        }
    }

    pub(super) fn hear(&mut self, store: &Store) {
        let Some(changes) = store.history.get(self.heard).cloned() else { return };
        self.overhear(store, self.heard + 1, false);
        self.state.heed(true);
        let outcome = self.state.store_changed(changes);
        self.dumps.gave_way(&outcome.overridden, &outcome.others.unwrap_or_default());
    }

    /// Notes whose changes are heard of, up to this place in the history; all at once if that is `listed`.
    pub(super) fn overhear(&mut self, store: &Store, until: usize, listed: bool) {
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

    pub(super) fn relist(&mut self, store: &Store) {
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
    pub(super) fn work(&mut self, store: &mut Store, lost: bool) {
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
    pub(super) fn commit(&mut self, store: &mut Store, operations: &[(Operation, KeyChange)]) -> bool {
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
    pub(super) fn state_text(&self, key: &KeyChange) -> Option<String> {
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
