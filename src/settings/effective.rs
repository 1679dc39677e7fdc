//! The settings that everything else reads: complete, typed and validated.
//!
//! It owns what the flags come to and the rules that concern two of them together, never their names or defaults (see
//! `args`). Values do not change while the process runs. Next: [`told`](super::told) has them in words.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::addresses;
use super::allow::AllowList;
use super::args::{ForwardedHeaders, HostHeader, PathForm, RunArgs};
use super::etcd::EtcdSettings;
use super::fault::Fault;
use super::fleet::FleetSettings;
use super::handover::HandoverSettings;
use super::listen::{self, ListenOn};
use super::secret::{Secret, secret};
use super::seeing::SeeingSettings;
use super::surroundings::Surroundings;
use super::tls::TlsSettings;

/// Everything the operator can set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Addresses of the data port; each worker listens on all of them.
    pub listen: Vec<ListenOn>,
    /// How TLS is spoken with clients and servers.
    pub tls: TlsSettings,
    /// Worker threads, at least one.
    pub workers: usize,
    /// Cores to pin the workers to, in order and at least one a worker; `None` for the available ones.
    pub cpus: Option<Vec<usize>>,
    /// Whether workers are pinned at all.
    pub pin: bool,
    /// Whether a connection goes to the worker of the core that its packets arrive at.
    pub steer: bool,
    /// First segment of the etcd keys and prefix of the statsd names.
    pub name: String,
    /// Where rules and upstreams are kept.
    pub store: StoreKind,
    /// How to reach etcd, when it is the store.
    pub etcd: EtcdSettings,
    /// Where the last good configuration is kept.
    pub state_file: Option<PathBuf>,
    /// `host:port` of statsd; `None` counts nothing.
    pub statsd: Option<String>,
    /// How it is watched.
    pub seeing: SeeingSettings,
    /// Who may use the admin API, and where.
    pub admin: AdminSettings,
    /// What it is among others that share its configuration.
    pub fleet: FleetSettings,
    /// How the next process takes its place.
    pub handover: HandoverSettings,
    /// How the names of servers are looked up.
    pub names: NameSettings,
    /// Servers see the `Host` header untouched, instead of in lower case and without the port.
    pub host_as_received: bool,
    /// Proxies that are believed whom they speak for.
    pub trusted_proxies: AllowList,
    /// `X-Forwarded-Proto`, `-Host` and `-Port` pass as the client sent them, instead of saying how the request came.
    pub pass_forwarded: bool,
    /// Servers see the path untouched, instead of with its dot segments resolved.
    pub path_as_received: bool,
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub log_level: String,
    /// Idle time between two requests of a client.
    pub keepalive_timeout: Duration,
    /// From the first byte of a request head to its last.
    pub client_header_timeout: Duration,
    /// Silence of a client within a request body.
    pub client_body_timeout: Duration,
    /// Silence of a client that does not take its response.
    pub client_write_timeout: Duration,
    /// Connecting to a server.
    pub connect_timeout: Duration,
    /// Silence of a server within an exchange.
    pub server_timeout: Duration,
    /// Idle time of a pooled connection to a server.
    pub server_keepalive_timeout: Duration,
    /// Silence both ways on an upgraded connection.
    pub tunnel_timeout: Duration,
    /// How long an answer may take to begin once its client has sent its end of input; nothing cancels at once.
    pub half_close_timeout: Duration,
    /// From the order to drain until what still runs is cut; zero cuts at once.
    pub drain_timeout: Duration,
    /// How long an idle connection of a client may still ask once nothing is accepted any more; zero closes it at once.
    pub drain_grace: Duration,
    /// From the order to end until nothing is accepted any more: it is not ready meanwhile, and every answer says close.
    pub drain_delay: Duration,
    /// Nothing listens before there is something to serve.
    pub require_config: bool,
    /// Idle connections kept for each server by each worker at most; zero keeps none, and nothing is as many as were in use at
    /// once in the last seconds.
    pub server_idle_max: Option<u32>,
    /// Largest request body in bytes; `u64::MAX` for any.
    pub max_body: u64,
    /// Largest request head in bytes.
    pub max_head: usize,
    /// Bytes of buffers that each worker uses at once.
    pub max_buffers: usize,
    /// Bytes that all compiled patterns take together.
    pub pattern_memory: usize,
    /// Client connections of each worker; `None` follows the limit of open files.
    pub max_connections: Option<usize>,
    /// Connections of each client address to each worker; zero for any.
    pub max_connections_per_client: u32,
    /// Entries of `X-Forwarded-For` above which a request is refused; zero for any.
    pub max_forwarded: u32,
    /// Servers tried for one request, the first included.
    pub retries: u32,
    /// Second tries for a hundred requests of an upstream.
    pub retry_budget: u32,
    /// Bytes of a request that are kept so that it can be sent once more.
    pub replay_buffer: usize,
    /// What is odd about the surroundings, in words for the log.
    pub warnings: Vec<String>,
}

