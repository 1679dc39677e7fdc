//! Messages and configurations that several benches use: those of `tools/bench`, scenarios s1, s2 and r2.

use std::sync::Arc;

use elb::model::{Edit, Snapshot, State};
use serde_json::{Map, Value, json};

/// What a simple client asks.
pub(crate) const PLAIN_REQUEST: &[u8] =
    b"GET /128 HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: load/1\r\nAccept: */*\r\n\r\n";

/// What a simple server answers.
pub(crate) const PLAIN_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Tue, 04 Feb 2025 09:12:45 GMT\r\n\
    Server: origin\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 128\r\n\r\n\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// What a browser asks.
pub(crate) const BROWSER_REQUEST: &[u8] = b"GET /rich HTTP/1.1\r\n\
    Host: bench.test\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"124\", \"Google Chrome\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=eyJhbGciOiJIUzI1NiJ9.eyJ1IjoxfQ; theme=dark; consent=2025-02-04\r\n\r\n";

/// What a site behind a CDN answers.
pub(crate) const RICH_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Tue, 04 Feb 2025 09:12:45 GMT\r\n\
    Server: origin\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Cache-Control: private, max-age=0, must-revalidate\r\n\
    ETag: \"5f3c9a2b-80\"\r\n\
    Last-Modified: Tue, 04 Feb 2025 09:12:44 GMT\r\n\
    Vary: Accept-Encoding, Cookie\r\n\
    X-Request-Id: 7f9c24e8-3b1d-4c58-9a4e-0d6b5a1f2c33\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: SAMEORIGIN\r\n\
    Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n\
    Set-Cookie: session=eyJhbGciOiJIUzI1NiJ9.eyJ1IjoxfQ; Path=/; HttpOnly; SameSite=Lax\r\n\
    Content-Length: 0\r\n\r\n";

/// The name of a domain by its number.
pub(crate) fn host(number: usize) -> String {
    format!("{number:06}.test")
}

/// One backend, whatever is asked.
pub(crate) fn direct() -> Value {
    json!({"init": "up", "rules": {"up": {"type": "backend", "args": {"servername": "up"}}}})
}

/// A user agent regex and two path regexes, of which the last one matches `/shop/...`, before the backend.
pub(crate) fn chain() -> Value {
    json!({"init": "phone", "rules": {
        "phone": {"type": "ua", "args": {"pattern": "(iphone|android)", "fail": "blog"}},
        "blog": {"type": "path", "args": {"pattern": "^/blog/[0-9]+$", "regex": true, "succ": "up", "fail": "shop"}},
        "shop": {"type": "path", "args": {"pattern": "^/shop/(\\S+)$", "regex": true, "succ": "up"}},
        "up": {"type": "backend", "args": {"servername": "up"}}}})
}

/// One question of each kind, and none of them is answered with yes.
pub(crate) fn questions() -> Value {
    json!({"init": "header", "rules": {
        "header": {"type": "header", "args": {"name": "X-User", "pattern": "beta", "fail": "method"}},
        "method": {"type": "method", "args": {"methods": ["PURGE"], "fail": "query"}},
        "query": {"type": "query", "args": {"name": "page", "pattern": "9", "fail": "cookie"}},
        "cookie": {"type": "cookie", "args": {"name": "group", "pattern": "beta", "fail": "client"}},
        "client": {"type": "client", "args": {"cidrs": ["10.0.0.0/8"], "fail": "host"}},
        "host": {"type": "host", "args": {"pattern": "other.test", "fail": "up"}},
        "up": {"type": "backend", "args": {"servername": "up"}}}})
}

/// A split of two arms by client.
pub(crate) fn split() -> Value {
    json!({"init": "split", "rules": {
        "split": {"type": "split", "args": {"key": "client", "salt": "s", "arms": [
            {"rule": "up", "weight": 95}, {"rule": "next", "weight": 5}]}},
        "up": {"type": "backend", "args": {"servername": "up"}},
        "next": {"type": "backend", "args": {"servername": "up"}}}})
}

/// A state of so many domains, all with these rules, and one upstream of so many servers with different weights.
pub(crate) fn state(domains: usize, rules: &Value, servers: usize) -> State {
    let mut state = State::new();
    let domains: Map<String, Value> = (0..domains).map(|number| (host(number), rules.clone())).collect();
    let servers: Map<String, Value> = (0..servers)
        .map(|number| (format!("127.0.0.1:{}", 9000 + number), format!("weight={}", 1 + number % 5).into()))
        .collect();
    let upstreams = Map::from_iter([("up".to_owned(), Value::Object(servers))]);
    for edit in [Edit::PutUpstreams(upstreams), Edit::PutDomains(domains)] {
        if let Err(fault) = state.edit(edit) {
            panic!("a sample is faulty: {fault:?}");
        }
    }
    state
}

/// A state of so many domains with rules, each with an upstream of its own.
pub(crate) fn state_of_pairs(pairs: usize) -> State {
    let mut state = State::new();
    let rules = |number: usize| {
        let mut rules = chain();
        rules["rules"]["up"]["args"]["servername"] = format!("up{number}").into();
        rules
    };
    let domains: Map<String, Value> = (0..pairs).map(|number| (host(number), rules(number))).collect();
    let server = |number: usize| json!({format!("10.{}.{}.1:80", number >> 8, number & 255): ""});
    let upstreams = (0..pairs).map(|number| (format!("up{number}"), server(number))).collect();
    for edit in [Edit::PutUpstreams(upstreams), Edit::PutDomains(domains)] {
        if let Err(fault) = state.edit(edit) {
            panic!("a sample is faulty: {fault:?}");
        }
    }
    state
}

/// What workers get of a state.
pub(crate) fn snapshot(state: &mut State) -> Arc<Snapshot> {
    Arc::new(state.snapshot(1))
}
