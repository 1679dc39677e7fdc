//! Connections that begin with a header of the PROXY protocol: those of clients, and those to servers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::haproxy::Haproxy;
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::wait;

const LINE: &str = "PROXY TCP4 203.0.113.9 192.0.2.2 56324 443\r\n";
/// Version 2 of the same.
const BYTES: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x02\xdc\x04\x01\xbb";

/// An ELB that believes 127.0.0.1, and the address of a second listener with this word.
fn elb(server: &Server, proxy: &str) -> (Elb, SocketAddr) {
    let elb = Launch::serving(&rules::site(&[server]))
        .flag("--trusted-proxies=127.0.0.1")
        .listener(&format!("--listen=127.0.0.1:0,proxy={proxy}"))
        .start();
    let second = elb.addresses()[1];
    (elb, second)
}

/// Whom the server was told of at its last request.
fn told(server: &Server) -> String {
    let request = server.requests().pop().expect("a request");
    request.head.get("X-Forwarded-For").expect("who asks").to_owned()
}

/// How many connections were refused for this reason.
fn refused(elb: &Elb, reason: &str) -> u64 {
    elb.admin().get("workers")["all"]["ended"].get(reason).and_then(Value::as_u64).unwrap_or_default()
}

#[test]
fn a_header_of_either_version_names_the_client_however_it_comes() {
    let server = Server::named("a");
    let (_elb, address) = elb(&server, "require");
    let request = get(SITE, "/");
    for header in [LINE.as_bytes(), BYTES] {
        let mut at_once = Client::connect(address);
        assert_eq!(at_once.ask([header, request.as_bytes()].concat()).text(), "a");
        assert_eq!(told(&server), "203.0.113.9");
        assert_eq!(at_once.ask(&request).text(), "a", "only the first request has one before it");
        assert_eq!(told(&server), "203.0.113.9");
        let mut by_bytes = Client::connect(address);
        header.iter().for_each(|byte| by_bytes.send([*byte]));
        assert_eq!(by_bytes.ask(&request).text(), "a");
        assert_eq!(told(&server), "203.0.113.9");
    }
    for own in ["PROXY UNKNOWN\r\n".as_bytes(), b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"] {
        assert_eq!(Client::connect(address).ask([own, request.as_bytes()].concat()).text(), "a");
        assert_eq!(told(&server), "127.0.0.1", "the proxy speaks for itself");
    }
}

#[test]
fn what_is_demanded_and_is_missing_or_broken_closes_the_connection_and_is_counted() {
    let server = Server::named("a");
    let (elb, address) = elb(&server, "require");
    let wrong =
        ["GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 1.2.3.4\r\n", "PROXY TCP9 ::1 ::1 1 1\r\n", "\x16\x03\x01"];
    for begin in wrong {
        let mut client = Client::connect(address);
        client.send(begin);
        client.ended();
    }
    wait::until("them to be counted", || {
        (refused(&elb, "bad-proxy-header") == wrong.len() as u64).then_some(())
    });
    assert_eq!(server.requests().len(), 0);
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a", "the other listener is as it was");
}

#[test]
fn who_is_not_trusted_names_nobody() {
    let server = Server::named("a");
    let stranger: IpAddr = Ipv4Addr::new(127, 0, 0, 5).into();
    let request = [LINE.as_bytes(), get(SITE, "/").as_bytes()].concat();

    let (demanding, address) = elb(&server, "require");
    Client::connect_from(stranger, address).ended();
    wait::until("it to be counted", || (refused(&demanding, "bad-proxy-header") == 1).then_some(()));

    let (_accepting, address) = elb(&server, "accept");
    let answer = Client::connect_from(stranger, address).ask(&request);
    assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (400, Some("proxy-protocol")));
    assert_eq!(Client::connect_from(stranger, address).ask(get(SITE, "/")).text(), "a");
    assert_eq!(told(&server), "127.0.0.5");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_client_behind_a_header_is_not_believed_for_the_proxys_sake() {
    let server = Server::named("a");
    let (_elb, address) = elb(&server, "require");
    let claim = format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nX-Forwarded-For: 8.8.8.8\r\n\r\n");
    for (header, real) in [(LINE, "203.0.113.9"), ("PROXY TCP4 127.0.0.1 192.0.2.2 1 2\r\n", "8.8.8.8")] {
        assert_eq!(Client::connect(address).ask(format!("{header}{claim}")).text(), "a");
        let request = server.requests().pop().expect("a request");
        assert_eq!(request.head.get("X-Real-IP"), Some(real), "{header}");
    }
}

#[test]
fn what_is_accepted_may_be_missing() {
    let server = Server::named("a");
    let (_elb, address) = elb(&server, "accept");
    for (begin, client) in [("", "127.0.0.1"), (LINE, "203.0.113.9")] {
        let mut asked = Client::connect(address);
        assert_eq!(asked.ask(format!("{begin}{}", get(SITE, "/"))).text(), "a");
        assert_eq!(told(&server), client);
    }
    let post = format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 2\r\n\r\nhi");
    let mut slow = Client::connect(address);
    post.bytes().for_each(|byte| slow.send([byte]));
    assert_eq!(slow.response().text(), "a", "it begins with a P as well");
}

