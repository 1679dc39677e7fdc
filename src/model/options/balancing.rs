//! What an operator says of how servers are chosen: the method, the key of a hash, its bound, and stickiness.
//!
//! It owns the words and their values, never a choice. Next: `data::balancer` for what a method does, and in it `key` for how
//! the key of a request is found.

use std::fmt;
use std::hash::Hasher;

use super::values::{Given, digits};
use crate::semantics::{RequestView, query};

/// The table of methods: how it is called in the source, and in the text.
macro_rules! methods {
    ($($(#[$mark:meta])* $name:ident = $word:literal,)*) => {
        /// How a server is chosen. Each is a file of `data::balancer`.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub enum BalancingMethod {
            $($(#[$mark])* #[doc = concat!("`", $word, "`")] $name,)*
        }

        impl BalancingMethod {
            /// The words for all of them.
            pub const WORDS: &[&str] = &[$($word),*];

            /// Its word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// The method of that word.
            pub(crate) fn read(given: Given<'_>) -> Result<Self, String> {
                match given.value {
                    $($word => Ok(Self::$name),)*
                    word => Err(given.unknown("method of balancing", word, Self::WORDS)),
                }
            }
        }
    };
}

methods! {
    #[default]
    RoundRobin = "round_robin",
    LeastConn = "least_conn",
    Ewma = "ewma",
    Hash = "hash",
    Random = "random",
}

/// What requests that go to the same server have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HashKey {
    /// The client's address.
    Client,
    /// The host, in lower case and without port.
    Host,
    /// The path as it was asked for, without the query.
    Path,
    /// All values of the field of that name, in any case.
    Header(Box<str>),
    /// The value of the first cookie of that name.
    Cookie(Box<str>),
    /// The value of the first word of that name in the query.
    Query(Box<str>),
}

impl HashKey {
    /// The words, the last three with a name behind them.
    pub const WORDS: &[&str] = &["client", "host", "path", "header:NAME", "cookie:NAME", "query:NAME"];

    pub(crate) fn read(given: Given<'_>) -> Result<Self, String> {
        match given.value.split_once(':') {
            None if given.value == "client" => Ok(Self::Client),
            None if given.value == "host" => Ok(Self::Host),
            None if given.value == "path" => Ok(Self::Path),
            Some(("header", name)) => given.token(name).map(Self::Header),
            Some(("cookie", name)) => given.token(name).map(Self::Cookie),
            Some(("query", name)) => given.query_name(name).map(Self::Query),
            _ => Err(given.unknown("key", given.value, Self::WORDS)),
        }
    }
}

impl HashKey {
    /// Gives what a request has of it to a hash. What is not there is as one that is empty.
    pub fn feed(&self, request: &RequestView<'_>, hasher: &mut impl Hasher) {
        match self {
            Self::Client => hasher.write(request.client),
            Self::Host => hasher.write(request.canonical_host),
            Self::Path => hasher.write(request.path),
            Self::Header(name) => {
                for value in request.field(name.as_bytes()) {
                    hasher.write(value);
                    // Two values are not one that is as long as both.
                    hasher.write_u8(0);
                }
            }
            Self::Cookie(name) => hasher.write(request.cookie(name).unwrap_or_default()),
            Self::Query(name) => {
                query::feed(request.query_word(name).unwrap_or_default(), |bytes| hasher.write(bytes));
            }
        }
    }
}

impl HashKey {
    /// Whether a request has it.
    pub fn is_there(&self, request: &RequestView<'_>) -> bool {
        match self {
            Self::Client | Self::Host | Self::Path => true,
            Self::Header(name) => request.field(name.as_bytes()).next().is_some(),
            Self::Cookie(name) => request.cookie(name).is_some(),
            Self::Query(name) => request.query_word(name).is_some(),
        }
    }

    /// What a request has of it, for people; of a field all values.
    pub fn value(&self, request: &RequestView<'_>) -> Option<Vec<u8>> {
        match self {
            Self::Client => Some(request.client.to_vec()),
            Self::Host => Some(request.canonical_host.to_vec()),
            Self::Path => Some(request.path.to_vec()),
            Self::Header(name) => {
                let values: Vec<&[u8]> = request.field(name.as_bytes()).collect();
                (!values.is_empty()).then(|| values.join(&b", "[..]))
            }
            Self::Cookie(name) => request.cookie(name).map(<[u8]>::to_vec),
            Self::Query(name) => {
                request.query_word(name).map(|value| query::decode(value, &mut Vec::new()).to_vec())
            }
        }
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Host => f.write_str("host"),
            Self::Path => f.write_str("path"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
        }
    }
}

/// How far above its share of the requests under way a server may be, in hundredths: 125 is a quarter above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashBalance(u32);

impl HashBalance {
    /// At 1 no server could have one more than another, and keys would not stay anywhere.
    const LEAST: u32 = 101;
    /// At a hundred times its share no server of a hundred has any bound.
    const MOST: u32 = 10_000;

    /// In hundredths.
    #[must_use]
    pub fn hundredths(self) -> u32 {
        self.0
    }

    pub(crate) fn read(given: Given<'_>) -> Result<Self, String> {
        let (whole, part) = given.value.split_once('.').unwrap_or((given.value, "0"));
        let part = match part.len() {
            1 => digits(part).map(|tenths| tenths * 10),
            2 => digits(part),
            _ => None,
        };
        let hundredths = digits(whole).and_then(|whole| whole.checked_mul(100)?.checked_add(part?));
        hundredths.filter(|hundredths| (Self::LEAST..=Self::MOST).contains(hundredths)).map(Self).ok_or_else(
            || given.fault("must be a number from 1.01 to 100, such as 1.25, with two decimals at most"),
        )
    }
}

impl fmt::Display for HashBalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}"),
        }
    }
}

/// The name of the cookie in `sticky=cookie:NAME`.
pub(crate) fn sticky(given: Given<'_>) -> Result<Box<str>, String> {
    match given.value.split_once(':') {
        Some(("cookie", name)) => given.token(name),
        _ => Err(given.unknown("way of being sticky", given.value, &["cookie:NAME"])),
    }
}
