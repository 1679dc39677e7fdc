//! Answers that are compressed on their way: which, for whom, what they say then, and that every word of them arrives.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use flate2::{Decompress, FlushDecompress};
use serde_json::{Value, json};

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::gzip::{page, readable, unpacked};
use crate::support::message::{Head, Message};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::wait::{self, PATIENCE};

/// What the process may grow by while a body of any size is compressed: windows, presses, and what the allocator keeps.
const GROWTH: u64 = 16 << 20;

/// [`SITE`] with one backend that has these arguments beside its name.
fn site(server: &Server, args: Value) -> Value {
    let mut document = rules::site(&[server]);
    let mut rule = json!({"r": {"type": "backend", "args": {"servername": "up"}}});
    if let (Value::Object(all), Value::Object(more)) = (&mut rule["r"]["args"], args) {
        all.extend(more);
    }
    document["domains"][SITE] = json!({"init": "r", "rules": rule});
    document
}

fn start(server: &Server, args: Value) -> Elb {
    Launch::serving(&site(server, args)).start()
}

fn ask(client: &mut Client, line: &str, fields: &str) -> Message {
    client.ask(format!("{line} HTTP/1.1\r\nHost: {SITE}\r\n{fields}\r\n"))
}

const TAKES: &str = "Accept-Encoding: deflate, gzip;q=0.8\r\n";

fn answer(line: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {line}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n{fields}\r\n{body}")
}

fn is_packed(head: &Head) -> bool {
    head.get("content-encoding") == Some("gzip")
}

#[test]
fn an_answer_is_compressed_for_who_takes_that_and_says_so() {
    let text = page(100_000);
    let fields = "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\nLast-Modified: then\r\nVary: Cookie\r\n";
    let whole = answer("200 OK", fields, &text);
    let server = Server::answering(move |_| whole.clone());
    let elb = start(&server, json!({"gzip": true}));
    let mut client = elb.client();
    for _ in 0..2 {
        let packed = ask(&mut client, "GET /", TAKES);
        for (name, values) in [
            ("content-encoding", vec!["gzip"]),
            ("transfer-encoding", vec!["chunked"]),
            ("content-length", vec![]),
            ("vary", vec!["Cookie, Accept-Encoding"]),
            ("etag", vec!["W/\"v1\""]),
            ("accept-ranges", vec![]),
            ("last-modified", vec!["then"]),
            ("content-type", vec!["text/html"]),
        ] {
            assert_eq!(packed.head.all(name), values, "{name}");
        }
        assert_eq!(unpacked(&packed.body), text);
        assert!(packed.raw.len() < text.len() / 3, "{} bytes", packed.raw.len());
        // On the same connection, for who does not take it.
        let plain = client.ask(get(SITE, "/"));
        assert_eq!((plain.text() == text, plain.head.get("etag")), (true, Some("\"v1\"")));
        assert_eq!(plain.head.all("vary"), ["Cookie, Accept-Encoding"]);
        assert_eq!((plain.head.get("content-length"), is_packed(&plain.head)), (Some("100000"), false));
        assert_eq!(plain.head.get("accept-ranges"), Some("bytes"));
    }
    assert_eq!(server.connections(), 1, "it goes back to the pool");
    // Another client's tag reaches the server, which compares it weakly.
    assert_eq!(server.requests()[0].head.get("accept-encoding"), Some("deflate, gzip;q=0.8"));
}

