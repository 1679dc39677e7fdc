//! An upstream as a store has it: a key for each server, and one for the options.
//!
//! It owns the two ways of seeing an upstream (whole, or part by part), never a layer and never the grammar of a part.
//! Next: `upstreams` reads keys, `writes` writes them.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::digest::Digest;
use super::server::ServerSpec;
use super::storable;
use super::upstream::UpstreamSpec;
use super::upstream_options::{OPTIONS, UpstreamOptions};

/// What an upstream is called in its digest.
const KIND: &str = "upstream";

/// What one key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A server and its parameters.
    Server(Arc<ServerSpec>),
    /// The options of the upstream.
    Options(UpstreamOptions),
}

impl Part {
    /// Reads the text of the part of that name, as an operator gives it.
    ///
    /// # Errors
    /// What is wrong with the name, or with the text.
    pub(crate) fn read(name: &str, text: &str) -> Result<Part, String> {
        if name == OPTIONS {
            return UpstreamOptions::parse(text).map(Part::Options);
        }
        ServerSpec::parse(name, text).map(|spec| Part::Server(Arc::new(spec)))
    }

    /// Reads the text of the key of that name, as a store has it.
    ///
    /// # Errors
    /// What is wrong with the name, or with the text.
    pub(crate) fn read_stored(name: &str, text: &str) -> Result<Part, String> {
        if name == OPTIONS {
            return UpstreamOptions::parse(text).map(Part::Options);
        }
        storable::server(name)?;
        ServerSpec::parse_stored(name, text).map(|spec| Part::Server(Arc::new(spec)))
    }
}

/// The text in the canonical form.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Server(server) => server.fmt(f),
            Part::Options(options) => options.fmt(f),
        }
    }
}

impl UpstreamSpec {
    /// One of which nothing is said yet.
    pub(crate) fn named(name: &str) -> UpstreamSpec {
        UpstreamSpec { name: name.to_owned(), servers: Vec::new(), options: None }
    }

    /// All its parts, each with its name.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&str, Part)> {
        let servers = self.servers.iter().map(|server| (&*server.name, Part::Server(Arc::clone(server))));
        servers.chain(self.options.iter().map(|options| (OPTIONS, Part::Options(options.clone()))))
    }

    /// Its parts as a document has them: an object, server → parameters, in the order given.
    pub fn document(&self) -> Map<String, Value> {
        self.parts().map(|(name, part)| (name.to_owned(), part.to_string().into())).collect()
    }

    /// The same as JSON in one line.
    pub(crate) fn text(&self) -> Arc<str> {
        Value::Object(self.document()).to_string().into()
    }

    /// The digest of its name and its parts, whatever the order of these.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of_entry(KIND, &self.name, Digest::of_json(&Value::Object(self.document())))
    }

    /// The part of that name.
    pub(crate) fn part(&self, name: &str) -> Option<Part> {
        self.parts().find(|(one, _)| *one == name).map(|(_, part)| part)
    }

    /// The part of that name is this from now on, or is gone. A server that is there keeps its place, another one comes last.
    pub(crate) fn set(&mut self, name: &str, part: Option<Part>) {
        let place = self.servers.iter().position(|server| server.name == name);
        match (part, place) {
            (Some(Part::Server(server)), Some(at)) => {
                if let Some(one) = self.servers.get_mut(at) {
                    *one = server;
                }
            }
            (Some(part), _) => self.add(part),
            (None, Some(at)) => drop(self.servers.remove(at)),
            (None, None) if name == OPTIONS => self.options = None,
            (None, None) => {}
        }
    }

    /// One more part. No server of its name is there yet.
    pub(crate) fn add(&mut self, part: Part) {
        match part {
            Part::Server(server) => self.servers.push(server),
            Part::Options(options) => self.options = Some(options),
        }
    }

    /// Whether there is nothing that a store could hold.
    pub(crate) fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.options.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_its_parts() {
        let mut spec = UpstreamSpec::named("Up");
        assert!(spec.is_empty());
        let parts = [("b:1", "weight=2"), (OPTIONS, ""), ("a:1", "backup=true")];
        for (name, text) in parts {
            spec.set(name, Some(Part::read_stored(name, text).unwrap()));
        }
        let texts = |spec: &UpstreamSpec| -> Vec<String> {
            spec.parts().map(|(name, part)| format!("{name} {part}")).collect()
        };
        assert_eq!(
            texts(&spec),
            [
                "b:1 weight=2 max_fails=1 fail_timeout=10",
                "a:1 weight=1 max_fails=1 fail_timeout=10 backup",
                "@options method=round_robin"
            ]
        );
        spec.set("b:1", Some(Part::read_stored("b:1", "").unwrap()));
        assert!(texts(&spec)[0].starts_with("b:1 weight=1"), "it keeps its place");
        for name in ["b:1", "c:1", OPTIONS] {
            spec.set(name, None);
            assert_eq!(spec.part(name), None);
        }
        assert_eq!((texts(&spec).len(), spec.is_empty()), (1, false));
        for name in ["@option", "unix:/@options", "@options/x", ""] {
            assert!(Part::read_stored(name, "").is_err(), "{name}");
        }
    }
}
