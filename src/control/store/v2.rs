//! What etcd's v2 API has of an ELB, read out of its answer and judged.
//!
//! It owns the form of that answer, and which of its keys can be copied; never a connection. Pure. Next:
//! [`copy`](mod@super::copy) writes what is left of it to v3.

use serde_json::Value;

use super::keys::{Key, Keys};
use crate::model::{Contents, KeyChange, State};

/// What the v2 API has below the name of an ELB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct V2 {
    /// What can be copied.
    pub contents: Contents,
    /// Keys that cannot, each with the reason.
    pub left: Vec<(String, String)>,
    /// Keys in other folders than those of rules and upstreams, which are none of ELB's.
    pub others: usize,
}

impl V2 {
    /// Reads the answer to `GET /v2/keys/$name?recursive=true`, which came with this status.
    ///
    /// # Errors
    /// That it is no such answer, or says that there is nothing, for people.
    pub fn read(status: u16, answer: &[u8], name: &str) -> Result<V2, String> {
        let told: Value = serde_json::from_slice(answer).unwrap_or_default();
        if let Some(code) = told["errorCode"].as_u64() {
            return Err(match code {
                100 => format!("there is no key /{name}; --name says which there is"),
                _ => format!(
                    "{} (error {code}, status {status})",
                    told["message"].as_str().unwrap_or("no reason")
                ),
            });
        }
        if status == 404 {
            return Err("there is no v2 API (404): etcd 3.4 and 3.5 have it with --enable-v2=true, later ones have none".to_owned());
        }
        if status != 200 || !told["node"].is_object() {
            return Err(format!("it answers {status}, and not as the v2 API does"));
        }
        let mut found = V2::default();
        let keys = Keys::new(name);
        // Not by recursion: what is nested as deep as JSON may be is no reason to end.
        let mut nodes = vec![&told["node"]];
        while let Some(node) = nodes.pop() {
            nodes.extend(node["nodes"].as_array().into_iter().flatten().rev());
            if node["dir"] != true {
                found.leaf(&keys, node);
            }
        }
        found.judge();
        Ok(found)
    }

    fn leaf(&mut self, keys: &Keys, node: &Value) {
        let written = node["key"].as_str().unwrap_or_default();
        let Some(key) = keys.read(written.as_bytes()) else {
            if keys.is_stray(written.as_bytes()) {
                self.left.push((written.to_owned(), "it names neither a domain nor a server".to_owned()));
            } else {
                self.others += 1;
            }
            return;
        };
        let change = key.change(node["value"].as_str().map(str::to_owned));
        match (change.text(), node["ttl"].as_i64()) {
            (None, _) => self.left.push((change.name(), "it has no value".to_owned())),
            (Some(_), Some(seconds)) => {
                let why = format!(
                    "it ends by itself in {seconds} s: whoever keeps it there has to write to v3, under a lease"
                );
                self.left.push((change.name(), why));
            }
            (Some(_), None) => self.contents.apply(change),
        }
    }

    /// Takes out what an ELB would not serve.
    fn judge(&mut self) {
        for rejected in State::new().load(self.contents.clone()).rejected {
            let place =
                if rejected.pointer.is_empty() { String::new() } else { format!("{}: ", rejected.pointer) };
            if let Some(key) = named(&rejected.key) {
                self.contents.apply(key.change(None));
            }
            self.left.push((rejected.key, format!("it is faulty: {place}{}", rejected.message)));
        }
    }

    /// All keys that are ELB's.
    #[must_use]
    pub fn count(&self) -> usize {
        self.changes().count() + self.left.len()
    }

    /// All that can be copied, as changes.
    pub(super) fn changes(&self) -> impl Iterator<Item = KeyChange> {
        let rules = self
            .contents
            .rules
            .iter()
            .map(|(domain, text)| KeyChange::Rule { domain: domain.clone(), text: Some(text.clone()) });
        let servers = self.contents.upstreams.iter().flat_map(|(upstream, servers)| {
            servers.iter().map(|(server, text)| KeyChange::Server {
                upstream: upstream.clone(),
                server: server.clone(),
                text: Some(text.clone()),
            })
        });
        rules.chain(servers)
    }
}

