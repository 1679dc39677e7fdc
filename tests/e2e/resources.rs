//! When something runs out (descriptors, buffers), and when there are many who take their time: traffic slows, or is
//! refused with a word, nothing spins, memory stays bounded, and all is well as soon as there is enough again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::skip::skipped;
use crate::support::wait;

/// Waits until the numbers of all workers, as of the same second and after this call, are what they should be.
#[track_caller]
pub(crate) fn until_all(elb: &Elb, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let since = Instant::now();
    wait::until(what, || {
        let mut told = elb.admin().get("workers");
        let fresh =
            |worker: &Value| Duration::from_millis(worker["age_ms"].as_u64().unwrap()) < since.elapsed();
        let all_fresh = told["workers"].as_array().unwrap().iter().all(fresh);
        all_fresh.then(|| told["all"].take()).filter(|all| is(all))
    })
}

/// Waits until a number is what it should be.
#[track_caller]
pub(crate) fn until(elb: &Elb, name: &str, is: impl Fn(u64) -> bool) -> u64 {
    let all = until_all(elb, name, |all| is(all[name].as_u64().unwrap()));
    all[name].as_u64().unwrap()
}

/// Waits until ELB rests, which it never does when it spins. Gives the share of a core that it then uses.
#[track_caller]
fn rests(elb: &Elb, who: &str) -> f64 {
    wait::until(who, || Some(idle_load(elb)).filter(|load| *load < 0.1))
}

/// What share of one core ELB uses within a second in which nothing happens to it.
fn idle_load(elb: &Elb) -> f64 {
    let (begun, before) = (Instant::now(), elb.cpu());
    thread::sleep(Duration::from_secs(1)); // The time that is measured, not a wait.
    (elb.cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64()
}

/// So many connections that never say a word.
pub(crate) fn mute(to: SocketAddr, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::connect(to)).collect()
}

/// The same, each from another address: none of them holds more than others do.
fn mute_strangers(to: SocketAddr, count: u8) -> Vec<Client> {
    (1..=count).map(|number| Client::connect_from([127, 0, 1, number].into(), to)).collect()
}

#[test]
fn five_hundred_clients_meet_sixty_four_descriptors() {
    for flags in [&[][..], &["--max-connections=1000"]] {
        let server = Server::named("a");
        let launch = Launch::serving(&rules::site(&[&server])).descriptors(64);
        let elb = flags.iter().fold(launch, |launch, flag| launch.flag(flag)).start();

        let mut crowd = mute(elb.address(), 500);
        for client in &mut crowd {
            client.send(get(SITE, "/"));
        }
        wait::until_still("ELB to take what it can", || elb.descriptors() as u64);
        rests(&elb, "ELB to rest while it is full");

        drop(crowd);
        let begun = Instant::now();
        // What the crowd has asked for waits in the queue, and comes first. Only where the operator has allowed more
        // connections than there are descriptors can that leave none for the server.
        let answer = wait::until("an answer", || {
            let answer = elb.client().ask(get(SITE, "/"));
            let told = answer.head.get("X-ELB-Reason");
            (flags.is_empty() || told != Some("no-descriptors")).then_some(answer)
        });
        assert_eq!(answer.text(), "a");
        assert!(begun.elapsed() < Duration::from_secs(5), "no timeout may be needed: {:?}", begun.elapsed());
        let all = until_all(&elb, "exchanges", |all| all["exchanges"] == 0);
        println!("refused: {}", all["refused"]);
    }
}

#[test]
fn without_a_descriptor_for_a_server_the_client_is_told_and_no_server_is_blamed() {
    let servers = [Server::named("a"), Server::named("b")];
    let document = json!({
        "domains": {SITE: rules::to("up")},
        "upstreams": {"up": rules::upstream(&[&servers[0], &servers[1]], "max_fails=1 fail_timeout=1h")},
    });
    let elb = Launch::serving(&document).descriptors(64).workers(1).flag("--max-connections=1000").start();
    let (begun, rest) = ("GET / HTTP/1.1\r\n", format!("Host: {SITE}\r\n\r\n"));
    let mut clients: Vec<Client> = (0..4).map(|_| elb.client()).collect();
    for client in &mut clients {
        client.send(begun);
    }
    let mut crowd = mute_strangers(elb.address(), 100);
    for client in &mut crowd {
        client.send(begun);
    }
    // It has inherited some, so there may be more.
    wait::until("all descriptors to be taken", || (elb.descriptors() >= 64).then_some(()));
    for client in &mut clients {
        let answer = client.ask(&rest);
        assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (503, Some("no-descriptors")));
    }

    drop(crowd);
    let mut client = elb.client();
    wait::until("the first answer", || (client.ask(get(SITE, "/")).status() == 200).then_some(()));
    let answers: Vec<String> = (0..4).map(|_| client.ask(get(SITE, "/")).text()).collect();
    until_all(&elb, "all to be counted", |all| all["refused"]["no-descriptors"].as_u64() >= Some(4));
    for server in ["a", "b"] {
        assert_eq!(answers.iter().filter(|name| *name == server).count(), 2, "{answers:?}");
    }
}

