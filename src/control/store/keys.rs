//! How a rule set and a server are named in etcd, both ways.
//!
//! It owns the spelling of keys (`/$ELBNAME/rules/$domain`, `/$ELBNAME/upstreams/$upstream/$server`,
//! `/$ELBNAME/upstreams/$upstream/@options`; and `/$ELBNAME/certs/$name` and `/$ELBNAME/@nodes/$id`, which are no data), and where they
//! lie; never a value or a connection. Next: [`etcd`](super::etcd) reads keys with it, [`merge`](super::merge) writes them, [`nodes`](super::nodes) has its own.

use crate::model::{KeyChange, OPTIONS};

/// The keys of one ELB name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    prefix: String,
}

/// Keys from the first one to before the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) from: Vec<u8>,
    pub(super) end: Vec<u8>,
}

/// What a key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// The rule set of a domain; a domain may contain slashes.
    Rule {
        /// The domain.
        domain: String,
    },
    /// A server of an upstream, or its options. The upstream ends at the first slash, so that `unix:/path` can be a server.
    Server {
        /// The upstream.
        upstream: String,
        /// The server as written, or [`OPTIONS`].
        server: String,
    },
}

impl Keys {
    /// The keys of the ELB called `name`.
    pub(super) fn new(name: &str) -> Keys {
        Keys { prefix: format!("/{}/", name.trim_matches('/')) }
    }

    /// Where all data lie: rules and upstreams, and whatever sorts between them. It is one range, because one watch is one order
    /// of events; and it holds none of `/$ELBNAME/@nodes/`, of which each ELB would otherwise be told at each change of any.
    pub(super) fn data(&self) -> KeyRange {
        let key = |rest: &str| format!("{}{rest}", self.prefix).into_bytes();
        // `0` is what comes after a slash.
        KeyRange { from: key("rules/"), end: key("upstreams0") }
    }

    /// The same with all certificates: they lie right before data, so that one watch can have both.
    pub(super) fn data_and_certificates(&self) -> KeyRange {
        KeyRange { from: self.certificates().from, ..self.data() }
    }

    /// Where all certificates are.
    pub(super) fn certificates(&self) -> KeyRange {
        let key = |rest: &str| format!("{}{rest}", self.prefix).into_bytes();
        KeyRange { from: key("certs/"), end: key("certs0") }
    }

    /// The key of a certificate.
    pub(super) fn certificate(&self, name: &str) -> String {
        format!("{}certs/{name}", self.prefix)
    }

    /// Which certificate the key text is of, if it is of one.
    pub(super) fn certificate_at(&self, text: &[u8]) -> Option<String> {
        let name = text.strip_prefix(self.prefix.as_bytes())?.strip_prefix(b"certs/")?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// Where all nodes are.
    pub(super) fn nodes(&self) -> KeyRange {
        let key = |rest: &str| format!("{}{rest}", self.prefix).into_bytes();
        KeyRange { from: key("@nodes/"), end: key("@nodes0") }
    }

    /// The key of a node.
    pub(super) fn node(&self, id: &str) -> String {
        format!("{}@nodes/{id}", self.prefix)
    }

    /// The key text of `key`.
    pub(super) fn write(&self, key: &Key) -> String {
        match key {
            Key::Rule { domain } => format!("{}rules/{domain}", self.prefix),
            Key::Server { upstream, server } => format!("{}upstreams/{upstream}/{server}", self.prefix),
        }
    }

    /// What the key text names; nothing if it is not data: another folder, no name, not UTF-8, or a segment that
    /// begins with `@`, which is how ELB marks keys of its own, the options of an upstream excepted.
    pub(super) fn read(&self, text: &[u8]) -> Option<Key> {
        let rest = std::str::from_utf8(text).ok()?.strip_prefix(&self.prefix)?;
        if is_marked(rest) {
            return None;
        }
        match rest.split_once('/')? {
            ("rules", domain) if !domain.is_empty() => Some(Key::Rule { domain: domain.to_owned() }),
            ("upstreams", path) => {
                let (upstream, server) = path.split_once('/')?;
                let named = !upstream.is_empty() && !server.is_empty();
                named.then(|| Key::Server { upstream: upstream.to_owned(), server: server.to_owned() })
            }
            _ => None,
        }
    }

    /// Whether the key text stands where data stands, carries no mark of ours, and still names nothing: a typing
    /// error, which the log tells.
    pub(super) fn is_stray(&self, text: &[u8]) -> bool {
        let shown = String::from_utf8_lossy(text);
        let rest = shown.strip_prefix(&self.prefix).unwrap_or_default();
        let among_data = matches!(rest.split_once('/'), Some(("rules" | "upstreams", _)));
        among_data && !is_marked(rest) && self.read(text).is_none()
    }

    /// Whether `key`, once written, would be read back as itself. `a/b` is no name for an upstream, because its
    /// servers would be found under `a`.
    pub(super) fn holds(&self, key: &Key) -> bool {
        self.read(self.write(key).as_bytes()).as_ref() == Some(key)
    }
}

/// Whether a key below the prefix is none of data.
fn is_marked(rest: &str) -> bool {
    let mut segments = rest.split('/');
    let is_options = matches!(
        (segments.next(), segments.next(), segments.next(), segments.next()),
        (Some("upstreams"), Some(upstream), Some(OPTIONS), None) if !upstream.starts_with('@')
    );
    !is_options && rest.split('/').any(|segment| segment.starts_with('@'))
}

impl Key {
    /// The key that a change is about.
    pub(super) fn of(change: &KeyChange) -> Key {
        match change {
            KeyChange::Rule { domain, .. } => Key::Rule { domain: domain.clone() },
            KeyChange::Server { upstream, server, .. } => {
                Key::Server { upstream: upstream.clone(), server: server.clone() }
            }
        }
    }

