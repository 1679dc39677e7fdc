//! The hub with workers, a store and names that the test plays, and with the time that the test says it is.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::{ACKS, Hub, NAMES};
use crate::control::changes::Via;
use crate::control::handle::HubHandle;
use crate::control::lookups::Lookups;
use crate::control::reader::Reader;
use crate::control::replies::Accepted;
use crate::control::resolve::Resolver;
use crate::control::saver::Unsaved;
use crate::control::state_file::Saved;
use crate::control::store::{Dumped, StoreCommand, StoreEvent};
use crate::control::tests::{SOON, names, no_names, put_upstream, stored};
use crate::link::{ToWorker, WorkerEnd, bridge};
use crate::model::{Contents, Edit, Faults, KeyChange, Library, Named, Snapshot};

const SECOND: Duration = Duration::from_secs(1);

/// A hub to which nothing happens but what the test says: whatever is due is done when a method returns.
struct Stage {
    hub: Hub,
    now: Instant,
    workers: Vec<(WorkerEnd, Arc<Snapshot>)>,
    commands: mpsc::Receiver<StoreCommand>,
}

impl Stage {
    fn new(workers: usize, names: Resolver) -> Self {
        let (commands_in, commands) = mpsc::channel(8);
        let mut hub = Hub::new(
            Library::default(),
            names,
            commands_in,
            Via::Etcd,
            (Instant::now(), std::time::SystemTime::now()),
        );
        let (ends, end) = bridge(workers, true).unwrap();
        let now = Instant::now();
        let first = hub.first(end.workers, now);
        let workers = ends.into_iter().map(|end| (end, Arc::clone(&first))).collect();
        Self { hub, now, workers, commands }
    }

    /// Does this with the hub at the present time, and then what has become due.
    fn does<T>(&mut self, what: impl FnOnce(&mut Hub, Instant) -> T) -> T {
        let done = what(&mut self.hub, self.now);
        self.hub.settle(self.now);
        done
    }

    fn edit(&mut self, edit: Edit) -> Accepted {
        self.try_edit(edit).unwrap()
    }

    fn try_edit(&mut self, edit: Edit) -> Result<Accepted, Faults> {
        self.does(|hub, now| hub.edit(edit, now))
    }

    fn load(&mut self, contents: Contents) {
        self.does(|hub, now| hub.store_event(StoreEvent::Loaded { contents, revision: 1 }, now));
    }

    fn changes(&mut self, changes: Vec<KeyChange>) {
        self.does(|hub, now| hub.store_event(StoreEvent::Changed { changes, revision: 2 }, now));
    }

    /// The store has a server of this name now.
    fn store_server(&mut self, upstream: &str, server: &str) {
        let (upstream, server) = (upstream.to_owned(), server.to_owned());
        self.changes(vec![KeyChange::Server { upstream, server, text: Some(String::new()) }]);
    }

    /// So much time passes.
    fn later(&mut self, by: Duration) {
        self.now += by;
        self.does(Hub::tick);
    }

    /// A lookup ends, which has to be under way.
    async fn looked_up(&mut self) {
        let found = timeout(SOON, self.hub.looked_up()).await.unwrap();
        self.does(|hub, now| {
            found.into_iter().for_each(|(name, addresses)| hub.learnt(&name, addresses, now))
        });
    }

    /// The snapshot that a worker was sent last and has not applied.
    fn sent(&self, worker: usize) -> Option<Arc<Snapshot>> {
        match self.workers[worker].0.mailbox.try_recv().ok()? {
            ToWorker::Snapshot(snapshot) => Some(snapshot),
            other => panic!("worker {worker} is told {other:?}"),
        }
    }

    /// A worker serves a snapshot that it was sent, and reports so.
    fn apply(&mut self, worker: usize, snapshot: Arc<Snapshot>) -> u64 {
        let version = snapshot.version;
        self.workers[worker].1 = snapshot;
        self.does(|hub, _| hub.applied(worker, version));
        version
    }

    /// A worker takes the next snapshot, which has to be there, and serves it. Gives its version.
    #[track_caller]
    fn follow(&mut self, worker: usize) -> u64 {
        let sent = self.sent(worker).unwrap_or_else(|| panic!("worker {worker} is sent nothing"));
        self.apply(worker, sent)
    }

