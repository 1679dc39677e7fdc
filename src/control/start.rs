//! The control thread from its start to its first snapshot: load, resolve, build, and only then serve.
//!
//! It owns the order of that and its deadlines; nothing here is ever done again. Next: [`run`](super::run) is the rest
//! of the thread's life.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use tokio::runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{error, info, warn};

use super::admin::{Access, AdminServer, Moment};
use super::ahead::read_ahead;
use super::arrival::Arrival;
use super::certificates::{self, Places};
use super::changes::Via;
use super::checks::prober::Prober;
use super::dns;
use super::fleet::{Fleet, Identity, Teller};
use super::handle::HubHandle;
use super::history::{HistoryFile, HistorySaver};
use super::hub::Hub;
use super::lookups::Lookups;
use super::manager::Manager;
use super::outages::Outages;
use super::reader::Reader;
use super::resolve::Resolver;
use super::run::{Control, Phase};
use super::saver::Saver;
use super::signals::{self, Order};
use super::sources::Sources;
use super::spare::Spare;
use super::state_file::StateFile;
use super::statsd::Statsd;
use super::store::{
    CertificateMail, EtcdOptions, NodeKeeper, NodeReader, StoreEvent, StoreHandle, start_etcd, start_file,
};
use super::succession::{Estate, Succession};
use crate::access_log::writer::LogHandle;
use crate::explain::Explainer;
use crate::handover::CarriedServer;
use crate::link::{ControlEnd, Cut};
use crate::model::{Library, Snapshot};
use crate::settings::{Settings, StoreKind};
use crate::stats::lost::Lost;
use crate::tls::Toward;

/// Exit code when the process ended because it was told to.
const DONE: u8 = 0;
/// Exit code when it could not begin.
const FAILURE: u8 = 1;
/// Restarting changes nothing: what was given cannot be used.
const CONFIGURATION: u8 = 78;
/// How long the store may take before ELB starts with what it remembers.
const LOAD: Duration = Duration::from_secs(3);
/// How long the first snapshot waits for the addresses of all names together …
const NAMES: Duration = Duration::from_secs(3);
/// How long a thread for files waits for more to do.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// … and how long when each has one of an earlier life: long enough for a name server that answers.
const REMEMBERED: Duration = Duration::from_millis(500);
/// Threads for what blocks: files that are read and written, large bodies that are parsed. Lookups of servers have their
/// own; those of etcd's endpoints are here, one every three seconds and endpoint while etcd is not there, and one that DNS
/// leaves unanswered may stay for half a minute.
const BLOCKING: usize = 128;

/// Where control is asked directly: bound, and not listening before there is something to ask about.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For the admin API, if it is not on the data port.
    pub admin: Option<TcpListener>,
    /// For metrics alone.
    pub metrics: Option<TcpListener>,
    /// Where the data port is, bound by others.
    pub data: Vec<SocketAddr>,
}

/// What is written beside the answers.
#[derive(Debug, Default)]
pub struct Logs {
    /// The access log, if there is one.
    pub access: Option<LogHandle>,
    /// Lines of the process's own log that are missing.
    pub own: Lost,
}

/// Starts the control thread, which sends the first snapshot through `ready` as soon as there is one.
///
/// Checks of servers speak TLS as `toward` says. The thread ends when the process was told to: joining it gives the exit code, 0 also if something had to be cut off
/// (the log says what), 1 if it could not begin, and [`NOT_TAKEN`](super::NOT_TAKEN) if the process before goes on serving. If it ends
/// before the first snapshot, `ready` is closed. `places` is what the next process may take, and the way from the one before.
///
/// # Errors
/// The kernel refuses a signal handler or a thread.
pub fn start(
    settings: Arc<Settings>,
    listeners: Listeners,
    logs: Logs,
    places: (Estate, Option<Arrival>),
    end: ControlEnd,
    ready: crossbeam_channel::Sender<Arc<Snapshot>>,
    toward: Toward,
) -> io::Result<JoinHandle<u8>> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        // What a thread that wrote a large file has taken is given back when it has ended.
        .thread_keep_alive(KEEP_ALIVE)
        .build()?;
    let orders = {
        let _inside = runtime.enter();
        signals::listen()?
    };
    let life = async move {
        match begin((&settings, toward), end, listeners, logs, places, orders, &ready).await {
            Ok(control) => control.run().await.code,
            Err(code) => code,
        }
    };
    thread::Builder::new().name("elb-control".to_owned()).spawn(move || {
        let code = runtime.block_on(life);
        // A lookup that hangs in the system's resolver must not keep the process alive.
        runtime.shutdown_background();
        code
    })
}