#[test]
fn who_does_not_take_it_gets_the_content_as_it_came() {
    let text = page(5000);
    let whole = answer("200 OK", "", &text);
    let server = Server::answering(move |request| {
        let end = if request.head.method() == "HEAD" { whole.len() - 5000 } else { whole.len() };
        whole[..end].to_owned()
    });
    let elb = start(&server, json!({"gzip": true}));
    for fields in [
        "",
        "Accept-Encoding: gzip;q=0\r\n",
        "Accept-Encoding: gzip;q=0.000, *\r\n",
        "Accept-Encoding: identity\r\n",
        "Accept-Encoding: br\r\nAccept-Encoding: deflate\r\n",
        "Accept-Encoding: gzip\r\nCache-Control: no-transform\r\n",
    ] {
        let plain = ask(&mut elb.client(), "GET /", fields);
        assert_eq!(
            (plain.text() == text, plain.head.get("content-length")),
            (true, Some("5000")),
            "{fields}"
        );
        assert_eq!(plain.head.all("vary"), ["Accept-Encoding"], "{fields}");
    }
    for fields in ["Accept-Encoding: *\r\n", "Accept-Encoding: br\r\naccept-encoding: x-gzip\r\n"] {
        assert_eq!(unpacked(&ask(&mut elb.client(), "GET /", fields).body), text, "{fields}");
    }
    // HTTP/1.0 knows no chunks.
    let old = elb.client().ask(format!("GET / HTTP/1.0\r\nHost: {SITE}\r\n{TAKES}\r\n"));
    assert_eq!((old.text() == text, old.head.all("vary")), (true, vec!["Accept-Encoding"]));
    // HEAD has no content, and says how long that of a GET is that takes it as it comes.
    let mut client = elb.client();
    for _ in 0..2 {
        let head = ask(&mut client, "HEAD /", TAKES);
        assert_eq!((head.head.get("content-length"), head.body.len()), (Some("5000"), 0));
        assert_eq!((head.head.all("vary"), is_packed(&head.head)), (vec!["Accept-Encoding"], false));
    }
}

#[test]
fn answers_that_must_not_be_compressed_pass_as_they_came() {
    let text = page(5000);
    let fields = Arc::new(Mutex::new(String::new()));
    let (said, body) = (Arc::clone(&fields), text.clone());
    let server = Server::answering(move |_| {
        let said = said.lock().expect("a lock").clone();
        let status = if said.contains("Content-Range") { "206 Partial Content" } else { "200 OK" };
        format!("HTTP/1.1 {status}\r\n{said}Content-Length: {}\r\n\r\n{body}", body.len())
    });
    let elb = start(&server, json!({"gzip": true}));
    let mut client = elb.client();
    for forbids in [
        "Content-Type: image/png\r\n",
        "Content-Type: text/event-stream\r\n",
        "",
        "Content-Type: text/html\r\nContent-Encoding: br\r\n",
        "Content-Type: text/html\r\nContent-Encoding: gzip\r\nVary: Origin\r\n",
        "Content-Type: text/html\r\nContent-Range: bytes 0-4999/9000\r\n",
        "Content-Type: text/html\r\nCache-Control: public, no-transform\r\n",
        "Content-Type: text/html\r\nContent-MD5: x\r\n",
        "Content-Type: text/html\r\nRepr-Digest: sha-256=:x:\r\n",
        "Content-Type: text/html\r\nContent-Digest: sha-256=:x:\r\n",
        "Content-Type: text/html\r\nDigest: sha-256=x\r\n",
    ] {
        *fields.lock().expect("a lock") = format!("{forbids}ETag: \"a\"\r\nAccept-Ranges: bytes\r\n");
        let passed = ask(&mut client, "GET /", TAKES);
        let expected =
            format!("{forbids}ETag: \"a\"\r\nAccept-Ranges: bytes\r\nContent-Length: 5000\r\n\r\n");
        let head = String::from_utf8(passed.head.bytes.clone()).expect("text");
        assert!(head.ends_with(&format!("\r\n{expected}")), "{head}");
        assert!(passed.text() == text, "{forbids}");
    }
    // The same without any of that.
    *fields.lock().expect("a lock") = "Content-Type: TEXT/HTML;charset=utf-8\r\n".to_owned();
    assert_eq!(unpacked(&ask(&mut client, "GET /", TAKES).body), text);
}

#[test]
fn errors_are_compressed_like_pages_and_what_is_short_is_not() {
    let server = Server::answering(|request| {
        let (status, length) = request.head.target()[1..].split_once('/').expect("a status and a length");
        answer(&format!("{status} X"), "", &page(length.parse().expect("a length")))
    });
    let elb = start(&server, json!({"gzip": true}));
    let mut client = elb.client();
    for (status, length, packs) in [
        (200, 1023, false),
        (200, 1024, true),
        (201, 2000, true),
        (301, 2000, true),
        (403, 2000, true),
        (404, 2000, true),
        (404, 20, false),
        (422, 2000, true),
        (503, 2000, true),
        (200, 0, false),
    ] {
        let answer = ask(&mut client, &format!("GET /{status}/{length}"), TAKES);
        assert_eq!((answer.status(), is_packed(&answer.head)), (status, packs), "{status} {length}");
        let text = if packs { unpacked(&answer.body) } else { answer.text() };
        assert!(text == page(length), "{status} {length}");
    }
}

