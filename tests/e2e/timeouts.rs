//! Deadlines: a peer that is silent, slow, or does not read is not waited for longer than it was given.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait::PATIENCE;

fn elb(server: &Server, flag: &str) -> Elb {
    Launch::serving(&rules::site(&[server])).flag(flag).start()
}

/// A server that takes requests and says nothing until ELB closes.
fn silent() -> Server {
    Server::start(|talk| {
        talk.request()?;
        talk.some().map(drop)
    })
}

#[test]
fn a_silent_server_is_504() {
    let server = silent();
    let elb = elb(&server, "--server-timeout=300ms");
    let mut client = elb.client();

    assert_eq!(client.ask(get(SITE, "/")).status(), 504);
    let post = format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.ask(post).status(), 504);
}

#[test]
fn a_server_that_falls_silent_in_its_answer_is_a_cut() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        talk.some().map(drop)
    });
    let elb = elb(&server, "--server-timeout=300ms");

    let mut client = elb.client();
    client.send(get(SITE, "/"));
    assert!(client.try_response().is_err());
}

#[test]
fn a_server_that_does_not_accept_is_504() {
    // A queue for one connection that nobody takes: the kernel ignores the next ones.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener
        .bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into())
        .expect("a free port");
    listener.listen(0).expect("a queue");
    let address = listener.local_addr().expect("an address").as_socket().expect("an address");
    let fillers: Vec<_> =
        (0..4).map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200))).collect();
    assert!(fillers.last().is_some_and(Result::is_err), "the queue is not full");

    let document = serde_json::json!({
        "domains": {SITE: rules::to("up")}, "upstreams": {"up": {address.to_string(): ""}}});
    let elb = Launch::serving(&document).flag("--connect-timeout=300ms").start();

    assert_eq!(elb.client().ask(get(SITE, "/")).status(), 504);
}

#[test]
fn a_head_that_comes_byte_by_byte_does_not_move_its_deadline() {
    let server = Server::named("a");
    let elb = elb(&server, "--client-header-timeout=500ms");

    let mut client = elb.client();
    let (mut sender, started) = (client.sender(), Instant::now());
    let dripping = thread::spawn(move || {
        // The pace of the attack, not a wait: each byte would renew a deadline that bytes could move.
        while sender.send(b"G").is_ok() && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
        }
        started.elapsed()
    });
    // Bytes that were on their way when ELB closed reset the connection, and the answer may go with it.
    if let Ok(Some(answer)) = client.try_response() {
        assert_eq!(answer.status(), 408);
    }
    assert!(dripping.join().expect("the dripping") < PATIENCE, "the connection was never closed");
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_client_that_never_begins_is_closed() {
    let server = Server::named("a");
    let elb = elb(&server, "--client-header-timeout=300ms");
    let mut client = elb.client();
    if let Ok(Some(answer)) = client.try_response() {
        assert_eq!(answer.status(), 408);
    }
    client.ended();
}

#[test]
fn a_body_that_stalls_lets_the_server_go() {
    let (ending, endings) = mpsc::channel();
    let server = Server::start(move |talk| {
        let whole = talk.request().is_ok_and(|request| request.is_some());
        ending.send(whole).expect("a test that listens");
        Ok(())
    });
    let elb = elb(&server, "--client-body-timeout=300ms");

    let mut client = elb.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 10\r\n\r\nhalf"));
    assert!(!endings.recv_timeout(PATIENCE).expect("the server to be let go"));
    if let Ok(Some(answer)) = client.try_response() {
        assert_eq!(answer.status(), 408);
    }
}

#[test]
fn a_body_that_comes_byte_by_byte_does_not_move_its_deadline() {
    let server = Server::named("a");
    let elb = elb(&server, "--client-body-timeout=500ms");

    let mut client = elb.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 1000000\r\n\r\n"));
    let (mut sender, started) = (client.sender(), Instant::now());
    let dripping = thread::spawn(move || {
        // The pace of the attack, not a wait.
        while sender.send(b"x").is_ok() && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
        }
        started.elapsed()
    });
    let answer = client.response();
    assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (408, Some("client-body-timeout")));
    assert!(dripping.join().expect("the dripping") < PATIENCE, "the connection was never closed");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_client_that_does_not_read_lets_the_server_go() {
    let (ending, endings) = mpsc::channel();
    let server = Server::start(move |talk| {
        talk.request()?;
        let endless = talk
            .send("HTTP/1.1 200 OK\r\n\r\n")
            .and_then(|()| (0..1_000_000).try_for_each(|_| talk.send([b'x'; 16_384])));
        ending.send(endless.is_err()).expect("a test that listens");
        Ok(())
    });
    let elb = elb(&server, "--client-write-timeout=500ms");

    let mut client = elb.client();
    client.send(get(SITE, "/"));
    assert!(endings.recv_timeout(PATIENCE).expect("the server to be let go"));
}
