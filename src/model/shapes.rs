//! The shapes in which the admin API gives servers out, read back as what a PUT takes: a string of parameters for each server.
//!
//! It owns that translation and no grammar: the parameters that come of it are read like any others. What only says how a server
//! does (`addr` beside a name, `addresses`) is no part of what is meant. Next: [`upstream`](super::upstream) reads what comes of it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::fault::Fault;
use super::upstream_options::{OPTIONS, UpstreamOptions};

/// What `GET` shows of a server beside its parameters.
const SHOWN: &[&str] = &["name", "addr", "addresses"];
/// Parameters that are numbers, and those that are there or not.
const NUMBERS: &[&str] = &["weight", "max_fails", "fail_timeout", "max_conns", "slow_start"];
const MARKS: &[&str] = &["backup", "down", "drain"];

/// The servers of an upstream as an object, server → parameters: as they are, or out of `[{"name", "weight", …}, …]` or
/// `{"options", "servers": [{…}, …]}`.
///
/// # Errors
/// Where it is neither of these.
pub(crate) fn servers(given: &Value) -> Result<Cow<'_, Map<String, Value>>, Fault> {
    match given {
        Value::Array(list) => Ok(Cow::Owned(read_list(list)?)),
        Value::Object(members) => match members.get("servers") {
            Some(Value::Array(list)) => detailed(members, list).map(Cow::Owned),
            _ => Ok(Cow::Borrowed(members)),
        },
        _ => Err(Fault::new("", "must be an object: server → parameters")),
    }
}

/// The parameters of one server: a string as it is, or out of an object `{"weight", …}`.
///
/// # Errors
/// It is neither, or says something that is no parameter.
pub(crate) fn parameters(given: &Value) -> Result<Option<String>, Fault> {
    let Value::Object(members) = given else { return Ok(None) };
    let mut words = Vec::with_capacity(members.len());
    for (name, value) in members {
        let word = match (name.as_str(), value) {
            (name, _) if SHOWN.contains(&name) => continue,
            (name, Value::Number(number)) if NUMBERS.contains(&name) => format!("{name}={number}"),
            (name, Value::Bool(is_on)) if MARKS.contains(&name) => {
                if *is_on {
                    name.to_owned()
                } else {
                    continue;
                }
            }
            (name, _) if NUMBERS.contains(&name) => {
                return Err(Fault::new("", "must be a number").below(name));
            }
            (name, _) if MARKS.contains(&name) => {
                return Err(Fault::new("", "must be true or false").below(name));
            }
            (name, _) => return Err(Fault::new("", "there is no such parameter").below(name)),
        };
        words.push(word);
    }
    Ok(Some(words.join(" ")))
}

fn detailed(members: &Map<String, Value>, list: &[Value]) -> Result<Map<String, Value>, Fault> {
    let mut servers = read_list(list).map_err(|fault| fault.below("servers"))?;
    let defaults = UpstreamOptions::default().to_string();
    for (name, value) in members {
        match (name.as_str(), value) {
            ("servers", _) => {}
            // What holds anyway is shown where nothing was said.
            ("options", Value::String(text)) if text.is_empty() || *text == defaults => {}
            ("options", Value::String(_)) => drop(servers.insert(OPTIONS.to_owned(), value.clone())),
            ("options", _) => return Err(Fault::new("/options", "must be a string")),
            (name, _) => return Err(Fault::new("", "is neither options nor servers").below(name)),
        }
    }
    Ok(servers)
}

fn read_list(list: &[Value]) -> Result<Map<String, Value>, Fault> {
    let mut servers = Map::with_capacity(list.len());
    for (at, server) in list.iter().enumerate() {
        let place = |fault: Fault| fault.below(&at.to_string());
        let name = ["name", "addr"].into_iter().find_map(|member| server.get(member)?.as_str());
        let Some(name) = name else {
            return Err(place(Fault::new("", "must be an object with the name of a server")));
        };
        let text = parameters(server).map_err(place)?.unwrap_or_default();
        if servers.insert(name.to_owned(), text.into()).is_some() {
            return Err(place(Fault::new("/name", "is there twice")));
        }
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_given_out_is_taken_back() {
        let list = json!([
            {"addr": "127.0.0.1:80", "name": "h.test", "weight": 2, "max_fails": 1, "fail_timeout": 10},
            {"addr": "127.0.0.2:81", "name": "127.0.0.2:81", "weight": 1, "backup": true, "down": false},
        ]);
        let meant =
            json!({"h.test": "weight=2 max_fails=1 fail_timeout=10", "127.0.0.2:81": "weight=1 backup"});
        assert_eq!(Value::Object(servers(&list).unwrap().into_owned()), meant);
        let plain = json!({"h:1": "", "servers": ""});
        assert_eq!(Value::Object(servers(&plain).unwrap().into_owned()), plain);
        let detailed = json!({"options": "method=random", "servers": list});
        let mut with_options = meant.clone();
        with_options[OPTIONS] = json!("method=random");
        assert_eq!(Value::Object(servers(&detailed).unwrap().into_owned()), with_options);
        let detailed = json!({"options": "", "servers": [{"name": "h:1", "addresses": []}]});
        assert_eq!(Value::Object(servers(&detailed).unwrap().into_owned()), json!({"h:1": ""}));
    }

    #[test]
    fn what_is_no_such_shape_is_told_with_its_place() {
        for (given, fault) in [
            (json!(5), "must be an object: server → parameters"),
            (json!([{}]), "/0: must be an object with the name of a server"),
            (json!(["h:1"]), "/0: must be an object with the name of a server"),
            (json!([{"name": "h:1"}, {"name": "h:1"}]), "/1/name: is there twice"),
            (json!([{"name": "h:1", "weight": "2"}]), "/0/weight: must be a number"),
            (json!([{"name": "h:1", "down": 1}]), "/0/down: must be true or false"),
            (json!([{"name": "h:1", "wieght": 1}]), "/0/wieght: there is no such parameter"),
            (json!({"servers": [5]}), "/servers/0: must be an object with the name of a server"),
            (json!({"servers": [], "options": 1}), "/options: must be a string"),
            (json!({"servers": [], "option": ""}), "/option: is neither options nor servers"),
        ] {
            assert_eq!(servers(&given).unwrap_err().to_string(), fault, "{given}");
        }
    }
}
