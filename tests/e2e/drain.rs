//! The end of a process: what runs is finished, what is new is refused, and it is over within the deadline.

use std::sync::mpsc;

use crate::resources::until_all;
use crate::support::admin::Admin;
use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::wait::{self, PATIENCE};
use crate::support::websocket::{ACCEPTED, handshake};

/// A server that answers each request when it is told to, and closes if it never is.
fn held() -> (Server, mpsc::SyncSender<()>) {
    let (go, gone) = mpsc::sync_channel(100);
    let gone = std::sync::Mutex::new(gone);
    let server = Server::start(move |talk| {
        while talk.request()?.is_some() {
            if gone.lock().expect("the signal").recv_timeout(PATIENCE).is_err() {
                break;
            }
            talk.send(ok("finished"))?;
        }
        Ok(())
    });
    (server, go)
}

fn elb(server: &Server, drain: &str) -> Elb {
    Launch::serving(&rules::site(&[server])).flag(&format!("--drain-timeout={drain}")).start()
}

/// A client whose request has reached the server.
fn waiting(elb: &Elb, server: &Server) -> Client {
    let before = server.requests().len();
    let mut client = elb.client();
    client.send(get(SITE, "/"));
    wait::until("the request to arrive", || (server.requests().len() > before).then_some(()));
    client
}

/// What an ELB that has ended warned of.
fn warnings(elb: &Elb) -> Vec<String> {
    let (_, log) = wait::until("its output to be gathered", || elb.said_all());
    log.lines().filter(|line| line.contains(" WARN ")).map(str::to_owned).collect()
}

#[test]
fn sigterm_finishes_what_runs_and_refuses_what_is_new() {
    let (server, go) = held();
    let mut elb = elb(&server, "1h");
    let mut idle = elb.client();
    go.send(()).expect("a server that waits");
    assert_eq!(idle.ask(get(SITE, "/")).text(), "finished");
    let mut running = waiting(&elb, &server);

    elb.signal("TERM");

    idle.ended();
    wait::until("new clients to be refused", || Client::try_connect(elb.address()).err());
    assert!(elb.runs(), "it does not leave before the running request");
    go.send(()).expect("a server that waits");
    let answer = running.response();
    assert_eq!(answer.text(), "finished");
    assert_eq!(answer.head.get("Connection").map(str::to_lowercase).as_deref(), Some("close"));
    running.ended();
    assert_eq!(elb.exit().code(), Some(0));
}

#[test]
fn an_answer_that_is_half_sent_is_finished() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let server = Server::start(move |talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")?;
        gone.lock().expect("the signal").recv_timeout(PATIENCE).expect("the signal to go on");
        talk.send("whole")
    });
    let mut elb = elb(&server, "1h");
    let mut client = elb.client();
    client.send(get(SITE, "/"));
    let head = client.head();

    elb.signal("TERM");
    wait::until("new clients to be refused", || Client::try_connect(elb.address()).err());
    go.send(()).expect("a server that waits");

    let mut body = Vec::new();
    client.try_body(&head, &mut |piece| body.extend_from_slice(piece)).expect("the whole body");
    assert_eq!(body, b"halfwhole");
    assert_eq!(elb.exit().code(), Some(0));
}

#[test]
fn what_does_not_finish_is_cut_at_the_deadline() {
    let (server, _never) = held();
    let tunnel = Server::start(|talk| {
        talk.request()?;
        talk.send(ACCEPTED)?;
        talk.some().map(drop)
    });
    let document = serde_json::json!({
        "domains": {SITE: rules::to("up"), "tunnel.test": rules::to("tunnel")},
        "upstreams": {"up": rules::upstream(&[&server], ""), "tunnel": rules::upstream(&[&tunnel], "")}});
    let mut elb = Launch::serving(&document).flag("--drain-timeout=500ms").start();
    let mut running = waiting(&elb, &server);
    let mut socket = elb.client();
    socket.send(handshake("tunnel.test"));
    assert_eq!(socket.head().status(), 101);

    elb.signal("TERM");

    assert_eq!(elb.exit().code(), Some(0), "it was told to end, and has");
    assert!(!matches!(running.try_response(), Ok(Some(answer)) if answer.status() == 200));
    socket.ended();
    let warned = warnings(&elb);
    assert_eq!(warned.len(), 1, "{warned:?}");
    let expected = "cut off: 1 request, 1 upgraded connection; not done within the drain timeout of 500ms";
    assert!(warned[0].ends_with(expected), "{warned:?}");
}

#[test]
fn a_second_signal_does_not_wait() {
    let (server, _never) = held();
    let mut elb = elb(&server, "1h");
    let _running = waiting(&elb, &server);

    elb.signal("TERM");
    wait::until("new clients to be refused", || Client::try_connect(elb.address()).err());
    elb.signal("TERM");

    assert_eq!(elb.exit().code(), Some(0));
    let warned = warnings(&elb);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].ends_with("cut off: 1 request; a second signal ended ELB at once"), "{warned:?}");
}

#[test]
fn a_drain_without_anything_to_cut_warns_of_nothing() {
    let server = Server::named("a");
    let mut elb = elb(&server, "1h");
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    elb.signal("TERM");
    assert_eq!(elb.exit().code(), Some(0));
    assert_eq!(warnings(&elb), [""; 0]);
}

