//! The rule sets and documents that tests begin with.
//!
//! It owns the JSON of the README's example and of the plainest configuration there is; it never sends it anywhere.

use serde_json::{Value, json};

use super::server::Server;

/// The host that tests ask for when one is enough.
pub(crate) const SITE: &str = "site.test";

/// A rule set that sends everything to `upstream`.
pub(crate) fn to(upstream: &str) -> Value {
    json!({"init": "r1", "rules": {"r1": {"type": "backend", "args": {"servername": upstream}}}})
}

/// The README's rule set: `HTTPie` asking for a page of the blog goes to `blog`, everything else to `rest`.
pub(crate) fn readme(blog: &str, rest: &str) -> Value {
    json!({
        "init": "r1",
        "rules": {
            "r1": {"type": "ua", "args": {"fail": "r3", "pattern": "httpie(\\S+)$", "succ": "r4"}},
            "r2": {"type": "backend", "args": {"servername": blog}},
            "r3": {"type": "backend", "args": {"servername": rest}},
            "r4": {"type": "path", "args": {
                "regex": true, "pattern": "^\\/blog\\/(\\S+)$", "succ": "r2", "fail": "r3", "rewrite": false}},
        },
    })
}

/// The servers of an upstream, each with the same parameters.
pub(crate) fn upstream(servers: &[&Server], parameters: &str) -> Value {
    servers
        .iter()
        .map(|server| (server.address().to_string(), parameters.into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A document in which [`SITE`] goes to an upstream of these servers, called `up`.
pub(crate) fn site(servers: &[&Server]) -> Value {
    json!({"domains": {SITE: to("up")}, "upstreams": {"up": upstream(servers, "")}})
}
