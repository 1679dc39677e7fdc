//! Upstreams that nobody made: what a rule's `servername` means when it names none.
//!
//! It owns that meaning, the advice about it, and the count of which names the rules in force use, so that building a
//! snapshot need not look through all rules. Next: [`targets`](super::targets) has the names, `control::resolve` their
//! addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::rule::Backend;
use super::ruleset::RuleSet;
use super::server::{ServerSpec, ServerTarget};
use super::upstream::UpstreamSpec;

/// The upstream of one server that `servername` is, if it is an address or a host name. A bare word, with neither a dot nor
/// a port, is the name of an upstream and nothing else: what a name server knows by that word may be somebody else's. Its
/// failures are not counted, as the first ELB did not: there is no other server to go to.
pub(crate) fn upstream(servername: &str) -> Option<UpstreamSpec> {
    target(servername)?;
    let server = ServerSpec { max_fails: 0, ..ServerSpec::new(servername) };
    Some(UpstreamSpec { name: servername.to_owned(), servers: vec![Arc::new(server)], options: None })
}

/// Where `servername` leads when no upstream has that name.
pub(crate) fn target(servername: &str) -> Option<ServerTarget> {
    match ServerTarget::parse(servername).ok()? {
        ServerTarget::Name(_) if !servername.contains(['.', ':']) => None,
        ServerTarget::Unix(_) => None,
        target => Some(target),
    }
}

/// What an operator should know about a `servername` that names no upstream. Rules may well come before their upstreams,
/// so it is no fault.
pub(crate) fn advice(servername: &str) -> Option<String> {
    match (target(servername), ServerTarget::parse(servername)) {
        (Some(_), _) => None,
        (None, Ok(ServerTarget::Name(host))) => Some(format!(
            "there is no upstream {servername}: 502 until there is; if a host is meant, it is written {host}"
        )),
        (None, _) => Some(format!("there is no upstream {servername}: 502 until there is")),
    }
}

/// The names that the rules in force use.
#[derive(Debug, Default)]
pub(crate) struct Servernames {
    /// In lower case → how many backends use it, and one spelling.
    used: BTreeMap<Box<str>, (usize, Box<str>)>,
    news: BTreeSet<Box<str>>,
}

impl Servernames {
    /// One rule set took the place of another.
    pub(crate) fn replace(&mut self, old: Option<&RuleSet>, new: Option<&RuleSet>) {
        // New ones first, so that a name that stays is not taken out and put in again.
        for backend in new.iter().flat_map(|rules| rules.backends()) {
            self.add(backend);
        }
        for backend in old.iter().flat_map(|rules| rules.backends()) {
            self.remove(backend.name().key());
        }
    }

    /// The name as some rule spells it, if any rule uses it. `key` is in lower case.
    pub(crate) fn spelling(&self, key: &str) -> Option<&str> {
        self.used.get(key).map(|(_, spelling)| &**spelling)
    }

    /// The names, in lower case, that came into use or fell out of it since this was asked.
    pub(crate) fn take_news(&mut self) -> BTreeSet<Box<str>> {
        std::mem::take(&mut self.news)
    }

    fn add(&mut self, backend: &Backend) {
        let key = backend.name().key();
        if let Some((count, _)) = self.used.get_mut(key) {
            *count += 1;
        } else {
            self.used.insert(key.into(), (1, backend.servername().into()));
            self.news.insert(key.into());
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some((count, _)) = self.used.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.used.remove(key);
                self.news.insert(key.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::Report;
    use crate::model::parts::Parts;
    use serde_json::json;

    #[test]
    fn an_address_or_a_host_is_an_upstream_of_one_server() {
        for name in ["127.0.0.1", "127.0.0.1:8080", "h.test:1", "h.test", "h:80", "[::1]:1"] {
            let upstream = upstream(name).unwrap();
            assert_eq!((upstream.servers.len(), upstream.servers[0].max_fails), (1, 0), "{name}");
        }
        for name in ["u 17", "unix:/x", "h:0", "", "web", "localhost"] {
            assert_eq!(upstream(name), None, "{name}");
        }
    }

    #[test]
    fn whatever_is_no_address_and_no_host_is_warned_of() {
        for name in ["127.0.0.1", "h.test", "h:80", "[::1]"] {
            assert_eq!(advice(name), None, "{name}");
        }
        for name in ["up1", "localhost"] {
            let told = advice(name).unwrap();
            assert!(told.contains("502 until") && told.ends_with(&format!("{name}:80")), "{told}");
        }
        assert!(advice("u 17").unwrap().ends_with("502 until there is"));
    }

    #[test]
    fn names_are_counted() {
        let rules = |names: &[&str]| {
            let rules: serde_json::Map<_, _> = (names.iter().enumerate())
                .map(|(number, name)| {
                    let succ = format!("f{}", number + 1);
                    let filter = json!({"type": "ua", "args": {"pattern": "", "fail": name, "succ": succ}});
                    (format!("f{number}"), filter)
                })
                .chain([(format!("f{}", names.len()), json!({"type": "ua", "args": {"pattern": ""}}))])
                .chain(names.iter().map(|name| {
                    ((*name).to_owned(), json!({"type": "backend", "args": {"servername": name}}))
                }))
                .collect();
            let given = json!({"init": "f0", "rules": rules});
            RuleSet::read(&given, "", &Parts::default(), &mut Report::default()).unwrap()
        };
        let (a, b) = (rules(&["Up1", "up2"]), rules(&["up1"]));
        let mut names = Servernames::default();
        let news = |names: &mut Servernames| names.take_news().into_iter().collect::<Vec<_>>();
        names.replace(None, Some(&a));
        names.replace(None, Some(&b));
        assert_eq!(news(&mut names), ["up1".into(), "up2".into()]);
        assert_eq!((names.spelling("up1"), names.spelling("up2")), (Some("Up1"), Some("up2")));
        names.replace(Some(&a), Some(&b));
        assert_eq!((news(&mut names), names.spelling("up2")), (vec!["up2".into()], None));
        names.replace(Some(&b), None);
        assert_eq!(news(&mut names), []);
        names.replace(Some(&b), None);
        assert_eq!((news(&mut names), names.spelling("up1")), (vec!["up1".into()], None));
    }
}