/// What a key without its prefix names.
fn named(key: &str) -> Option<Key> {
    Keys::new("x").read(format!("/x/{key}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(node: &Value) -> V2 {
        V2::read(200, json!({"action": "get", "node": node}).to_string().as_bytes(), "ELB").unwrap()
    }

    fn leaf(key: &str, value: &str) -> Value {
        json!({"key": key, "value": value, "modifiedIndex": 1, "createdIndex": 1})
    }

    #[test]
    fn what_cannot_be_copied_is_left_with_the_reason() {
        let good = r#"{"init":"r","rules":{"r":{"type":"backend","args":{"servername":"up"}}}}"#;
        let mut short = leaf("/ELB/upstreams/up/10.0.0.2:80", "");
        short["ttl"] = json!(30);
        let found = read(&json!({"key": "/ELB", "dir": true, "nodes": [
                    {"key": "/ELB/rules", "dir": true, "nodes": [
                        leaf("/ELB/rules/a.test", good),
        // No `Host` can say it.
                        {"key": "/ELB/rules/b.test", "dir": true, "nodes": [leaf("/ELB/rules/b.test/x", good)]},
                        leaf("/ELB/rules/bad.test", r#"{"init": "r9", "rules": {}}"#),
                        leaf("/ELB/rules/text.test", "no JSON"),
                    ]},
                    {"key": "/ELB/upstreams", "dir": true, "nodes": [
                        {"key": "/ELB/upstreams/empty", "dir": true},
                        leaf("/ELB/upstreams/stray", ""),
                        {"key": "/ELB/upstreams/up", "dir": true, "nodes": [
                            leaf("/ELB/upstreams/up/10.0.0.1:80", "weight=2"), short,
                            leaf("/ELB/upstreams/up/10.0.0.3:80", "weight=heavy"),
                            {"key": "/ELB/upstreams/up/unix:", "dir": true, "nodes": [
                                {"key": "/ELB/upstreams/up/unix:/run", "dir": true, "nodes": [
                                    leaf("/ELB/upstreams/up/unix:/run/a.sock", "backup"),
                                ]},
                            ]},
                        ]},
                    ]},
                    leaf("/ELB/notes", "of somebody else"),
                ]}));
        assert_eq!(found.contents.rules.keys().collect::<Vec<_>>(), ["a.test"]);
        assert_eq!(
            found.contents.upstreams["up"].keys().collect::<Vec<_>>(),
            ["10.0.0.1:80", "unix:/run/a.sock"]
        );
        assert_eq!((found.others, found.changes().count()), (1, 3));
        let left: Vec<String> = found.left.iter().map(|(key, why)| format!("{key}: {why}")).collect();
        for (key, why) in [
            ("/ELB/upstreams/stray", "names neither a domain nor a server"),
            ("upstreams/up/10.0.0.2:80", "it ends by itself in 30 s"),
            ("upstreams/up/10.0.0.3:80", "it is faulty: "),
            ("rules/bad.test", "it is faulty: /init: there is no rule r9"),
            ("rules/text.test", "it is faulty: is not JSON"),
            ("rules/b.test/x", "it is faulty: "),
        ] {
            let is_told = left.iter().any(|line| line.starts_with(&format!("{key}: ")) && line.contains(why));
            assert!(is_told, "{key}: {why} in {left:#?}");
        }
        assert_eq!(left.len(), 6);
    }

    #[test]
    fn an_answer_that_has_no_keys_is_told_from_one_that_has() {
        let missing = br#"{"errorCode":100,"message":"Key not found","cause":"/ELB","index":3}"#;
        for (status, answer, why) in [
            (404, &missing[..], "there is no key /ELB; --name"),
            (
                401,
                br#"{"errorCode":110,"message":"The request requires user authentication"}"#,
                "requires user",
            ),
            (404, b"404 page not found\n", "--enable-v2=true"),
            (200, b"hello", "answers 200, and not as"),
            (500, b"", "answers 500, and not as"),
        ] {
            let told = V2::read(status, answer, "ELB").unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        assert_eq!(read(&json!({"key": "/ELB", "dir": true})), V2::default());
    }
}
