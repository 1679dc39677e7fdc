//! `elb ctl domain` and `elb ctl upstream`.
//!
//! It owns what a list shows of each. Next: [`edit`] changes one in an editor.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::change::{Api, Outcome, Trouble};
use super::edit;
use crate::command::api::{Call, Given, segment};
use crate::command::columns::{columns, plain};
use crate::command::document;
use crate::settings::ItemVerb;

/// Items of a list that are asked for at once.
const PAGE: usize = 1_000;

/// Of which kind an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Domain,
    Upstream,
}

impl Kind {
    /// Its collection.
    pub(super) const fn endpoint(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Upstream => "upstream",
        }
    }

    fn path(self, name: &str) -> String {
        format!("{}/{}", self.endpoint(), segment(name))
    }
}

/// Carries a command out.
pub(super) fn item(api: Api<'_>, kind: Kind, verb: &ItemVerb) -> Result<Outcome, Trouble> {
    match verb {
        ItemVerb::Ls { filter } => list(api, kind, filter.as_deref()),
        ItemVerb::Get { name } => {
            let told = api.get(&kind.path(name))?.value;
            Ok(if api.json { format!("{told}\n") } else { format!("{told:#}\n") }.into())
        }
        ItemVerb::Put { name, file, how } => {
            let body = document::read(file).map_err(Trouble::Own)?.to_string();
            let call = Call {
                method: Some("PUT"),
                endpoint: &kind.path(name),
                body: Some(body),
                given: Given::Anything,
            };
            Ok(api.change(call, how)?)
        }
        ItemVerb::Rm { names, how } => match &names[..] {
            [name] => Ok(api.change(
                Call { method: Some("DELETE"), endpoint: &kind.path(name), ..Call::default() },
                how,
            )?),
            names => {
                let body = Some(json!(names).to_string());
                let call =
                    Call { method: Some("DELETE"), endpoint: kind.endpoint(), body, given: Given::Anything };
                Ok(api.change(call, how)?)
            }
        },
        ItemVerb::Edit { name, how } => edit::edit(api, &kind.path(name), how),
    }
}

fn list(api: Api<'_>, kind: Kind, filter: Option<&str>) -> Result<Outcome, Trouble> {
    let mut all = serde_json::Map::new();
    let filter = filter.map(|text| format!("&filter={}", segment(text))).unwrap_or_default();
    let mut after = String::new();
    loop {
        let endpoint = format!("{}?limit={PAGE}{filter}{after}", kind.endpoint());
        let Value::Object(page) = api.get(&endpoint)?.value else { break };
        let (count, last) = (page.len(), page.keys().next_back().cloned());
        all.extend(page);
        match last {
            Some(last) if count == PAGE => after = format!("&after={}", segment(&last)),
            _ => break,
        }
    }
    if api.json {
        return Ok(format!("{}\n", Value::Object(all)).into());
    }
    let heads: &[&str] = match kind {
        Kind::Domain => &["DOMAIN", "RULES", "LEADS TO"],
        Kind::Upstream => &["UPSTREAM", "SERVERS", "NOT IN USE"],
    };
    let mut rows = vec![heads.iter().map(ToString::to_string).collect::<Vec<_>>()];
    rows.extend(all.iter().map(|(name, value)| match kind {
        Kind::Domain => domain(name, value),
        Kind::Upstream => upstream(name, value),
    }));
    Ok(columns(&rows).into())
}

fn domain(name: &str, rules: &Value) -> Vec<String> {
    let rules = rules["rules"].as_object();
    let ends = rules.into_iter().flatten().filter_map(|(_, rule)| rule["args"]["servername"].as_str());
    let ends: BTreeSet<&str> = ends.collect();
    let ends = ends.into_iter().map(plain).collect::<Vec<_>>().join(" ");
    vec![plain(name), rules.map_or(0, serde_json::Map::len).to_string(), ends]
}

fn upstream(name: &str, servers: &Value) -> Vec<String> {
    let servers: Vec<&Value> = servers.as_array().into_iter().flatten().collect();
    let is_out = |server: &&&Value| server["down"] == true || server["drain"] == true;
    let out: Vec<String> = servers
        .iter()
        .filter(is_out)
        .map(|server| {
            let word = if server["down"] == true { "down" } else { "drain" };
            format!("{} {word}", plain(server["name"].as_str().unwrap_or_default()))
        })
        .collect();
    vec![plain(name), servers.len().to_string(), out.join(", ")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_where_a_domain_leads_and_which_servers_are_out() {
        let to = |name: &str| json!({"type": "backend", "args": {"servername": name}});
        let rules = json!({"init": "a", "rules": {"a": {"type": "ua", "args": {}}, "b": to("up2"), "c": to("up1"), "d": to("up1")}});
        assert_eq!(domain("x.test", &rules), ["x.test", "4", "up1 up2"]);
        assert_eq!(domain("x.test", &Value::Null), ["x.test", "0", ""]);
        let servers = json!([{"name": "a:1"}, {"name": "b:1", "drain": true}, {"name": "c:1", "down": true, "drain": true}]);
        assert_eq!(upstream("up", &servers), ["up", "3", "b:1 drain, c:1 down"]);
    }
}
