//! A request that nobody sent, for whoever wants to know what would become of it: tests, benches, fuzzing.
//!
//! It owns its parts and their defaults, so that a part that is added to [`RequestView`] is added here and nowhere else.
//! It allocates, and no request that came by the wire is one. Next: [`super::request`].

use super::host;
use super::request::{Head, RequestView};

/// A request in parts: `GET` of a path, without query and fields, from 192.0.2.1, unless it is said otherwise.
#[derive(Debug, Clone)]
pub struct Sketch {
    method: Vec<u8>,
    host: Vec<u8>,
    canonical_host: Vec<u8>,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    client: Vec<u8>,
}

impl Sketch {
    /// A request for this host, as a client writes it, and this path, as rules see it. What is no host stands for itself.
    pub fn new(host: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Self {
        let host = host.as_ref();
        let canonical_host =
            host::canonical(host, &mut Vec::new()).map_or_else(|_| host.to_vec(), <[u8]>::to_vec);
        Self {
            method: b"GET".to_vec(),
            host: host.to_vec(),
            canonical_host,
            path: path.as_ref().to_vec(),
            query: None,
            fields: Vec::new(),
            client: b"192.0.2.1".to_vec(),
        }
    }

    /// With this method.
    #[must_use]
    pub fn method(mut self, method: impl AsRef<[u8]>) -> Self {
        self.method = method.as_ref().to_vec();
        self
    }

    /// With this query.
    #[must_use]
    pub fn query(mut self, query: impl AsRef<[u8]>) -> Self {
        self.query = Some(query.as_ref().to_vec());
        self
    }

    /// With this field behind those that it has.
    #[must_use]
    pub fn field(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// With this user agent, or none.
    #[must_use]
    pub fn agent(self, agent: Option<impl AsRef<[u8]>>) -> Self {
        match agent {
            Some(agent) => self.field("User-Agent", agent),
            None => self,
        }
    }

    /// From this client.
    #[must_use]
    pub fn client(mut self, address: impl AsRef<[u8]>) -> Self {
        self.client = address.as_ref().to_vec();
        self
    }

    /// What rules see of it.
    #[must_use]
    pub fn view(&self) -> RequestView<'_> {
        RequestView::new((self, b""), [&self.host, &self.canonical_host], &self.path, &self.client)
    }
}

impl Head for Sketch {
    fn method<'a>(&'a self, _bytes: &'a [u8]) -> &'a [u8] {
        &self.method
    }

    fn query<'a>(&'a self, _bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.query.as_deref()
    }

    fn field<'a>(&'a self, _bytes: &'a [u8], name: &[u8], from: usize) -> Option<(&'a [u8], usize)> {
        let (at, (_, value)) = self
            .fields
            .iter()
            .enumerate()
            .skip(from)
            .find(|(_, (known, _))| known.eq_ignore_ascii_case(name))?;
        Some((value, at + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sketch_is_seen_as_it_was_made() {
        let plain = Sketch::new("H.Test:80", "/a");
        let seen = plain.view();
        assert_eq!(
            (seen.host, seen.canonical_host, seen.path),
            (&b"H.Test:80"[..], &b"h.test"[..], &b"/a"[..])
        );
        assert_eq!((seen.method(), seen.query()), (&b"GET"[..], None));
        assert_eq!(seen.client_address(), Some([192, 0, 2, 1].into()));
        assert_eq!(seen.field(b"cookie").next(), None);

        let rich = Sketch::new("h", "/").method("PUT").query("").field("Cookie", "a").field("X", "y");
        let rich = rich.field("cookie", "b").agent(Some("curl")).client("::1");
        let seen = rich.view();
        assert_eq!((seen.method(), seen.query()), (&b"PUT"[..], Some(&b""[..])));
        assert_eq!(seen.field(b"COOKIE").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!((seen.user_agent(), plain.view().user_agent()), (Some(&b"curl"[..]), None));
        assert!(seen.client_address().is_some_and(|address| address.is_loopback()));
    }
}
