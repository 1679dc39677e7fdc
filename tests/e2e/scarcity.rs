//! When buffers run low: who can do without gives back first, then who is slowest, and everybody else is served.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::json;

use crate::resources::{mute, until, until_all};
use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::wait::{self, PATIENCE};
use crate::support::websocket::ACCEPTED;

/// Servers wait here with their answers while it is shut.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    fn open(&self, open: bool) {
        *self.open.lock().expect("the gate") = open;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().expect("the gate");
        drop(self.moved.wait_timeout_while(open, PATIENCE, |open| !*open).expect("the gate"));
    }
}

/// One worker with this little to read into.
fn with_buffers(server: &Server, size: &str) -> Launch {
    let document = json!({
        "domains": {SITE: rules::to("up")},
        "upstreams": {"up": rules::upstream(&[server], "max_fails=1 fail_timeout=1h")},
    });
    Launch::serving(&document)
        .workers(1)
        .flag("--admin-listen=127.0.0.1:0")
        .flag(&format!("--max-buffers={size}"))
}

/// So many who send the beginning of a head of this length, and no more.
fn unfinished(elb: &Elb, count: usize, length: usize) -> Vec<Client> {
    let head = format!("GET / HTTP/1.1\r\nX-Unfinished: {}", "x".repeat(length));
    let mut crowd = mute(elb.address(), count);
    crowd.iter_mut().for_each(|client| client.send(&head[..length]));
    crowd
}

