//! The control loop whole, without a socket: a test plays the workers, the store, the name server and the operator.
//!
//! [`Rig`] is what the tests of this folder stand on; here are those of the loop itself.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::admin::{Access, AdminServer, Api, Peer, Streams, api};
use super::ahead::read_ahead;
use super::changes::Via;
use super::handle::HubHandle;
use super::hub::Hub;
use super::lookups::Lookups;
use super::reader::Reader;
use super::resolve::Resolver;
use super::run::{Control, Phase};
use super::signals::Order;
use super::store::{Dumped, StoreCommand, StoreEvent};
use crate::explain::Explainer;
use crate::link::{Cut, Gauges, Report, ToWorker, WorkerEnd, bridge};
use crate::model::{Contents, Edit, KeyChange, KeyWrite, Library, Snapshot};
use crate::readiness::Readiness;
use crate::settings::{AdminSettings, AllowList};

/// The longest wait for something that will happen.
pub(super) const SOON: Duration = Duration::from_secs(5);

/// A control loop whose every peer is the test.
pub(super) struct Rig {
    pub(super) hub: HubHandle,
    pub(super) api: Api,
    /// What the store says.
    pub(super) store: mpsc::Sender<StoreEvent>,
    /// What it is told.
    pub(super) commands: mpsc::Receiver<StoreCommand>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) workers: Vec<Played>,
    pub(super) life: JoinHandle<Cut>,
}

/// A worker that the test plays.
pub(super) struct Played {
    end: WorkerEnd,
    serves: Arc<Snapshot>,
}

impl Played {
    /// The next message, which has to come.
    pub(super) async fn told(&self) -> ToWorker {
        let asked = Instant::now();
        while asked.elapsed() < SOON {
            if let Ok(message) = self.end.mailbox.try_recv() {
                return message;
            }
            sleep(Duration::from_millis(1)).await;
        }
        panic!("worker {} is told nothing", self.end.index);
    }

    /// The next snapshot, which has to come and is not applied yet.
    pub(super) async fn sent(&self) -> Arc<Snapshot> {
        match self.told().await {
            ToWorker::Snapshot(snapshot) => snapshot,
            other => panic!("worker {} is told {other:?}", self.end.index),
        }
    }

    /// Nothing has come, of what the hub has sent by now.
    pub(super) fn is_left_alone(&self) {
        assert!(self.end.mailbox.is_empty(), "worker {} is told something", self.end.index);
    }

    /// Serves a snapshot that was sent, and reports so.
    pub(super) async fn apply(&mut self, snapshot: Arc<Snapshot>) {
        let (worker, version) = (self.end.index, snapshot.version);
        let old = std::mem::replace(&mut self.serves, snapshot);
        self.end.reports.send(Report::Applied { worker, version, old }).await.unwrap();
    }

    /// Takes the next snapshot and serves it. Gives its version.
    pub(super) async fn follow(&mut self) -> u64 {
        let snapshot = self.sent().await;
        let version = snapshot.version;
        self.apply(snapshot).await;
        version
    }

    pub(super) async fn holds(&self, gauges: Gauges) {
        self.end
            .reports
            .send(Report::Gauges { worker: self.end.index, gauges: Box::new(gauges) })
            .await
            .unwrap();
    }

    pub(super) async fn drained(&self) {
        self.ended(Cut::default()).await;
    }

    pub(super) async fn ended(&self, cut: Cut) {
        self.end.reports.send(Report::Drained { worker: self.end.index, cut }).await.unwrap();
    }

    pub(super) fn serves(&self) -> &Snapshot {
        &self.serves
    }

    /// Does at once whatever it is told, from now on.
    pub(super) fn obeys(mut self) -> JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                match self.end.mailbox.try_recv() {
                    Ok(ToWorker::Snapshot(snapshot)) => self.apply(snapshot).await,
                    Ok(ToWorker::Leave | ToWorker::Shadow(_) | ToWorker::EndShadow(_) | ToWorker::Tls(_)) => {
                    }
                    Ok(ToWorker::Drain(_) | ToWorker::Stop) => return self.drained().await,
                    Err(crossbeam_channel::TryRecvError::Empty) => sleep(Duration::from_millis(1)).await,
                    Err(crossbeam_channel::TryRecvError::Disconnected) => return,
                }
            }
        })
    }
}

