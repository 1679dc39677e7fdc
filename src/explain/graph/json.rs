//! A rule set as JSON, for a program that lays it out itself.
//!
//! It owns the members. Next: [`read`](super::read) for what is drawn.

use serde_json::{Value, json};

use super::read::{Drawing, Rule};

impl Drawing {
    /// `{"domain", "rules": [{"name", "type", "about", "is_reached", "links": [{"word", "to", "heat"}, …]}, …]}`. A walk begins
    /// at the first rule; `to` is the place of one in the list. `heat` is for whoever counts requests.
    #[must_use]
    pub fn json(&self) -> Value {
        let rule = |rule: &Rule| {
            let link = |(word, to): &(String, usize)| json!({"word": word, "to": to, "heat": null});
            json!({
                "name": rule.name,
                "type": rule.kind,
                "about": rule.about,
                "is_reached": rule.is_reached,
                "links": rule.links.iter().map(link).collect::<Value>(),
            })
        };
        json!({"domain": self.domain, "rules": self.rules.iter().map(rule).collect::<Value>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_places_in_the_list() {
        let rules = json!({"init": "a", "rules": {
            "b": {"type": "backend", "args": {"servername": "up"}},
            "a": {"type": "path", "args": {"pattern": "/x", "succ": "b"}}}});
        let expected = json!({"domain": "d", "rules": [
            {"name": "a", "type": "path", "about": "/x", "is_reached": true,
             "links": [{"word": "succ", "to": 1, "heat": null}]},
            {"name": "b", "type": "backend", "about": "up", "is_reached": true, "links": []}]});
        assert_eq!(Drawing::read("d", &rules).unwrap().json(), expected);
    }
}
