//! What the operator asked for: command line and variables, turned once into one typed, validated [`Settings`].
//!
//! Flag beats variable beats default, and an empty variable counts as none. Nothing here reads the environment or a file:
//! the caller hands both in as [`Surroundings`]. Flags, help texts and defaults stand in `args`; what they come to in `effective`.

mod addresses;
mod allow;
mod args;
mod effective;
mod invocation;
mod secret;
mod units;
mod unknown;

pub use allow::AllowList;
pub use args::{CheckArgs, DemoArgs};
pub use effective::{AdminSettings, EtcdSettings, Settings, StoreKind};
pub use invocation::{Fault, Invocation, Surroundings, parse};
pub use secret::Secret;

#[cfg(test)]
mod tests;
