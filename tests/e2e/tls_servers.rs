//! TLS to servers: who is believed to be one, what is said before it, and what is kept of a session.

use std::io::Write;
use std::net::SocketAddr;

use serde_json::json;

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::folder::Folder;
use crate::support::rules::{self, SITE};
use crate::support::secure::{SecureServer, head};
use crate::support::server::{Server, ok};
use crate::support::wait;

/// An authority, and a folder with what it signs.
struct House(Folder);

impl House {
    fn new() -> House {
        House(Folder::empty())
    }

    /// An ELB with these options for its one server, which trusts the authority.
    fn elb(&self, server: impl std::fmt::Display, options: &str) -> Elb {
        self.launch(server, options).start()
    }

    fn launch(&self, server: impl std::fmt::Display, options: &str) -> Launch {
        let servers = json!({server.to_string(): "", "@options": options});
        let document = json!({"domains": {SITE: rules::to("up")}, "upstreams": {"up": servers}});
        Launch::serving(&document).flag(&format!("--server-ca={}", self.0.ca()))
    }

    /// An ELB that serves `server` in TLS as `name`, and where; its listener may have words behind its address.
    fn secure(&self, server: &Server, name: &str, words: &str) -> (Elb, SocketAddr) {
        self.0.put("default", &self.0.authority.sign(&[name]));
        let elb = Launch::serving(&rules::site(&[server]))
            .flag(&self.0.flag())
            .flag("--trusted-proxies=127.0.0.1")
            .listener(&format!("--listen-tls=127.0.0.1:0{words}"))
            .start();
        let address = elb.addresses()[1];
        (elb, address)
    }
}

fn reason(elb: &Elb) -> (u16, String) {
    let answer = elb.client().ask(get(SITE, "/"));
    (answer.status(), answer.head.get("X-ELB-Reason").unwrap_or_default().to_owned())
}

#[test]
fn a_server_is_asked_in_tls_over_connections_that_are_kept() {
    let (house, server) = (House::new(), Server::named("a"));
    let (_behind, address) = house.secure(&server, "127.0.0.1", "");
    let elb = house.launch(address, "tls").workers(1).start();
    let mut client = elb.client();
    for _ in 0..20 {
        assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    }
    let large = "x".repeat(300_000);
    let body = large.clone();
    let echo =
        Server::answering(move |request| ok(if request.body == body.as_bytes() { &body } else { "other" }));
    let (_second, address) = house.secure(&echo, "127.0.0.1", "");
    elb.admin().put("upstream", &json!({"up": {address.to_string(): "", "@options": "tls"}}));
    let request =
        format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {}\r\n\r\n{large}", large.len());
    assert_eq!(client.ask(request).text().len(), large.len(), "large bodies pass both ways");
}

#[test]
fn whoever_cannot_show_who_it_is_gets_nothing() {
    let (house, other) = (House::new(), House::new());
    let server = Server::named("a");
    let (_named, named) = house.secure(&server, SITE, "");
    let (_stranger, stranger) = other.secure(&server, "127.0.0.1", "");
    let plain = Server::start(|talk| {
        talk.some()?;
        talk.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    });
    let failed = (502, "server-tls-failed".to_owned());
    for (address, options, outcome) in [
        (named, "tls", Err(())),
        (named, "tls tls_name=site.test", Ok("a")),
        (named, "tls tls_name=www.site.test", Err(())),
        (named, "tls tls_verify=off", Ok("a")),
        (stranger, "tls", Err(())),
        (stranger, "tls tls_verify=off", Ok("a")),
        (plain.address(), "tls tls_verify=off", Err(())),
    ] {
        let elb = house.elb(address, options);
        match outcome {
            Ok(text) => assert_eq!(elb.client().ask(get(SITE, "/")).text(), text, "{options}"),
            Err(()) => assert_eq!(reason(&elb), failed, "{address} {options}"),
        }
    }
}

#[test]
fn the_next_server_is_asked_when_no_session_comes_of_one() {
    let (house, server) = (House::new(), Server::named("a"));
    let (_behind, good) = house.secure(&server, "127.0.0.1", "");
    let plain = Server::start(|talk| talk.some().map(drop));
    let servers = json!({plain.address().to_string(): "weight=100", good.to_string(): "", "@options": "tls"});
    let elb = house.launch(good, "tls").start();
    elb.admin().put("upstream", &json!({"up": servers}));
    for _ in 0..4 {
        assert_eq!(Client::connect(elb.address()).ask(get(SITE, "/")).text(), "a");
    }
    wait::until("the retry to be counted", || {
        let retries = elb.admin().get("workers")["all"]["retries"]["server-tls-failed"].as_u64();
        (retries >= Some(1)).then_some(())
    });
}

