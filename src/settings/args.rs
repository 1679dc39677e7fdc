//! The command line: every flag with its variable, its default and its help, exactly once.
//!
//! It owns names, units and help texts, never a rule that concerns two flags together. The `env` attributes name the
//! variables; `invocation` looks them up, `effective` turns the result into `Settings`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use ipnet::IpNet;

use super::addresses;
use super::commands::{
    CheckArgs, CompletionsArgs, ExplainArgs, FleetCommandArgs, GraphArgs, HealthArgs, ManArgs, MigrateArgs,
    TopArgs,
};
use super::ctl::CtlArgs;
use super::etcd_args::{EtcdArgs, name};
use super::fleet::FleetArgs;
use super::handover::HandoverArgs;
use super::listen;
use super::seeing::SeeingArgs;
use super::tls_args::TlsArgs;
use crate::units;

/// A dynamic HTTP/1.1 load balancer: rules and upstreams change while traffic flows.
#[derive(Debug, Parser)]
#[command(name = "elb", version, args_conflicts_with_subcommands = true, next_line_help = true)]
#[command(after_help = "\
Durations: 500ms, 30s, 2m, 1h; a bare number is seconds. Sizes: 64k, 50m; a bare number is bytes.
A flag beats its variable, a variable beats the default, an empty variable counts as none.
Secrets have no flag: ELB_ADMIN_TOKEN and ELB_ETCD_PASSWORD, or the files named above.")]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) action: Option<Action>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Try it: a proxy, two sample servers and example rules in one process
    Demo(DemoArgs),
    /// Check a file of rules and upstreams, and name every fault in it
    Check(CheckArgs),
    /// Say what would become of a request, and why
    Explain(ExplainArgs),
    /// Draw the rules of a domain
    Graph(GraphArgs),
    /// Ask an ELB whether it should get traffic; for checks of containers. Ends with 1 when it should not
    Health(HealthArgs),
    /// Show all ELBs that share a configuration: whether each serves the same, which one does not, and why
    Fleet(FleetCommandArgs),
    /// Watch what an ELB does: domains, upstreams, servers and workers by their requests and errors
    Top(TopArgs),
    /// Use the whole admin API: domains, upstreams, servers, the configuration, its history
    Ctl(CtlArgs),
    /// Print what a shell needs to complete words of this command
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all commands
    Man(ManArgs),
    /// Copy the keys that etcd's v2 API has, of which the first ELB read its own, to where v3 finds them
    #[command(after_help = super::commands::MIGRATE_CODES)]
    MigrateV2(MigrateArgs),
}

/// `elb demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Where the proxy listens [default: 127.0.0.1:8080, or a free port when that is taken]
    #[arg(long, value_name = "ADDR", value_parser = addresses::listen)]
    pub listen: Option<SocketAddr>,
}

/// How the `Host` header reaches servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum HostHeader {
    // Lower case, without the port.
    Normalized,
    // Byte for byte.
    AsReceived,
}

/// What becomes of `X-Forwarded-Proto`, `-Host` and `-Port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ForwardedHeaders {
    // ELB says how the request came.
    Set,
    // Byte for byte.
    Pass,
}

/// How the path reaches servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PathForm {
    // Without dot segments; what stays doubtful is refused.
    Resolved,
    // Byte for byte.
    AsReceived,
}