#[test]
fn a_body_arrives_whole_however_it_is_framed_and_whatever_its_length() {
    let server = Server::start(|talk| {
        while let Some(request) = talk.request()? {
            let (framing, length) = request.head.target()[1..].split_once('/').expect("both");
            let page = page(length.parse().expect("a length"));
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
            match framing {
                "length" => talk.send(format!("{head}Content-Length: {}\r\n\r\n{page}", page.len()))?,
                "chunks" => {
                    talk.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"))?;
                    for chunk in page.as_bytes().chunks(7777) {
                        let size = format!("{:x};name=value\r\n", chunk.len());
                        talk.send([size.as_bytes(), chunk, b"\r\n"].concat())?;
                    }
                    talk.send("0\r\nX-Trailer: 1\r\n\r\n")?;
                }
                _ => {
                    talk.send(format!("{head}\r\n{page}"))?;
                    return Ok(());
                }
            }
        }
        Ok(())
    });
    let elb = start(&server, json!({"gzip": {"min_length": 0}}));
    let mut client = elb.client();
    for length in [1, 20, 5000, 32_768, 65_536, 200_000, 3 << 20] {
        for framing in ["length", "chunks", "close"] {
            let answer = ask(&mut client, &format!("GET /{framing}/{length}"), TAKES);
            assert!(is_packed(&answer.head) && answer.trailers.is_empty(), "{framing} {length}");
            assert!(unpacked(&answer.body) == page(length), "{framing} {length}");
        }
    }
}

#[test]
fn each_event_of_a_stream_arrives_when_it_is_sent() {
    let (go_on, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let server = Server::start(move |talk| {
        if talk.request()?.is_none() {
            return Ok(());
        }
        talk.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        )?;
        for number in 0..5 {
            let event = format!("data: {number}\n\n");
            talk.send(format!("{:x}\r\n{event}\r\n", event.len()))?;
            // The next one is sent when the client has read this one.
            told.lock().expect("a lock").recv_timeout(PATIENCE).expect("the client to have read it");
        }
        talk.send("0\r\n\r\n")
    });
    let elb = start(&server, json!({"gzip": {"types": ["text/event-stream"]}}));
    let mut client = elb.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\n{TAKES}\r\n"));
    let head = client.head();
    assert!(is_packed(&head));
    let (mut came, mut heard) = (Vec::new(), 0);
    let ended = client.try_body(&head, &mut |piece| {
        came.extend_from_slice(piece);
        let events = readable(&came).matches("data: ").count();
        for _ in heard..events {
            go_on.send(()).expect("the server to listen");
        }
        heard = events;
    });
    assert!(ended.is_ok() && heard == 5, "{heard} events");
    assert_eq!(unpacked(&came), "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n");
}