    #[track_caller]
    fn is_left_alone(&self, worker: usize) {
        assert!(self.workers[worker].0.mailbox.is_empty(), "worker {worker} is told something");
    }

    fn serves(&self) -> &Snapshot {
        &self.workers[0].1
    }

    fn addresses(&self, upstream: &str) -> Vec<String> {
        let upstream = self.serves().upstream_named(upstream).unwrap();
        upstream.servers.iter().map(|server| server.endpoint.to_string()).collect()
    }

    fn alarms(&self) -> Vec<String> {
        self.hub.status().alarms.into_iter().map(|alarm| alarm.message).collect()
    }

    /// How an endpoint waits.
    fn handle(&self) -> HubHandle {
        HubHandle::new(&self.hub, Reader::start().unwrap()).0
    }

    /// What a state file keeps of this life, in another.
    fn next_life(&mut self, names: Resolver) -> Stage {
        let Unsaved { good, revision, names: addresses } = self.hub.unsaved().unwrap();
        let saved = Saved {
            contents: good.contents(),
            revision,
            names: addresses,
            at: std::time::SystemTime::UNIX_EPOCH,
        };
        let mut next = Stage::new(1, names);
        next.does(|hub, now| hub.remember(saved, SECOND, now));
        next
    }
}

#[tokio::test]
async fn a_change_is_served_when_every_worker_has_said_so() {
    let mut rig = Stage::new(2, no_names());
    let accepted = rig.edit(put_upstream("up", &["127.0.0.1:81"]));
    assert_eq!(accepted.version, 2);
    let hub = rig.handle();
    let mut served = pin!(hub.served(&accepted));
    let mut nobody = Context::from_waker(Waker::noop());
    assert_eq!(rig.follow(0), 2);
    assert!(served.as_mut().poll(&mut nobody).is_pending());
    assert_eq!(rig.follow(1), 2);
    assert_eq!(served.as_mut().poll(&mut nobody), Poll::Ready((2, 2)));
    assert_eq!(rig.addresses("up"), ["127.0.0.1:81"]);
}

#[tokio::test]
async fn a_worker_that_does_not_answer_is_counted_after_a_second() {
    let mut rig = Stage::new(2, no_names());
    let accepted = rig.edit(put_upstream("up", &["127.0.0.1:81"]));
    assert_eq!(accepted.within, SECOND);
    rig.follow(1);
    let late = Accepted { within: Duration::ZERO, ..accepted };
    assert_eq!(rig.handle().served(&late).await, (1, 2));
}

#[test]
fn one_snapshot_is_in_flight_and_what_comes_meanwhile_is_merged() {
    let mut rig = Stage::new(1, no_names());
    assert_eq!(rig.edit(put_upstream("a", &["127.0.0.1:1"])).version, 2);
    let second = rig.sent(0).unwrap();
    assert_eq!(rig.edit(put_upstream("b", &["127.0.0.1:2"])).version, 3);
    assert_eq!(rig.edit(put_upstream("c", &["127.0.0.1:3"])).version, 3);
    rig.is_left_alone(0);
    rig.apply(0, second);
    assert_eq!(rig.follow(0), 3);
    rig.is_left_alone(0);
    assert_eq!(
        (rig.addresses("b"), rig.addresses("c")),
        (vec!["127.0.0.1:2".into()], vec!["127.0.0.1:3".into()])
    );
}

#[test]
fn changes_that_come_together_share_one_snapshot() {
    let mut rig = Stage::new(1, no_names());
    let versions = rig.does(|hub, now| {
        ["a", "b", "c"].map(|name| hub.edit(put_upstream(name, &["127.0.0.1:1"]), now).unwrap().version)
    });
    assert_eq!(versions, [2, 2, 2]);
    assert_eq!(rig.follow(0), 2);
    rig.is_left_alone(0);
}