/// The flags of a plain `elb`, as given.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Address to listen on, :8080 for all of IPv4; repeat it, or separate with commas, for several. ADDR,proxy=require wants a
    /// header of the PROXY protocol (1 or 2) before all else, of --trusted-proxies; ADDR,proxy=accept takes one from them
    #[arg(
        long,
        env = "ELB_LISTEN",
        value_name = "ADDR",
        value_delimiter = ',',
        default_value = "0.0.0.0:8080"
    )]
    #[arg(value_parser = listen::word)]
    pub(super) listen: Vec<listen::Word>,

    /// Worker threads, each with its own event loop [default: one for each available core]
    #[arg(long, env = "ELB_WORKERS", value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub(super) workers: Option<u16>,

    /// Cores to pin the workers to, like 0,2,4-7 [default: worker i on the i-th available core]
    #[arg(long, env = "ELB_CPUS", value_name = "LIST")]
    pub(super) cpus: Option<String>,

    /// Leave it to the kernel where workers run
    #[arg(long, env = "ELB_NO_PIN")]
    pub(super) no_pin: bool,

    /// Give each connection to the worker of the core that its packets arrive at; needs pinned workers and Linux 6.2
    #[arg(long, env = "ELB_STEER")]
    pub(super) steer: bool,

    /// First segment of this balancer's keys in etcd, and prefix of its statsd names
    #[arg(long, env = "ELBNAME", value_name = "NAME", default_value = "ELB", value_parser = name)]
    pub(super) name: String,

    /// etcd endpoints: host:port, http://host:port or https://host:port, separated by commas
    /// [env: ETCD_URL, else ETCD, else ETCD_HOST + ETCD_PORT] [default: 127.0.0.1:2379]
    #[arg(long, value_name = "ADDRS")]
    pub(super) etcd: Option<String>,

    #[command(flatten)]
    pub(super) known: EtcdArgs,

    /// Where rules and upstreams are kept: etcd, or file:PATH for one JSON file
    #[arg(long, env = "ELB_STORE", value_name = "STORE", default_value = "etcd")]
    pub(super) store: String,

    /// File that keeps the last good configuration, to start from when the store is down
    /// [default: $STATE_DIRECTORY/state.json under systemd, else none]
    #[arg(long, env = "ELB_STATE_FILE", value_name = "PATH")]
    pub(super) state_file: Option<PathBuf>,

    /// Listen only once a store or a state file has said what to serve, however long a store takes to answer
    #[arg(long, env = "ELB_REQUIRE_CONFIG")]
    pub(super) require_config: bool,

    /// statsd to send counts and costs to, as host:port over UDP [default: off]
    #[arg(long, env = "STATSD", value_name = "ADDR", value_parser = addresses::host_port)]
    pub(super) statsd: Option<String>,

    /// Serve the admin API here instead of under /__erulb__/ on the data port [default: on the data port]
    #[arg(long, env = "ELB_ADMIN_LISTEN", value_name = "ADDR", value_parser = addresses::listen)]
    pub(super) admin_listen: Option<SocketAddr>,

    /// Networks that may use the admin API, separated by commas
    #[arg(
        long,
        env = "ELB_ADMIN_ALLOW",
        value_name = "CIDRS",
        value_delimiter = ',',
        default_value = "127.0.0.0/8,::1"
    )]
    #[arg(value_parser = addresses::network)]
    pub(super) admin_allow: Vec<IpNet>,

    /// Networks of proxies that are believed whom they speak for in X-Forwarded-For; separate them with commas [default: none]
    #[arg(long, env = "ELB_TRUSTED_PROXIES", value_name = "CIDRS", value_delimiter = ',')]
    #[arg(value_parser = addresses::network)]
    pub(super) trusted_proxies: Vec<IpNet>,

    /// What servers are told in X-Forwarded-Proto, -Host and -Port: how the request came, unless a trusted proxy or a rule says
    /// it; or what the client sent, untouched
    #[arg(long, env = "ELB_FORWARDED_HEADERS", value_name = "FORM", default_value = "set")]
    pub(super) forwarded_headers: ForwardedHeaders,

    /// Name of this machine by which the admin API may be asked without a token, beside addresses, localhost and what the
    /// machine calls itself; repeat it, or separate with commas, for several [default: none]
    #[arg(long, env = "ELB_ADMIN_HOST", value_name = "NAME", value_delimiter = ',', value_parser = addresses::host_name)]
    pub(super) admin_host: Vec<String>,

    /// File with the bearer token that the admin API asks for; beats the variable ELB_ADMIN_TOKEN [default: no token]
    #[arg(long, env = "ELB_ADMIN_TOKEN_FILE", value_name = "PATH")]
    pub(super) admin_token_file: Option<PathBuf>,

    /// The Host header that servers see: lower case without port, or untouched
    #[arg(long, env = "ELB_HOST_HEADER", value_name = "FORM", default_value = "normalized")]
    pub(super) host_header: HostHeader,

    /// The path that servers see: with its dot segments resolved, as rules see it, and refused where servers would resolve
    /// them in different ways; or untouched
    #[arg(long, env = "ELB_PATH", value_name = "FORM", default_value = "resolved")]
    pub(super) path: PathForm,

    /// DNS server that is asked for the names of servers; repeat it, or separate with commas, for several
    /// [default: as the system is set up]
    #[arg(long, env = "ELB_RESOLVER", value_name = "ADDR", value_delimiter = ',', value_parser = addresses::resolver)]
    pub(super) resolver: Vec<SocketAddr>,

    /// Least serious log lines that are written
    #[arg(long, env = "ELB_LOG", value_name = "LEVEL", default_value = "info")]
    #[arg(value_parser = ["off", "error", "warn", "info", "debug", "trace"])]
    pub(super) log_level: String,

    #[command(flatten, next_help_heading = "TLS")]
    pub(super) tls: TlsArgs,

    #[command(flatten, next_help_heading = "Seeing what goes on")]
    pub(super) seeing: SeeingArgs,

    #[command(flatten, next_help_heading = "The fleet")]
    pub(super) fleet: FleetArgs,

    #[command(flatten, next_help_heading = "The next ELB")]
    pub(super) handover: HandoverArgs,

    #[command(flatten, next_help_heading = "Timeouts")]
    pub(super) timeouts: TimeoutArgs,

    #[command(flatten, next_help_heading = "Limits")]
    pub(super) limits: LimitArgs,
}

