//! What the demo shows: the rules of the README, and three commands that make them visible.
//!
//! It owns texts that are made of addresses, never a socket or a file. The printed commands work when they are pasted
//! into a shell; a test holds them against the rules.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// Rules and upstreams in the form of the file store: HTTPie's requests for `/blog/...` go to `up1`, all others to `up2`.
pub(super) fn document(proxy: SocketAddr, servers: [SocketAddr; 2]) -> Value {
    let rules = json!({
        "init": "r1",
        "rules": {
            "r1": {"type": "ua", "args": {"pattern": "httpie(\\S+)$", "succ": "r4", "fail": "r3"}},
            "r2": {"type": "backend", "args": {"servername": "up1"}},
            "r3": {"type": "backend", "args": {"servername": "up2"}},
            "r4": {"type": "path", "args": {
                "pattern": "^\\/blog\\/(\\S+)$", "regex": true, "rewrite": false, "succ": "r2", "fail": "r3"}}
        }
    });
    let mut domains = serde_json::Map::new();
    for domain in [host(proxy), "127.0.0.1".to_owned(), "localhost".to_owned()] {
        domains.insert(domain, rules.clone());
    }
    let [first, second] = servers.map(|server| server.to_string());
    json!({"domains": domains, "upstreams": {"up1": {first: ""}, "up2": {second: ""}}})
}

/// What is printed once everything runs.
pub(super) fn text(proxy: SocketAddr, servers: [SocketAddr; 2]) -> String {
    let url = format!("http://{}:{}", host(proxy), proxy.port());
    let [first, second] = servers;
    format!(
        "\
ELB listens on {proxy}. Behind it: up1 is server 1 ({first}), up2 is server 2 ({second}).
The rules: requests of HTTPie for /blog/... go to up1, everything else goes to up2.

1. The ua rule. The same path with another User-Agent goes elsewhere. Expect server 2, then server 1:

   curl {url}/blog/hello; curl -A HTTPie/0.9.9 {url}/blog/hello

2. The path rule. HTTPie, but not /blog/. Expect server 2:

   curl -A HTTPie/0.9.9 {url}/

3. A change while traffic flows. up1 now means server 2. Expect OK, then server 2:

   curl -X PUT -d '{{\"up1\": {{\"{second}\": \"\"}}}}' {url}/__erulb__/upstream; curl -A HTTPie/0.9.9 {url}/blog/hello

To watch it all in a browser: {url}/__erulb__/ui

Ctrl-C ends it.
"
    )
}

/// The host that a URL for the proxy names: where it listens, or loopback when that is everywhere.
fn host(proxy: SocketAddr) -> String {
    match proxy {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => "[::1]".to_owned(),
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model;

    fn servers() -> [SocketAddr; 2] {
        ["127.0.0.1:1001".parse().unwrap(), "127.0.0.1:1002".parse().unwrap()]
    }

    #[test]
    fn the_rules_are_without_fault_for_each_place_to_listen() {
        for (proxy, domain) in
            [("127.0.0.1:80", "127.0.0.1"), ("0.0.0.0:80", "127.0.0.1"), ("[::]:80", "[::1]")]
        {
            let document = document(proxy.parse().unwrap(), servers());
            assert_eq!(model::check_all(&document), (Vec::new(), Vec::new()));
            assert!(document["domains"][domain].is_object() && document["domains"]["localhost"].is_object());
        }
    }

    #[test]
    fn the_commands_name_the_proxy_and_the_server_that_takes_over() {
        let text = text("0.0.0.0:8080".parse().unwrap(), servers());
        let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("   curl ")).collect();
        assert_eq!(commands.len(), 3, "{text}");
        assert!(commands.iter().all(|command| command.contains("http://127.0.0.1:8080/")), "{text}");
        assert!(commands[2].contains(r#"-d '{"up1": {"127.0.0.1:1002": ""}}'"#), "{text}");
    }
}
