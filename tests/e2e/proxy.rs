//! One request and its answer: what the server sees of the one and the client of the other.

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::message::Head;
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};

/// The fields of a head by lower-cased name, sorted: spelling and order are free toward a server.
fn fields(head: &Head) -> Vec<(String, String)> {
    let mut fields: Vec<_> = head.fields.iter().map(|(n, v)| (n.to_lowercase(), v.clone())).collect();
    fields.sort();
    fields
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn the_server_sees_the_request_line_as_it_was_and_the_headers_it_is_promised() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);

    let answer = elb.client().ask(
        "GET /a%2Fb//c/..d?x=1&y=%20 HTTP/1.1\r\n\
         Host: SITE.test:8080\r\n\
         User-Agent: HTTPie/0.9.9\r\n\
         X_Under.dot: kept\r\n\
         Cookie: a=1\r\n\
         Cookie: b=2\r\n\
         X-Forwarded-For: 203.0.113.7\r\n\
         X-Real-IP: 203.0.113.7\r\n\
         REMOTE-HOST: 203.0.113.7\r\n\
         Connection: keep-alive, X-Private\r\n\
         X-Private: between us\r\n\
         Keep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\n\
         TE: gzip\r\n\
         \r\n",
    );

    assert_eq!(answer.text(), "a");
    let seen = server.request().head;
    assert_eq!(seen.line, "GET /a%2Fb//c/..d?x=1&y=%20 HTTP/1.1");
    assert_eq!(
        fields(&seen),
        pairs(&[
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("host", SITE),
            ("remote-host", "127.0.0.1"),
            ("user-agent", "HTTPie/0.9.9"),
            ("x-forwarded-for", "203.0.113.7, 127.0.0.1"),
            ("x-forwarded-host", "SITE.test:8080"),
            ("x-forwarded-port", "8080"),
            ("x-forwarded-proto", "http"),
            ("x-real-ip", "127.0.0.1"),
            ("x_under.dot", "kept"),
        ])
    );
}

#[test]
fn the_client_sees_the_answer_as_it_was_less_what_is_between_two_hops() {
    let server = Server::answering(|_| {
        "HTTP/1.1 299 Quite Fine\r\n\
         Server: origin/1\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Set-Cookie: a=1\r\n\
         sEt-cOOkie: b=2\r\n\
         Location: http://elsewhere.test:1/x\r\n\
         Connection: X-Private\r\n\
         X-Private: between us\r\n\
         Keep-Alive: timeout=5\r\n\
         Content-Length: 2\r\n\
         \r\n\
         hi"
    });
    let elb = Elb::before(&[&server]);

    let answer = elb.client().ask(get(SITE, "/"));

    assert_eq!(answer.head.line, "HTTP/1.1 299 Quite Fine");
    assert_eq!(answer.text(), "hi");
    assert_eq!(
        answer.head.fields,
        pairs(&[
            ("Server", "origin/1"),
            ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Set-Cookie", "a=1"),
            ("sEt-cOOkie", "b=2"),
            ("Location", "http://elsewhere.test:1/x"),
            ("Content-Length", "2"),
        ])
    );
}

#[test]
fn any_split_of_a_request_into_packets_is_the_same_request() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);
    let request =
        "POST /p HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

    let mut client = elb.client();
    for byte in request.as_bytes() {
        client.send([*byte]);
    }

    assert_eq!(client.response().text(), "a");
    assert_eq!(server.request().body, b"abc");
}

#[test]
fn answers_that_have_no_body_leave_the_connection_in_step() {
    let server = Server::answering(|request| match request.head.target() {
        "/204" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n".to_owned(),
        "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_owned(),
        other => ok(other),
    });
    let elb = Elb::before(&[&server]);
    let mut client = elb.client();

    let answer = client.ask("HEAD /head HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!((answer.status(), answer.head.get("Content-Length")), (200, Some("1000")));
    assert_eq!(client.ask(get(SITE, "/204")).head.line, "HTTP/1.1 204 No Content");
    let answer = client.ask(get(SITE, "/304"));
    assert_eq!((answer.status(), answer.head.get("Content-Length")), (304, Some("1000")));
    assert_eq!(client.ask(get(SITE, "/after")).text(), "/after");
    assert_eq!(server.connections(), 3, "what announces a body that must not come may still send it");
}

#[test]
fn twenty_requests_in_one_packet_are_answered_in_order() {
    let server = Server::answering(|request| ok(request.head.target()));
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    let paths: Vec<String> = (0..20).map(|number| format!("/{number}")).collect();
    client.send(paths.iter().map(|path| get(SITE, path)).collect::<String>());

    let answers: Vec<String> = paths.iter().map(|_| client.response().text()).collect();
    assert_eq!(answers, paths);
    let seen: Vec<String> =
        server.requests().iter().map(|request| request.head.target().to_owned()).collect();
    assert_eq!(seen, paths);
}

#[test]
fn pipelined_requests_may_have_bodies_and_wait_for_their_turn() {
    let server = Server::answering(|request| ok(&request.text()));
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 3\r\n\r\none\
         POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n\
         GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n\
         POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\nConnection: close\r\n\r\nthree",
    );

    assert_eq!(client.response().text(), "one");
    assert_eq!(client.response().text(), "two");
    assert_eq!(client.response().status(), 404);
    assert_eq!(client.response().text(), "three");
    client.ended();
}

