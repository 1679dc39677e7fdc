//! An explanation as people read it in a terminal.
//!
//! It owns the drawing, never what is explained: it reads the JSON that programs get. Next: [`desk`](super::desk) makes that.

use std::fmt::Write;

use serde_json::Value;

/// Draws what [`Explainer::explain`](super::Explainer::explain) gave.
#[must_use]
pub fn tree(told: &Value) -> String {
    let mut out = String::new();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let request = &told["request"];
    let (method, host, path) = (text(&request["method"]), text(&request["host"]), text(&request["path"]));
    line(&mut out, 0, &format!("{method} {host}{path} from {}", text(&request["client"])));
    if told["is_admin_api"] == true {
        line(&mut out, 1, "the admin API answers");
        return out;
    }
    match &told["domain"] {
        Value::Null => {}
        domain => {
            line(&mut out, 1, &format!("domain {} ({})", text(&domain["name"]), text(&domain["found"])))
        }
    }
    let rules = told["rules"].as_array().map_or(&[][..], Vec::as_slice);
    let mut path = None;
    for rule in rules {
        let value = match &rule["value"] {
            Value::Null => "is not there".to_owned(),
            value => format!("\"{}\"", text(value)),
        };
        let (name, kind, what) = (text(&rule["rule"]), text(&rule["type"]), text(&rule["looks_at"]));
        line(&mut out, 2, &format!("{name} {kind} {}: {what} {value}", text(&rule["test"])));
        let next = rule["next"].as_str().unwrap_or("nowhere");
        line(&mut out, 3, &format!("{} to {next}", text(&rule["branch"])));
        let now = text(&rule["path"]);
        if path.as_ref().is_some_and(|before| *before != now) || (path.is_none() && is_new(rule, &now)) {
            line(&mut out, 3, &format!("the path is \"{now}\" from here on"));
        }
        path = Some(now);
    }
    if let Value::Object(end) = &told["end"] {
        line(&mut out, 2, &format!("{} {}", text(&end["rule"]), text(&end["type"])));
    }
    if let Value::Object(upstream) = &told["upstream"] {
        let kind = if upstream["is_host"] == true { "host" } else { "upstream" };
        let options = match upstream["options"].as_str() {
            None | Some("") => String::new(),
            Some(options) => format!(" ({options})"),
        };
        line(&mut out, 1, &format!("{kind} {}{options}", text(&upstream["name"])));
        for server in upstream["servers"].as_array().into_iter().flatten() {
            let mark = if server["can_be_chosen"] == true { "+" } else { "-" };
            let (name, address) = (text(&server["server"]), text(&server["address"]));
            let name = if name == address { name } else { format!("{name} ({address})") };
            line(&mut out, 2, &format!("{mark} {name}: {}", text(&server["why"])));
        }
    } else if !told["to_server"].is_null() {
        line(&mut out, 1, "there is no such upstream: 502 no-upstream");
    }
    head(&mut out, "to the server", told["to_server"].as_str());
    head(&mut out, "to the client", told["answer"]["text"].as_str());
    out
}

/// Whether the first rule that was asked has changed the path that it looked at.
fn is_new(rule: &Value, now: &str) -> bool {
    rule["looks_at"] == "path" && rule["value"].as_str().is_some_and(|before| before != now)
}

fn head(out: &mut String, whose: &str, head: Option<&str>) {
    let Some(head) = head else { return };
    line(out, 1, whose);
    head.lines().filter(|text| !text.is_empty()).for_each(|text| line(out, 2, text));
}

/// A line, so deep in the tree. Nothing in it moves the cursor of a terminal.
fn line(out: &mut String, depth: usize, text: &str) {
    let _ = write!(out, "{}", "   ".repeat(depth));
    out.extend(text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }));
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_way_is_drawn_line_by_line() {
        let told = json!({
            "request": {"method": "GET", "host": "a.test", "path": "/blog/x", "client": "192.0.2.1"},
            "is_admin_api": false,
            "domain": {"name": "a.test", "found": "as received"},
            "rules": [
                {"rule": "p", "type": "path", "looks_at": "path", "value": "/blog/x", "test": "^/blog(.*)$",
                    "branch": "succ", "next": "u", "path": "/x"},
                {"rule": "u", "type": "ua", "looks_at": "user agent", "value": null, "test": "curl",
                    "branch": "fail", "next": "b", "path": "/x"}],
            "end": {"rule": "b", "type": "backend"},
            "upstream": {"name": "up", "options": "method=ewma", "is_host": false, "servers": [
                {"server": "h:80", "address": "10.0.0.1:80", "can_be_chosen": true, "why": "it can be used"},
                {"server": "10.0.0.2:80", "address": "10.0.0.2:80", "can_be_chosen": false, "why": "it is down"}]},
            "to_server": "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "answer": null,
        });
        let expected = "\
GET a.test/blog/x from 192.0.2.1
   domain a.test (as received)
      p path ^/blog(.*)$: path \"/blog/x\"
         succ to u
         the path is \"/x\" from here on
      u ua curl: user agent is not there
         fail to b
      b backend
   upstream up (method=ewma)
      + h:80 (10.0.0.1:80): it can be used
      - 10.0.0.2:80: it is down
   to the server
      GET /x HTTP/1.1
      Host: a.test
";
        assert_eq!(tree(&told), expected);
    }

    #[test]
    fn what_a_client_says_moves_no_cursor() {
        let request = json!({"method": "GET", "host": "a", "path": "/\u{1b}[2J", "client": "::1"});
        let told = json!({"request": request, "answer": {"text": "HTTP/1.1 400 x\r\n\r\nno\u{7}\n"}});
        let drawn = tree(&told);
        assert!(!drawn.chars().any(|letter| letter.is_control() && letter != '\n'), "{drawn:?}");
    }
}
