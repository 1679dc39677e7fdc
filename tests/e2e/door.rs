//! Who may speak to the admin API, by which spelling of its path, and what everybody else is told.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use super::admin::refused;
use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::wait;

/// A peer that is on no list which holds 127.0.0.1 alone.
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

#[test]
fn only_the_spelling_itself_reaches_the_api_and_no_other_reaches_a_server() {
    let server = Server::named("proxied");
    let elb = Elb::before(&[&server]);
    let answer = elb.client().ask(get("127.0.0.1", "/__erulb__/domain?q"));
    assert_eq!(answer.json(), json!({SITE: rules::to("up")}));
    for path in [
        "/__erulb__",
        "/__erulb__/",
        "/__erulb__?x",
        "/__erulb__;x/domain",
        "/__erulb__/domain;x",
        "/__erulb__/upstream/up1",
        "/__erulb__/a-b",
        "/__erulb__//domain",
        "/__erulb__/%64omain",
        "//__erulb__/domain",
        "//__erulb__//domain",
        "/./__erulb__/domain",
        "/x/../__erulb__/domain",
        "/x/%2e%2e/__erulb__/domain",
        "/%5f_erulb__/domain",
        "/%5F%5Ferulb__/domain",
        "/__erulb__%2fdomain",
        "http://site.test/__erulb__/domain",
        "http://127.0.0.1/__erulb__/domain",
        "http://site.test/x/../__erulb__",
    ] {
        refused(&elb.client().ask(get("127.0.0.1", path)), 404);
    }
    assert_eq!(server.connections(), 0, "nothing of it is a server's");
    for path in ["/__ERULB__/domain", "/__erulb__x/domain", "/x/__erulb__/domain"] {
        assert_eq!(elb.client().ask(get(SITE, path)).text(), "proxied", "{path}");
    }
}

