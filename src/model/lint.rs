//! What a rule set says that is surely not meant, though it can be served as it is.
//!
//! It owns what only the whole of a set shows: rules that no way leads to, and rules whose answer is known before they are
//! asked. What a single argument shows is said where it is read (`rule`). Next: [`ruleset`](super::ruleset) asks, and
//! [`Ask::covers`](super::rule) of each type says what follows from its answers.

use super::fault::{Report, step};
use super::graph::Graph;
use crate::warning::Code;

/// Answers that are kept of one way, the newest: what lies further back is hardly what shadows a rule, and 1024 rules in a
/// row would be compared half a million times.
const KNOWN: usize = 64;

/// The answers that every way to a rule has had: rule and answer, in the order of the rules.
type Known = Vec<(u16, bool)>;

/// Warns of what is found. `names` are those of all rules, in the order given.
pub(super) fn lint<'n>(graph: &Graph, names: impl Iterator<Item = &'n str>, report: &mut Report) {
    let reached: std::collections::BTreeSet<&str> = graph.names().collect();
    for name in names.filter(|name| !reached.contains(name)) {
        let message =
            "no way through the rules leads here: neither init nor a link of a rule that is reached";
        report.warn(Code::UnreachableRule, format!("/rules{}", step(name)), message);
    }
    let mut known: Vec<Option<Known>> = vec![None; graph.names().count()];
    for rule in 0..known.len() {
        let so_far = known[rule].take().unwrap_or_default();
        let here = rule as u16;
        warn_of_shadow(graph, here, &so_far, report);
        for (answer, next) in graph.links(here).iter().enumerate() {
            if let Some(of_next) = known.get_mut(usize::from(*next)) {
                let along = along(graph, here, answer == 1, &so_far);
                *of_next = Some(match of_next.take() {
                    None => along,
                    Some(others) => others.into_iter().filter(|one| along.contains(one)).collect(),
                });
            }
        }
    }
}

/// What is known behind a rule that answered so.
fn along(graph: &Graph, rule: u16, answer: bool, so_far: &Known) -> Known {
    let asked = graph.rule(rule);
    let changes = asked.is_some_and(|rule| rule.changes_path(answer));
    let stays =
        |known: &(u16, bool)| !changes || graph.rule(known.0).is_none_or(|rule| rule.kind() != "path");
    let mut known: Known = so_far.iter().copied().filter(stays).collect();
    if asked.is_some_and(|asked| asked.covers(asked)) && !changes {
        known.push((rule, answer));
    }
    known.drain(..known.len().saturating_sub(KNOWN));
    known
}

