//! What an operator says of an upstream as a whole: the text of its `@options`.
//!
//! It owns that text, either way, and which options go together; never what an option does. What is no option is refused by
//! name, for a slip would otherwise be found when it is needed. Next: [`super::options`] for the values, by subject; [`super::upstream_part`]
//! for how the text is kept beside the servers, `data::balancer` for what a method does.

use std::fmt;
use std::time::Duration;

use super::options::balancing::{self, BalancingMethod, HashBalance, HashKey};
use super::options::checks::{CheckOptions, CheckReader};
use super::options::opening::{OpeningOptions, OpeningReader};
use super::options::values::Given;
use crate::units::Span;

/// The name under which the options stand among an upstream's servers, in what is put and as a key of a store. A server
/// cannot have it: no part of its name may begin with `@`.
pub const OPTIONS: &str = "@options";

/// The options besides those of [`CheckReader`] and [`OpeningReader`], as words for whoever misspells one.
const NAMES: [&str; 9] = [
    "method",
    "key",
    "hash_balance",
    "sticky",
    "connect_timeout",
    "server_timeout",
    "retries",
    "retry_budget",
    "keepalive",
];

/// Shortest time that a server may be given to be connected, or to be silent.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
/// Most servers that are tried, as of `--retries`.
const MOST_TRIED: u32 = 128;
/// Largest budget of second tries: ten for each request is more than are ever made.
const LARGEST_BUDGET: u32 = 1_000;

/// What is said of an upstream, as words `name=value` with spaces between, like the parameters of a server. What is not said
/// (`None`) is as the command line has it, or is not done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// `method`: how a server is chosen.
    pub method: BalancingMethod,
    /// `key`: what the method `hash` hashes. It is there with that method, and with no other.
    pub key: Option<HashKey>,
    /// `hash_balance`: how far above its share the method `hash` may load a server; any load without it.
    pub hash_balance: Option<HashBalance>,
    /// `sticky`: the name of the cookie that keeps a client at its server.
    pub sticky: Option<Box<str>>,
    /// `check` and what belongs to it; no checks without it.
    pub check: Option<CheckOptions>,
    /// `tls`, `proxy_protocol` and what belongs to them: how a connection to a server begins.
    pub opening: Option<Box<OpeningOptions>>,
    /// `connect_timeout`: how long a connection to a server may take.
    pub connect_timeout: Option<Duration>,
    /// `server_timeout`: how long a server may be silent.
    pub server_timeout: Option<Duration>,
    /// `retries`: servers tried for one request, the first included.
    pub retries: Option<u32>,
    /// `retry_budget`: second tries for a hundred requests.
    pub retry_budget: Option<u32>,
    /// `keepalive`: idle connections that each worker keeps to each server at most.
    pub keepalive: Option<u32>,
}

impl UpstreamOptions {
    /// Reads the text; of two of one name the last counts.
    ///
    /// # Errors
    /// The first option that cannot be accepted, and what was probably meant; or one that means nothing beside the others.
    pub fn parse(text: &str) -> Result<UpstreamOptions, String> {
        let mut options = UpstreamOptions::default();
        let (mut checks, mut opening) = (CheckReader::new(), OpeningReader::default());
        for text in text.split_ascii_whitespace() {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            let given = Given { text, value };
            if !checks.set(name, given)? && !opening.set(name, given)? {
                options.set(name, given)?;
            }
        }
        options.check = checks.finish()?;
        options.opening = opening.finish()?;
        options.agree()?;
        Ok(options)
    }

    /// Whether the choice of a server depends on the request: on a key, or on a cookie.
    #[must_use]
    pub fn looks_at_requests(&self) -> bool {
        self.key.is_some() || self.sticky.is_some()
    }

    fn set(&mut self, name: &str, given: Given<'_>) -> Result<(), String> {
        match name {
            "method" => self.method = BalancingMethod::read(given)?,
            "key" => self.key = Some(HashKey::read(given)?),
            "hash_balance" => self.hash_balance = Some(HashBalance::read(given)?),
            "sticky" => self.sticky = Some(balancing::sticky(given)?),
            "connect_timeout" => self.connect_timeout = Some(given.time(SHORTEST_TIMEOUT)?),
            "server_timeout" => self.server_timeout = Some(given.time(SHORTEST_TIMEOUT)?),
            "retries" => self.retries = Some(given.number(1, MOST_TRIED)?),
            "retry_budget" => {
                let Some(value) = given.value.strip_suffix('%') else {
                    return Err(given.fault("must be a part of the requests, such as 20%"));
                };
                self.retry_budget = Some(Given { value, ..given }.number(0, LARGEST_BUDGET)?);
            }
            "keepalive" => self.keepalive = Some(given.number(0, u32::MAX)?),
            _ => {
                let names: Vec<&str> =
                    NAMES.into_iter().chain(CheckReader::NAMES).chain(OpeningReader::NAMES).collect();
                return Err(given.unknown("option of an upstream", name, &names));
            }
        }
        Ok(())
    }

    /// What means nothing without another option is refused: whoever says it expects something of it.
    fn agree(&self) -> Result<(), String> {
        let hash = BalancingMethod::Hash;
        match (&self.key, self.hash_balance) {
            (None, _) if self.method == hash => {
                Err(format!("method=hash: needs key={}", HashKey::WORDS.join(", key=")))
            }
            (Some(key), _) if self.method != hash => Err(format!("key={key}: needs method=hash beside it")),
            (_, Some(bound)) if self.method != hash => {
                Err(format!("hash_balance={bound}: needs method=hash beside it"))
            }
            _ => Ok(()),
        }
    }
}

/// The canonical form that dumps are written in: the method always, the rest when set.
impl fmt::Display for UpstreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// ` name=value`, if there is one.
        fn set(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
            value.map_or(Ok(()), |value| write!(f, " {name}={value}"))
        }
        write!(f, "method={}", self.method.word())?;
        set(f, "key", self.key.as_ref())?;
        set(f, "hash_balance", self.hash_balance)?;
        set(f, "sticky", self.sticky.as_ref().map(|name| format!("cookie:{name}")))?;
        self.check.as_ref().map_or(Ok(()), |check| write!(f, " {check}"))?;
        self.opening.as_ref().map_or(Ok(()), |opening| write!(f, "{opening}"))?;
        set(f, "connect_timeout", self.connect_timeout.map(Span))?;
        set(f, "server_timeout", self.server_timeout.map(Span))?;
        set(f, "retries", self.retries)?;
        set(f, "retry_budget", self.retry_budget.map(|percent| format!("{percent}%")))?;
        set(f, "keepalive", self.keepalive)
    }
}

#[cfg(test)]
mod tests;
