//! Starts one worker: its listeners, its thread, its core.
//!
//! It owns the translation from settings to what a worker needs, never the loop. Next: [`super::worker`].

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use mio::Registry;
use slab::Slab;
use socket2::Socket;
use tokio::sync::mpsc;

use super::buffers::Buffers;
use super::clients::Clients;
use super::cores;
use super::ctx::{Ctx, SPARE_EXCHANGES};
use super::listen::{self, Bound, Listen, Listeners};
use super::outages::Outages;
use super::places::{ADMIN_PLACES, Places};
use super::pool::Pool;
use super::rounds::GROUP;
use super::seeing::Seeing;
use super::terms::Defaults;
use super::timers::Timers;
use super::view::View;
use super::worker::{EVENTS, Worker};
use crate::access_log::batch::AccessLog;
use crate::exchange::{Env, Heads};
use crate::link::{Adopted, WorkerEnd};
use crate::model::Snapshot;
use crate::policy;
use crate::readiness::Readiness;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::stats::reasons::Refused;
use crate::stats::retries::Retries;
use crate::stats::seldom::Seldom;
use crate::tls::Trust;

/// Descriptors of the process that are no client's and no server's: stores, admin, logs, listeners.
const RESERVED_DESCRIPTORS: u64 = 32;

/// Client connections whose tables are made at the start. Memory that was never written costs nothing, and a table that
/// grows leaves holes where it was. More than these can be had, and then the tables grow.
const PREPARED: usize = 64 * 1024;

/// Binds every address for each worker, and steers to their cores the connections that arrive there, if that is wanted. Queues that
/// are `there` already, by the number of the address in the settings, are used.
///
/// # Errors
/// The address and what the kernel says of it.
pub fn bind(settings: &Settings, there: impl FnMut(usize) -> Vec<Socket>) -> io::Result<Bound> {
    let mut cores = cores::of_workers(settings);
    if settings.steer {
        cores::warn_of_steering(&cores);
    } else {
        cores.fill(None);
    }
    let places: Vec<Listen> = settings.listen.iter().map(Listen::of).collect();
    listen::bind(&places, &cores, there)
}

/// Listens, and starts the worker's thread. All workers are given the same `clients` and trust the same, and each has its own copy of the
/// `log`.
///
/// # Errors
/// What the kernel says to a new listener or thread.
pub fn spawn(
    end: WorkerEnd,
    listeners: Listeners,
    settings: &Settings,
    snapshot: Arc<Snapshot>,
    shared: (&Clients, &Trust),
    log: Option<AccessLog>,
) -> io::Result<JoinHandle<()>> {
    let core = cores::of_workers(settings).get(end.index).copied().flatten();
    let index = end.index;
    let mut worker = build(end, listeners, settings, snapshot, shared, log)?;
    worker.register()?;
    std::thread::Builder::new().name(format!("elb-worker-{index}")).spawn(move || {
        if let Some(core) = core
            && !core_affinity::set_for_current(core_affinity::CoreId { id: core })
        {
            tracing::warn!(worker = index, core, "the worker could not be pinned to its core");
        }
        worker.run();
    })
}

/// A worker that has not begun.
pub(super) fn build(
    end: WorkerEnd,
    listeners: Listeners,
    settings: &Settings,
    snapshot: Arc<Snapshot>,
    shared: (&Clients, &Trust),
    log: Option<AccessLog>,
) -> io::Result<Worker> {
    let now = Instant::now();
    let admins = end.adoptions.as_ref().map(|_| settings.admin.allow.clone());
    let places = Places::new(max_connections(settings), admins, end.poll.registry());
    let prepared = places.all().min(PREPARED);
    let registry = end.poll.registry().try_clone()?;
    let WorkerEnd { index, poll, mailbox, reports, adoptions, readiness } = end;
    let own = Own { index, registry, adoptions, readiness, prepared };
    let mut ctx = context(own, settings, snapshot, shared, log, now)?;
    ctx.prepare(GROUP);
    ctx.tick();
    Ok(Worker {
        index,
        poll,
        mailbox,
        reports,
        listeners: listeners.listen()?,
        conns: Slab::with_capacity(prepared),
        ctx,
        heads: Heads::new(),
        runnable: Vec::with_capacity(EVENTS),
        answered: Vec::with_capacity(EVENTS),
        later: Vec::with_capacity(EVENTS),
        generation: 0,
        places,
        acceptable: true,
        paused: None,
        flush_at: now,
        drain: None,
        stopped: false,
        relieved: None,
        unsent: None,
    })
}

/// What is a worker's own.
struct Own {
    index: usize,
    registry: Registry,
    adoptions: Option<mpsc::Sender<Adopted>>,
    readiness: Readiness,
    /// Connections for which there is room from the beginning.
    prepared: usize,
}

fn context(
    own: Own,
    settings: &Settings,
    snapshot: Arc<Snapshot>,
    shared: (&Clients, &Trust),
    log: Option<AccessLog>,
    now: Instant,
) -> io::Result<Ctx> {
    let date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let (clients, trust) = shared;
    let toward = trust.toward().map_err(io::Error::other)?;
    let env = Env { now, policy: policy::of(settings), date, draining: false };
    let defaults = Defaults::new(&env.policy, settings.retry_budget, settings.workers, toward);
    Ok(Ctx {
        pool: Pool::new(idle_max(settings), settings.server_keepalive_timeout),
        view: View::new(snapshot, own.index as u64, defaults),
        timers: Timers::new(now, own.prepared),
        buffers: Buffers::new(settings.max_buffers),
        clients: clients.clone(),
        seeing: Seeing::new(settings, log),
        shadow: None,
        stats: Stats::new(settings.statsd.is_some()),
        tls: None,
        accepted: 0,
        requests: 0,
        refused: Refused::default(),
        retries: Retries::default(),
        retries_over_budget: 0,
        outages: Outages::default(),
        env,
        keepalive: settings.keepalive_timeout,
        drain_grace: settings.drain_grace,
        registry: own.registry,
        adoptions: own.adoptions,
        ending: false,
        readiness: own.readiness,
        admin_allow: settings.admin.allow.clone(),
        trusted_proxies: settings.trusted_proxies.clone(),
        tls_redirect: settings.tls.redirect,
        strangers: Seldom::default(),
        starved: VecDeque::new(),
        due: Vec::with_capacity(own.prepared), // all of them may come due in one turn
        spare: Vec::with_capacity(SPARE_EXCHANGES),
        exchanges: 0,
        next_second: now,
    })
}

fn idle_max(settings: &Settings) -> usize {
    settings.server_idle_max.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX))
}

/// A client needs its own descriptor and one for a server; each worker gets its share of what the process may open, of
/// which it keeps some for those who administer and for their places.
fn max_connections(settings: &Settings) -> usize {
    settings.max_connections.unwrap_or_else(|| {
        let (soft, _) = rlimit::Resource::NOFILE.get().unwrap_or((1024, 1024));
        // To be handed over, each queue is held once more.
        let held = settings.handover.path.as_ref().map_or(0, |_| settings.listen.len() * settings.workers);
        let share = soft.saturating_sub(RESERVED_DESCRIPTORS + held as u64) / settings.workers.max(1) as u64;
        let places = share.saturating_sub(2 * ADMIN_PLACES as u64) / 2;
        usize::try_from(places.max(1)).unwrap_or(usize::MAX)
    })
}