fn warn_of_shadow(graph: &Graph, number: u16, so_far: &Known, report: &mut Report) {
    let Some(rule) = graph.rule(number) else { return };
    let shadow = so_far.iter().rev().find_map(|&(before, answer)| {
        let earlier = graph.rule(before)?;
        let is_answered = if answer { rule.covers(earlier) } else { earlier.covers(rule) };
        is_answered.then_some((before, answer))
    });
    if let Some((before, answer)) = shadow {
        let (always, branch, said) =
            if answer { ("yes", "succ", "yes to no more") } else { ("no", "fail", "no to as much") };
        let name = graph.name(before);
        let message = format!(
            "its answer is always {always}: on every way here {name} has said {said}, so this rule does nothing but \
             lead to {branch}"
        );
        report.warn(Code::ShadowedRule, format!("/rules{}", step(graph.name(number))), message);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::fault::Report;
    use crate::model::parts::Parts;
    use crate::model::ruleset::RuleSet;
    use serde_json::{Value, json};

    /// What is said of rules, each `(name, type, args)`, that end at `a` and `b`.
    fn told(rules: &[(&str, &str, Value)]) -> Vec<String> {
        let mut all: serde_json::Map<_, _> = rules
            .iter()
            .map(|(name, kind, args)| ((*name).to_owned(), json!({"type": kind, "args": args})))
            .collect();
        for end in ["a", "b"] {
            all.insert(end.to_owned(), json!({"type": "backend", "args": {"servername": "127.0.0.1"}}));
        }
        let given = json!({"init": rules[0].0, "rules": all});
        let mut report = Report::default();
        RuleSet::read(&given, "", &Parts::default(), &mut report).unwrap_or_else(|| panic!("{report:?}"));
        report.warnings.iter().map(|one| format!("{} {}", one.code.word(), one.pointer)).collect()
    }

    fn path(pattern: &str, succ: &str, fail: &str) -> Value {
        json!({"pattern": pattern, "succ": succ, "fail": fail})
    }

    #[test]
    fn a_rule_that_no_way_leads_to() {
        let rules = [
            ("r", "path", path("/x", "a", "b")),
            ("s", "path", path("/y", "t", "a")),
            ("t", "ua", json!({"pattern": "x", "succ": "a", "fail": "b"})),
        ];
        assert_eq!(told(&rules), ["unreachable-rule /rules/s", "unreachable-rule /rules/t"]);
    }

    #[test]
    fn a_rule_behind_one_that_took_all_of_it() {
        let shadowed = ["shadowed-rule /rules/s"];
        for (first, second, found) in [
            (path("/a", "a", "s"), path("/a/b", "a", "b"), true),
            (path("/a", "a", "s"), path("/a", "a", "b"), true),
            (path("/a/b", "a", "s"), path("/a", "a", "b"), false),
            (path("/a/b", "s", "a"), path("/a", "a", "b"), true),
            (path("/a", "s", "a"), path("/a/b", "a", "b"), false),
            (path("", "a", "s"), path("/b", "a", "b"), true),
        ] {
            let rules = [("r", "path", first), ("s", "path", second)];
            assert_eq!(told(&rules), shadowed[..usize::from(found)], "{rules:?}");
        }
        for (kind, first, second, found) in [
            ("ua", json!({"pattern": "bot"}), json!({"pattern": "bot"}), true),
            ("ua", json!({"pattern": "bot"}), json!({"pattern": "b"}), false),
            ("header", json!({"name": "X-A"}), json!({"name": "x-a", "pattern": "1"}), true),
            ("header", json!({"name": "X-A", "pattern": "1"}), json!({"name": "x-a"}), false),
            ("header", json!({"name": "X-A"}), json!({"name": "X-B"}), false),
            ("cookie", json!({"name": "A"}), json!({"name": "a"}), false),
            (
                "query",
                json!({"name": "q", "pattern": "a", "match": "prefix"}),
                json!({"name": "q", "pattern": "ab"}),
                true,
            ),
            ("method", json!({"methods": ["GET", "HEAD"]}), json!({"methods": ["HEAD"]}), true),
            ("method", json!({"methods": ["GET"]}), json!({"methods": ["GET", "HEAD"]}), false),
            (
                "client",
                json!({"cidrs": ["10.0.0.0/8", "::1"]}),
                json!({"cidrs": ["10.1.0.0/16", "::1"]}),
                true,
            ),
            ("client", json!({"cidrs": ["10.1.0.0/16"]}), json!({"cidrs": ["10.0.0.0/8"]}), false),
            ("host", json!({"pattern": "a", "match": "prefix"}), json!({"pattern": "a.test"}), true),
        ] {
            let links = |mut args: Value, succ: &str, fail: &str| {
                (args["succ"], args["fail"]) = (succ.into(), fail.into());
                args
            };
            let rules = [("r", kind, links(first, "a", "s")), ("s", kind, links(second, "a", "b"))];
            assert_eq!(told(&rules), shadowed[..usize::from(found)], "{rules:?}");
        }
    }

    #[test]
    fn what_another_way_leaves_open_shadows_nothing() {
        let ua = |succ: &str, fail: &str| json!({"pattern": "x", "succ": succ, "fail": fail});
        // One way to s has not asked r.
        let rules = [
            ("q", "ua", ua("r", "s")),
            ("r", "path", path("/a", "a", "s")),
            ("s", "path", path("/a/b", "a", "b")),
        ];
        assert_eq!(told(&rules), [""; 0]);
        // Both ways have, through a question between.
        let rules = [
            ("r", "path", path("/a", "a", "q")),
            ("q", "ua", ua("s", "s")),
            ("s", "path", path("/a/b", "a", "b")),
        ];
        assert_eq!(told(&rules), ["shadowed-rule /rules/s"]);
    }

    #[test]
    fn another_path_is_another_question() {
        let rewrite = json!({"strip_prefix": "/x", "succ": "s"});
        let rules = [
            ("r", "path", path("/a", "a", "w")),
            ("w", "rewrite", rewrite),
            ("s", "path", path("/a", "a", "b")),
        ];
        assert_eq!(told(&rules), [""; 0]);
        let cut = json!({"pattern": "^/x(/.*)", "regex": true, "rewrite": true, "succ": "s", "fail": "b"});
        let rules =
            [("r", "path", path("/a", "a", "w")), ("w", "path", cut), ("s", "path", path("/a", "a", "b"))];
        assert_eq!(told(&rules), [""; 0]);
    }
}