/// A GET that asks the admin API of the data port, and whether it was answered.
fn administers(elb: &Elb, from: &str) -> bool {
    let mut client = Client::connect_from(from.parse().unwrap(), elb.address());
    client.ask("GET /__erulb__/upstream HTTP/1.1\r\nHost: localhost\r\n\r\n").status() == 200
}

#[test]
fn clients_that_rest_make_room_for_new_ones() {
    let server = Server::named("a");
    for flags in [&[][..], &["--max-connections=1000"]] {
        let launch = Launch::serving(&rules::site(&[&server])).descriptors(64).workers(1);
        let elb = flags.iter().fold(launch, |launch, flag| launch.flag(flag)).start();
        // Each asks at once: who is silent while places are short does not keep its own for long.
        let asking = || {
            let mut client = elb.client();
            client.send(get(SITE, "/"));
            client
        };
        let mut crowd: Vec<Client> = (0..200).map(|_| asking()).collect();
        // The last of them too, though all would rest for more than a minute. A few may be told that there was no
        // descriptor for a server.
        for client in &mut crowd {
            assert!(matches!(client.try_response(), Ok(Some(_))));
        }
        assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
        assert!(administers(&elb, "127.0.0.1"));
        let all =
            until_all(&elb, "some to be closed", |all| all["refused"]["idle-closed"].as_u64() > Some(100));
        let short = ["short_of_connections", "short_of_descriptors"].map(|name| all[name].as_u64().unwrap());
        assert_eq!(short, if flags.is_empty() { [1, 0] } else { [0, 1] });
        let word = if flags.is_empty() { "--max-connections, or" } else { "no descriptor left" };
        let head = elb.client().ask("GET /__erulb__/domain HTTP/1.1\r\nHost: localhost\r\n\r\n").head;
        assert!(String::from_utf8_lossy(&head.bytes).contains(word), "{head:?}");
        assert_eq!(elb.log().matches(word).count(), 1, "one line for all of it:\n{}", elb.log());
    }
}

#[test]
fn who_takes_nearly_all_places_keeps_nobody_else_from_one() {
    let server = Server::named("a");
    let launch = Launch::serving(&rules::site(&[&server])).workers(1);
    let elb = launch.flag("--admin-listen=127.0.0.1:0").flag("--max-connections=100").start();
    let greedy = [127, 0, 0, 2].into();
    let begin = |number| {
        let mut client = Client::connect_from(greedy, elb.address());
        let says = ["", "G", "GET / HTTP/1.1\r\nX-Unfinished: "];
        client.send(says[number % says.len()]);
        client
    };
    // More than there are places, so that the queue is never empty.
    let crowd: Vec<Client> = (0..300).map(begin).collect();
    for _ in 0..20 {
        assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    }
    let all = until_all(&elb, "the queue to be empty", |all| {
        all["refused"]["idle-closed"].as_u64() > Some(50) && all["refused"]["no-places"].as_u64() > Some(50)
    });
    assert!(all["clients"].as_u64() <= Some(100), "{all}");
    drop(crowd);
}

#[test]
fn who_administers_is_heard_when_no_place_becomes_free() {
    let server = Server::named("a");
    for flags in [&[][..], &["--max-connections=1000"]] {
        let launch = Launch::serving(&rules::site(&[&server])).descriptors(64).workers(1);
        let launch = launch.flag("--admin-allow=127.0.0.2");
        let elb = flags.iter().fold(launch, |launch, flag| launch.flag(flag)).start();
        let mut crowd = mute_strangers(elb.address(), 100);
        for client in &mut crowd {
            // Under way, each for a minute.
            client.send("GET / HTTP/1.1\r\nX-Unfinished: ");
        }
        for _ in 0..3 {
            assert!(administers(&elb, "127.0.0.2"));
        }
    }
}