/// How long each wait may last.
#[derive(Debug, Args)]
pub(super) struct TimeoutArgs {
    /// Idle time between two requests of a client
    #[arg(long, env = "ELB_KEEPALIVE_TIMEOUT", value_name = "TIME", default_value = "65s", value_parser = units::duration)]
    pub(super) keepalive_timeout: Duration,

    /// From the first byte of a request head to its last
    #[arg(long, env = "ELB_CLIENT_HEADER_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = units::duration)]
    pub(super) client_header_timeout: Duration,

    /// How long a client that owes a request body may take for each further KiB of it
    #[arg(long, env = "ELB_CLIENT_BODY_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = units::duration)]
    pub(super) client_body_timeout: Duration,

    /// How long a client may take for each further KiB of a response that waits for it
    #[arg(long, env = "ELB_CLIENT_WRITE_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = units::duration)]
    pub(super) client_write_timeout: Duration,

    /// Connecting to a server
    #[arg(long, env = "ELB_CONNECT_TIMEOUT", value_name = "TIME", default_value = "3s", value_parser = units::duration)]
    pub(super) connect_timeout: Duration,

    /// Silence of a server within an exchange
    #[arg(long, env = "ELB_SERVER_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub(super) server_timeout: Duration,

    /// Idle time of a pooled connection to a server
    #[arg(long, env = "ELB_SERVER_KEEPALIVE_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = units::duration)]
    pub(super) server_keepalive_timeout: Duration,

    /// Silence both ways on an upgraded connection
    #[arg(long, env = "ELB_TUNNEL_TIMEOUT", value_name = "TIME", default_value = "1h", value_parser = units::duration)]
    pub(super) tunnel_timeout: Duration,

    /// How long the answer may take to begin once its client has sent its end of input; 0 cancels at once
    #[arg(long, env = "ELB_HALF_CLOSE_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = units::duration_or_zero)]
    pub(super) half_close_timeout: Duration,

    /// From one lookup of a server's name to the next; names that could not be looked up wait for 5s at most
    #[arg(long, env = "ELB_RESOLVE_INTERVAL", value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub(super) resolve_interval: Duration,

    /// From the signal to stop until what still runs is cut
    #[arg(long, env = "ELB_DRAIN_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = units::duration_or_zero)]
    pub(super) drain_timeout: Duration,

    /// From when nothing is accepted any more until a client's idle connection is closed; a request that comes meanwhile is
    /// answered, and its connection closed
    #[arg(long, env = "ELB_DRAIN_GRACE", value_name = "TIME", default_value = "2s", value_parser = units::duration_or_zero)]
    pub(super) drain_grace: Duration,