#[test]
fn a_client_of_http_1_0_is_answered_by_close_and_without_chunks() {
    let server = Server::answering(
        |_| "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nSum: 7\r\n\r\n",
    );
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    let answer = client.ask("GET / HTTP/1.0\r\nHost: site.test\r\n\r\n");

    assert_eq!(answer.text(), "abcdefg");
    assert_eq!(answer.head.get("Transfer-Encoding"), None);
    client.ended();
    assert_eq!(server.request().head.line, "GET / HTTP/1.1");
}

#[test]
fn a_client_of_http_1_0_may_ask_to_stay() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    let stays = client.ask("GET /1 HTTP/1.0\r\nHost: site.test\r\nConnection: Keep-Alive\r\n\r\n");
    assert_eq!((stays.text().as_str(), stays.head.get("Connection")), ("a", Some("keep-alive")));
    let goes = client.ask("GET /2 HTTP/1.0\r\nHost: site.test\r\n\r\n");
    assert_eq!((goes.text().as_str(), goes.head.get("Connection")), ("a", Some("close")));
    client.ended();
    let lines: Vec<String> = server.requests().into_iter().map(|request| request.head.line).collect();
    assert_eq!(lines, ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
}

#[test]
fn informational_answers_reach_only_those_who_know_them() {
    let server =
        Server::answering(|_| format!("HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n{}", ok("done")));
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send(get(SITE, "/"));
    let hints = client.head();
    assert_eq!((hints.status(), hints.get("Link")), (103, Some("</s.css>")));
    assert_eq!(client.response().text(), "done");
    assert_eq!(client.ask(get(SITE, "/")).status(), 103, "and so at the next request");
    assert_eq!(client.response().text(), "done");

    let mut old = elb.client();
    assert_eq!(old.ask("GET / HTTP/1.0\r\nHost: site.test\r\n\r\n").text(), "done");
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    client.send(get(SITE, "/"));
    client.finish();

    assert_eq!(client.response().text(), "a");
    client.ended();
}

#[test]
fn an_answer_that_ends_by_close_becomes_chunks_and_the_client_stays() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\n\r\nuntil the")?;
        talk.send(" end")
    });
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    let first = client.ask(get(SITE, "/"));
    assert_eq!(
        (first.text().as_str(), first.head.get("Transfer-Encoding")),
        ("until the end", Some("chunked"))
    );
    assert_eq!(client.ask(get(SITE, "/")).text(), "until the end");
    assert_eq!(server.connections(), 2);
}

#[test]
fn an_answer_that_is_cut_short_is_cut_short_for_the_client() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n5\r\nha",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n",
    ] {
        let server = Server::start(move |talk| {
            talk.request()?;
            talk.send(answer)
        });
        let elb = Elb::before(&[&server]);

        let mut client = elb.client();
        client.send(get(SITE, "/"));
        assert!(client.try_response().is_err(), "a whole answer was made of {answer:?}");
    }
}

#[test]
fn trailers_pass_to_a_client_that_asked_for_them() {
    let server = Server::answering(
        |_| "HTTP/1.1 200 OK\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nSum: 42\r\n\r\n",
    );
    let elb = Elb::before(&[&server]);

    let answer =
        elb.client().ask("GET / HTTP/1.1\r\nHost: site.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n");

    assert_eq!(answer.text(), "hi");
    assert_eq!(answer.trailers, pairs(&[("Sum", "42")]));
}

#[test]
fn the_target_may_be_absolute_and_then_names_the_host() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);

    let answer = elb.client().ask("GET http://Site.Test:81/x?y HTTP/1.1\r\nHost: other.test\r\n\r\n");

    assert_eq!(answer.text(), "a");
    let seen = server.request().head;
    assert_eq!((seen.line.as_str(), seen.get("Host")), ("GET /x?y HTTP/1.1", Some(SITE)));
}

#[test]
fn it_serves_on_every_listener() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).listener("--listen=[::1]:0").start();
    assert_eq!(elb.addresses().len(), 2);
    for address in elb.addresses() {
        assert_eq!(Client::connect(*address).ask(get(SITE, "/")).text(), "a", "{address}");
    }
}
