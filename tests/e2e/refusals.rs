//! What ELB answers itself: nowhere to go, not understood, not allowed. The server never hears of it.

use serde_json::json;

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;

#[test]
fn a_host_that_nobody_serves_is_404_and_the_connection_lives() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);

    let mut client = elb.client();
    let answer = client.ask(get("nobody.test", "/"));
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.head.get("X-ELB-Reason"), Some("no-domain"));
    assert!(answer.head.get("Date").is_some() && answer.head.get("Content-Length").is_some(), "{answer:?}");
    assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    assert_eq!(elb.client().ask("GET / HTTP/1.0\r\n\r\n").status(), 404, "no host at all");
}

#[test]
fn hosts_are_found_exactly_then_normalised_then_by_suffix_then_by_the_star() {
    let names = ["exact", "plain", "suffix", "star"].map(|name| (name, Server::named(name)));
    let upstreams = names.iter().map(|(name, server)| (name.to_string(), rules::upstream(&[server], "")));
    let elb = Launch::serving(&json!({
        "domains": {
            "host.test:8080": rules::to("exact"),
            "host.test": rules::to("plain"),
            "*.host.test": rules::to("suffix"),
            "*": rules::to("star"),
        },
        "upstreams": upstreams.collect::<serde_json::Map<_, _>>(),
    }))
    .start();

    let mut client = elb.client();
    for (host, server) in [
        ("host.test:8080", "exact"),
        ("host.test", "plain"),
        ("HOST.test.:81", "plain"),
        ("a.b.host.test", "suffix"),
        ("elsewhere.test", "star"),
    ] {
        assert_eq!(client.ask(get(host, "/")).text(), server, "{host}");
    }
}

#[test]
fn a_rule_without_the_branch_that_is_taken_is_403() {
    let server = Server::named("a");
    let elb = Launch::serving(&json!({
        "domains": {SITE: {"init": "r1", "rules": {
            "r1": {"type": "path", "args": {"pattern": "/open", "succ": "r2"}},
            "r2": {"type": "backend", "args": {"servername": "up"}}}}},
        "upstreams": {"up": rules::upstream(&[&server], "")},
    }))
    .start();

    let mut client = elb.client();
    assert_eq!(client.ask(get(SITE, "/open/x")).text(), "a");
    let answer = client.ask(get(SITE, "/shut"));
    assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (403, Some("rule-denied")));
}

#[test]
fn an_upstream_that_is_not_there_is_502() {
    for name in ["nothing here", "nothing", "localhost"] {
        let document = json!({"domains": {SITE: rules::to(name)}, "upstreams": {}});
        let elb = Launch::serving(&document).start();
        let answer = elb.client().ask(get(SITE, "/"));
        assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (502, Some("no-upstream")), "{name}");
    }
}

#[test]
fn a_doubtful_request_is_refused_and_nothing_behind_it_is_read() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);

    for (status, request) in [
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: site.test\r\nHost: site.test\r\n\r\n"),
        (400, "GET / HTTP/1.1\nHost: site.test\n\n"),
        (400, "GET / HTTP/1.1\r\nHost: site.test\r\nA : b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: site.test\r\nA: b\r\n c\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: site.test\r\nA: \0\r\n\r\n"),
        (400, "GET  / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "GET /../x HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "GET /%zz HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (400, "GET /%00 HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        (
            400,
            "POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        ),
        (400, "POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
        (400, "POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: +3\r\n\r\nabc"),
        (400, "POST / HTTP/1.0\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (501, "POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ] {
        let mut client = elb.client();
        client.send(format!("{request}{}", get(SITE, "/smuggled")));
        let answer = client.response();
        assert_eq!(answer.status(), status, "{request:?}");
        assert!(answer.head.get("X-ELB-Reason").is_some(), "{request:?}");
        client.ended();
    }
    let targets: Vec<String> =
        server.requests().iter().map(|request| request.head.target().to_owned()).collect();
    assert_eq!(targets, [""; 0]);
}

#[test]
fn versions_methods_and_sizes_have_their_own_refusals() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);
    let long = "x".repeat(17 << 10);
    let fields: String = (0..300).map(|number| format!("X-{number}: y\r\n")).collect();

    for (allowed, request) in [
        (&[400, 505][..], "GET / HTTP/2.0\r\nHost: site.test\r\n\r\n".to_owned()),
        (&[400, 505], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (&[400, 405, 501], "CONNECT site.test:80 HTTP/1.1\r\nHost: site.test:80\r\n\r\n".to_owned()),
        (&[414], format!("GET /{long} HTTP/1.1\r\nHost: site.test\r\n\r\n")),
        (&[431], format!("GET / HTTP/1.1\r\nHost: site.test\r\nA: {}\r\n\r\n", long.repeat(4))),
        (&[431], format!("GET / HTTP/1.1\r\nHost: site.test\r\n{fields}\r\n")),
    ] {
        let mut client = elb.client();
        let _ = client.try_send(&request);
        let status = client.response().status();
        assert!(allowed.contains(&status), "{status} for {:?}…", &request[..40.min(request.len())]);
        client.ended();
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_doubtful_answer_is_502() {
    for answer in [
        "hello\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: surprise\r\nConnection: Upgrade\r\n\r\n",
        "",
    ] {
        let server = Server::start(move |talk| {
            talk.request()?;
            talk.send(answer)
        });
        let elb = Elb::before(&[&server]);
        assert_eq!(elb.client().ask(get(SITE, "/")).status(), 502, "{answer:?}");
    }
}