/// What this machine calls itself, where the kernel says so.
fn machine() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim_ascii().to_owned())
}

/// Everything up to the first snapshot. Gives the exit code if it does not come to that.
async fn begin(
    (settings, toward): (&Settings, Toward),
    end: ControlEnd,
    listeners: Listeners,
    Logs { access: log, own: own_log }: Logs,
    (estate, mut arrival): (Estate, Option<Arrival>),
    mut orders: mpsc::Receiver<Order>,
    ready: &crossbeam_channel::Sender<Arc<Snapshot>>,
) -> Result<Control, u8> {
    let is_file = matches!(settings.store, StoreKind::File(_));
    let certificates = Places::of(settings).map_err(|reason| told(&reason, CONFIGURATION))?;
    let (mut hub, mut events) = hub(settings, log.as_ref(), own_log, certificates.mail());
    let state_file = settings.state_file.clone().map(|path| StateFile::new(path, &settings.name));
    let history = settings.state_file.as_deref().map(|path| HistoryFile::beside(path, &settings.name));
    let kept = state_file.as_ref().zip(history.as_ref());
    let servers = tokio::select! {
        read = load(&mut hub, &mut events, kept, arrival.as_mut(), (is_file, settings.require_config)) => read?,
        () = told_to_end(&mut orders) => return Err(DONE),
    };
    let reader = Reader::start()
        .map_err(|error| told(&format!("there is no thread for reading rules: {error}"), FAILURE))?;
    let events = read_ahead(events, hub.library(), reader.clone());
    let (fleet, teller) = fleet(settings, &listeners);
    let spare = Spare::new(reader.clone());
    let (handle, questions) = HubHandle::new(&hub, reader);
    let shown = hub.sources().certificates.clone();
    let (desk, certificates) = certificates.seen_by(&shown);
    let handle = handle.among(fleet).with_certificates(desk);
    let access = Access::new(&settings.admin, machine().as_deref());
    let readiness = end.readiness.clone();
    let mut admin = AdminServer::new(handle.clone(), access, Explainer::new(settings), readiness);
    let mut metrics = AdminServer::of_metrics(handle);
    listen(&mut admin, listeners.admin, "the admin API")?;
    listen(&mut metrics, listeners.metrics, "metrics")?;
    let ControlEnd { workers, reports, adoptions, readiness } = end;
    certificates::begin(certificates, &workers, shown).await.map_err(|()| CONFIGURATION)?;
    let first = hub.first(workers, Instant::now().into_std());
    hub.know(servers, Instant::now().into_std());
    // Nobody receives when main has given up, and main says why.
    ready.send(first).map_err(|_| FAILURE)?;
    Ok(Control {
        hub,
        admin,
        metrics,
        log,
        questions,
        events,
        reports,
        adoptions,
        orders,
        saver: state_file.map(Saver::new),
        history: HistorySaver::new(history),
        spare,
        statsd: settings.statsd.as_ref().map(|target| Statsd::start(target, &settings.name)),
        drain_timeout: settings.drain_timeout,
        drain_delay: settings.drain_delay,
        readiness,
        resolve_interval: settings.names.interval,
        phase: Phase::Serving,
        cut: Cut::default(),
        outages: Outages::default(),
        teller: Some(teller),
        prober: Prober::new(toward),
        manager: Manager::of_this_process(arrival.is_some()),
        succession: Succession::new(estate),
        arrival,
        heired: None,
        code: DONE,
    })
}

/// Tells why it does not begin, and gives the exit code.
fn told(reason: &str, code: u8) -> u8 {
    error!("{reason}");
    code
}

/// A hub with nothing in it, and what its store says.
fn hub(
    settings: &Settings,
    log: Option<&LogHandle>,
    own: Lost,
    certificates: Option<CertificateMail>,
) -> (Hub, mpsc::Receiver<StoreEvent>) {
    let StoreHandle { events, commands, seen } = open(settings, certificates);
    let resolver = Resolver::new(lookups(settings));
    let is_file = matches!(settings.store, StoreKind::File(_));
    let via = if is_file { Via::File } else { Via::Etcd };
    let origin = (Instant::now().into_std(), std::time::SystemTime::now());
    let mut hub = Hub::new(Library::new(settings.pattern_memory), resolver, commands, via, origin);
    hub.traffic().show(settings.seeing.metrics_domains);
    let access = log.map(|log| log.lost.clone()).unwrap_or_default();
    hub.looks_at(Sources { access, own, store: seen, ..Sources::default() });
    (hub, events)
}