#[tokio::test]
async fn the_digest_is_that_of_the_version_that_is_served() {
    let (resolver, answers) = slow_name();
    let mut rig = Stage::new(1, resolver);
    let stands = |rig: &Stage| (rig.hub.status().version, rig.hub.status().digest);
    let nothing = stands(&rig);
    rig.store_server("up", "server.test");
    assert_eq!(stands(&rig), nothing, "it waits for the address of the name");
    answers.add_permits(2);
    rig.looked_up().await;
    let (version, digest) = stands(&rig);
    assert!(version == 2 && digest != nothing.1);
    assert_eq!(rig.follow(0), 2);
    rig.does(|hub, _| hub.refresh_names(true));
    rig.looked_up().await;
    assert_eq!(stands(&rig), (3, digest), "other addresses are no other configuration");
    let mut next = rig.next_life(no_names());
    next.later(NAMES);
    assert_eq!(stands(&next), (2, digest), "of a state file");
}

#[test]
fn a_slow_worker_holds_nobody_up_and_skips_what_it_missed() {
    let mut rig = Stage::new(2, no_names());
    rig.edit(put_upstream("a", &["127.0.0.1:1"]));
    let slow = rig.sent(1).unwrap();
    assert_eq!(rig.follow(0), 2);
    for (version, name) in [(3, "b"), (4, "c")] {
        rig.edit(put_upstream(name, &["127.0.0.1:2"]));
        assert_eq!(rig.follow(0), version);
    }
    rig.apply(1, slow);
    assert_eq!(rig.follow(1), 4);
}

#[tokio::test]
async fn a_change_that_changes_nothing_makes_no_snapshot() {
    let mut rig = Stage::new(1, no_names());
    assert_eq!(rig.edit(put_upstream("up", &["127.0.0.1:81"])).version, 2);
    assert_eq!(rig.follow(0), 2);
    let again = rig.edit(put_upstream("up", &["127.0.0.1:81"]));
    assert_eq!(again.version, 2);
    assert_eq!(rig.handle().served(&again).await, (1, 1));
    rig.edit(Edit::DeleteDomains(vec!["nobody".to_owned()]));
    rig.is_left_alone(0);
}

#[test]
fn a_bad_edit_changes_nothing_and_names_the_place() {
    let mut rig = Stage::new(1, no_names());
    let bad = Edit::PutUpstreams(json!({"up": {"127.0.0.1:81": "weight=x"}}).as_object().unwrap().clone());
    let fault = rig.try_edit(bad).unwrap_err();
    assert_eq!(fault.pointer, "/up/127.0.0.1:81");
    rig.is_left_alone(0);
}

/// A name whose address is the number of lookups so far, each of which ends when it has a permit.
fn slow_name() -> (Resolver, Arc<Semaphore>) {
    let (looked_up, permits) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let answers = Arc::clone(&permits);
    let lookups = Lookups::new(Arc::new(move |_| {
        let port = 1 + looked_up.fetch_add(1, Ordering::Relaxed);
        let answers = Arc::clone(&answers);
        Box::pin(async move {
            answers.acquire().await.unwrap().forget();
            Ok(vec![SocketAddr::from(([10, 0, 0, 1], u16::try_from(port).unwrap_or(1)))])
        })
    }));
    (Resolver::new(lookups), permits)
}

#[tokio::test]
async fn a_new_name_of_the_store_is_served_with_its_addresses() {
    let (resolver, answers) = slow_name();
    let mut rig = Stage::new(1, resolver);
    rig.store_server("up", "server.test:80");
    rig.is_left_alone(0);
    answers.add_permits(1);
    rig.looked_up().await;
    assert_eq!(rig.follow(0), 2);
    assert_eq!(rig.addresses("up"), ["10.0.0.1:1"]);
    rig.is_left_alone(0);
}

#[tokio::test]
async fn a_name_that_takes_too_long_is_served_without_and_then_with() {
    let (resolver, answers) = slow_name();
    let mut rig = Stage::new(1, resolver);
    rig.store_server("up", "server.test:80");
    rig.later(NAMES - Duration::from_millis(1));
    rig.is_left_alone(0);
    rig.later(Duration::from_millis(1));
    assert_eq!(rig.follow(0), 2);
    assert!(rig.addresses("up").is_empty());
    answers.add_permits(1);
    rig.looked_up().await;
    assert_eq!(rig.follow(0), 3);
    assert_eq!(rig.addresses("up"), ["10.0.0.1:1"]);
}

