//! A worker that has warmed up allocates nothing, whatever it is asked: shown by counting every allocation of the process.
//!
//! A real worker serves real sockets here, with a client and an origin of buffers made beforehand, so that whatever is
//! counted is the worker's. It tells control once a second what it counted, and what is sent is allocated: these moments
//! are told apart by the report that arrives. Next: `steady/stage.rs` for both ends, `data::worker` for who is judged.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends at the first surprise"
)]

use std::alloc::System;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[path = "steady/messages.rs"]
mod messages;
#[path = "../benches/samples.rs"]
#[allow(dead_code, reason = "the benches use the rest")]
mod samples;
#[path = "steady/stage.rs"]
mod stage;

use messages::{END, answer, body, post, small_get};
use stage::{Case, Stage};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Windows of requests that are looked at one by one, so that those beside a report can be told from the others.
const WINDOWS: usize = 100;
/// Times that each connection asks in a window.
const ROUNDS: usize = 5;
/// Times that each connection asks before it counts: tables, windows and the caches of regexes have their size then.
const WARMUP: usize = 200;
/// The case whose windows are of the largest kind.
const BULK: &str = "a response of 300 KiB";
/// What a window takes: itself, and its bytes.
const WINDOW: usize = 2;
/// What a second may take: the box of the gauges and a block of their channel; of statistics, their box and a copy of the
/// rows of each of their four tables.
const SECOND: usize = 10;

/// Allocations so far, moved ones included.
fn allocations() -> usize {
    let stats = COUNTING.stats();
    stats.allocations + stats.reallocations
}

/// One test: the allocations of two at once could not be told apart.
#[test]
fn a_worker_that_has_warmed_up_allocates_nothing() {
    for case in cases() {
        let mut stage = Stage::new(&case);
        stage.warm_up(&case, WARMUP);
        let (mut windows, begun) = (Vec::with_capacity(WINDOWS), Instant::now());
        for _ in 0..WINDOWS {
            let before = allocations();
            (0..ROUNDS).for_each(|_| stage.ask(&case));
            windows.push((allocations() - before, stage.reports()));
        }
        judge(&case, &windows, begun.elapsed().as_secs() as usize);
        stage.end();
    }
}

/// Nothing may be allocated in a window, unless a report left in it, or in the one before or after: what was allocated for
/// it may be counted a moment earlier than it arrives.
fn judge(case: &Case, windows: &[(usize, usize)], seconds: usize) {
    let reported = |at: usize| windows.get(at).is_some_and(|(_, reports)| *reports > 0);
    let beside = |at: &usize| reported(*at) || reported(at + 1) || at.checked_sub(1).is_some_and(reported);
    let (told, silent): (Vec<usize>, Vec<usize>) = (0..windows.len()).partition(beside);
    let sum = |of: &[usize]| of.iter().map(|at| windows[*at].0).sum::<usize>();
    let requests = silent.len() * ROUNDS * case.connections;
    println!(
        "{}: {} allocations in {requests} requests; {} beside reports",
        case.name,
        sum(&silent),
        sum(&told)
    );
    // A second begins and ends within another.
    let seconds = seconds + 2;
    // How many of these windows are out at once is chance, and one that was made is kept: there are as many as connections at
    // most, however long it runs, and the last may be made after the warm-up.
    let late = if case.name == BULK { case.connections * WINDOW } else { 0 };
    assert!(sum(&silent) <= late, "{}: {windows:?}", case.name);
    assert!(sum(&told) <= seconds * SECOND, "{}: {windows:?}", case.name);
    assert!(silent.len() >= WINDOWS / 2, "{}: so slow that nothing is shown: {windows:?}", case.name);
}

