//! Connections that know their user: after NTLM or Negotiate a server connection is one client's, and nobody else's.

use std::collections::HashMap;
use std::sync::mpsc;

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::message::Message;
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::wait::PATIENCE;

const CHALLENGE: &str = "HTTP/1.1 401 Who\r\nContent-Length: 0\r\n";

/// A server that authenticates connections: `NTLM 1` is answered with a challenge, `NTLM 3 name` makes the connection that
/// user's for good. It answers with the number of the connection and its user. Public pages need no user.
fn guarded() -> Server {
    Server::start(|talk| {
        let mut user = None;
        while let Some(request) = talk.request()? {
            let said = request.head.get("Authorization").unwrap_or_default().to_owned();
            let words: Vec<&str> = said.split(' ').collect();
            match words[..] {
                [scheme, "1"] => talk.send(format!("{CHALLENGE}WWW-Authenticate: {scheme} 2\r\n\r\n"))?,
                [_, "3", name] => user = Some(name.to_owned()),
                _ => {}
            }
            match &user {
                _ if words.get(1) == Some(&"1") => {}
                Some(user) => talk.send(ok(&format!("{} {user}", talk.number)))?,
                None if request.head.target() == "/public" => {
                    talk.send(ok(&format!("{} nobody", talk.number)))?
                }
                None => talk.send(format!(
                    "{CHALLENGE}WWW-Authenticate: Basic realm=\"x\"\r\nwww-authenticate: nTLM\r\n\r\n"
                ))?,
            }
        }
        Ok(())
    })
}

fn with(field: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {SITE}\r\n{field}\r\n\r\n")
}

/// One worker has one pool.
fn alone(server: &Server) -> Launch {
    Launch::serving(&rules::site(&[server])).workers(1)
}

/// Asks without credentials, then goes through the handshake; the last answer.
fn log_in(client: &mut Client, scheme: &str, name: &str) -> Message {
    assert_eq!(client.ask(get(SITE, "/")).status(), 401);
    let challenge = client.ask(with(&format!("Authorization: {scheme} 1")));
    assert_eq!(challenge.head.get("WWW-Authenticate"), Some(format!("{scheme} 2").as_str()));
    client.ask(with(&format!("Authorization: {scheme} 3 {name}")))
}

#[test]
fn a_handshake_that_authenticates_its_connection_works_and_nobody_else_is_answered_as_that_user() {
    let server = guarded();
    let elb = alone(&server).start();
    // Others come between each two requests, and use what is in the pool.
    let crowd = || {
        for _ in 0..5 {
            assert!(elb.client().ask(get(SITE, "/public")).text().ends_with(" nobody"));
            assert_eq!(elb.client().ask(get(SITE, "/")).status(), 401, "bob is not alice");
        }
    };
    let mut clients: HashMap<&str, Client> = HashMap::new();
    for (name, scheme) in [("alice", "NTLM"), ("carol", "negotiate"), ("dave", "Negotiate")] {
        crowd();
        let client = clients.entry(name).or_insert_with(|| elb.client());
        assert!(log_in(client, scheme, name).text().ends_with(&format!(" {name}")));
        crowd();
    }
    for _ in 0..5 {
        for (name, client) in &mut clients {
            assert!(client.ask(get(SITE, "/")).text().ends_with(&format!(" {name}")), "without another word");
            crowd();
        }
    }
}

#[test]
fn a_connection_is_private_from_the_first_word_of_either_side() {
    for (request, answer, private) in [
        ("Authorization: NTLM x", "", true),
        ("authorization: negotiate x", "", true),
        ("Proxy-Authorization: NTLM x", "", true),
        ("X: y", "WWW-Authenticate: Negotiate\r\n", true),
        ("X: y", "Proxy-Authenticate: ntlm\r\n", true),
        ("X: y", "WWW-Authenticate: Basic realm=\"a\", NTLM\r\n", true),
        ("Authorization: Basic x", "WWW-Authenticate: Bearer\r\n", false),
        ("X-Authorization: NTLM x", "X-Authenticate: NTLM\r\n", false),
    ] {
        let answer = format!("HTTP/1.1 407 Who\r\n{answer}Content-Length: 0\r\n\r\n");
        let server = Server::answering(move |request| match request.head.target() {
            "/" => answer.clone(),
            _ => ok("a"),
        });
        let elb = alone(&server).start();
        let mut client = elb.client();
        assert_eq!(client.ask(with(request)).status(), 407);
        assert_eq!(client.ask(get(SITE, "/next")).text(), "a");
        assert_eq!(server.connections(), 1, "the client's own connection: {request}");
        assert_eq!(elb.client().ask(get(SITE, "/other")).text(), "a");
        assert_eq!(server.connections(), if private { 2 } else { 1 }, "{request}");
    }
}

#[test]
fn what_is_private_ends_with_its_client_and_is_not_used_when_it_has_died() {
    let (ended, endings) = mpsc::channel();
    let server = Server::start(move |talk| {
        while let Some(request) = talk.request()? {
            talk.send(ok(&talk.number.to_string()))?;
            if request.head.target() == "/last" {
                // Before the test is told, so that the end is on its way when it goes on.
                talk.finish()?;
                break;
            }
        }
        ended.send(talk.number).expect("a test that listens");
        Ok(())
    });
    let elb = alone(&server).start();
    let private = with("Authorization: NTLM x");

    let mut client = elb.client();
    assert_eq!(client.ask(&private).text(), "0");
    drop(client);
    assert_eq!(endings.recv_timeout(PATIENCE), Ok(0), "it ends with its client");

    let mut client = elb.client();
    assert_eq!(client.ask(&private).text(), "1");
    assert_eq!(client.ask(get(SITE, "/last")).text(), "1");
    assert_eq!(endings.recv_timeout(PATIENCE), Ok(1));
    // Another client's request after that shows that ELB has had its turn.
    assert_eq!(elb.client().ask(get("nobody.test", "/")).status(), 404);
    let post = format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.ask(post).text(), "2", "one that died meanwhile is noticed");

    // What two upstreams have to do with each other is nothing.
    let other = Server::named("other");
    elb.admin().put("upstream", &serde_json::json!({"up2": rules::upstream(&[&other], "")}));
    elb.admin().put("domain", &serde_json::json!({"other.test": rules::to("up2")}));
    let mut client = elb.client();
    let own = client.ask(&private).text();
    assert_eq!(client.ask(get("other.test", "/")).text(), "other");
    assert_eq!(client.ask(get(SITE, "/")).text(), own, "it was kept meanwhile");
    elb.admin().put("upstream", &serde_json::json!({"up": rules::upstream(&[&other], "")}));
    assert_eq!(client.ask(get(SITE, "/")).text(), "other", "its server is gone from the upstream");
}

#[test]
fn private_connections_are_told_from_idle_ones_and_none_is_left() {
    let server = guarded();
    let elb: Elb = alone(&server).start();
    let mut clients: Vec<Client> = (0..20).map(|_| elb.client()).collect();
    for client in &mut clients {
        assert!(log_in(client, "NTLM", "x").text().ends_with(" x"));
    }
    crate::resources::until_all(&elb, "their connections", |all| {
        all["server_connections"] == 20 && all["server_connections_idle"] == 0
    });
    drop(clients);
    crate::resources::until_all(&elb, "the end of them", |all| all["server_connections"] == 0);
}