    /// The change that sets this key to `text`, or removes it.
    pub(super) fn change(self, text: Option<String>) -> KeyChange {
        match self {
            Key::Rule { domain } => KeyChange::Rule { domain, text },
            Key::Server { upstream, server } => KeyChange::Server { upstream, server, text },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(domain: &str) -> Key {
        Key::Rule { domain: domain.into() }
    }

    fn server(upstream: &str, server: &str) -> Key {
        Key::Server { upstream: upstream.into(), server: server.into() }
    }

    #[test]
    fn keys_are_read_as_they_were_written() {
        let keys = Keys::new("ELB");
        for (key, text) in [
            (rule("www.example.com"), "/ELB/rules/www.example.com"),
            (rule("example.com/with/slashes"), "/ELB/rules/example.com/with/slashes"),
            (rule("[::1]:8080"), "/ELB/rules/[::1]:8080"),
            (server("up", "10.0.0.1:80"), "/ELB/upstreams/up/10.0.0.1:80"),
            (server("up", "unix:/run/app.sock"), "/ELB/upstreams/up/unix:/run/app.sock"),
            (server("up", "@options"), "/ELB/upstreams/up/@options"),
        ] {
            assert_eq!(keys.write(&key), text);
            assert_eq!(keys.read(text.as_bytes()), Some(key.clone()));
            assert!(keys.holds(&key));
        }
    }

    #[test]
    fn what_is_not_data_is_not_read() {
        let keys = Keys::new("ELB");
        for text in [
            "/ELB/",
            "/ELB/rules",
            "/ELB/rules/",
            "/ELB/rules2/a.com",
            "/ELB2/rules/a.com",
            "/ELB/upstreams/up",
            "/ELB/upstreams/up/",
            "/ELB/upstreams//10.0.0.1:80",
            "/ELB/@nodes/1",
            "/ELB/rules/@note",
            "/ELB/upstreams/up/@balance",
            "/ELB/upstreams/up/@options/x",
            "/ELB/upstreams/up/x/@options",
            "/ELB/upstreams/@up/@options",
            "/ELB/upstreams//@options",
            "/ELB/rules/@options",
            "/ELB/@options",
            "/ELB/upstreams/@all/10.0.0.1:80",
            "ELB/rules/a.com",
        ] {
            assert_eq!(keys.read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(keys.read(b"/ELB/rules/\xff.com"), None);
    }

    #[test]
    fn a_slip_of_the_hand_is_told_from_keys_of_others() {
        let keys = Keys::new("ELB");
        for stray in [&b"/ELB/upstreams/up"[..], b"/ELB/rules/", b"/ELB/rules/\xff.com", b"/ELB/upstreams//s"]
        {
            assert!(keys.is_stray(stray));
        }
        for other in [&b"/ELB/rules/a.com"[..], b"/ELB/rules/@note", b"/ELB/@nodes/1", b"/ELB/certs/a", b"/x"]
        {
            assert!(!keys.is_stray(other));
        }
    }

    #[test]
    fn names_that_would_come_back_as_others_are_known() {
        let keys = Keys::new("ELB");
        for key in
            [rule(""), rule("@a"), server("a/b", "c"), server("", "c"), server("a", ""), server("a", "@c")]
        {
            assert!(!keys.holds(&key), "{key:?}");
        }
    }

    #[test]
    fn slashes_around_the_name_do_not_matter() {
        assert_eq!(Keys::new("/ELB/"), Keys::new("ELB"));
        assert_eq!(Keys::new("prod/ELB").node("a"), "/prod/ELB/@nodes/a");
    }

    #[test]
    fn one_range_holds_all_data_and_no_node() {
        let keys = Keys::new("ELB");
        let (data, nodes) = (keys.data(), keys.nodes());
        let holds = |range: &KeyRange, key: &str| {
            range.from.as_slice() <= key.as_bytes() && key.as_bytes() < range.end.as_slice()
        };
        for key in [
            "rules/a",
            "rules/[::1]",
            "rules/\u{10ffff}",
            "rules2/a",
            "upstreams/up/s",
            "upstreams/zz/@options",
        ] {
            let key = format!("/ELB/{key}");
            assert!(holds(&data, &key) && !holds(&nodes, &key), "{key}");
            assert!(
                holds(&keys.data_and_certificates(), &key) && !holds(&keys.certificates(), &key),
                "{key}"
            );
        }
        for name in ["a", "*.a.test", "~", "with/slash"] {
            let key = keys.certificate(name);
            assert!(holds(&keys.certificates(), &key) && holds(&keys.data_and_certificates(), &key), "{key}");
            assert!(!holds(&data, &key) && !holds(&nodes, &key), "{key}");
            assert_eq!(keys.certificate_at(key.as_bytes()).as_deref(), Some(name));
        }
        for key in ["/ELB/rules/a", "/ELB/certs2/a", "/ELB2/certs/a", "/ELB/certs"] {
            assert_eq!(keys.certificate_at(key.as_bytes()), None, "{key}");
        }
        for id in ["a", "edge-1.test:8080", "~"] {
            let key = keys.node(id);
            assert!(
                holds(&nodes, &key) && !holds(&data, &key) && keys.read(key.as_bytes()).is_none(),
                "{key}"
            );
        }
        for key in ["/ELB/@other", "/ELB2/rules/a", "/ELB2/@nodes/a", "/ELB"] {
            assert!(!holds(&nodes, key) && !holds(&data, key), "{key}");
        }
    }
}
