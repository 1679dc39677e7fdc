//! Each limit and deadline has a number: what was refused, cut or closed is counted under its reason.

use std::io;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::resources::until_all;
use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Conversation, Server, ok};
use crate::support::websocket::{ACCEPTED, handshake};

/// A server with a path for everything that a server does wrong.
fn faulty(talk: &mut Conversation) -> io::Result<()> {
    while let Some(head) = talk.head()? {
        match head.target() {
            "/silent" => return talk.some().map(drop),
            "/half" => {
                talk.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")?;
                return talk.some().map(drop);
            }
            "/short" => return talk.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
            "/closes" => return Ok(()),
            "/garbage" => return talk.send("garbage\r\n\r\n"),
            "/hints" => return talk.send("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(65)),
            "/large" => {
                talk.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
                let piece = vec![b'x'; 64 << 10];
                while talk.send(&piece).is_ok() {}
                return Ok(());
            }
            "/early" => {
                talk.send(ok("early"))?;
                return talk.some().map(drop);
            }
            "/echo" => {
                talk.send(ACCEPTED)?;
                return talk.some().map(drop);
            }
            _ => talk.body(&head, &mut |_| {})?,
        }
        talk.send(ok("a"))?;
    }
    Ok(())
}

/// What a client sends, and the reason under which that is counted.
fn cases() -> Vec<(String, &'static str)> {
    let ask = |path: &str| get(SITE, path);
    let post = |path: &str, rest: &str| format!("POST {path} HTTP/1.1\r\nHost: {SITE}\r\n{rest}");
    let chunks = |rest: &str| post("/", &format!("Transfer-Encoding: chunked\r\n\r\n{rest}"));
    vec![
        (format!("{}{}", get("nobody.test", "/"), "nonsense\r\n\r\n"), "no-domain"),
        (get("dead.test", "/"), "connect-failed"),
        (get("empty.test", "/"), "no-upstream"),
        (format!("GET /{} HTTP/1.1\r\n", "x".repeat(17 << 10)), "target-too-long"),
        (post("/", &format!("A: {}\r\n\r\n", "x".repeat(65 << 10))), "head-too-long"),
        (post("/", &format!("{}\r\n", "A: b\r\n".repeat(257))), "too-many-headers"),
        (post("/", &format!("Connection: {}\r\n\r\n", "a,".repeat(65))), "too-many-connection-options"),
        (post("/", "Content-Length: 2000\r\n\r\n"), "body-too-long"),
        (chunks("7d0\r\n"), "body-too-long"),
        (chunks(&format!("1;{}\r\n", "x".repeat(5 << 10))), "too-many-chunk-extensions"),
        (chunks(&format!("0\r\n{}", "A: b\r\n".repeat(2000))), "trailers-too-long"),
        (post("/", &format!("X-Forwarded-For: {}\r\n\r\n", "a,".repeat(33))), "loop"),
        (post("/a/..;/b", "\r\n"), "ambiguous-path"),
        (post("/", "User-Agent: a\r\nUser-Agent: b\r\n\r\n"), "repeated-field"),
        (ask("/")[..20].to_owned(), "client-header-timeout"),
        (String::new(), "client-header-timeout"),
        (post("/", "Content-Length: 9\r\n\r\nhalf"), "client-body-timeout"),
        (ask("/large"), "client-write-timeout"),
        (ask("/silent"), "server-timeout"),
        (ask("/half"), "server-timeout"),
        (ask("/short"), "response-cut"),
        (post("/closes", "Content-Length: 0\r\n\r\n"), "server-closed"),
        (ask("/garbage"), "bad-status-line"),
        (ask("/hints"), "too-many-interim-responses"),
        (post("/early", "Content-Length: 1000\r\n\r\nhalf"), "linger-timeout"),
        (handshake(SITE), "tunnel-timeout"),
    ]
}

fn launch(server: &Server) -> Elb {
    // Nobody listens where this one did.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let document = json!({
        "domains": {SITE: rules::to("up"), "dead.test": rules::to("dead"), "empty.test": rules::to("empty")},
        "upstreams": {"up": rules::upstream(&[server], "max_fails=0"), "dead": {dead: ""}, "empty": {}},
    });
    let flags = [
        "--admin-listen=127.0.0.1:0",
        "--keepalive-timeout=500ms",
        "--client-header-timeout=500ms",
        "--client-body-timeout=500ms",
        "--client-write-timeout=500ms",
        "--server-timeout=1s",
        "--server-keepalive-timeout=500ms",
        "--tunnel-timeout=500ms",
        "--retries=1",
        "--max-body=1k",
        "--max-connections-per-client=100",
    ];
    flags.iter().fold(Launch::serving(&document).workers(1), |launch, flag| launch.flag(flag)).start()
}

#[test]
fn what_is_refused_cut_or_closed_is_counted_by_its_reason() {
    let server = Server::start(faulty);
    let elb = launch(&server);
    let clients: Vec<(Client, &str)> = cases()
        .into_iter()
        .map(|(says, reason)| {
            let mut client = elb.client();
            client.send(says);
            (client, reason)
        })
        .collect();
    let mut expected = json!({});
    for (_, reason) in &clients {
        expected[*reason] = json!(expected[*reason].as_u64().unwrap_or_default() + 1);
    }
    // The pipelined nonsense behind what nobody serves.
    expected["bad-request-line"] = json!(1);
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    let counted = |all: &Value| {
        let refused = all["refused"].as_object().unwrap();
        let others = |name: &str| !name.ends_with("keepalive-timeout") && expected.get(name).is_none();
        assert!(!refused.keys().any(|name| others(name)), "{refused:?}");
        // Those rest whose answer did not close their connection, and so do servers.
        expected.as_object().unwrap().iter().all(|(name, count)| refused.get(name) == Some(count))
            && ["keepalive-timeout", "server-keepalive-timeout"]
                .iter()
                .all(|name| refused.contains_key(*name))
    };
    until_all(&elb, "all to be counted", counted);

    let crowd: Vec<Client> = (0..110).map(|_| elb.client()).collect();
    until_all(&elb, "those above the bound", |all| all["refused"]["too-many-connections"] == 10);
    drop((clients, crowd));
}

#[test]
fn the_connections_of_a_client_are_counted_over_all_workers() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server]))
        .workers(4)
        .flag("--admin-listen=127.0.0.1:0")
        .flag("--max-connections-per-client=10")
        .start();
    let crowd: Vec<Client> = (0..100).map(|_| elb.client()).collect();
    // A worker may report between the accepting of a connection and its end.
    let is_bounded =
        |all: &Value| (&all["clients"], &all["refused"]["too-many-connections"]) == (&json!(10), &json!(90));
    until_all(&elb, "all to come", |all| all["accepted"] == 100 && is_bounded(all));
    assert_eq!(
        Client::connect_from([127, 0, 0, 2].into(), elb.address()).ask(get(SITE, "/")).text(),
        "a",
        "another client"
    );
    drop(crowd);
    until_all(&elb, "all to go", |all| all["clients"] == 0);
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
}
