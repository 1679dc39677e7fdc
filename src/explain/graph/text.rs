//! A rule set as a tree in a terminal.
//!
//! It owns the lines of that tree. A rule that several lead to is drawn once, and named after that. Next:
//! [`words`](super::words) draws for programs.

use std::fmt::Write;

use super::read::{Drawing, Rule};

impl Drawing {
    /// A tree of lines.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", clean(&self.domain));
        let mut drawn = vec![false; self.rules.len()];
        if !self.rules.is_empty() {
            self.branch(&mut out, &mut drawn, "", true, None, 0);
        }
        for (at, rule) in self.rules.iter().enumerate().filter(|(_, rule)| !rule.is_reached) {
            if !drawn[at] {
                let _ = writeln!(out, "no rule leads to {}", clean(&rule.name));
                self.branch(&mut out, &mut drawn, "", true, None, at);
            }
        }
        out
    }

    /// A rule and what is behind it. Every rule is drawn once, and a walk is no longer than a rule set, which bounds this.
    fn branch(
        &self,
        out: &mut String,
        drawn: &mut [bool],
        indent: &str,
        last: bool,
        word: Option<&str>,
        at: usize,
    ) {
        let Some(rule) = self.rules.get(at) else { return };
        let fork = if last { "└─ " } else { "├─ " };
        let word = word.map(|word| format!("{word}: ")).unwrap_or_default();
        if drawn.get(at).copied().unwrap_or_default() {
            let _ = writeln!(out, "{indent}{fork}{word}{}, see above", clean(&rule.name));
            return;
        }
        drawn[at] = true;
        let _ = writeln!(out, "{indent}{fork}{word}{}", label(rule));
        let indent = format!("{indent}{}", if last { "   " } else { "│  " });
        for (number, (word, to)) in rule.links.iter().enumerate() {
            self.branch(out, drawn, &indent, number + 1 == rule.links.len(), Some(word), *to);
        }
    }
}

fn label(rule: &Rule) -> String {
    clean(&format!("{} {} {}", rule.name, rule.kind, rule.about)).trim_end().to_owned()
}

/// Nothing in it moves the cursor of a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tree_draws_each_rule_once() {
        let rules = json!({"init": "a", "rules": {
            "a": {"type": "path", "args": {"pattern": "/x", "succ": "c", "fail": "b"}},
            "b": {"type": "ua", "args": {"pattern": "curl", "succ": "c", "fail": "d"}},
            "c": {"type": "backend", "args": {"servername": "up1"}},
            "d": {"type": "backend", "args": {"servername": "up2"}},
            "z": {"type": "backend", "args": {"servername": "\u{1b}"}}}});
        let expected = "\
d.test
└─ a path /x
   ├─ succ: c backend up1
   └─ fail: b ua curl
      ├─ succ: c, see above
      └─ fail: d backend up2
no rule leads to z
└─ z backend \u{fffd}
";
        assert_eq!(Drawing::read("d.test", &rules).unwrap().text(), expected);
    }
}