impl Rig {
    /// A loop with played workers, no store contents and a drain timeout of a second. `names` answers lookups.
    pub(super) fn new(workers: usize, names: Resolver) -> Self {
        let (commands_in, commands) = mpsc::channel(8);
        let (store, events) = mpsc::channel(8);
        let (orders, orders_in) = mpsc::channel(4);
        let (library, reader) = (Library::default(), Reader::start().unwrap());
        let mut hub = Hub::new(
            library.clone(),
            names,
            commands_in,
            Via::Etcd,
            (Instant::now(), std::time::SystemTime::now()),
        );
        let (ends, end) = bridge(workers, true).unwrap();
        let first = hub.first(end.workers, Instant::now());
        let (handle, questions) = HubHandle::new(&hub, reader.clone());
        let access = || Access::new(&local(), None);
        let control = Control {
            resolve_interval: Duration::from_secs(30),
            hub,
            admin: AdminServer::new(
                handle.clone(),
                access(),
                Explainer::usual().unwrap(),
                Readiness::default(),
            ),
            metrics: AdminServer::of_metrics(handle.clone()),
            log: None,
            questions,
            events: read_ahead(events, library, reader.clone()),
            reports: end.reports,
            adoptions: end.adoptions,
            orders: orders_in,
            saver: None,
            history: super::history::HistorySaver::new(None),
            spare: super::spare::Spare::new(reader),
            statsd: None,
            drain_timeout: Duration::from_secs(1),
            drain_delay: Duration::ZERO,
            readiness: end.readiness,
            phase: Phase::Serving,
            cut: Cut::default(),
            outages: super::outages::Outages::default(),
            teller: Some(super::fleet::Teller::new(super::fleet::Identity::default(), None)),
            prober: super::checks::prober::Prober::new(crate::tls::Trust::nobody().toward().unwrap()),
            manager: super::manager::Manager::of_this_process(false),
            succession: super::succession::Succession::new(super::succession::Estate::default()),
            arrival: None,
            heired: None,
            code: 0,
        };
        let played = |end| Played { end, serves: Arc::clone(&first) };
        Self {
            api: api(
                handle.clone(),
                Arc::new(access()),
                Explainer::usual().unwrap(),
                Readiness::default(),
                Streams::new(tokio::sync::watch::channel(false).1),
            ),
            hub: handle,
            store,
            commands,
            orders,
            workers: ends.into_iter().map(played).collect(),
            life: tokio::spawn(async { control.run().await.cut }),
        }
    }

    /// A loop whose workers do as they are told.
    pub(super) fn obedient() -> Self {
        let mut rig = Self::new(2, no_names());
        rig.workers.drain(..).for_each(|worker| drop(worker.obeys()));
        rig
    }

    /// Asks the API as a local peer does.
    pub(super) async fn ask(&self, method: &str, path: &str, body: impl Into<Body>) -> Told {
        ask(&self.api, method, path, body).await
    }

    /// Makes an edit without waiting for the workers. Gives the version it is served in.
    pub(super) async fn edit(&self, edit: Edit) -> u64 {
        self.hub.ask_now(|hub, now| hub.edit(edit, now)).await.unwrap().unwrap().version
    }

    /// The writes of the dump that the store is told to make, which has to come.
    pub(super) async fn told_to_dump(&mut self) -> Vec<KeyWrite> {
        match timeout(SOON, self.commands.recv()).await.unwrap() {
            Some(StoreCommand::Dump { writes }) => writes,
            other => panic!("{other:?}"),
        }
    }

