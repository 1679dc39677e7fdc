//! Hosts: their normal form, and finding a domain by one.
//!
//! It owns the order of the search (as received, then normal, then by suffix, then the rest), never the rules of a
//! domain. Next: `snapshot` holds the index, `route` asks it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use super::request::Request;

/// A host in lower case, without port and trailing dot; `None` when it is none.
pub(crate) fn normal(text: &str) -> Option<String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')? + 2;
            let address = text.get(1..end - 1)?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            text.split_at_checked(end)?
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    if !port.strip_prefix(':').unwrap_or(port).bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[:]".contains(&byte);
    // An empty label is no name, and taking one trailing dot away must not leave another.
    let labelled = host.split('.').all(|label| !label.is_empty());
    (labelled && host.bytes().all(plain)).then(|| host.to_ascii_lowercase())
}

/// The names of all domains, each with a slot, from 0 on without gaps.
#[derive(Debug, Default)]
pub(crate) struct HostIndex {
    names: Vec<Arc<str>>,
    /// Every name as written, and in lower case without trailing dot unless another is written so.
    exact: HashMap<Name, u32>,
    /// What follows `*.`, in lower case.
    suffixes: HashMap<Name, u32>,
    /// The longest of them: no longer suffix of a host is looked up, so a long host costs no more than our own names.
    longest: usize,
    /// The domain `*`.
    rest: Option<u32>,
}

#[derive(Debug, PartialEq, Eq)]
struct Name(Arc<str>);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.as_bytes());
    }
}

/// A name that is looked up, borrowed from the request.
struct Probe<'a>(&'a [u8]);

impl Hash for Probe<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0);
    }
}

impl Equivalent<Name> for Probe<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        self.0 == name.0.as_bytes()
    }
}

impl HostIndex {
    /// Numbers the names in their order. They must differ.
    pub(crate) fn new(names: Vec<Arc<str>>) -> HostIndex {
        let mut index = HostIndex { exact: HashMap::with_capacity(names.len()), ..HostIndex::default() };
        for (slot, name) in (0..).zip(&names) {
            index.exact.insert(Name(Arc::clone(name)), slot);
        }
        for (slot, name) in (0..).zip(&names) {
            if &**name == "*" {
                index.rest = Some(slot);
            }
            let alias = name.strip_suffix('.').unwrap_or(name);
            if let Some(suffix) = alias.strip_prefix("*.") {
                index.longest = index.longest.max(suffix.len());
                index.suffixes.entry(Name(suffix.to_ascii_lowercase().into())).or_insert(slot);
            }
            if alias.len() != name.len() || alias.bytes().any(|byte| byte.is_ascii_uppercase()) {
                index.exact.entry(Name(alias.to_ascii_lowercase().into())).or_insert(slot);
            }
        }
        index.names = names;
        index
    }

    /// All names, by slot.
    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The domain of a request. `lowered` is room for the host in lower case; only hosts that are no key need it.
    pub(crate) fn find(&self, request: &Request<'_>, lowered: &mut Vec<u8>) -> Option<u32> {
        let exact = |name: &[u8]| self.exact.get(&Probe(name)).copied();
        if let Some(slot) = exact(request.host) {
            return Some(slot);
        }
        if request.host.iter().any(u8::is_ascii_uppercase) {
            lowered.clear();
            lowered.extend(request.host.iter().map(u8::to_ascii_lowercase));
            if let Some(slot) = exact(lowered) {
                return Some(slot);
            }
        }
        exact(request.host_normal).or_else(|| self.by_suffix(request.host_normal)).or(self.rest)
    }

    fn by_suffix(&self, host: &[u8]) -> Option<u32> {
        if self.suffixes.is_empty() {
            return None;
        }
        memchr::memchr_iter(b'.', host)
            .filter_map(|dot| host.get(dot + 1..))
            .filter(|suffix| suffix.len() <= self.longest)
            .find_map(|suffix| self.suffixes.get(&Probe(suffix)).copied())
    }
}

#[cfg(test)]
mod tests;