/// The caller of a change waits for what stands before it, and for the workers.
#[tokio::test]
async fn what_was_accepted_is_waited_for_as_long_as_the_names_may_take() {
    let mut rig = Stage::new(1, slow_name().0);
    rig.store_server("up", "server.test:80");
    assert_eq!(rig.does(|hub, now| hub.accepted(now)).within, NAMES + ACKS);
    rig.now += NAMES / 4;
    assert_eq!(rig.does(|hub, now| hub.accepted(now)).within, NAMES * 3 / 4 + ACKS);
    rig.now += NAMES;
    assert_eq!(rig.does(|hub, now| hub.accepted(now)).within, ACKS);
}

/// A name server that never answers, and a store that brings a new name with every change.
#[tokio::test]
async fn new_names_delay_no_edit_that_has_no_part_in_them() {
    let mut rig = Stage::new(1, slow_name().0);
    for number in 0..3_u64 {
        rig.store_server("up", &format!("server{number}.test"));
        assert_eq!(rig.hub.due(rig.now), Some(rig.now + NAMES));
        rig.edit(put_upstream("other", &[&format!("127.0.0.1:{}", number + 1)]));
        assert_eq!(rig.hub.due(rig.now), None, "it waits for nobody");
        rig.follow(0);
        assert_eq!(rig.addresses("other"), [format!("127.0.0.1:{}", number + 1)]);
    }
}

#[tokio::test]
async fn servers_that_work_serve_on_until_a_new_name_has_an_address() {
    let known = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = Arc::clone(&known);
    let mut rig = Stage::new(
        1,
        names(move |_| match told.load(Ordering::SeqCst) {
            true => Ok(vec![SocketAddr::from(([10, 0, 0, 9], 80))]),
            false => Err(io::ErrorKind::NotFound.into()),
        }),
    );
    rig.edit(put_upstream("up", &["127.0.0.1:81"]));
    rig.follow(0);
    rig.edit(put_upstream("up", &["mistyped.test"]));
    rig.follow(0);
    assert_eq!(rig.addresses("up"), ["127.0.0.1:81"]);
    rig.looked_up().await;
    assert_eq!(rig.alarms(), ["without any address: mistyped.test:80"]);
    known.store(true, Ordering::SeqCst);
    rig.does(|hub, _| hub.refresh_names(false));
    rig.looked_up().await;
    rig.follow(0);
    assert_eq!(rig.addresses("up"), ["10.0.0.9:80"]);
    // And what is deleted is gone.
    rig.edit(Edit::DeleteUpstreams(vec!["up".to_owned()]));
    rig.follow(0);
    assert!(rig.serves().upstream_named("up").is_none());
}

#[test]
fn the_first_load_is_held_against_what_a_state_file_kept() {
    let mut rig = Stage::new(0, no_names());
    rig.load(stored(&["a", "b", "c", "d"]));
    let mut next = rig.next_life(no_names());
    next.follow(0);
    next.load(Contents::default());
    next.is_left_alone(0);
    assert_eq!(next.serves().domain_count(), 4);
    assert!(
        matches!(&next.alarms()[..], [one] if one.contains("lacks 4 of 4 domains")),
        "{:?}",
        next.alarms()
    );
    let kept = next.hub.unsaved().unwrap();
    assert_eq!(kept.good.contents().rules.len(), 4, "nor is the copy written over");
    next.does(|hub, now| hub.resync(Some(Via::Api.by_nobody()), now));
    next.follow(0);
    assert_eq!(next.serves().domain_count(), 0);
}

#[test]
fn a_last_good_value_lives_on_in_the_next_life() {
    let mut rig = Stage::new(0, no_names());
    rig.load(stored(&["a", "b"]));
    let mut bad = stored(&["a", "b"]);
    bad.rules.insert("a".to_owned(), "{".to_owned());
    bad.upstreams
        .entry("up".to_owned())
        .or_default()
        .insert("127.0.0.1:81".to_owned(), "weight=x".to_owned());
    for _ in 0..3 {
        let mut next = rig.next_life(no_names());
        next.load(bad.clone());
        next.follow(0);
        while next.serves().domain_count() < 2 {
            next.follow(0);
        }
        assert_eq!(next.addresses("up"), ["127.0.0.1:81"]);
        let rejected = next.hub.rejected();
        assert!(rejected.len() == 2 && rejected.iter().all(|key| key.last_good), "{rejected:?}");
        rig = next;
    }
}

