//! Which server is chosen, over all workers: bounds, keys, servers that are drained.
//!
//! Sequences and shares are tests of `data::balancer`; here is what only a process with several workers shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::{Client, get};
use crate::support::elb::Launch;
use crate::support::load::Load;
use crate::support::rules::{self, SITE, upstream};
use crate::support::server::{Server, ok};
use crate::support::wait;

/// Servers that hold each request until they are let go, and how many they have held.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opens: Condvar,
    held: AtomicUsize,
}

impl Gate {
    fn server(self: &Arc<Self>) -> Server {
        let gate = Arc::clone(self);
        Server::answering(move |_| {
            gate.held.fetch_add(1, Ordering::SeqCst);
            drop(gate.opens.wait_while(gate.open.lock().unwrap(), |open| !*open).unwrap());
            ok("held")
        })
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opens.notify_all();
    }

    fn close(&self) {
        *self.open.lock().unwrap() = false;
    }

    fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }
}

/// [`SITE`] with these servers and options.
fn site(servers: &[&Server], parameters: &str, options: &str) -> Value {
    let mut document = rules::site(servers);
    document["upstreams"]["up"] = upstream(servers, parameters);
    document["upstreams"]["up"]["@options"] = json!(options);
    document
}

#[test]
fn no_server_has_more_than_max_conns_of_the_requests_of_all_workers() {
    for options in ["", "method=least_conn"] {
        let gates = [(); 2].map(|()| Arc::new(Gate::default()));
        let servers = [gates[0].server(), gates[1].server()];
        let document = site(&[&servers[0], &servers[1]], "max_conns=5", options);
        let elb = Launch::serving(&document).workers(4).start();
        let mut clients: Vec<Client> = (0..200).map(|_| elb.client()).collect();
        clients.iter_mut().for_each(|client| client.send(get(SITE, "/")));
        // Ten are held; that the others are refused shows that nobody came later.
        let (sender, answers) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for mut client in clients {
                let sender = sender.clone();
                scope.spawn(move || sender.send(client.response().status()).unwrap());
            }
            let refused: Vec<u16> = answers.iter().take(190).collect();
            assert!(refused.iter().all(|status| *status == 502), "{options}");
            assert_eq!(gates.each_ref().map(|gate| gate.held()), [5, 5], "{options}");
            gates.iter().for_each(|gate| gate.open());
            let held: Vec<u16> = answers.iter().take(10).collect();
            assert_eq!(held, [200; 10], "{options}");
        });
        assert_eq!(elb.client().ask(get(SITE, "/")).status(), 200, "there is room again");
    }
}

#[test]
fn a_drained_server_ends_what_it_serves_and_gets_nothing_new() {
    let gate = Arc::new(Gate::default());
    let (leaves, stays) = (gate.server(), Server::named("stays"));
    let elb = Launch::serving(&site(&[&leaves, &stays], "", "")).start();
    let mut clients: Vec<Client> = Vec::new();
    while gate.held() < 2 {
        let mut client = elb.client();
        client.send(get(SITE, "/"));
        clients.push(client);
        let sent = clients.len();
        wait::until("the request to arrive", || (gate.held() + stays.requests().len() == sent).then_some(()));
    }
    let mut servers = upstream(&[&stays], "");
    servers[leaves.address().to_string()] = json!("drain");
    elb.admin().put("upstream", &json!({"up": servers}));
    for _ in 0..20 {
        assert_eq!(elb.client().ask(get(SITE, "/")).text(), "stays");
    }
    gate.open();
    let told: BTreeSet<String> = clients.iter_mut().map(|client| client.response().text()).collect();
    assert!(told.contains("held"), "{told:?}");
    assert_eq!(gate.held(), 2);
    // And with nobody else there is nobody.
    elb.admin().put("upstream", &json!({"up": {leaves.address().to_string(): "drain"}}));
    let answer = elb.client().ask(get(SITE, "/"));
    assert_eq!((answer.status(), answer.head.get("x-elb-reason")), (502, Some("no-server")));
}