#[test]
fn a_byte_of_a_head_holds_a_small_buffer() {
    let server = Server::named("a");
    let elb = with_buffers(&server, "1g").start();
    let mut crowd = unfinished(&elb, 1000, 1);
    let all = until_all(&elb, "all to have begun", |all| all["exchanges"] == 1000);
    assert_eq!(all["window_bytes"], 1000 * 4096);
    // The rest in any pieces.
    for (client, size) in crowd.iter_mut().zip([1, 7, 100, 10_000]) {
        let rest = format!("ET / HTTP/1.1\r\nHost: {SITE}\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
        rest.as_bytes().chunks(size).for_each(|piece| client.send(piece));
        assert_eq!(client.response().text(), "a");
    }
}

#[test]
fn who_fills_the_buffers_with_unfinished_heads_is_let_go_for_others() {
    let server = Server::named("a");
    for (count, length) in [(1000, 1), (200, 5000)] {
        let elb = with_buffers(&server, "1m").flag("--client-header-timeout=10s").start();
        let mut crowd = unfinished(&elb, count, length);
        for _ in 0..10 {
            let mut client = Client::connect_from([127, 0, 0, 2].into(), elb.address());
            assert_eq!(client.ask(get(SITE, "/")).text(), "a");
        }
        let all = until_all(&elb, "some to be let go", |all| all["refused"]["no-buffers"].as_u64() > Some(0));
        assert!(all["window_bytes"].as_u64() <= Some(1 << 20), "{all}");
        for client in &mut crowd {
            let answer = client.response();
            let told = (answer.status(), answer.head.get("X-ELB-Reason"));
            assert!(
                [(408, Some("client-header-timeout")), (503, Some("no-buffers"))].contains(&told),
                "{told:?}"
            );
        }
        drop(crowd);
        for name in ["waiting_for_buffer", "window_bytes", "exchanges"] {
            until(&elb, name, |number| number == 0);
        }
    }
}

#[test]
fn what_is_kept_for_a_second_try_is_given_up_for_others() {
    const UPLOADS: usize = 100;
    let gate = Arc::new(Gate::default());
    let own = Arc::clone(&gate);
    let server = Server::start(move |talk| {
        while let Some(head) = talk.head()? {
            talk.body(&head, &mut |_| {})?;
            if head.target() == "/slow" {
                own.pass();
            }
            talk.send(ok("a"))?;
        }
        Ok(())
    });
    let elb = with_buffers(&server, "1m").start();
    let body = "x".repeat(50_000);
    let upload = format!("PUT /slow HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 50000\r\n\r\n{body}");
    let mut crowd = mute(elb.address(), UPLOADS);
    crowd.iter_mut().for_each(|client| client.send(&upload));
    for _ in 0..10 {
        assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    }
    gate.open(true);
    for client in &mut crowd {
        assert_eq!(client.response().text(), "a", "an upload loses nothing but its second try");
    }
}

#[test]
fn heads_that_leave_count_as_buffers_and_go_when_they_are_of_no_more_use() {
    const LENGTH: usize = 60_000;
    let gate = Arc::new(Gate::default());
    let own = Arc::clone(&gate);
    let server = Server::start(move |talk| {
        while let Some(head) = talk.head()? {
            match head.target() {
                "/slow" => own.pass(),
                "/switch" => {
                    talk.send(ACCEPTED)?;
                    return talk.some().map(drop);
                }
                _ => {}
            }
            talk.send(ok("a"))?;
        }
        Ok(())
    });
    let long = format!("X-Long: {}\r\n", "x".repeat(LENGTH));
    let ask =
        |line: &str, fields: &str| format!("GET /{line} HTTP/1.1\r\nHost: {SITE}\r\n{fields}{long}\r\n");
    let elb = with_buffers(&server, "1g").start();
    let mut waiting = mute(elb.address(), 10);
    waiting.iter_mut().for_each(|client| client.send(ask("slow", "")));
    let bytes = until(&elb, "window_bytes", |bytes| bytes >= 10 * LENGTH as u64);
    assert!(bytes < 20 * LENGTH as u64, "{bytes}");
    gate.open(true);
    waiting.iter_mut().for_each(|client| drop(client.response()));
    // In a tunnel nothing is left of the request that dug it, not even while it lasts.
    let mut tunnel = elb.client();
    tunnel.send(ask("switch", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    assert_eq!(tunnel.head().status(), 101);
    until_all(&elb, "the tunnel alone", |all| all["exchanges"] == 1 && all["window_bytes"] == 0);

    gate.open(false);
    let elb = with_buffers(&server, "1m").start();
    let mut waiting = mute(elb.address(), 200);
    waiting.iter_mut().for_each(|client| client.send(ask("slow", "")));
    for _ in 0..10 {
        assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    }
    let all = until_all(&elb, "all to wait", |all| all["exchanges"] == 200);
    assert!(all["window_bytes"].as_u64() <= Some(1 << 20), "{all}");
    gate.open(true);
    waiting.iter_mut().for_each(|client| assert_eq!(client.response().text(), "a"));
}

/// A server that counts what is uploaded, and has a large answer for who asks for it.
fn large_or_upload(came: &Arc<AtomicU64>) -> Server {
    let came = Arc::clone(came);
    Server::start(move |talk| {
        while let Some(head) = talk.head()? {
            if head.target() == "/large" {
                talk.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
                let piece = vec![b'x'; 64 << 10];
                while talk.send(&piece).is_ok() {}
                return Ok(());
            }
            talk.body(&head, &mut |piece| {
                came.fetch_add(piece.len() as u64, Ordering::SeqCst);
            })?;
            talk.send(ok("a"))?;
        }
        Ok(())
    })
}

#[test]
fn an_upload_for_which_there_is_no_buffer_is_503_and_no_server_is_blamed() {
    const SENT: usize = 300 << 10;
    let came = Arc::new(AtomicU64::new(0));
    let server = large_or_upload(&came);
    let elb = with_buffers(&server, "1m").flag("--client-body-timeout=2s").start();
    // More than is kept for another try, so that it holds nothing while it waits.
    let mut upload = elb.client();
    upload.send(format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 1000000\r\n\r\n"));
    upload.send("x".repeat(SENT));
    wait::until("the first part", || (came.load(Ordering::SeqCst) == SENT as u64).then_some(()));
    // Readers that do not read are let go as well, and later.
    let mut crowd = mute(elb.address(), 100);
    for client in &mut crowd {
        client.send(get(SITE, "/large"));
    }
    until(&elb, "waiting_for_buffer", |count| count > 0);
    upload.send("more");
    let answer = upload.response();
    assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (503, Some("no-buffers")));

    drop(crowd);
    wait::until("an answer", || (elb.client().ask(get(SITE, "/")).text() == "a").then_some(()));
}

#[test]
fn readers_that_do_not_read_are_let_go_when_others_find_no_buffer() {
    let server = large_or_upload(&Arc::new(AtomicU64::new(0)));
    let elb = with_buffers(&server, "1m").start();
    let mut crowd = mute(elb.address(), 100);
    for client in &mut crowd {
        client.send(get(SITE, "/large"));
    }
    until(&elb, "waiting_for_buffer", |count| count > 0);
    let mut client = Client::connect_from([127, 0, 0, 2].into(), elb.address());
    assert_eq!(client.ask(get(SITE, "/")).text(), "a", "before the minute of a reader is over");
}
