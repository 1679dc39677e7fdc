//! What the operator asked for: command line and variables, turned once into one typed, validated [`Settings`].
//!
//! Flag beats variable beats default, and an empty variable counts as none. Nothing here reads the environment or a file:
//! the caller hands both in as [`Surroundings`]. Flags, help texts and defaults stand in `args`; what they come to in `effective`.

mod addresses;
mod allow;
mod args;
mod certificates;
mod commands;
mod ctl;
mod effective;
mod etcd;
mod etcd_args;
mod fault;
mod fleet;
mod handover;
mod invocation;
mod listen;
mod migration;
mod secret;
mod seeing;
mod surroundings;
mod tls;
mod tls_args;
mod told;
mod unknown;

pub use allow::AllowList;
pub use args::DemoArgs;
pub use certificates::{CertificateTexts, Certificates, certified_key, roots, unreadable};
pub use commands::{
    CheckArgs, CompletionsArgs, ExplainArgs, FleetCommandArgs, GraphArgs, GraphFormat, HealthArgs, ManArgs,
    TopArgs, TopSort, TopView,
};
pub use ctl::{CertificateVerb, ConfigVerb, Ctl, CtlArgs, How, ItemVerb, ServerArgs, ServerVerb, ShadowArgs};
pub use effective::{AdminSettings, NameSettings, Settings, StoreKind};
pub use etcd::EtcdSettings;
pub use fault::Fault;
pub use fleet::FleetSettings;
pub use handover::HandoverSettings;
pub use invocation::{Invocation, command_line, parse};
pub use listen::{ListenOn, ProxyHeader};
pub use migration::Migration;
pub use secret::Secret;
pub use seeing::{AccessLogFormat, AccessLogOnly, AccessLogSettings, AccessLogTo, LogFormat, SeeingSettings};
pub use surroundings::Surroundings;
pub use tls::TlsSettings;

#[cfg(test)]
mod tests;