#[test]
fn haproxy_is_understood_in_both_versions() {
    let server = Server::named("a");
    let (_elb, address) = elb(&server, "require");
    for words in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"] {
        let Some(haproxy) = Haproxy::before(address, words) else { return };
        let mut client = Client::connect_from(Ipv4Addr::new(127, 0, 0, 7).into(), haproxy.address());
        for _ in 0..2 {
            assert_eq!(client.ask(get(SITE, "/")).text(), "a", "{words}");
            assert_eq!(told(&server), "127.0.0.7", "{words}");
        }
    }
}

#[test]
fn to_believe_a_header_it_must_be_said_whose() {
    let mut elb = Launch::bare(&["--listen=127.0.0.1:0,proxy=require", "--store=file:none.json"]).spawn();
    assert_eq!(elb.exit().code(), Some(2));
    let (_, log) = wait::until("its output", || elb.said_all());
    assert!(log.contains("--trusted-proxies") && log.contains("--listen"), "{log}");
}

/// A server that answers with the header that came before the first request, which it reads as bytes up to a request.
fn headed() -> Server {
    Server::start(|talk| {
        let mut header = Vec::new();
        while !header.ends_with(b"GET ") {
            header.extend(talk.bytes(1)?);
        }
        header.truncate(header.len() - 4);
        let text: String = header.escape_ascii().to_string();
        let mut request = b"GET ".to_vec();
        loop {
            while !request.ends_with(b"\r\n\r\n") {
                request.extend(talk.bytes(1)?);
            }
            request.clear();
            talk.send(ok(&text))?;
        }
    })
}

/// An ELB that says to this server, before all else, whose a connection is.
fn saying(server: impl std::fmt::Display, options: &str) -> Launch {
    let servers = json!({server.to_string(): "", "@options": options});
    Launch::serving(&json!({"domains": {SITE: rules::to("up")}, "upstreams": {"up": servers}}))
}

/// What of a text is the port in a line of version 1, and in one of version 2 as it is escaped.
fn line(client: SocketAddr, elb: &Elb) -> String {
    let (from, to) = (client, elb.address());
    format!("PROXY TCP4 {} {} {} {}\\r\\n", from.ip(), to.ip(), from.port(), to.port())
}

#[test]
fn servers_are_told_whose_a_connection_is_and_each_client_has_its_own() {
    let server = headed();
    let elb = saying(server.address(), "proxy_protocol=v1").workers(1).start();
    let mut clients = [elb.client(), elb.client()];
    for _ in 0..3 {
        for client in &mut clients {
            let expected = line(client.address(), &elb);
            assert_eq!(client.ask(get(SITE, "/")).text(), expected);
        }
    }
    assert_eq!(server.connections(), 2, "a connection for each client, however often it asks");
    let [first, _second] = clients;
    drop(first);
    wait::until("its connection to be closed", || (server.open_connections() == 1).then_some(()));
    let mut other = Client::connect_from("127.0.0.9".parse().unwrap(), elb.address());
    let expected = line(other.address(), &elb);
    assert!(expected.starts_with("PROXY TCP4 127.0.0.9 "));
    assert_eq!(other.ask(get(SITE, "/")).text(), expected);
}

#[test]
fn the_binary_form_says_the_same_and_an_elb_behind_believes_it() {
    let server = Server::named("a");
    let (_behind, address) = elb(&server, "require");
    for options in ["proxy_protocol=v1", "proxy_protocol=v2"] {
        let front = saying(address, options).start();
        let mut client = Client::connect_from("127.0.0.9".parse().unwrap(), front.address());
        assert_eq!(client.ask(get(SITE, "/")).text(), "a");
        let chain = told(&server);
        assert!(chain.ends_with("127.0.0.9") && !chain.contains("127.0.0.1"), "{chain}");
    }
}

#[test]
fn haproxy_takes_the_headers_that_are_written() {
    let server = headed();
    let Some(haproxy) = Haproxy::between("accept-proxy", server.address(), "send-proxy") else { return };
    for options in ["proxy_protocol=v1", "proxy_protocol=v2"] {
        let elb = saying(haproxy.address(), options).start();
        let mut client = Client::connect_from("127.0.0.9".parse().unwrap(), elb.address());
        let expected = line(client.address(), &elb);
        assert_eq!(client.ask(get(SITE, "/")).text(), expected);
    }
}

#[test]
fn a_check_says_that_it_is_nobodys() {
    let server = Server::named("a");
    let (_behind, address) = elb(&server, "require");
    for options in ["proxy_protocol=v1", "proxy_protocol=v2"] {
        let check = format!("{options} check=/ check_host={SITE} check_interval=100ms");
        let front = saying(address, &check).start();
        let last = wait::until("a check", || {
            let last = front.admin().get("servers")[0]["last_check"].clone();
            last["ok"].is_boolean().then_some(last)
        });
        assert_eq!((&last["ok"], &last["what"]), (&json!(true), &json!("status 200")));
    }
}