#[test]
fn ten_thousand_idle_clients_cost_less_than_half_a_kilobyte_each() {
    const CLIENTS: usize = 10_000;
    let enough = rlimit::increase_nofile_limit(u64::MAX).is_ok_and(|limit| limit >= 20_000);
    if !enough {
        return skipped("the memory of idle clients is not measured", "20000 descriptors may not be opened");
    }
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--max-connections=10000").start();
    for _ in 0..100 {
        elb.client().ask(get(SITE, "/"));
    }
    until(&elb, "clients", |count| count == 0);
    let before = elb.memory().now;

    let mut crowd = mute(elb.address(), CLIENTS);
    // Some are new, and some rest between two requests.
    for client in crowd.iter_mut().step_by(10) {
        client.ask(get(SITE, "/"));
    }
    until(&elb, "clients", |count| count == CLIENTS as u64);
    until(&elb, "window_bytes", |bytes| bytes == 0);
    let each = (elb.memory().now - before) / CLIENTS as u64;
    println!("{each} bytes for each idle client");
    assert!(each < 512, "{each} bytes for each idle client");
    rests(&elb, "ELB to rest beside idle clients");
}

/// Who takes their time.
struct Crowd {
    /// What they are.
    who: &'static str,
    count: usize,
    /// What they send; then they neither send nor read.
    says: String,
    /// Bytes that ELB may hold for each, at most.
    each: u64,
}

#[test]
fn a_normal_client_is_served_beside_those_who_take_their_time() {
    const LARGE: u64 = 1 << 30;
    let moved = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&moved);
    let server = Server::start(move |talk| {
        talk.narrow()?;
        while let Some(head) = talk.head()? {
            match head.target() {
                "/large" => {
                    talk.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"))?;
                    let piece = vec![b'x'; 64 << 10];
                    (0..LARGE / piece.len() as u64).try_for_each(|_| {
                        counter.fetch_add(1, Ordering::SeqCst);
                        talk.send(&piece)
                    })?;
                }
                "/upload" => talk.body(&head, &mut |_| {})?,
                _ => talk.send(ok("a"))?,
            }
        }
        Ok(())
    });
    let upload = "x".repeat(100 << 10);
    let crowds = [
        Crowd {
            who: "slow heads",
            count: 1000,
            says: format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nX-Unfinished: "),
            each: 16 << 10,
        },
        Crowd { who: "stalled readers", count: 1000, says: get(SITE, "/large"), each: 64 << 10 },
        Crowd {
            who: "half-open uploads",
            count: 200,
            says: format!(
                "POST /upload HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 50000000\r\n\r\n{upload}"
            ),
            each: 192 << 10,
        },
    ];
    for crowd in crowds {
        let [elb, calm] = [&server; 2].map(|server| Elb::before(&[server]));
        services([&calm, &elb]);
        let before = elb.memory().now;
        let mut slow = mute(elb.address(), crowd.count);
        for client in &mut slow {
            client.send(&crowd.says);
        }
        until(&elb, "exchanges", |count| count == crowd.count as u64);
        wait::until_still("all buffers to be full", || moved.load(Ordering::SeqCst));
        let load = rests(&elb, crowd.who);
        let each = (elb.memory().now - before) / crowd.count as u64;
        let [alone, beside] = services([&calm, &elb]);
        println!("{}: {each} bytes each, {load:.2} of a core, {alone:?} alone, {beside:?} beside", crowd.who);
        assert!(each < crowd.each, "{}: {each} bytes for each", crowd.who);
        // Whoever waited for one of them would wait for seconds; less is the machine's own noise.
        let bound = alone.p99 * 10 + Duration::from_millis(20);
        let dearer = alone.cost * 2 + Duration::from_micros(200);
        assert!(beside.p99 < bound && beside.cost < dearer, "{}: {beside:?}, not {alone:?}", crowd.who);

        slow.into_iter().for_each(Client::reset);
        for name in ["clients", "exchanges", "window_bytes", "requests_at_servers"] {
            until(&elb, name, |number| number == 0);
        }
    }
}

/// How a normal client is served.
#[derive(Debug)]
#[allow(dead_code, reason = "shown")]
struct Service {
    /// How long the slowest but one of a hundred requests takes.
    p99: Duration,
    /// What a request costs ELB, in processor time.
    cost: Duration,
}

/// How these two serve: the best of many rounds, in turns, as others use this machine.
fn services(elbs: [&Elb; 2]) -> [Service; 2] {
    const ROUNDS: usize = 40;
    const REQUESTS: u32 = 200;
    let mut clients = elbs.map(Elb::client);
    let mut best = elbs.map(|_| Service { p99: Duration::MAX, cost: Duration::MAX });
    for _ in 0..ROUNDS {
        for ((elb, client), best) in elbs.iter().zip(&mut clients).zip(&mut best) {
            let before = elb.cpu_exact();
            let mut times: Vec<Duration> = (0..REQUESTS).map(|_| once(client)).collect();
            times.sort();
            best.p99 = best.p99.min(times[times.len() - 1 - times.len() / 100]);
            best.cost = best.cost.min((elb.cpu_exact() - before) / REQUESTS);
        }
    }
    best
}

fn once(client: &mut Client) -> Duration {
    let begun = Instant::now();
    assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    begun.elapsed()
}