    /// From the signal to stop until nothing is accepted any more; /__erulb__/ready says 503 meanwhile, and every answer that
    /// its connection closes
    #[arg(long, env = "ELB_DRAIN_DELAY", value_name = "TIME", default_value = "0s", value_parser = units::duration_or_zero)]
    pub(super) drain_delay: Duration,
}

/// How much of everything there may be.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Idle connections kept for each server by each worker at most; 0 keeps none [default: as many as were in use at once]
    #[arg(long, env = "ELB_SERVER_IDLE_MAX", value_name = "N")]
    pub(super) server_idle_max: Option<u32>,

    /// Largest request body in bytes; 0 for any
    #[arg(long, env = "ELB_MAX_BODY", value_name = "SIZE", default_value = "50m", value_parser = units::size)]
    pub(super) max_body: u64,

    /// Largest request head in bytes, from 1k to 256k
    #[arg(long, env = "ELB_MAX_HEAD", value_name = "SIZE", default_value = "64k", value_parser = head_size)]
    pub(super) max_head: usize,

    /// Memory of all compiled patterns together in bytes, from 1m; the least used make room, and are compiled again when
    /// they are used
    #[arg(long, env = "ELB_PATTERN_MEMORY", value_name = "SIZE", default_value = "64m", value_parser = mebibytes)]
    pub(super) pattern_memory: usize,

    /// Buffers of each worker in bytes, from 1m; from half of them on second tries are given up and slow heads refused, and
    /// when all are used, reading waits
    #[arg(long, env = "ELB_MAX_BUFFERS", value_name = "SIZE", default_value = "1g", value_parser = mebibytes)]
    pub(super) max_buffers: usize,

    /// Client connections of each worker, above which idle ones are closed for new ones, and new ones wait while none is
    /// idle [default: as many as the limit of open files allows]
    #[arg(long, env = "ELB_MAX_CONNECTIONS", value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub(super) max_connections: Option<u32>,

    /// Connections of each client address (of IPv6: each /64 network) to all workers, above which new ones are closed; 0
    /// for any
    #[arg(long, env = "ELB_MAX_CONNECTIONS_PER_CLIENT", value_name = "N", default_value = "0")]
    pub(super) max_connections_per_client: u32,

    /// Entries of X-Forwarded-For above which a request goes in a circle and is refused with 508; 0 for any
    #[arg(long, env = "ELB_MAX_FORWARDED", value_name = "N", default_value = "32")]
    pub(super) max_forwarded: u32,

    /// Servers tried for one request, the first included
    #[arg(long, env = "ELB_RETRIES", value_name = "N", default_value = "3", value_parser = value_parser!(u32).range(1..=128))]
    pub(super) retries: u32,

    /// Second tries for a hundred requests of an upstream, so that a fleet that is broken is not asked three times as much; 10 a
    /// second are always allowed, 0 allows none at all
    #[arg(long, env = "ELB_RETRY_BUDGET", value_name = "PERCENT", default_value = "20", value_parser = value_parser!(u32).range(0..=1000))]
    pub(super) retry_budget: u32,

    /// Bytes of a request, its head and its body, that are kept so that it can be sent to another server, from 32k to 256k
    #[arg(long, env = "ELB_REPLAY_BUFFER", value_name = "SIZE", default_value = "64k", value_parser = replay_size)]
    pub(super) replay_buffer: usize,
}

/// Of buffers that is room for a large head, what it is answered with, and a few others beside it.
fn mebibytes(text: &str) -> Result<usize, String> {
    let bytes = units::size(text)?;
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes >= 1 << 20)
        .ok_or_else(|| "must be 1m at least".to_owned())
}

/// The first window holds the least of them, and the largest one the most.
fn replay_size(text: &str) -> Result<usize, String> {
    let bytes = units::size(text)?;
    match usize::try_from(bytes) {
        Ok(bytes) if (32 << 10..=256 << 10).contains(&bytes) => Ok(bytes),
        _ => Err("must be from 32k to 256k".to_owned()),
    }
}

fn head_size(text: &str) -> Result<usize, String> {
    let bytes = units::size(text)?;
    match usize::try_from(bytes) {
        Ok(bytes) if (1 << 10..=256 << 10).contains(&bytes) => Ok(bytes),
        _ => Err("must be from 1k to 256k".to_owned()),
    }
}