/// Where rules and upstreams are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// In etcd, under [`Settings::name`].
    Etcd,
    /// In one JSON file.
    File(PathBuf),
}

/// How the names of servers are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameSettings {
    /// DNS servers that are asked; none for whom the system asks.
    pub resolvers: Vec<SocketAddr>,
    /// From one lookup of a name to the next.
    pub interval: Duration,
}

/// Who may use the admin API, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Its own address; `None` for the data port.
    pub listen: Option<SocketAddr>,
    /// The networks it answers.
    pub allow: AllowList,
    /// The bearer token it asks for.
    pub token: Option<Secret>,
    /// Names of this machine that it may be asked by without a token, in lower case, beside those it has anyway.
    pub hosts: Vec<String>,
}

impl Settings {
    /// Puts the flags together and checks what concerns several of them.
    pub(super) fn new(args: &RunArgs, around: &Surroundings<'_>) -> Result<Settings, Fault> {
        let cpus = args.cpus.as_deref().map(addresses::cores).transpose();
        let cpus = cpus.map_err(|reason| Fault::usage(format!("invalid --cpus: {reason}")))?;
        let etcd = EtcdSettings::new(("--etcd", args.etcd.as_deref()), &args.known, around)?;
        let store = store(&args.store)?;
        Ok(Settings {
            listen: listen(args)?,
            tls: TlsSettings::new(&args.tls, store == StoreKind::Etcd, around)?,
            workers: workers(args, cpus.as_deref(), around)?,
            cpus,
            pin: !args.no_pin,
            steer: steer(args)?,
            name: args.name.clone(),
            store,
            state_file: state_file(args, around),
            statsd: args.statsd.clone(),
            seeing: SeeingSettings::new(&args.seeing),
            admin: AdminSettings {
                listen: args.admin_listen,
                allow: AllowList::new(&args.admin_allow),
                token: admin_token(args, around)?,
                hosts: args.admin_host.clone(),
            },
            fleet: FleetSettings::new(&args.fleet),
            handover: HandoverSettings::new(&args.handover),
            trusted_proxies: AllowList::new(&args.trusted_proxies),
            names: NameSettings {
                resolvers: args.resolver.clone(),
                interval: args.timeouts.resolve_interval,
            },
            host_as_received: args.host_header == HostHeader::AsReceived,
            pass_forwarded: args.forwarded_headers == ForwardedHeaders::Pass,
            path_as_received: args.path == PathForm::AsReceived,
            log_level: args.log_level.clone(),
            keepalive_timeout: args.timeouts.keepalive_timeout,
            client_header_timeout: args.timeouts.client_header_timeout,
            client_body_timeout: args.timeouts.client_body_timeout,
            client_write_timeout: args.timeouts.client_write_timeout,
            connect_timeout: args.timeouts.connect_timeout,
            server_timeout: args.timeouts.server_timeout,
            server_keepalive_timeout: args.timeouts.server_keepalive_timeout,
            tunnel_timeout: args.timeouts.tunnel_timeout,
            half_close_timeout: args.timeouts.half_close_timeout,
            drain_timeout: args.timeouts.drain_timeout,
            drain_grace: args.timeouts.drain_grace,
            drain_delay: args.timeouts.drain_delay,
            require_config: args.require_config,
            server_idle_max: args.limits.server_idle_max,
            max_body: if args.limits.max_body == 0 { u64::MAX } else { args.limits.max_body },
            max_head: args.limits.max_head,
            max_buffers: args.limits.max_buffers,
            pattern_memory: args.limits.pattern_memory,
            max_connections: args.limits.max_connections.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            max_connections_per_client: args.limits.max_connections_per_client,
            max_forwarded: args.limits.max_forwarded,
            retries: args.limits.retries,
            retry_budget: args.limits.retry_budget,
            replay_buffer: args.limits.replay_buffer,
            warnings: etcd.warnings(),
            etcd,
        })
    }
}

