//! What commands other than serving are given: their arguments, help texts and defaults.
//!
//! It owns these, never what a command does. Next: [`args`](super::args) has the list of commands.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::etcd_args::{EtcdArgs, name};
use crate::units;

/// Where the admin API is, unless it is said otherwise: on the data port, as it is without `--admin-listen`.
pub(super) const API: &str = "127.0.0.1:8080";

/// `elb check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// A JSON file of the form {"domains": {...}, "upstreams": {...}}, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Fail for a warning as for a fault: a servername without dot or port must then be an upstream of the file
    #[arg(long)]
    pub strict: bool,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// `elb explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// What is asked for, like blog.test/hello?page=2
    #[arg(value_name = "URL")]
    pub url: String,
    /// The method of the request
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    pub method: String,
    /// A field of the request, like 'User-Agent: curl'; repeat it for several
    #[arg(short = 'H', long, value_name = "FIELD")]
    pub header: Vec<String>,
    /// The address that the request comes from [default: 192.0.2.1]
    #[arg(long, value_name = "IP")]
    pub from: Option<IpAddr>,
    /// Ask a file of the form that `elb check` takes, or - for standard input, in the place of an ELB
    #[arg(long, value_name = "FILE", conflicts_with = "api")]
    pub file: Option<PathBuf>,
    /// Where the admin API of the ELB is that is asked; the variable ELB_ADMIN_TOKEN has its token
    #[arg(long, value_name = "ADDR", default_value = API)]
    pub api: String,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// `elb health`.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// Where an ELB is that is asked: its data port, or the address of its admin API [default: where the variable ELB_LISTEN
    /// says, or 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub api: Option<String>,
    /// Ask whether it lives, not whether it should get traffic
    #[arg(long)]
    pub live: bool,
}

/// `elb fleet`.
#[derive(Debug, Clone, Args)]
pub struct FleetCommandArgs {
    /// Where the admin API of an ELB of the fleet is; the variable ELB_ADMIN_TOKEN has its token
    #[arg(long, value_name = "ADDR", default_value = API)]
    pub api: String,
    /// Wait until all serve this: a digest, its first 8 digits at least, or newest
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub wait: Option<String>,
    /// All must have served the store up to this revision, as `etcdctl put -w json` tells it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub revision: Option<i64>,
    /// How long is waited with --wait
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration_or_zero)]
    pub timeout: Duration,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// A digest or the first digits of one, or `newest`.
pub(super) fn digest(text: &str) -> Result<String, String> {
    let is_digest = (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest || text == "newest" {
        return Ok(text.to_ascii_lowercase());
    }
    Err("need newest, or 8 to 64 hexadecimal digits".to_owned())
}

/// `elb top`.
#[derive(Debug, Clone, Args)]
pub struct TopArgs {
    /// Where the admin API of the ELB is that is looked at; the variable ELB_ADMIN_TOKEN has its token
    #[arg(long, value_name = "ADDR", default_value = API)]
    pub api: String,
    /// Print one table and end
    #[arg(long)]
    pub once: bool,
    /// What is shown at first
    #[arg(long, value_name = "VIEW", value_enum, default_value = "domains")]
    pub view: TopView,
    /// What comes first
    #[arg(long, value_name = "SORT", value_enum, default_value = "rate")]
    pub sort: TopSort,
    /// Show only domains, or upstreams and their servers, whose names hold this
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub find: String,
}

/// A table of `elb top`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // Each is its own name.
pub enum TopView {
    Domains,
    Upstreams,
    Servers,
    Workers,
}

/// The order of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // Each is its own name.
pub enum TopSort {
    Rate,
    Errors,
    Name,
}

/// `elb completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell that completes
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: clap_complete::Shell,
}

/// `elb man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Write all pages into this folder, in the place of printing the first
    #[arg(long, value_name = "FOLDER")]
    pub to: Option<PathBuf>,
}

/// `elb graph`.
#[derive(Debug, Clone, Args)]
pub struct GraphArgs {
    /// The domain whose rules are drawn, as it was put
    #[arg(value_name = "DOMAIN")]
    pub domain: String,
    /// Draw from a file of the form that `elb check` takes, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "api")]
    pub file: Option<PathBuf>,
    /// Where the admin API of the ELB is that has them; the variable ELB_ADMIN_TOKEN has its token
    #[arg(long, value_name = "ADDR", default_value = API)]
    pub api: String,
    /// What is printed: a tree, Graphviz's DOT, Mermaid, or a picture
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub format: GraphFormat,
}

/// How a rule set is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // Each is its own name.
pub enum GraphFormat {
    Text,
    Dot,
    Mermaid,
    Svg,
}

/// What `elb migrate-v2` ends with.
pub(super) const MIGRATE_CODES: &str = "\
It ends with 0 when the v3 API has all that v2 has, with 1 when something is left, which it names, and with 2 when it cannot
read or write. It can be run again at any time, and writes only what is not there yet.";

/// `elb migrate-v2`.
#[derive(Debug, Clone, Args)]
#[command(next_line_help = true)]
pub(super) struct MigrateArgs {
    /// Where the v2 API answers: http://host:port
    #[arg(long, value_name = "URL")]
    pub(super) from: String,

    /// Where the v3 API answers: endpoints as --etcd of `elb` takes them
    /// [env: ETCD_URL, else ETCD, else ETCD_HOST + ETCD_PORT] [default: 127.0.0.1:2379]
    #[arg(long, value_name = "ADDRS")]
    pub(super) to: Option<String>,

    /// First segment of the keys
    #[arg(long, env = "ELBNAME", value_name = "NAME", default_value = "ELB", value_parser = name)]
    pub(super) name: String,

    /// Say what would be written, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Write over keys that v3 has with another value
    #[arg(long)]
    pub(super) force: bool,

    #[command(flatten)]
    pub(super) known: EtcdArgs,
}
