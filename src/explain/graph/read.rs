//! What there is to draw: each rule with its question, and its links.
//!
//! It owns that picture of the JSON, never a form of drawing. It reads the JSON and not the checked rules, so that rules which
//! nothing leads to are drawn too. Next: [`text`](super::text), [`words`](super::words) and
//! [`json`](super::json) draw it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::explain::candidate::candidate;
use crate::model::{Fault, Library};

/// Characters of a label; what is longer ends in an ellipsis.
const LABEL: usize = 60;

/// A rule set to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    pub(super) domain: String,
    /// The first one is where a walk begins; then as a walk comes to them, and last those that none comes to.
    pub(super) rules: Vec<Rule>,
}

/// A rule in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) kind: String,
    /// What it asks, or where it ends.
    pub(super) about: String,
    /// Which answer leads to which rule, by its place.
    pub(super) links: Vec<(String, usize)>,
    /// A walk may come to it.
    pub(super) is_reached: bool,
}

impl Drawing {
    /// The drawing of a domain's rule set.
    ///
    /// # Errors
    /// The first fault of the rule set.
    pub fn read(domain: &str, rules: &Value) -> Result<Drawing, Fault> {
        candidate(&json!({"domains": {domain: rules}}), Library::default())?;
        let (Some(given), Some(init)) = (rules["rules"].as_object(), rules["init"].as_str()) else {
            return Err(Fault::new("", "must be an object with init and rules"));
        };
        let mut order: Vec<&str> = Vec::new();
        let mut stack = vec![init];
        while let Some(name) = stack.pop() {
            if !order.contains(&name) {
                order.push(name);
                stack.extend(links(&given[name]).into_iter().rev().map(|(_, to)| to));
            }
        }
        let reached = order.len();
        let rest: Vec<&str> = given.keys().map(String::as_str).filter(|name| !order.contains(name)).collect();
        order.extend(rest);
        let places: HashMap<&str, usize> = order.iter().copied().zip(0..).collect();
        let rule = |(at, name): (usize, &&str)| {
            let rule = &given[*name];
            let links = links(rule).into_iter().filter_map(|(word, to)| Some((word, *places.get(to)?)));
            Rule {
                name: (*name).to_owned(),
                kind: rule["type"].as_str().unwrap_or_default().to_owned(),
                about: about(&rule["args"]),
                links: links.collect(),
                is_reached: at < reached,
            }
        };
        Ok(Drawing { domain: domain.to_owned(), rules: order.iter().enumerate().map(rule).collect() })
    }
}

/// Where a rule leads, and by which of its arguments.
fn links(rule: &Value) -> Vec<(String, &str)> {
    let args = &rule["args"];
    let named = ["succ", "fail"].into_iter().filter_map(|word| Some((word.to_owned(), args[word].as_str()?)));
    let arms = args["arms"].as_array().into_iter().flatten().filter_map(|arm| {
        let weight = &arm["weight"];
        Some((
            if weight.is_null() { "arm".to_owned() } else { format!("weight {weight}") },
            arm["rule"].as_str()?,
        ))
    });
    named.chain(arms).collect()
}

/// The arguments of a rule without its links: a lone one by its value, several with their names.
fn about(args: &Value) -> String {
    let none = Map::new();
    let rest: Vec<(&String, &Value)> = args
        .as_object()
        .unwrap_or(&none)
        .iter()
        .filter(|(name, value)| {
            !matches!(name.as_str(), "succ" | "fail" | "arms") && **value != Value::Bool(false)
        })
        .collect();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let words: Vec<String> = rest
        .iter()
        .map(|(name, value)| match (name.as_str(), value) {
            ("pattern" | "servername", value) => text(value),
            (name, Value::Bool(true)) => name.to_owned(),
            (name, value) => format!("{name}={}", text(value)),
        })
        .collect();
    let whole = words.join(" ");
    match whole.char_indices().nth(LABEL) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_stand_in_the_order_of_a_walk_and_those_that_none_comes_to_last() {
        let rules = json!({"init": "a", "rules": {
            "z": {"type": "backend", "args": {"servername": "none"}},
            "b": {"type": "backend", "args": {"servername": "up", "X-A": "1"}},
            "a": {"type": "path", "args": {"pattern": "^/x", "regex": true, "rewrite": false, "succ": "b", "fail": "c"}},
            "c": {"type": "ua", "args": {"pattern": "x".repeat(100), "succ": "b"}}}});
        let drawing = Drawing::read("d", &rules).unwrap();
        let rows: Vec<_> = drawing.rules.iter().map(|rule| (rule.name.as_str(), rule.is_reached)).collect();
        assert_eq!(rows, [("a", true), ("b", true), ("c", true), ("z", false)]);
        assert_eq!(drawing.rules[0].links, [("succ".to_owned(), 1), ("fail".to_owned(), 2)]);
        assert_eq!(
            (drawing.rules[0].about.as_str(), drawing.rules[1].about.as_str()),
            ("^/x regex", "up X-A=1")
        );
        assert_eq!(drawing.rules[2].about.chars().count(), LABEL + 1);
        assert!(Drawing::read("d", &json!({"init": "a", "rules": {}})).is_err());
    }
}
