//! What `elb ctl` is given: what it does, to what, and how far.
//!
//! It owns these words and their help, never what they do. Next: [`args`](super::args) has the list of commands, `command::ctl`
//! carries them out.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::commands::{API, digest};
use crate::units;

/// `elb ctl`.
#[derive(Debug, Clone, Args)]
pub struct CtlArgs {
    /// Where the admin API is; the variable ELB_ADMIN_TOKEN has its token
    #[arg(long, value_name = "ADDR", default_value = API, global = true)]
    pub api: String,
    /// Print the API's own answer, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub what: Ctl,
}

/// What can be done.
#[derive(Debug, Clone, Subcommand)]
pub enum Ctl {
    /// Domains and their rule sets
    #[command(subcommand)]
    Domain(ItemVerb),
    /// Upstreams, their servers and options
    #[command(subcommand)]
    Upstream(ItemVerb),
    /// One server of an upstream: take it out of use, and back
    #[command(subcommand)]
    Server(ServerVerb),
    /// Certificates that clients are shown, and those in etcd
    #[command(subcommand)]
    Certificate(CertificateVerb),
    /// The whole configuration as one document
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Write what was changed into the store
    Dump,
    /// Say where this ELB stands
    Status,
    /// Show how each server does
    Servers {
        /// Only those of this upstream
        #[arg(value_name = "UPSTREAM")]
        upstream: Option<String>,
    },
    /// Show the last versions, or what one of them changed
    History {
        /// The number of a version, or how its digest begins
        #[arg(value_name = "VERSION")]
        version: Option<String>,
    },
    /// Serve a version again
    Rollback {
        /// The number of a version, or how its digest begins
        #[arg(value_name = "VERSION")]
        to: String,
        /// How far.
        #[command(flatten)]
        how: How,
    },
    /// Say where the requests that come would go by a document, before anything is changed; ends with 1 if any would go elsewhere
    Shadow(ShadowArgs),
    /// Show all ELBs that share this configuration
    Fleet {
        /// Wait until all serve this: a digest, its first 8 digits at least, or newest
        #[arg(long, value_name = "DIGEST", value_parser = digest)]
        wait: Option<String>,
        /// How long is waited with --wait
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration_or_zero)]
        timeout: Duration,
    },
    /// Show keys of the store that cannot be served, and why
    Rejected,
    /// Read the store again
    Resync {
        /// Apply what is held back
        #[arg(long)]
        confirm: bool,
    },
    /// Ask the API anything else: METHOD, and what stands behind /__erulb__/
    Call {
        /// GET, PUT, PATCH, POST or DELETE
        #[arg(value_name = "METHOD", value_parser = method)]
        method: &'static str,
        /// Like stats?limit=5
        #[arg(value_name = "ENDPOINT")]
        endpoint: String,
        /// A file with the body, or - for standard input
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// What can be done with domains, and with upstreams.
#[derive(Debug, Clone, Subcommand)]
pub enum ItemVerb {
    /// List them
    Ls {
        /// Only names that hold this
        #[arg(value_name = "TEXT")]
        filter: Option<String>,
    },
    /// Print one as it was given
    Get {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Make one, or replace it
    Put {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// A file with its JSON, or - for standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
        /// How far.
        #[command(flatten)]
        how: How,
    },
    /// Take some away, all in one step
    Rm {
        /// Their names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// How far.
        #[command(flatten)]
        how: How,
    },
    /// Change one in the editor of the variable VISUAL or EDITOR
    Edit {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// How far.
        #[command(flatten)]
        how: How,
    },
}

/// What can be done with a server of an upstream. Its other parameters stay.
#[derive(Debug, Clone, Subcommand)]
pub enum ServerVerb {
    /// No new requests but those that are bound to it; nothing is cut
    Drain(ServerArgs),
    /// No requests at all
    Down(ServerArgs),
    /// In use again: neither drain nor down
    Up(ServerArgs),
    /// Another share of the load
    Weight {
        /// Which one.
        #[command(flatten)]
        server: ServerArgs,
        /// 1 or more
        #[arg(value_name = "N")]
        weight: u32,
    },
}

/// A server of an upstream.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// The upstream
    #[arg(value_name = "UPSTREAM")]
    pub upstream: String,
    /// The server, as it was put
    #[arg(value_name = "SERVER")]
    pub server: String,
    /// How far.
    #[command(flatten)]
    pub how: How,
}

/// What can be done with certificates.
#[derive(Debug, Clone, Subcommand)]
pub enum CertificateVerb {
    /// List them
    Ls,
    /// Put one into etcd, or replace it there
    Put {
        /// What you call it; default is shown where no other fits
        #[arg(value_name = "NAME")]
        name: String,
        /// A file with the certificate, followed by those that signed it, in PEM
        #[arg(value_name = "CERTIFICATE")]
        certificate: PathBuf,
        /// A file with its private key, in PEM
        #[arg(value_name = "KEY")]
        key: PathBuf,
        /// A file with what its authority says of it (OCSP), in DER
        #[arg(long, value_name = "FILE")]
        ocsp: Option<PathBuf>,
    },
    /// Delete some from etcd, all in one step
    Rm {
        /// Their names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
}

/// What can be done with the whole.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigVerb {
    /// Print it
    Get {
        /// As it was at this version, or at a digest that begins so
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
    },
    /// Say what would change if a document were served in its place; ends with 1 if anything would
    Diff {
        /// A file of the form that `elb check` takes, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Serve a document in its place
    Apply {
        /// A file of the form that `elb check` takes, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// How far.
        #[command(flatten)]
        how: How,
    },
}

/// What is asked beside what is served, and how long.
#[derive(Debug, Clone, Args)]
pub struct ShadowArgs {
    /// A file of the form that `elb check` takes, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How long, 600 at most; Ctrl-C ends it earlier
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub seconds: u64,
    /// Look at one request of so many: a power of two, 1024 at most
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub sample: u64,
    /// The file is a merge patch of what is served, and not the whole
    #[arg(long)]
    pub merge: bool,
}

/// How far a change goes.
#[derive(Debug, Clone, Default, Args)]
pub struct How {
    /// Write it into the store as well
    #[arg(long)]
    pub dump: bool,
    /// Only say what it would come to
    #[arg(long)]
    pub dry_run: bool,
    /// Make it even if it takes most of live traffic away
    #[arg(long)]
    pub confirm: bool,
    /// Accept servers whose names have no address
    #[arg(long)]
    pub unresolved: bool,
}

fn method(text: &str) -> Result<&'static str, String> {
    let known = ["GET", "PUT", "PATCH", "POST", "DELETE"];
    known
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("is none of {}", known.join(", ")))
}