fn cases() -> Vec<Case> {
    let get = small_get();
    let proxied = b"GET /logged?a=b HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 127.0.0.2\r\n\
        User-Agent: test\r\nReferer: x\r\ntraceparent: 00-1-2-01\r\nX-Request-Id: 17\r\n\r\n"
        .to_vec();
    let chunks = [
        b"POST /in HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        chunked(&[100, 4000, 16 << 10]),
    ]
    .concat();
    let chunked_answer =
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), chunked(&[10, 30_000, 7])]
            .concat();
    vec![
        Case {
            name: "browser headers, a chain of regexes, a path that is rewritten",
            rules: chain(),
            request: browser(),
            response: rich(),
            ..get.clone()
        },
        Case {
            name: "a question of each kind, a limit, a split and another path",
            rules: questions(),
            request: browser(),
            ..get.clone()
        },
        Case {
            name: "a redirect",
            rules: json!({"init": "go", "rules": {
                "go": {"type": "path", "args": {"pattern": "^/(.*)$", "regex": true, "succ": "to"}},
                "to": {"type": "redirect", "args": {"to": "https://b.test/$1?from=$host$query"}}}}),
            request: browser(),
            response: Vec::new(),
            response_end: b"\r\n\r\n",
            ..get.clone()
        },
        Case {
            name: "a page",
            rules: json!({"init": "page", "rules": {"page": {"type": "respond", "args": {"status": 503, "body": "closed!END"}}}}),
            response: Vec::new(),
            ..get.clone()
        },
        Case {
            name: "a pattern with look-around",
            rules: json!({"init": "own", "rules": {
                "own": {"type": "path", "args": {"pattern": "^/(?!blog)[0-9]+$", "regex": true, "succ": "up"}},
                "up": {"type": "backend", "args": {"servername": "up"}}}}),
            ..get.clone()
        },
        Case { name: "fewest requests under way", options: "method=least_conn", ..get.clone() },
        Case { name: "fewest requests and soonest answers", options: "method=ewma", ..get.clone() },
        Case {
            name: "a key, a bound and a cookie",
            request: browser(),
            options: "method=hash key=header:User-Agent hash_balance=1.25 sticky=cookie:a",
            ..get.clone()
        },
        Case { name: "POST of 16 KiB", request: post(16 << 10), request_end: END, ..get.clone() },
        Case {
            name: "chunks both ways",
            request: chunks,
            request_end: CHUNKS_END,
            response: chunked_answer,
            response_end: CHUNKS_END,
            ..get.clone()
        },
        Case {
            name: "what is resolved, closed up and left out: dots, blanks, named fields, extensions",
            request: b"POST /a/../%62//./c?d HTTP/1.1\r\nHost: a.test\r\nConnection: X-Drop, X-Other\r\nX-Drop: 1\r\n\
                X-Forwarded-For: b, c\r\nTransfer-Encoding: chunked\r\n\r\n3 ; e = \"f\"\r\nabc\r\n0;g\r\nH: i\r\n\r\n"
                .to_vec(),
            request_end: b"3\r\nabc\r\n0\r\n\r\n",
            response: b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nConnection: X-Drop\r\nX-Drop : 1\r\n\r\n\
                3  \r\nabc\r\n0;\r\nCookie: x\r\nJ: k\r\n\r\n"
                .to_vec(),
            response_end: b"3\r\nabc\r\n0\r\n\r\n",
            ..get.clone()
        },
        Case {
            name: BULK,
            response: answer(300 << 10),
            ..get.clone()
        },
        Case {
            name: "a refusal",
            request: b"GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n".to_vec(),
            response: Vec::new(),
            response_end: b"\n",
            ..get.clone()
        },
        Case { name: "a connection for each request", once: true, ..get.clone() },
        Case {
            name: "timers that ring",
            flags: &["--keepalive-timeout=1s", "--client-header-timeout=1s", "--server-timeout=1s"],
            warm: Duration::from_millis(2500),
            ..get.clone()
        },
        Case { name: "statistics", flags: STATISTICS, ..get.clone() },
        Case { name: "a line of the access log, an id and a trusted proxy", flags: LOGGED, request: proxied, ..get.clone() },
        get,
    ]
}

