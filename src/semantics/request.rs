//! What may be looked at in a request: by rules, and by whoever explains, counts or spreads.
//!
//! It owns the view, never the request's bytes or their parsing: whoever holds a head in the form of its protocol lends
//! one as [`Head`]. What nearly every look needs is there already; the rest is looked up when it is asked for, so that it
//! costs nothing otherwise. Next: [`crate::model::route()`] decides with it, [`super::sketch`] makes one of nothing.

use std::fmt;
use std::net::IpAddr;

use super::query;

/// A head that can be asked. `bytes` are those of the view that asks.
pub trait Head: fmt::Debug {
    /// The method.
    fn method<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8];

    /// What follows the first `?` of the target.
    fn query<'a>(&'a self, bytes: &'a [u8]) -> Option<&'a [u8]>;

    /// The next value of the field of that name, in any case, and the place from which the one after it is to be looked
    /// for. 0 is the place of the first.
    fn field<'a>(&'a self, bytes: &'a [u8], name: &[u8], from: usize) -> Option<(&'a [u8], usize)>;

    /// The first value of `User-Agent`. A head that knows where it is need not look for it.
    fn user_agent<'a>(&'a self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.field(bytes, b"user-agent", 0).map(|(value, _)| value)
    }
}

/// One request, as far as anybody may decide on it.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    /// The host as received, port included: the `Host` field, or the authority of an absolute target.
    pub host: &'a [u8],
    /// The host in lower case, without port and trailing dot; ASCII, already validated.
    pub canonical_host: &'a [u8],
    /// The path that goes out, decoded and normalised, beginning with `/`, without the query.
    pub path: &'a [u8],
    /// The client's address, as text.
    pub client: &'a [u8],
    head: &'a dyn Head,
    bytes: &'a [u8],
}

impl<'a> RequestView<'a> {
    /// A view of the request that `head` understands in `bytes`. `host` comes as received and canonical.
    #[inline(always)]
    pub fn new(
        (head, bytes): (&'a dyn Head, &'a [u8]),
        [host, canonical_host]: [&'a [u8]; 2],
        path: &'a [u8],
        client: &'a [u8],
    ) -> Self {
        Self { host, canonical_host, path, client, head, bytes }
    }

    /// The method, as received.
    #[must_use]
    pub fn method(&self) -> &'a [u8] {
        self.head.method(self.bytes)
    }

    /// The query as received, without its `?`; `None` when there is no `?`.
    #[must_use]
    pub fn query(&self) -> Option<&'a [u8]> {
        self.head.query(self.bytes)
    }

    /// Every value of the fields of that name, in any case, in the order in which they came, without the white space around
    /// them. Also those of fields that end at this hop, and do not reach the server. Each look walks the head.
    pub fn field<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let (head, bytes, mut from) = (self.head, self.bytes, 0);
        std::iter::from_fn(move || {
            let (value, next) = head.field(bytes, name, from)?;
            from = next;
            Some(value)
        })
    }

    /// The user agent, as received: of the field that most rules ask for there is one at most.
    #[inline]
    #[must_use]
    pub fn user_agent(&self) -> Option<&'a [u8]> {
        self.head.user_agent(self.bytes)
    }

    /// The value of the first cookie of that name (RFC 6265, section 4.2.1), as it stands there.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&'a [u8]> {
        self.cookies(name).next()
    }

    /// The values of all cookies of that name, of all fields.
    pub fn cookies<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let pairs = self.field(b"cookie").flat_map(|value| value.split(|byte| *byte == b';'));
        pairs.map(<[u8]>::trim_ascii).filter_map(move |pair| value_of(pair, name))
    }

    /// The value of the first word in the query whose name means that, as it stands there: [`super::query`] says what it means.
    #[must_use]
    pub fn query_word(&self, name: &str) -> Option<&'a [u8]> {
        query::words(self.query()?)
            .find(|(word, _)| query::means(word, name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The address of the client; `None` where its text is none.
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        std::str::from_utf8(self.client).ok()?.parse().ok()
    }
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}