/// Who is asked for names of servers.
fn lookups(settings: &Settings) -> Lookups {
    match &settings.names.resolvers[..] {
        [] => Lookups::system(),
        servers => Lookups::new(dns::ask(servers)),
    }
}

/// Has a server take connections of its own, if it was given a listener. Gives the exit code if it cannot.
fn listen(server: &mut AdminServer, listener: Option<TcpListener>, purpose: &str) -> Result<(), u8> {
    let Some(listener) = listener else { return Ok(()) };
    let address = listener.local_addr();
    server.listen(listener).map_err(|error| {
        error!("the listener for {purpose} cannot be used: {error}");
        FAILURE
    })?;
    if let Ok(address) = address {
        info!("{purpose} listens on {address}");
    }
    Ok(())
}

/// Waits for the store, takes what the process before had or what a state file remembers, and waits for addresses; each for so long and no
/// longer. Gives what is known of servers.
/// A file is read to the end however long that takes, and must be sound: waiting would not make it so, and whoever wrote
/// it is there to hear of it. Gives the exit code if it is not.
async fn load(
    hub: &mut Hub,
    events: &mut mpsc::Receiver<StoreEvent>,
    kept: Option<(&StateFile, &HistoryFile)>,
    arrival: Option<&mut Arrival>,
    (is_file, is_required): (bool, bool),
) -> Result<Vec<CarriedServer>, u8> {
    let heard = if is_file { Ok(events.recv().await) } else { timeout(LOAD, events.recv()).await };
    if is_file && let Ok(Some(StoreEvent::Down { reason })) = heard {
        error!("the configuration file cannot be read: {reason}");
        return Err(FAILURE);
    }
    // What the store says is judged against what was served until now, so that comes first.
    let servers = match arrival {
        Some(arrival) => arrival.inherit(hub).await?,
        None => None,
    };
    match (kept, &servers) {
        (Some((_, history)), Some(_)) => hub.resume(history.read().await),
        (Some((file, history)), None) => {
            if let Some(saved) = file.read().await {
                let age = saved.at.elapsed().unwrap_or_default();
                hub.remember(saved, age, Instant::now().into_std());
                hub.resume(history.read().await);
            }
        }
        (None, _) => {}
    }
    let missing = match heard {
        Ok(Some(StoreEvent::Down { reason })) => Some(reason),
        Ok(Some(event)) => {
            hub.store_event(event, Instant::now().into_std());
            None
        }
        Ok(None) => Some("it has ended".to_owned()),
        Err(_) => Some(format!("no answer within {LOAD:?}")),
    };
    if let Some(reason) = missing {
        hub.begin_without_store(&reason);
    }
    if is_required && !hub.is_configured() {
        info!("nothing listens before there is something to serve (--require-config)");
    }
    while is_required && !hub.is_configured() {
        let Some(event) = events.recv().await else {
            error!("the store has ended, and nothing is there to serve (--require-config)");
            return Err(FAILURE);
        };
        hub.store_event(event, Instant::now().into_std());
    }
    names(hub).await;
    Ok(servers.unwrap_or_default())
}

/// Waits until the names have addresses, and a little longer for fresh ones.
async fn names(hub: &mut Hub) {
    let begun = Instant::now();
    while !hub.is_resolved() {
        let within = if hub.is_usable() { REMEMBERED } else { NAMES };
        let Ok(found) = timeout_at(begun + within, hub.looked_up()).await else {
            let meanwhile =
                if hub.is_usable() { "those of the state file serve" } else { "they get no requests" };
            warn!("some server names are not resolved yet; until they are, {meanwhile}");
            return;
        };
        if let Some((name, addresses)) = found {
            hub.learnt(&name, addresses, Instant::now().into_std());
        }
    }
}

async fn told_to_end(orders: &mut mpsc::Receiver<Order>) {
    while matches!(orders.recv().await, Some(Order::Resync | Order::Reopen | Order::Upgrade)) {}
}