#[test]
fn sessions_are_taken_up_again_and_tickets_disturb_no_idle_connection() {
    let house = House::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let shown = house.0.authority.sign(&["127.0.0.1"]);
        let server = SecureServer::start(&shown, &[version], |stream| {
            while head(stream)?.is_some() {
                stream.write_all(ok("b").as_bytes())?;
            }
            Ok(())
        });
        let elb = house.launch(server.address(), "tls").workers(1).start();
        let mut client = elb.client();
        for _ in 0..10 {
            assert_eq!(client.ask(get(SITE, "/")).text(), "b");
        }
        assert_eq!(server.resumed(), [false], "one connection for all");
        // Another one is made as that is in use.
        elb.admin().put(
            "upstream",
            &json!({"up": {server.address().to_string(): "weight=2",
            "@options": "tls keepalive=0"}}),
        );
        for _ in 0..3 {
            assert_eq!(client.ask(get(SITE, "/")).text(), "b");
        }
        let resumed = server.resumed();
        assert!(resumed.len() >= 3 && resumed[2..].iter().all(|resumed| *resumed), "{resumed:?}");
    }
}

#[test]
fn an_answer_as_long_as_its_connection_is_whole_only_if_the_server_says_so() {
    let house = House::new();
    let shown = house.0.authority.sign(&["127.0.0.1"]);
    let server = SecureServer::start(&shown, rustls::ALL_VERSIONS, |stream| {
        let Some(head) = head(stream)? else { return Ok(()) };
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it")?;
        if head.starts_with("GET /whole ") {
            stream.conn.send_close_notify();
        }
        stream.flush()?;
        stream.sock.shutdown(std::net::Shutdown::Write)
    });
    let elb = house.elb(server.address(), "tls");
    assert_eq!(elb.client().ask(get(SITE, "/whole")).text(), "all of it");
    let mut client = elb.client();
    client.send(get(SITE, "/cut"));
    let (heard, _) = client.rest();
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(!heard.ends_with("0\r\n\r\n"), "nobody takes it for the whole: {heard}");
    wait::until("it to be counted", || {
        let all = elb.admin().get("workers")["all"]["ended"]["response-cut"].as_u64();
        (all == Some(1)).then_some(())
    });
}

#[test]
fn connections_of_another_kind_are_not_used_once_the_options_say_so() {
    let (house, server) = (House::new(), Server::named("a"));
    let (behind, address) = house.secure(&server, "127.0.0.1", "");
    let plain = behind.address();
    let elb = house.launch(address, "tls").workers(1).start();
    let mut client = elb.client();
    assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    // The same server in the clear says what is wrong, and the other way round.
    elb.admin().put("upstream", &json!({"up": {address.to_string(): ""}}));
    assert_ne!(client.ask(get(SITE, "/")).status(), 200);
    elb.admin().put("upstream", &json!({"up": {plain.to_string(): ""}}));
    assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    elb.admin().put("upstream", &json!({"up": {plain.to_string(): "", "@options": "tls"}}));
    assert_eq!(reason(&elb), (502, "server-tls-failed".to_owned()));
}

#[test]
fn checks_speak_tls_too_and_say_what_is_wrong() {
    let (house, server) = (House::new(), Server::named("a"));
    let (_behind, address) = house.secure(&server, SITE, "");
    let check = format!("check=/ check_host={SITE} check_interval=100ms fall=1 rise=1");
    let found = |elb: &Elb, good: bool| {
        wait::until("a check", || {
            let servers = elb.admin().get("servers");
            let last = &servers[0]["last_check"];
            (last["ok"] == good).then(|| last["what"].as_str().unwrap_or_default().to_owned())
        })
    };
    let elb = house.elb(address, &format!("tls tls_name={SITE} {check}"));
    assert_eq!(found(&elb, true), "status 200");
    let elb = house.elb(address, &format!("tls {check}"));
    let what = found(&elb, false);
    assert!(what.starts_with("TLS: ") && what.contains(SITE), "{what}");
}

#[test]
fn a_header_that_says_whose_a_connection_is_comes_before_the_session() {
    let (house, server) = (House::new(), Server::named("a"));
    let (_behind, address) = house.secure(&server, "127.0.0.1", ",proxy=require");
    for options in ["tls proxy_protocol=v1", "tls proxy_protocol=v2"] {
        let elb = house.elb(address, options);
        let mut client = Client::connect_from("127.0.0.9".parse().unwrap(), elb.address());
        for _ in 0..3 {
            assert_eq!(client.ask(get(SITE, "/")).text(), "a");
            let told = server.requests().pop().unwrap().head;
            assert_eq!(told.get("X-Real-IP"), Some("127.0.0.9"));
        }
    }
}