#[tokio::test]
async fn the_addresses_of_names_live_on_in_the_next_life() {
    let mut rig = Stage::new(1, names(|_| Ok(vec![SocketAddr::from(([10, 0, 0, 2], 80))])));
    rig.store_server("up", "server.test");
    rig.looked_up().await;
    rig.follow(0);
    let mut next = rig.next_life(names(|_| Err(io::ErrorKind::TimedOut.into())));
    next.looked_up().await;
    next.follow(0);
    assert_eq!(next.addresses("up"), ["10.0.0.2:80"]);
}

#[tokio::test]
async fn a_refresh_makes_a_snapshot_only_when_an_address_differs() {
    let mut rig = Stage::new(1, names(|_| Ok(vec![SocketAddr::from(([10, 0, 0, 2], 80))])));
    rig.store_server("up", "server.test");
    rig.looked_up().await;
    rig.follow(0);
    rig.does(|hub, _| hub.refresh_names(true));
    rig.looked_up().await;
    rig.is_left_alone(0);

    let (resolver, answers) = slow_name();
    answers.add_permits(2);
    let mut rig = Stage::new(1, resolver);
    rig.store_server("up", "server.test");
    rig.looked_up().await;
    rig.follow(0);
    rig.does(|hub, _| hub.refresh_names(true));
    rig.looked_up().await;
    assert_eq!(rig.follow(0), 3);
    assert_eq!(rig.addresses("up"), ["10.0.0.1:2"]);
}

#[tokio::test]
async fn a_name_without_addresses_is_an_alarm() {
    let mut rig = Stage::new(1, no_names());
    rig.edit(put_upstream("up", &["server.test"]));
    rig.looked_up().await;
    assert_eq!(rig.alarms(), ["without any address: server.test:80"]);
}

#[test]
fn a_load_that_takes_most_away_is_held_until_it_is_confirmed() {
    let mut rig = Stage::new(1, no_names());
    rig.load(stored(&["a", "b", "c", "d"]));
    assert_eq!(rig.follow(0), 2);
    rig.load(Contents::default());
    rig.is_left_alone(0);
    assert!(rig.alarms()[0].contains("4 of 4 domains and 1 of 1 upstreams"), "{:?}", rig.alarms());
    // A change that comes meanwhile is served at once, and is still there after the confirmation.
    let rule = stored(&["e"]).rules.remove("e");
    rig.changes(vec![KeyChange::Rule { domain: "e".to_owned(), text: rule }]);
    assert_eq!(rig.follow(0), 3);
    assert_eq!(rig.serves().domain_count(), 5);
    rig.does(|hub, now| hub.resync(Some(Via::Api.by_nobody()), now));
    assert_eq!(rig.follow(0), 4);
    assert_eq!(rig.serves().domain_count(), 1);
    assert!(rig.hub.held().is_none());
}

#[test]
fn a_load_that_is_whole_again_ends_the_alarm() {
    let mut rig = Stage::new(1, no_names());
    rig.load(stored(&["a", "b", "c"]));
    rig.follow(0);
    rig.load(Contents::default());
    assert!(rig.hub.held().is_some());
    rig.load(stored(&["a", "b", "c"]));
    assert!(rig.hub.held().is_none());
    rig.is_left_alone(0);
}

fn rules(domains: &[&str], text: impl Fn(&str) -> Option<String>) -> Vec<KeyChange> {
    let rule = |domain: &&str| KeyChange::Rule { domain: (*domain).to_owned(), text: text(domain) };
    domains.iter().map(rule).collect()
}