#[test]
fn a_call_with_a_mistake_in_its_path_keeps_its_token_and_body_to_itself() {
    let server = Server::named("proxied");
    let elb = Launch::serving(&rules::site(&[&server])).variable("ELB_ADMIN_TOKEN", "hunter2").start();
    let admin = elb.admin().with("Authorization: Bearer hunter2");
    for word in ["upstreams/up1", "domains", "upstream/", "", "a-b", "%64omain", "../__erulb__/domain"] {
        refused(&admin.call("PUT", word, Some("{}")), 404);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn no_rule_leads_a_request_to_what_is_elbs_own() {
    let server = Server::answering(|request| ok(request.head.target()));
    let rewriting = json!({"init": "r", "rules": {
        "r": {"type": "path", "args": {
            "regex": true, "pattern": "^/open(.*)$", "rewrite": true, "succ": "b", "fail": "b"}},
        "b": {"type": "backend", "args": {"servername": "up"}}}});
    let document =
        json!({"domains": {SITE: rewriting}, "upstreams": {"up": rules::upstream(&[&server], "")}});
    let elb = Launch::serving(&document).start();
    for path in [
        "/open/__erulb__/domain",
        "/open__erulb__/domain",
        "/open/__erulb__",
        "/open/%5f_erulb__/x",
        "/open/__erulb__;x/y",
    ] {
        let answer = elb.client().ask(get(SITE, path));
        assert_eq!(
            (answer.status(), answer.head.get("X-ELB-Reason")),
            (404, Some("reserved-path")),
            "{path}"
        );
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(elb.client().ask(get(SITE, "/open/x/__erulb__/domain")).text(), "/x/__erulb__/domain");
}

#[test]
fn a_stranger_is_refused_by_the_worker_and_keeps_the_operator_from_nothing() {
    let server = Server::named("proxied");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--admin-allow=127.0.0.1").start();
    let begun = Instant::now();
    // As many as control and its queue have places for, twice over; each owes a body, so its connection lingers.
    let mut strangers: Vec<Client> =
        (0..256).map(|_| Client::connect_from(STRANGER, elb.address())).collect();
    for (at, stranger) in strangers.iter_mut().enumerate() {
        stranger.send("PUT /__erulb__/domain HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{");
        if at % 16 == 0 {
            assert_eq!(elb.admin().get("domain"), json!({SITE: rules::to("up")}), "after {at} strangers");
        }
    }
    for stranger in &mut strangers {
        let answer = stranger.response();
        assert_eq!(
            refused(&answer, 403),
            json!({"error": "127.0.0.2 is not in --admin-allow", "code": "forbidden"})
        );
        assert_eq!(answer.head.get("X-ELB-Reason"), Some("admin-refused"));
    }
    assert_eq!(server.connections(), 0);
    let told = "admin request refused: 127.0.0.2 is not in --admin-allow";
    wait::until("a line in the log", || elb.log().contains(told).then_some(()));
    // Two workers, each with a line in ten seconds, however long this took.
    let most = 2 * (1 + usize::try_from(begun.elapsed().as_secs() / 10).expect("a few"));
    assert!(elb.log().matches(told).count() <= most, "more than {most} lines:\n{}", elb.log());
}

#[test]
fn idle_connections_and_half_sent_changes_keep_the_operator_from_nothing() {
    let document = rules::site(&[&Server::named("proxied")]);
    let apart = Launch::serving(&document).flag("--admin-listen=127.0.0.1:0");
    for elb in [Launch::serving(&document).start(), apart.start()] {
        let admin = elb.admin();
        let mut drips: Vec<Client> = (0..200).map(|_| admin.client()).collect();
        for (at, drip) in drips.iter_mut().enumerate() {
            match at % 4 {
                0 => {}
                1 => drip.send("PUT /__erulb__/dom"),
                _ => drip
                    .send("PUT /__erulb__/domain HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"),
            }
        }
        // Two hundred at once may find the way to control full for a moment, and so may the operator.
        let change = json!({SITE: rules::to("up")}).to_string();
        for (method, body) in [("GET", None), ("PUT", Some(change.as_str()))].repeat(10) {
            wait::until("an answer", || (admin.call(method, "domain", body).status() == 200).then_some(()));
        }
        // Who was there had to go (408), or who came found the way to control full of others that drip (503). One goes for a
        // call, the slowest first, and those before them have not begun a request that could be answered.
        let told = wait::until("one who could not stay and was told so", || {
            admin.call("GET", "domain", None);
            let mut begun = (0..).zip(&mut drips).filter(|(at, _)| at % 4 >= 2);
            begun.find_map(|(_, drip)| {
                drip.hurry(Duration::from_millis(1));
                drip.try_response().ok().flatten()
            })
        });
        refused(&told, if told.status() == 503 { 503 } else { 408 });
    }
}

#[test]
fn the_largest_body_of_the_data_plane_says_nothing_about_the_api() {
    let server = Server::named("proxied");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--max-body=1k").start();
    let many: serde_json::Map<_, _> = (0..200).map(|n| (format!("{n}.test"), rules::to("up"))).collect();
    elb.admin().put("domain", &many.into());
    let chunked = format!(
        "PUT /__erulb__/upstream HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n\
        {:x}\r\n{}\r\n0\r\n\r\n",
        5000,
        format_args!("{:5000}", r#"{"other": {"127.0.0.1:1": ""}}"#)
    );
    assert_eq!(elb.client().ask(chunked).json(), json!({"msg": "OK"}));

    let head = |path: &str, length: u64| {
        format!(
            "PUT {path} HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let answer = elb.client().ask(head("/", 1025));
    assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (413, Some("body-too-long")));
    let local = |path, length| head(path, length).replace(SITE, "127.0.0.1");
    let mut client = elb.client();
    client.send(local("/__erulb__/domain", 60 << 20));
    assert_eq!(client.head().line, "HTTP/1.1 100 Continue");
    refused(&elb.client().ask(local("/__erulb__/domain", (64 << 20) + 1)), 413);
    let answer = elb.client().ask(local("/__erulb__", 1025));
    assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (413, Some("body-too-long")));
}

#[test]
fn a_proxy_in_between_does_not_speak_for_the_operator() {
    let server = Server::named("proxied");
    let elb = Elb::before(&[&server]);
    for field in [
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "Via: 1.1 edge",
        "X-Forwarded-Proto: https",
        "CF-Connecting-IP: 127.0.0.1",
    ] {
        for (method, word) in [("GET", "domain"), ("PUT", "dump"), ("GET", "nothing")] {
            refused(&elb.admin().with(field).call(method, word, Some("")), 403);
        }
    }
    assert_eq!(server.connections(), 0, "a refused request is never forwarded");
}

#[test]
fn only_listed_peers_may_speak() {
    let server = Server::named("proxied");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--admin-allow=192.0.2.0/24").start();
    refused(&elb.admin().call("GET", "domain", None), 403);
    assert_eq!(server.connections(), 0);
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "proxied");
}

#[test]
fn with_a_token_only_its_bearer_may_speak() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "hunter2\n").expect("a file");
    let empty = json!({"domains": {}, "upstreams": {}});
    let by_file = Launch::serving(&empty).flag(&format!("--admin-token-file={}", file.display()));
    let begun = Instant::now();
    for elb in [by_file.start(), Launch::serving(&empty).variable("ELB_ADMIN_TOKEN", "hunter2").start()] {
        for field in [
            "Accept: */*",
            "Authorization: Bearer hunter",
            "Authorization: Bearer hunter22",
            "Authorization: Basic hunter2",
        ] {
            let answer = elb.admin().with(field).call("GET", "domain", None);
            refused(&answer, 401);
            assert_eq!(answer.head.get("WWW-Authenticate"), Some("Bearer"), "{field}");
        }
        assert_eq!(elb.admin().with("Authorization: Bearer hunter2").get("domain"), json!({}));
        let told = "admin request of 127.0.0.1 refused: the bearer token is missing";
        wait::until("a line in the log", || elb.log().contains(told).then_some(()));
        let most = 1 + usize::try_from(begun.elapsed().as_secs() / 10).expect("a few");
        assert!(elb.log().matches("admin request of").count() <= most, "one in ten seconds:\n{}", elb.log());
        // Who has the token is no page that a browser was lured to.
        let elsewhere = get("elb.example.com", "/__erulb__/domain")
            .replace("\r\n\r\n", "\r\nAuthorization: Bearer hunter2\r\n\r\n");
        assert_eq!(elb.client().ask(elsewhere).json(), json!({}));
    }
}

#[test]
fn without_a_token_no_page_speaks_for_the_operator() {
    let server = Server::named("proxied");
    let document = rules::site(&[&server]);
    let mut machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or("localhost".to_owned());
    machine.truncate(machine.trim_end().len());
    for elb in [
        Launch::serving(&document)
            .flag("--admin-host=Elb.example.com")
            .flag("--admin-host=other.test")
            .start(),
        Launch::serving(&document)
            .variable("ELB_ADMIN_HOST", "elb.example.com,other.test")
            .flag("--admin-listen=127.0.0.1:0")
            .start(),
    ] {
        let ask = |method: &str, host: &str, fields: &str| {
            let length = if method == "PUT" { "Content-Length: 2\r\n" } else { "" };
            let body = if method == "PUT" { "{}" } else { "" };
            elb.admin().client().ask(format!(
                "{method} /__erulb__/domain HTTP/1.1\r\nHost: {host}\r\n{length}{fields}\r\n{body}"
            ))
        };
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]:80",
            "LocalHost:8080",
            machine.as_str(),
            "elb.example.com:80",
            "OTHER.test",
        ] {
            assert_eq!(ask("GET", host, "").status(), 200, "{host}");
            let own = format!("Origin: http://{host}\r\n");
            assert_eq!(ask("PUT", host, &own).json(), json!({"msg": "OK"}), "{host}");
        }
        for host in
            ["evil.example:8080", SITE, "example.com", "127.0.0.1.evil.example", "localhost.evil.example"]
        {
            let told = refused(&ask("PUT", host, ""), 403);
            let error = told["error"].as_str().unwrap_or_default();
            assert!(error.contains(host) && error.contains("--admin-host"), "{told}");
            refused(&ask("PUT", host, &format!("Origin: http://{host}\r\n")), 403);
            refused(&ask("GET", host, ""), 403);
        }
        for origin in ["http://evil.example:8080", "http://localhost:3000", "https://localhost:8443", "null"]
        {
            let told = refused(&ask("PUT", "localhost", &format!("Origin: {origin}\r\n")), 403);
            assert!(told["error"].as_str().is_some_and(|error| error.contains(origin)), "{told}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_listener_of_its_own_takes_the_api_off_the_data_port() {
    let server = Server::named("proxied");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--admin-listen=127.0.0.1:0").start();

    assert_eq!(elb.admin().get("domain"), json!({SITE: rules::to("up")}));
    for path in ["/__erulb__/domain", "/__erulb__/upstream/up1", "/__erulb__", "/%5f_erulb__/domain"] {
        refused(&elb.client().ask(get(SITE, path)), 404);
    }
    assert_eq!(server.connections(), 0, "nothing under /__erulb__/ is ever proxied");
    elb.admin().put("domain", &json!({"more.test": rules::to("up")}));
    assert_eq!(elb.client().ask(get("more.test", "/")).text(), "proxied");
}

#[test]
fn an_elb_that_follows_another_answers_the_api_beside_it_and_alone_afterwards() {
    let server = Server::named("proxied");
    let document = rules::site(&[&server]);
    let mut first = Launch::serving(&document).flag("--admin-listen=127.0.0.1:0").start();
    let admin = first.admin();
    let second = Launch::serving(&document).flag(&format!("--admin-listen={}", admin.address())).start();
    assert_eq!(second.admin().address(), admin.address());
    assert!(second.log().contains("another process listens on"), "it says so:\n{}", second.log());
    for _ in 0..20 {
        assert_eq!(admin.get("domain"), json!({SITE: rules::to("up")}));
    }
    first.signal("TERM");
    assert!(first.exit().success());
    admin.put("domain", &json!({"more.test": rules::to("up")}));
    assert_eq!(second.client().ask(get("more.test", "/")).text(), "proxied");
}
