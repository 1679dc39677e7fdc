//! What `elb migrate-v2` is told, complete and validated.
//!
//! It owns the rules for its address, never the copying. Next: `command` does it.

use super::addresses;
use super::commands::MigrateArgs;
use super::etcd::EtcdSettings;
use super::fault::Fault;
use super::surroundings::Surroundings;

/// From where to where keys are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// `http://host:port` of the v2 API.
    pub from: String,
    /// The v3 API.
    pub to: EtcdSettings,
    /// First segment of the keys.
    pub name: String,
    /// Nothing is written.
    pub dry_run: bool,
    /// Keys that are there with another value are written over.
    pub force: bool,
}

impl Migration {
    pub(super) fn new(args: &MigrateArgs, around: &Surroundings<'_>) -> Result<Self, Fault> {
        let refuse = |reason: &str| Fault::usage(format!("invalid address in --from: {reason}"));
        let from = addresses::etcd(&args.from).map_err(|reason| refuse(&reason))?;
        let from = match &from[..] {
            [one] if one.starts_with("http://") => one.clone(),
            [_] => return Err(refuse("v2 is read over http:// only")),
            _ => return Err(refuse("need one address, like http://127.0.0.1:2379")),
        };
        let to = EtcdSettings::new(("--to", args.to.as_deref()), &args.known, around)?;
        Ok(Self { from, to, name: args.name.clone(), dry_run: args.dry_run, force: args.force })
    }
}