#[test]
fn a_hold_ends_by_itself_when_what_was_lacking_is_back() {
    let mut rig = Stage::new(1, no_names());
    let (all, contents) = (["a", "b", "c", "d", "e", "f"], stored(&["a", "b", "c", "d", "e", "f"]));
    rig.load(contents.clone());
    rig.follow(0);
    rig.load(Contents::default());
    assert!(matches!(&rig.alarms()[..], [one] if one.contains("lacks 6 of 6 domains")), "{:?}", rig.alarms());
    let mut changes = rules(&all, |domain| contents.rules.get(domain).cloned());
    let server = contents.upstreams["up"].clone().pop_first().unwrap();
    changes.push(KeyChange::Server { upstream: "up".to_owned(), server: server.0, text: Some(server.1) });
    rig.changes(changes);
    rig.later(SECOND);
    assert_eq!(rig.alarms(), [""; 0]);
    rig.is_left_alone(0);
    // And a deletion after it is one of a store that holds everything.
    rig.changes(rules(&["a"], |_| None));
    rig.follow(0);
    assert_eq!(rig.alarms(), [""; 0]);
}

#[test]
fn most_domains_removed_key_by_key_are_an_alarm_until_they_are_back_or_confirmed() {
    let mut rig = Stage::new(1, no_names());
    let (most, contents) = (["a", "b", "c", "d"], stored(&["a", "b", "c", "d", "e"]));
    rig.load(contents.clone());
    rig.follow(0);
    let gone = || rules(&most, |_| None);
    rig.changes(gone());
    rig.follow(0);
    assert_eq!(rig.serves().domain_count(), 1, "it is done, and told");
    rig.later(SECOND);
    let alarms = rig.alarms();
    assert!(
        matches!(&alarms[..], [one] if one.starts_with("4 of 5 domains and 0 of 1 upstreams were removed")),
        "{alarms:?}"
    );
    rig.changes(rules(&most, |domain| contents.rules.get(domain).cloned()));
    rig.follow(0);
    rig.later(SECOND);
    assert_eq!(rig.alarms(), [""; 0]);

    rig.changes(gone());
    rig.follow(0);
    rig.later(SECOND);
    assert_eq!(rig.alarms().len(), 1);
    rig.does(|hub, now| hub.resync(Some(Via::Api.by_nobody()), now));
    assert_eq!(rig.alarms(), [""; 0]);
}

#[test]
fn rejected_keys_are_counted_in_every_answer_and_not_their_events() {
    let mut rig = Stage::new(1, no_names());
    rig.load(stored(&["a", "b"]));
    rig.follow(0);
    for (nth, domain) in (0..).zip(["a", "b", "a", "a"]) {
        rig.changes(rules(&[domain], |_| Some(format!("{{ {nth}"))));
    }
    assert_eq!(rig.alarms(), ["2 keys of the store are rejected; GET /__erulb__/rejected says why"]);
    let contents = stored(&["a", "b"]);
    rig.changes(rules(&["a", "b"], |domain| contents.rules.get(domain).cloned()));
    rig.later(SECOND);
    assert_eq!(rig.alarms(), [""; 0]);
}

#[test]
fn a_state_file_that_cannot_be_written_is_an_alarm() {
    let mut rig = Stage::new(1, no_names());
    rig.hub.state_file(Some("no space".to_owned()));
    assert_eq!(rig.alarms(), ["no space"]);
    rig.hub.state_file(None);
    assert_eq!(rig.alarms(), [""; 0]);
}

#[test]
fn a_store_that_does_not_say_what_became_of_a_dump_is_read_again_every_five_seconds() {
    let mut rig = Stage::new(0, no_names());
    rig.load(stored(&["a"]));
    rig.edit(Edit::DeleteDomains(vec!["a".to_owned()]));
    let mut asked = rig.does(|hub, _| hub.dump(Named::all()));
    assert!(matches!(rig.commands.try_recv(), Ok(StoreCommand::Dump { .. })));
    let written = StoreEvent::Dumped(Ok(Dumped { revision: 2, ..Dumped::default() }));
    rig.does(|hub, now| hub.store_event(written, now));
    for _ in 0..2 {
        rig.later(4 * SECOND);
        assert!(rig.commands.try_recv().is_err(), "it may be on its way");
        rig.later(SECOND);
        assert!(matches!(rig.commands.try_recv(), Ok(StoreCommand::Resync)));
    }
    assert!(asked.outcome.try_recv().is_err());
    rig.changes(rules(&["a"], |_| None));
    assert_eq!(asked.outcome.try_recv(), Ok(Ok(2)));
}