/// A worker that may run anywhere is nearer to no core than the others.
fn steer(args: &RunArgs) -> Result<bool, Fault> {
    if args.steer && args.no_pin {
        return Err(Fault::usage("--steer and --no-pin (or ELB_STEER and ELB_NO_PIN) exclude each other"));
    }
    Ok(args.steer)
}

/// All addresses of the data port, those for TLS behind the others.
fn listen(args: &RunArgs) -> Result<Vec<ListenOn>, Fault> {
    let has_trusted = !args.trusted_proxies.is_empty();
    let told = |flag: &'static str| move |reason| Fault::usage(format!("invalid {flag}: {reason}"));
    let mut all = listen::together(&args.listen, false, has_trusted).map_err(told("--listen"))?;
    all.extend(listen::together(&args.tls.listen_tls, true, has_trusted).map_err(told("--listen-tls"))?);
    Ok(all)
}

fn workers(args: &RunArgs, cpus: Option<&[usize]>, around: &Surroundings<'_>) -> Result<usize, Fault> {
    let wanted = args.workers.map(usize::from);
    let Some(cpus) = cpus else { return Ok(wanted.unwrap_or(around.cores.max(1))) };
    if args.no_pin {
        return Err(Fault::usage("--cpus and --no-pin (or ELB_CPUS and ELB_NO_PIN) exclude each other"));
    }
    let there = around.core_numbers;
    if let Some(missing) = cpus.iter().find(|core| !there.is_empty() && !there.contains(core)) {
        let message = format!(
            "--cpus (or ELB_CPUS) names core {missing}, where ELB may not run; it may on {}",
            addresses::core_list(there)
        );
        return Err(Fault::usage(message));
    }
    match wanted {
        Some(wanted) if wanted > cpus.len() => {
            let message = format!("{wanted} workers need as many cores, --cpus names {}", cpus.len());
            Err(Fault::usage(message))
        }
        wanted => Ok(wanted.unwrap_or(cpus.len())),
    }
}

fn store(text: &str) -> Result<StoreKind, Fault> {
    match text.strip_prefix("file:") {
        Some(path) if !path.is_empty() => Ok(StoreKind::File(path.into())),
        None if text == "etcd" => Ok(StoreKind::Etcd),
        // An address of etcd would belong elsewhere, and may hold a password.
        _ if text.contains('@') => Err(Fault::usage("invalid value for --store: need etcd or file:PATH")),
        _ => Err(Fault::usage(format!("invalid value '{text}' for --store: need etcd or file:PATH"))),
    }
}

fn state_file(args: &RunArgs, around: &Surroundings<'_>) -> Option<PathBuf> {
    let directory = || {
        // systemd separates several directories by colons.
        let all = (around.variable)("STATE_DIRECTORY").filter(|all| !all.is_empty())?;
        let first = all.to_str().and_then(|all| all.split(':').next()).map(PathBuf::from);
        Some(first.unwrap_or_else(|| all.into()).join("state.json"))
    };
    args.state_file.clone().or_else(directory)
}

/// A token is sent in a header, so it may hold visible ASCII only: no proxy changes that.
fn admin_token(args: &RunArgs, around: &Surroundings<'_>) -> Result<Option<Secret>, Fault> {
    let token = secret("ELB_ADMIN_TOKEN", args.admin_token_file.as_deref(), around)?;
    match &token {
        Some(token) if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) => {
            let message = "the admin token holds a space or a character that a header cannot carry";
            Err(Fault::Configuration(message.to_owned()))
        }
        _ => Ok(token),
    }
}
