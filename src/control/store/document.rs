//! The JSON form of a whole store: `{"domains": {domain: rule set}, "upstreams": {name: {server: "parameters"}}}`.
//!
//! It owns the reading and writing of that text, never a file, and never what a rule set or a parameter means. Next:
//! [`file`](super::file) keeps such a document.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read, Write};
use std::marker::PhantomData;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{self, SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Contents, Servers, read_member};

/// Reads a document, piece by piece: the whole text would be as large as what comes of it. What is missing is empty; what is not known is refused, because it is most likely misspelt.
///
/// # Errors
/// What is wrong, with line and column.
pub(super) fn read(text: impl Read) -> Result<Contents, String> {
    let document = parse(serde_json::Deserializer::from_reader(text)).map_err(|error| error.to_string())?;
    let rules = document.domains.0.into_iter().map(|(domain, rules)| (domain, rules.0)).collect();
    let upstreams = document.upstreams.0.into_iter().map(|(name, servers)| (name, servers.0)).collect();
    Ok(Contents { rules, upstreams })
}

/// What is wrong with a document, and exactly where: who reads piece by piece has looked one byte ahead when it is told.
pub(super) fn fault(text: &[u8]) -> Option<String> {
    parse(serde_json::Deserializer::from_slice(text)).err().map(|error| error.to_string())
}

fn parse<'t>(
    mut json: serde_json::Deserializer<impl serde_json::de::Read<'t>>,
) -> serde_json::Result<Document> {
    let document = json.deserialize_map(Document::default())?;
    json.end()?;
    Ok(document)
}

/// Writes a document for people: indented, sorted by name, a rule set in the order it was given in. One rule set after the
/// other is read for that: all of them as values would take many times what is served.
///
/// # Errors
/// The rule set that is no JSON; whatever `out` says.
pub(super) fn write(contents: &Contents, mut out: impl Write) -> io::Result<()> {
    let document = Written { domains: RuleTexts(&contents.rules), upstreams: &contents.upstreams };
    serde_json::to_writer_pretty(&mut out, &document)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct Written<'c> {
    domains: RuleTexts<'c>,
    upstreams: &'c BTreeMap<String, Servers>,
}

/// Rule sets as texts, each written as the value that it is.
struct RuleTexts<'c>(&'c BTreeMap<String, String>);

impl Serialize for RuleTexts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_map(Some(self.0.len()))?;
        for (domain, text) in self.0 {
            let rules: Value = serde_json::from_str(text)
                .map_err(|error| ser::Error::custom(format_args!("rules of {domain}: {error}")))?;
            all.serialize_entry(domain, &rules)?;
        }
        all.end()
    }
}

#[derive(Default)]
struct Document {
    domains: Unique<Text>,
    upstreams: Unique<Unique<String>>,
}

/// Written out, because a derived reader would also take a list of two members.
impl<'de> Visitor<'de> for Document {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `domains` and `upstreams`")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Document, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            match key.as_str() {
                "domains" if !seen.contains(&key) => self.domains = entries.next_value()?,
                "upstreams" if !seen.contains(&key) => self.upstreams = entries.next_value()?,
                "domains" | "upstreams" => return Err(twice(&key)),
                _ => return Err(de::Error::unknown_field(&key, &["domains", "upstreams"])),
            }
            seen.insert(key);
        }
        Ok(self)
    }
}

fn twice<E: de::Error>(key: &str) -> E {
    E::custom(format_args!("{key:?} is there twice"))
}

/// Any value, as JSON in one line. As a value it would take many times as much memory, and there may be thousands.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Text(read_member(deserializer)?.to_string()))
    }
}

/// An object whose keys differ. JSON readers usually take the last of two equal keys, and half of a configuration
/// would be gone without a word.
struct Unique<V>(BTreeMap<String, V>);

impl<V> Default for Unique<V> {
    fn default() -> Self {
        Unique(BTreeMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object(PhantomData))
    }
}

struct Object<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Object<V> {
    type Value = Unique<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Unique<V>, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(twice(&key));
            }
            let value = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Unique(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(contents: &Contents) -> io::Result<String> {
        let mut out = Vec::new();
        write(contents, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_document_is_written_as_the_value_that_it_is() {
        let mut contents = Contents::default();
        let text = |value: &Value| format!("{value:#}\n");
        assert_eq!(written(&contents).unwrap(), text(&json!({"domains": {}, "upstreams": {}})));
        let rules = json!({"z": [1, {}, [], "\u{e9}\n"], "a": {"b": null, "c": 1.5e300}});
        contents.rules.insert("a\"b".to_owned(), rules.to_string());
        contents.upstreams.entry("up".to_owned()).or_default().insert("s".to_owned(), String::new());
        let document = json!({"domains": {"a\"b": rules}, "upstreams": {"up": {"s": ""}}});
        assert_eq!(written(&contents).unwrap(), text(&document));
    }

    #[test]
    fn a_document_is_read_and_written() {
        let text = r#"{"upstreams": {"up": {"10.0.0.1:80": "weight=3", "unix:/s": ""}},
                       "domains": {"b.com": {"z": 1, "a": 2}, "a.com": {}}}"#;
        let contents = read(text.as_bytes()).unwrap();
        assert_eq!(contents.rules["b.com"], r#"{"z":1,"a":2}"#, "the order within a rule set stays");
        assert_eq!(contents.upstreams["up"]["10.0.0.1:80"], "weight=3");
        let written = written(&contents).unwrap();
        assert_eq!(read(written.as_bytes()).unwrap(), contents);
        assert!(written.starts_with("{\n  \"domains\": {\n    \"a.com\": {},"), "{written}");
        assert!(written.ends_with("}\n"));
    }

    #[test]
    fn what_is_missing_is_empty() {
        assert_eq!(read(&b"{}"[..]), Ok(Contents::default()));
    }

    #[test]
    fn faults_are_told_with_their_place() {
        for (text, fault) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{\n \"domains\": {]}", "key must be a string at line 2 column 14"),
            ("{} {}", "trailing characters at line 1 column 4"),
            ("[]", "invalid type: sequence, expected"),
            (
                r#"{"domain": {}}"#,
                "unknown field `domain`, expected `domains` or `upstreams` at line 1 column 9",
            ),
            (r#"{"domains": []}"#, "expected an object at line 1 column 12"),
            (r#"{"upstreams": {"up": {"s": 1}}}"#, "expected a string at line 1 column 28"),
            (r#"{"domains": {"a": 1, "a": 2}}"#, "\"a\" is there twice at line 1 column 24"),
            (r#"{"upstreams": {"u": {"s": "", "s": ""}}}"#, "\"s\" is there twice"),
            (r#"{"domains": {"a": {"b": 1, "b": 1}}}"#, "\"b\" is there twice at line 1 column 30"),
            (r#"{"domains": {}, "domains": {}}"#, "\"domains\" is there twice at line 1 column 25"),
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
            let error = super::fault(text.as_bytes()).unwrap();
            assert!(error.contains(fault), "{text}: {error}");
        }
    }

    #[test]
    fn a_rule_set_that_is_no_json_is_not_written() {
        let mut contents = Contents::default();
        contents.rules.insert("a.com".into(), "{".into());
        assert!(written(&contents).unwrap_err().to_string().starts_with("rules of a.com: EOF"));
    }
}