#[test]
fn a_key_has_the_same_server_in_each_worker_and_keeps_it_when_others_go() {
    let servers = ["a", "b", "c"].map(Server::named);
    let all: Vec<&Server> = servers.iter().collect();
    let elb = Launch::serving(&site(&all, "", "method=hash key=header:X-User")).workers(4).start();
    let owners = || -> BTreeMap<u32, String> {
        let owner = |user: u32| {
            let request = format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nx-user: u{user}\r\n\r\n");
            let told: BTreeSet<String> = (0..4).map(|_| elb.client().ask(&request).text()).collect();
            assert_eq!(told.len(), 1, "u{user}: {told:?}");
            (user, told.into_iter().next().unwrap())
        };
        (0..24).map(owner).collect()
    };
    let before = owners();
    assert_eq!(before.values().collect::<BTreeSet<_>>().len(), 3, "{before:?}");
    let mut fewer = upstream(&all[..2], "");
    fewer["@options"] = json!("method=hash key=header:X-User");
    elb.admin().put("upstream", &json!({"up": fewer}));
    let after = owners();
    assert!(before.iter().all(|(user, owner)| owner == "c" || after[user] == *owner), "{before:?} {after:?}");
}

/// Round robin would give it a third of them.
#[test]
fn a_server_that_hangs_gets_one_request_and_then_one_a_second_to_see() {
    let gate = Arc::new(Gate::default());
    gate.open();
    let servers = [gate.server(), Server::named("b"), Server::named("c")];
    let all: Vec<&Server> = servers.iter().collect();
    let elb = Launch::serving(&site(&all, "", "method=ewma")).start();
    let is_warm = || {
        assert_eq!(elb.client().ask(get(SITE, "/")).status(), 200);
        (gate.held() >= 10).then_some(())
    };
    wait::until("it to have its share", is_warm);
    gate.close();
    let mut stuck = Vec::new();
    let mut ask = || {
        let mut client = elb.client();
        client.send(get(SITE, "/"));
        client.hurry(Duration::from_millis(300));
        match client.try_response() {
            Ok(answer) => assert_eq!(answer.map(|answer| answer.status()), Some(200)),
            Err(_) => stuck.push(client),
        }
        stuck.len()
    };
    wait::until("somebody to be sent to it", || (ask() > 0).then_some(()));
    let begun = Instant::now();
    for _ in 0..150 {
        ask();
    }
    // A busy machine makes one more of somebody who would have been answered.
    let seconds = begun.elapsed().as_secs() as usize;
    gate.open();
    assert!(stuck.len() <= 4 + seconds, "{} in {seconds} s", stuck.len());
}

/// A change of weights is none of addresses: connections that are there serve on.
#[test]
fn a_hundred_changes_of_weights_make_no_new_connections_to_servers() {
    const CLIENTS: usize = 8;
    for options in ["", "method=least_conn", "method=ewma", "method=hash key=path"] {
        let servers = ["a", "b", "c"].map(Server::named);
        let all: Vec<&Server> = servers.iter().collect();
        let elb = Launch::serving(&site(&all, "", options)).workers(1).start();
        let load = Load::start(elb.address(), CLIENTS, |client, turn| {
            let answer = client.ask(get(SITE, &format!("/{turn}")));
            if answer.status() == 200 { Ok(()) } else { Err(answer.text()) }
        });
        load.carry_on(500);
        for change in 0..100 {
            let mut up = upstream(&all, "");
            up[all[change % 3].address().to_string()] = json!(format!("weight={}", 2 + change % 7));
            up["@options"] = json!(options);
            elb.admin().put("upstream", &json!({"up": up}));
            load.carry_on(20);
        }
        load.finish();
        for server in servers {
            let connections = server.connections();
            assert!(connections <= CLIENTS, "{connections} connections with {options:?}");
        }
    }
}
