//! The options of an upstream, by subject, as the text of `@options` has them.
//!
//! ```text
//!   upstream_options ──► balancing     method, key, hash_balance, sticky
//!          │         ──► checks        check and what begins with check_
//!          │         ──► opening       tls and what begins with tls_, proxy_protocol
//!          └──► all  ──► values        numbers, times, names, and what was probably meant
//! ```

pub(super) mod balancing;
pub(super) mod checks;
pub(super) mod opening;
pub(super) mod values;