#[test]
fn an_answer_that_its_server_cuts_is_seen_to_be_cut_and_what_came_is_there() {
    for head in ["Content-Length: 90000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n9c40\r\n"] {
        let text = page(40_000);
        let body = text.clone();
        let server = Server::start(move |talk| {
            talk.request()?;
            talk.send(format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{head}{body}"))
        });
        let elb = start(&server, json!({"gzip": true}));
        let mut client = elb.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\n{TAKES}\r\n"));
        let got = client.head();
        assert!(is_packed(&got));
        let mut came = Vec::new();
        let ended = client.try_body(&got, &mut |piece| came.extend_from_slice(piece));
        assert!(ended.is_err(), "{head}: it looked whole");
        assert!(readable(&came) == text, "{head}");
        wait::until("the cut to be counted", || {
            (elb.admin().get("workers")["all"]["ended"]["response-cut"] == 1).then_some(())
        });
    }
}

#[test]
fn a_slow_client_costs_a_window_or_two_and_gets_every_byte() {
    const PIECES: usize = 64;
    const PIECE: usize = 1 << 20;
    // What can hardly be compressed, so that what is made of it is as long.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(PIECE)
    .collect();
    let piece = noise.clone();
    let server = Server::start(move |talk| {
        talk.request()?;
        let length = PIECES * PIECE;
        talk.send(format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n"))?;
        for _ in 0..PIECES {
            talk.send(&piece)?;
        }
        Ok(())
    });
    let elb = start(&server, json!({"gzip": {"level": 1}}));
    let before = elb.memory().now;
    let mut client = elb.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\n{TAKES}\r\n"));
    let head = client.head();
    assert!(is_packed(&head));
    // It reads nothing until nothing moves any more.
    wait::until_still("bytes from the server", || {
        elb.admin().get("workers")["all"]["gzip"]["content_bytes"].as_u64().unwrap_or_default()
    });
    let taken = elb.admin().get("workers")["all"]["gzip"]["content_bytes"].as_u64().expect("a number");
    assert!(taken < (PIECES * PIECE) as u64 / 2, "{taken} bytes were taken from the server");
    let mut decoder = Decompress::new_gzip(15);
    let (mut text, mut at) = (Vec::with_capacity(1 << 18), 0);
    let ended = client.try_body(&head, &mut |mut packed| {
        while !packed.is_empty() {
            let taken = decoder.total_in();
            text.clear();
            decoder.decompress_vec(packed, &mut text, FlushDecompress::None).expect("gzip");
            packed = &packed[(decoder.total_in() - taken) as usize..];
            for byte in &text {
                assert_eq!(*byte, noise[at % PIECE], "byte {at}");
                at += 1;
            }
        }
    });
    ended.expect("a whole body");
    assert_eq!(at, PIECES * PIECE);
    let grown = elb.memory().now.saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more");
}

#[test]
fn what_a_rule_changes_in_the_head_comes_first() {
    let text = page(5000);
    let whole = answer("200 OK", "Vary: Origin\r\nETag: \"theirs\"\r\n", &text);
    let server = Server::answering(move |_| whole.clone());
    for (edits, packs, vary, tag) in [
        (json!({"set": {"Vary": "Cookie"}}), true, "Cookie, Accept-Encoding", "W/\"theirs\""),
        (json!({"remove": ["Vary"]}), true, "Accept-Encoding", "W/\"theirs\""),
        (json!({"set": {"ETag": "\"ours\""}}), true, "Origin, Accept-Encoding", "W/\"ours\""),
        (json!({"set": {"Cache-Control": "no-transform"}}), false, "Origin", "\"theirs\""),
        (json!({"set": {"Content-Type": "image/png"}}), false, "Origin", "\"theirs\""),
        (json!({"add": {"Content-Encoding": "br"}}), false, "Origin", "\"theirs\""),
    ] {
        let elb = start(&server, json!({"gzip": true, "response_headers": edits}));
        let answer = ask(&mut elb.client(), "GET /", TAKES);
        let (head, body) = (&answer.head, &answer.body);
        assert_eq!(
            (is_packed(head), head.get("vary"), head.get("etag")),
            (packs, Some(vary), Some(tag)),
            "{edits}"
        );
        assert!(if packs { unpacked(body) } else { answer.text() } == text, "{edits}");
    }
}

#[test]
fn a_backend_says_for_which_answers_and_an_old_header_of_that_name_is_one() {
    let server = Server::answering(|request| {
        let kind = request.head.get("x-type").expect("a type");
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 3000\r\n\r\n{}", page(3000))
    });
    let packs = |args: Value, kind: &str| {
        let elb = start(&server, args);
        let mut client = elb.client();
        let answer = ask(&mut client, "GET /", &format!("X-Type: {kind}\r\n{TAKES}"));
        (is_packed(&answer.head), answer.raw.len())
    };
    let own = json!({"gzip": {"types": ["application/vnd.API+json"], "level": 9}});
    assert!(packs(own.clone(), "application/vnd.api+json; v=1").0 && !packs(own, "text/html").0);
    assert!(!packs(json!({"gzip": {"min_length": 3001}}), "text/html").0);
    assert!(packs(json!({"gzip": {"min_length": 3000}}), "image/svg+xml").0);
    for off in [json!({"gzip": false}), json!({"gzip": null}), json!({})] {
        assert!(!packs(off, "text/html").0);
    }
    let (fast, small) = (json!({"gzip": {"level": 1}}), json!({"gzip": {"level": 9}}));
    assert!(packs(fast, "text/html").1 > packs(small, "text/html").1, "the level is the backend's");
    assert!(!packs(json!({"gzip": "on"}), "text/html").0);
    let last = server.requests().pop().expect("a request");
    assert_eq!(last.head.all("gzip"), ["on"]);
    let elb = start(&server, json!({}));
    for (gzip, pointer) in [
        (json!(3), ""),
        (json!({"level": 0}), "/level"),
        (json!({"types": ["text/html", "text/*"]}), "/types/1"),
        (json!({"min_length": "1k"}), "/min_length"),
        (json!({"on": true}), "/on"),
    ] {
        let rules = site(&server, json!({"gzip": gzip}));
        let put = json!({SITE: rules["domains"][SITE]}).to_string();
        let answer = elb.admin().call("PUT", "domain", Some(&put));
        let fault: Value = serde_json::from_str(&answer.text()).expect("JSON");
        let pointer = format!("/{SITE}/rules/r/args/gzip{pointer}");
        assert_eq!((answer.status(), fault["pointer"].as_str()), (400, Some(&*pointer)));
    }
}

#[test]
fn what_is_compressed_is_counted() {
    let whole = answer("200 OK", "", &page(50_000));
    let server = Server::answering(move |_| whole.clone());
    let elb = start(&server, json!({"gzip": true}));
    let mut client = elb.client();
    let sent: usize = (0..3).map(|_| ask(&mut client, "GET /", TAKES).body.len()).sum();
    client.ask(get(SITE, "/"));
    let expected = json!({"answers": 3, "content_bytes": 150_000, "sent_bytes": sent, "skipped": 0});
    wait::until("the numbers", || (elb.admin().get("workers")["all"]["gzip"] == expected).then_some(()));
    let metrics = elb.client().ask(get("127.0.0.1", "/__erulb__/metrics")).text();
    for row in [
        "elb_gzip_answers_total 3".to_owned(),
        "elb_gzip_content_bytes_total 150000".to_owned(),
        format!("elb_gzip_sent_bytes_total {sent}"),
        "elb_gzip_skipped_total 0".to_owned(),
    ] {
        assert!(metrics.lines().any(|line| line.split(".0").collect::<String>() == row), "{row}: {metrics}");
    }
}

#[test]
fn a_switch_of_protocols_and_what_elb_says_itself_are_left_alone() {
    let server = Server::start(|talk| {
        while let Some(request) = talk.request()? {
            if request.head.get("upgrade").is_none() {
                talk.send(ok("a"))?;
                continue;
            }
            talk.send(
                "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: chat\r\nContent-Type: text/html\r\n\r\n",
            )?;
            talk.send(page(5000))?;
        }
        Ok(())
    });
    let elb = start(&server, json!({"gzip": true}));
    let mut client = elb.client();
    let upgrade = format!("Connection: Upgrade\r\nUpgrade: chat\r\n{TAKES}");
    client.send(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\n{upgrade}\r\n"));
    let switch = client.head();
    assert_eq!((switch.status(), is_packed(&switch), switch.get("vary")), (101, false, None));
    assert_eq!(client.bytes(5000), page(5000).as_bytes());
    server.stop();
    let refused = ask(&mut elb.client(), "GET /", TAKES);
    assert_eq!((refused.status(), is_packed(&refused.head), refused.head.get("vary")), (502, false, None));
}

#[test]
fn the_client_of_a_private_or_a_kept_connection_is_told_as_all_are() {
    let text = page(5000);
    let body = text.clone();
    let server = Server::answering(move |_| answer("200 OK", "", &body));
    let mut document = site(&server, json!({"gzip": true}));
    document["upstreams"]["up"]["@options"] = json!("sticky=cookie:srv server_timeout=20s");
    let elb = Launch::serving(&document).start();
    let answer = ask(&mut elb.client(), "GET /", TAKES);
    assert!(
        is_packed(&answer.head) && answer.head.get("set-cookie").is_some_and(|set| set.starts_with("srv="))
    );
    assert_eq!(unpacked(&answer.body), text);
    // Whoever asks for the way of its request gets both.
    let told = ask(&mut elb.client(), "GET /", &format!("X-ELB-Explain: 1\r\n{TAKES}"));
    assert!(is_packed(&told.head) && told.head.get("x-elb-way").is_some());
    assert_eq!(unpacked(&told.body), text);
}