#[test]
fn signals_that_mean_something_to_other_servers_end_nothing() {
    let server = Server::named("a");
    let mut elb = elb(&server, "1h");
    for signal in ["USR1", "USR2", "PIPE", "XFSZ", "HUP"] {
        elb.signal(signal);
        assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a", "after {signal}");
    }
    wait::until("the last of them to be told", || elb.log().contains("SIGHUP").then_some(()));
    for told in ["there is no access log to open again", "SIGUSR2 does nothing"] {
        assert!(elb.log().contains(told), "{}", elb.log());
    }
    elb.signal("TERM");
    assert_eq!(elb.exit().code(), Some(0));
}

#[test]
fn who_connected_and_says_nothing_holds_nobody_longer_than_five_seconds() {
    let server = Server::named("a");
    let mut elb = elb(&server, "1h");
    let (mut silent, mut begun) = (elb.client(), elb.client());
    begun.send("GET / HT");
    until_all(&elb, "both", |all| all["clients"].as_u64() >= Some(2) && all["exchanges"] == 1);

    elb.signal("TERM");

    silent.ended();
    assert_eq!(begun.response().status(), 408);
    drop(begun);
    assert_eq!(elb.exit().code(), Some(0), "their hour is not waited for");
}

#[test]
fn without_work_both_signals_end_it() {
    let server = Server::named("a");
    for signal in ["TERM", "INT"] {
        let mut elb = elb(&server, "1h");
        let mut idle = elb.client();
        assert_eq!(idle.ask(get(SITE, "/")).text(), "a");
        elb.signal(signal);
        assert_eq!(elb.exit().code(), Some(0), "{signal}");
        idle.ended();
    }
}

#[test]
fn clients_that_ask_without_a_pause_lose_no_request_to_a_restart() {
    let server = Server::named("a");
    let mut elb = elb(&server, "1h");
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let post = format!("POST / HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 4\r\n\r\nbody");
    let order = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        for _ in 0..16 {
            let mut client = elb.client();
            let (asked, post) = (&asked, &post);
            scope.spawn(move || {
                // Each is answered, and the last one says that it is.
                while client.ask(post).head.get("connection") != Some("close") {
                    asked.fetch_add(1, order);
                }
                client.ended();
            });
        }
        wait::until("all to be at it", || (asked.load(order) > 200).then_some(()));
        elb.signal("TERM");
    });
    assert_eq!(elb.exit().code(), Some(0));
}

#[test]
fn who_rests_may_still_ask_for_as_long_as_the_grace() {
    let server = Server::named("a");
    let mut elb = Launch::serving(&rules::site(&[&server])).flag("--drain-grace=1h").start();
    let mut clients: Vec<Client> = (0..3).map(|_| elb.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    }
    elb.signal("TERM");
    wait::until("new clients to be refused", || Client::try_connect(elb.address()).err());
    for mut client in clients {
        let answer = client.ask(get(SITE, "/"));
        assert_eq!((&*answer.text(), answer.head.get("connection")), ("a", Some("close")));
        client.ended();
    }
    assert_eq!(elb.exit().code(), Some(0), "nobody is left who could ask");

    let elb = Launch::serving(&rules::site(&[&server])).flag("--drain-grace=0").start();
    let mut idle = elb.client();
    assert_eq!(idle.ask(get(SITE, "/")).text(), "a");
    elb.signal("TERM");
    idle.ended();
}

/// What a draining ELB says of itself, and of a change that comes too late.
fn asked(admin: &Admin) {
    let status = wait::until("the drain", || {
        let status = admin.get("status");
        (status["reasons"] == serde_json::json!(["draining"])).then_some(status)
    });
    assert_eq!((&status["ready"], &status["connections"]["requests_active"]), (&false.into(), &1.into()));
    assert_eq!(admin.call("GET", "ready", None).status(), 503);
    let change = admin.call("PUT", "upstream", Some("{\"late\": {\"127.0.0.1:1\": \"\"}}"));
    assert_eq!((change.status(), &change.json()["code"]), (503, &"stopping".into()), "{}", change.text());
}

#[test]
fn a_draining_elb_is_asked_at_an_address_of_this_machine_alone() {
    for own in [true, false] {
        let (server, go) = held();
        let launch = Launch::serving(&rules::site(&[&server])).flag("--drain-timeout=1h");
        let mut elb = if own { launch.flag("--admin-listen=127.0.0.1:0") } else { launch }.start();
        let mut running = waiting(&elb, &server);
        wait::until("the request to be told of", || {
            (elb.admin().get("status")["connections"]["requests_active"] == 1).then_some(())
        });
        let before = elb.admin().address();
        elb.signal("TERM");
        let admin = elb.withdrawn();
        asked(&admin);
        wait::until("the old address to be free", || Client::try_connect(before).err());
        go.send(()).expect("a server that waits");
        assert_eq!(running.response().text(), "finished");
        assert_eq!(elb.exit().code(), Some(0));
        assert!(Client::try_connect(admin.address()).is_err());
    }
}