/// Nobody listens there, and nobody needs to.
const STATISTICS: &[&str] = &["--statsd=127.0.0.1:9"];
/// Each request is looked at closely.
const LOGGED: &[&str] = &["--access-log=stdout", "--request-id", "--trusted-proxies=127.0.0.0/8"];
/// The end of a chunked body whose data ends with [`END`].
const CHUNKS_END: &[u8] = b"!END\r\n0\r\n\r\n";

/// What a browser asks of the rules here.
fn browser() -> Vec<u8> {
    let request = String::from_utf8_lossy(samples::BROWSER_REQUEST);
    request.replace("/rich", "/shop/item/128?from=mail").replace("bench.test", "a.test").into_bytes()
}

/// A chunk of each of these lengths, then the last one.
fn chunked(lengths: &[usize]) -> Vec<u8> {
    let mut whole = Vec::new();
    for length in lengths {
        let length = *length.max(&END.len());
        whole.extend_from_slice(format!("{length:x}\r\n").as_bytes());
        whole.extend_from_slice(&body(length));
        whole.extend_from_slice(b"\r\n");
    }
    whole.extend_from_slice(b"0\r\n\r\n");
    whole
}

fn rich() -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\n\
        Date: Tue, 04 Feb 2025 09:12:45 GMT\r\n\
        Server: origin\r\n\
        Content-Type: text/html; charset=utf-8\r\n\
        Cache-Control: private, max-age=0, must-revalidate\r\n\
        ETag: \"5f3c9a2b-80\"\r\n\
        Vary: Accept-Encoding, Cookie\r\n\
        X-Request-Id: 7f9c24e8-3b1d-4c58-9a4e-0d6b5a1f2c33\r\n\
        Connection: keep-alive\r\n\
        Keep-Alive: timeout=5\r\n\
        Set-Cookie: session=eyJhbGciOiJIUzI1NiJ9.eyJ1IjoxfQ; Path=/; HttpOnly; SameSite=Lax\r\n\
        Content-Length: 512\r\n\r\n";
    [head.as_bytes(), &body(512)].concat()
}

/// One rule of each type that is asked, beside those of [`chain`].
fn questions() -> Value {
    let question = |kind: &str, args: Value, fail: &str| {
        let mut args = args;
        args["fail"] = fail.into();
        json!({"type": kind, "args": args})
    };
    let slow = json!({"rate": "1000000r/s", "burst": 1_000_000, "key": "header:User-Agent", "succ": "split"});
    let arms = json!([{"rule": "add", "weight": 95}, {"rule": "add", "weight": 5}]);
    json!({"init": "header", "rules": {
        "header": question("header", json!({"name": "x-user", "pattern": "beta"}), "method"),
        "method": question("method", json!({"methods": ["PURGE"]}), "query"),
        "query": question("query", json!({"name": "from", "pattern": "a%62", "match": "prefix"}), "cookie"),
        "cookie": question("cookie", json!({"name": "group", "pattern": "beta"}), "client"),
        "client": question("client", json!({"cidrs": ["10.0.0.0/8"]}), "host"),
        "host": question("host", json!({"pattern": "^b", "regex": true}), "limit"),
        "limit": {"type": "limit", "args": slow},
        "split": {"type": "split", "args": {"key": "header:User-Agent", "arms": arms}},
        "add": {"type": "rewrite", "args": {"add_prefix": "/new", "succ": "up"}},
        "up": {"type": "backend", "args": {"servername": "up"}}}})
}

/// A user agent and two paths are looked at, and the second path is rewritten.
fn chain() -> Value {
    json!({"init": "phone", "rules": {
        "phone": {"type": "ua", "args": {"pattern": "(iphone|android)", "fail": "blog"}},
        "blog": {"type": "path", "args": {"pattern": "^/blog/[0-9]+$", "regex": true, "succ": "up", "fail": "shop"}},
        "shop": {"type": "path", "args": {"pattern": "^/shop/", "regex": true, "rewrite": true, "succ": "up"}},
        "up": {"type": "backend", "args": {"servername": "up"}}}})
}