/// What this node is among others, and its voice there; see [`super::fleet`].
fn fleet(settings: &Settings, listeners: &Listeners) -> (Fleet, Teller) {
    let machine = machine().unwrap_or_else(|| "localhost".to_owned());
    let wanted = || settings.listen.first().map_or(SocketAddr::from(([0, 0, 0, 0], 0)), |one| one.address);
    let data = listeners.data.first().copied().unwrap_or_else(wanted);
    let api = listeners.admin.as_ref().and_then(|listener| listener.local_addr().ok()).unwrap_or(data);
    let (now, calendar) = (Instant::now().into_std(), SystemTime::now());
    let identity = Identity {
        id: settings.fleet.id_on(&machine, data),
        address: settings.fleet.address_on(&machine, api),
        started: Moment { measured: now, calendar }.text(now).unwrap_or_default(),
    };
    if matches!(settings.store, StoreKind::File(_)) {
        return (Fleet::alone(identity.clone()), Teller::new(identity, None));
    }
    let options = Arc::new(EtcdOptions::set(&settings.etcd, &settings.name));
    let keeper = NodeKeeper::start(Arc::clone(&options), &identity.id, settings.fleet.ttl);
    let fleet = Fleet::among(identity.clone(), NodeReader::new(options), keeper.standing());
    (fleet, Teller::new(identity, Some(keeper)))
}

/// Starts the store that the settings name, which passes certificates on.
fn open(settings: &Settings, certificates_to: Option<CertificateMail>) -> StoreHandle {
    match &settings.store {
        StoreKind::Etcd => {
            let options = EtcdOptions::set(&settings.etcd, &settings.name);
            start_etcd(EtcdOptions { certificates_to, ..options })
        }
        StoreKind::File(path) => start_file(path.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::state_file::Kept;
    use crate::link::bridge;
    use crate::model::Contents;
    use std::collections::BTreeMap;

    const DOCUMENT: &str = r#"{"domains": {"a.test": {"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "localhost:81"}}}}}, "upstreams": {}}"#;

    /// Begins with these flags; gives the first snapshot, or the exit code.
    async fn first(flags: &[&str], order: Option<Order>) -> Result<Arc<Snapshot>, u8> {
        let settings = Settings::from_flags(flags).unwrap();
        let (_ends, end) = bridge(1, true).unwrap();
        let (tell, orders) = mpsc::channel(1);
        let (ready, first) = crossbeam_channel::bounded(1);
        if let Some(order) = order {
            tell.send(order).await.unwrap();
        }
        begin(
            (&settings, crate::tls::Trust::nobody().toward().unwrap()),
            end,
            Listeners::default(),
            Logs::default(),
            Default::default(),
            orders,
            &ready,
        )
        .await
        .map(|_| first.recv().unwrap())
    }

    #[tokio::test]
    async fn the_first_snapshot_holds_what_the_store_holds_with_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.json");
        std::fs::write(&path, DOCUMENT).unwrap();
        let snapshot = first(&["--store", &format!("file:{}", path.display())], None).await.unwrap();
        assert_eq!((snapshot.version, snapshot.domain_count()), (1, 1));
        let servers: usize = snapshot.upstreams().map(|upstream| upstream.servers.len()).sum();
        assert!(servers >= 1);
    }

    #[tokio::test]
    async fn a_file_with_a_fault_is_an_error_at_the_start_and_none_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.json");
        let store = format!("file:{}", path.display());
        assert_eq!(first(&["--store", &store], None).await.unwrap().domain_count(), 0);
        std::fs::write(&path, &DOCUMENT[1..]).unwrap();
        assert_eq!(first(&["--store", &store], None).await.unwrap_err(), FAILURE);
    }

    #[tokio::test]
    async fn without_the_store_the_state_file_serves_and_without_it_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state.json");
        // Port 1 of the local machine refuses at once.
        let (path, begun) = (state.display().to_string(), Instant::now());
        let flags = ["--etcd", "127.0.0.1:1", "--state-file", &path];
        assert_eq!(first(&flags, None).await.unwrap().domain_count(), 0);
        let mut contents = Contents::default();
        let rules = r#"{"init":"r","rules":{"r":{"type":"backend","args":{"servername":"127.0.0.1:81"}}}}"#;
        contents.rules.insert("a.test".to_owned(), rules.to_owned());
        let kept = Kept { contents, revision: 7, names: BTreeMap::new() };
        StateFile::new(state, "ELB").write(&kept).unwrap();
        assert_eq!(first(&flags, None).await.unwrap().domain_count(), 1);
        assert!(begun.elapsed() < LOAD, "a store that refuses is not waited for");
    }

    #[tokio::test]
    async fn told_to_end_before_anything_is_served_it_ends_well() {
        // An address that does not answer at all, so that the load lasts.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(first(&["--etcd", &address], Some(Order::Drain)).await.unwrap_err(), 0);
    }
}