    /// The store reports changes, and the hub has heard of them: they are read on another thread before.
    pub(super) async fn changes(&self, changes: Vec<KeyChange>, revision: i64) {
        self.store.send(StoreEvent::Changed { changes, revision }).await.unwrap();
        let heard = async {
            while self.hub.ask(|hub| hub.revision()).await.unwrap() < revision {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, heard).await.unwrap();
    }

    /// The store ends a dump.
    pub(super) async fn dumped(&self, outcome: Result<Dumped, String>) {
        self.store.send(StoreEvent::Dumped(outcome)).await.unwrap();
    }

    /// The store has written all of this, and says so.
    pub(super) async fn wrote(&self, writes: &[KeyWrite], revision: i64) {
        self.dumped(Ok(Dumped { revision, ..Dumped::default() })).await;
        self.changes(writes.iter().map(|write| write.wanted.clone()).collect(), revision).await;
    }

    /// The store lists `contents`, and the hub has heard it.
    pub(super) async fn load(&self, contents: Contents) {
        self.heard(StoreEvent::Loaded { contents, revision: 1 }).await;
    }

    /// The store is lost, and the hub has heard it.
    pub(super) async fn lost(&self, reason: &str) {
        self.heard(StoreEvent::Down { reason: reason.to_owned() }).await;
    }

    async fn heard(&self, event: StoreEvent) {
        let mut progress = self.hub.ask(|hub| hub.watch()).await.unwrap();
        let before = progress.borrow().heard;
        self.store.send(event).await.unwrap();
        timeout(SOON, progress.wait_for(|now| now.heard != before)).await.unwrap().unwrap();
    }
}

/// An answer of the API.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Told {
    /// The body as JSON; its newline is checked on the way.
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.text.find('\n'), Some(self.text.len() - 1), "{:?}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) async fn ask(api: &Api, method: &str, path: &str, body: impl Into<Body>) -> Told {
    let mut request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
    request.extensions_mut().insert(Peer(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let response = timeout(SOON, api.clone().oneshot(request)).await.unwrap().unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    Told { status: parts.status, headers: parts.headers, text }
}

/// The settings of an API that answers this machine.
pub(super) fn local() -> AdminSettings {
    let allow = AllowList::new(&["127.0.0.0/8".parse().unwrap()]);
    AdminSettings { listen: None, allow, token: None, hosts: Vec::new() }
}

/// No name has an address.
pub(super) fn no_names() -> Resolver {
    names(|_| Err(std::io::ErrorKind::NotFound.into()))
}

/// Names answered at once by `table`.
pub(super) fn names(
    table: impl Fn(&str) -> std::io::Result<Vec<std::net::SocketAddr>> + Send + Sync + 'static,
) -> Resolver {
    Resolver::new(Lookups::new(Arc::new(move |name| {
        let answer = table(&name);
        Box::pin(async move { answer })
    })))
}

/// `{name: {server: "", …}}` as an edit.
pub(super) fn put_upstream(name: &str, servers: &[&str]) -> Edit {
    let servers = servers.iter().map(|server| ((*server).to_owned(), Value::from(""))).collect();
    Edit::PutUpstreams([(name.to_owned(), Value::Object(servers))].into_iter().collect())
}

/// A store's contents with these domains, all served by one upstream.
pub(super) fn stored(domains: &[&str]) -> Contents {
    let rules = r#"{"init":"r","rules":{"r":{"type":"backend","args":{"servername":"up"}}}}"#;
    let mut contents = Contents::default();
    contents.rules.extend(domains.iter().map(|domain| ((*domain).to_owned(), rules.to_owned())));
    contents.upstreams.entry("up".to_owned()).or_default().insert("127.0.0.1:81".to_owned(), String::new());
    contents
}

#[tokio::test]
async fn a_drain_ends_when_every_worker_has_drained() {
    let rig = Rig::new(2, no_names());
    rig.orders.send(Order::Drain).await.unwrap();
    for worker in &rig.workers {
        assert!(matches!(worker.told().await, ToWorker::Drain(_)));
    }
    rig.workers[0].drained().await;
    while rig.hub.ask(|hub| hub.running()).await.unwrap() > 1 {}
    assert!(!rig.life.is_finished());
    rig.workers[1].drained().await;
    assert_eq!(timeout(SOON, rig.life).await.unwrap().unwrap(), Cut::default());
}

#[tokio::test]
async fn what_is_not_done_at_the_deadline_is_stopped_and_counted() {
    let rig = Rig::new(2, no_names());
    rig.orders.send(Order::Drain).await.unwrap();
    assert!(matches!(rig.workers[0].told().await, ToWorker::Drain(_)));
    rig.workers[0].ended(Cut { requests: 1, tunnels: 2 }).await;
    assert!(matches!(rig.workers[1].told().await, ToWorker::Drain(_)));
    assert!(matches!(rig.workers[1].told().await, ToWorker::Stop));
    rig.workers[0].is_left_alone();
    rig.workers[1].ended(Cut { requests: 3, tunnels: 4 }).await;
    assert_eq!(timeout(SOON, rig.life).await.unwrap().unwrap(), Cut { requests: 4, tunnels: 6 });
}

#[tokio::test]
async fn a_worker_that_hangs_does_not_hold_the_end() {
    let rig = Rig::new(1, no_names());
    rig.orders.send(Order::Drain).await.unwrap();
    rig.orders.send(Order::Stop).await.unwrap();
    assert_eq!(timeout(SOON, rig.life).await.unwrap().unwrap(), Cut::default());
}

#[tokio::test]
async fn a_second_wish_to_end_stops_at_once() {
    let rig = Rig::new(1, no_names());
    rig.orders.send(Order::Drain).await.unwrap();
    rig.orders.send(Order::Stop).await.unwrap();
    assert!(matches!(rig.workers[0].told().await, ToWorker::Drain(_)));
    assert!(matches!(rig.workers[0].told().await, ToWorker::Stop));
    rig.workers[0].drained().await;
    assert_eq!(timeout(SOON, rig.life).await.unwrap().unwrap(), Cut::default());
}

#[tokio::test]
async fn while_draining_changes_are_still_served_to_those_who_still_serve() {
    let mut rig = Rig::new(2, no_names());
    rig.orders.send(Order::Drain).await.unwrap();
    assert!(matches!(rig.workers[0].told().await, ToWorker::Drain(_)));
    rig.workers[0].drained().await;
    while rig.hub.ask(|hub| hub.running()).await.unwrap() > 1 {}
    assert!(matches!(rig.workers[1].told().await, ToWorker::Drain(_)));
    let accepted = rig
        .hub
        .ask_now(|hub, now| hub.edit(put_upstream("up", &["127.0.0.1:81"]), now))
        .await
        .unwrap()
        .unwrap();
    let (served, _) = tokio::join!(rig.hub.served(&accepted), rig.workers[1].follow());
    assert_eq!(served, (2, 2));
    rig.workers[0].is_left_alone();
}

#[tokio::test]
async fn a_hangup_reads_the_store_again() {
    let mut rig = Rig::obedient();
    rig.orders.send(Order::Resync).await.unwrap();
    assert!(matches!(timeout(SOON, rig.commands.recv()).await.unwrap(), Some(StoreCommand::Resync)));
}
