//! The host names that a change brings, and where each stands in it.
//!
//! It owns that list, so that names can be looked up before anything is applied; never a lookup. Next: the control
//! plane asks for it, [`targets`](super::targets) takes the addresses.

use std::collections::BTreeSet;

use super::change::{Prepared, UpstreamChange};
use super::fault::step;
use super::implicit;
use super::server::ServerTarget;
use super::upstream_part::Part;

/// A host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `host:port`, host in lower case.
    pub host: String,
    /// Where it stands, as a JSON pointer into what was put.
    pub pointer: String,
    /// The `servername` in lower case, for one that is only meant as a host while no upstream has that name. A server of an
    /// upstream has none.
    pub servername: Option<String>,
}

impl Prepared {
    /// The host names of servers in this change, each once.
    pub fn wanted(&self) -> Vec<Wanted> {
        let (mut wanted, mut seen) = (Vec::new(), BTreeSet::new());
        let mut add = |host: String, pointer: &dyn Fn() -> String, servername: Option<&str>| {
            if seen.insert(host.clone()) {
                wanted.push(Wanted { host, pointer: pointer(), servername: servername.map(str::to_owned) });
            }
        };
        let (of_upstreams, of_domains) = (self.change.of_upstreams(), self.change.of_domains());
        for upstream in &self.change.upstreams {
            let place =
                |upstream: &str, server: &str| format!("{of_upstreams}{}{}", step(upstream), step(server));
            match upstream {
                UpstreamChange::Put(spec) => {
                    for server in &spec.servers {
                        if let ServerTarget::Name(host) = server.target() {
                            add(host, &|| place(&spec.name, &server.name), None);
                        }
                    }
                }
                UpstreamChange::Patch(patch) => {
                    for (server, part) in &patch.parts {
                        if let Some(Part::Server(spec)) = part
                            && let ServerTarget::Name(host) = spec.target()
                        {
                            add(host, &|| place(&patch.name, server), None);
                        }
                    }
                }
                UpstreamChange::Delete(_) => {}
            }
        }
        let mut names = BTreeSet::new();
        for (domain, rules) in &self.change.domains {
            for (rule, backend) in rules.iter().flat_map(|rules| rules.named_backends()) {
                let key = backend.name().key();
                if names.insert(key)
                    && let Some(ServerTarget::Name(host)) = implicit::target(backend.servername())
                {
                    let pointer =
                        || format!("{of_domains}{}/rules{}/args/servername", step(domain), step(rule));
                    add(host, &pointer, Some(key));
                }
            }
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Edit, Library};
    use serde_json::{Value, json};

    fn wanted(edit: Edit) -> Vec<(String, String, Option<String>)> {
        let prepared = Library::default().prepare(edit).unwrap();
        prepared.wanted().into_iter().map(|one| (one.host, one.pointer, one.servername)).collect()
    }

    fn object(value: Value) -> serde_json::Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn names_are_listed_once_with_their_place() {
        let upstreams = json!({
            "a~b": {"One.test": "", "127.0.0.1:81": "", "unix:/x": ""},
            "c": {"one.test:80": "", "two": "down"}});
        assert_eq!(
            wanted(Edit::PutUpstreams(object(upstreams))),
            [("one.test:80".into(), "/a~0b/One.test".into(), None), ("two:80".into(), "/c/two".into(), None),]
        );
        let backend = |name: &str| json!({"type": "backend", "args": {"servername": name}});
        let ua = json!({"type": "ua", "args": {"pattern": "x", "succ": "a", "fail": "b"}});
        let domains = json!({
            "d": {"init": "f", "rules": {"f": ua, "a": backend("Host.test"), "b": backend("up")}},
            "e": {"init": "f", "rules": {"f": ua, "a": backend("127.0.0.1"), "b": backend("host.test")}}});
        assert_eq!(
            wanted(Edit::PutDomains(object(domains))),
            [("host.test:80".into(), "/d/rules/a/args/servername".into(), Some("host.test".into()))]
        );
        let patch = json!({"c": {"Two": "down", "127.0.0.1:81": "", "three:1": null, "@options": ""}});
        assert_eq!(wanted(Edit::PatchUpstreams(object(patch))), [("two:80".into(), "/c/Two".into(), None)]);
        assert_eq!(wanted(Edit::DeleteUpstreams(vec!["one.test".into()])), []);
    }
}
