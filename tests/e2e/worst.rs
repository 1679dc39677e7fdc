//! The worst clients: all that one address can do to others at once, beside a normal client that must not notice.
//!
//! The normal client gets every answer, and memory stays within the buffers. How long it waits is shown, and judged against
//! a calm time before the storm when that lasts a minute: `ELB_TEST_SECONDS=60`. `ELB_STORM_SEED` is the seed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::resources::until;
use crate::support::chance::Chance;
use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::load;
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};

/// How long the storm lasts by itself.
const SECONDS: u64 = 10;
/// From this length on waiting times are judged.
const LONG: Duration = Duration::from_secs(60);
/// The buffers of the one worker.
const BUFFERS: u64 = 32 << 20;
/// Where the attacks come from.
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
/// The domain whose rules look around in the User-Agent.
const LOOKS: &str = "looks.test";
/// Between two steps of an attack, so that the storm is one of kinds and not of this machine's processors.
const PACE: Duration = Duration::from_millis(2);
/// How long a slow URL takes.
const SLOW: Duration = Duration::from_secs(3);

/// One attack: what it sends on so many connections, and whether it reads what comes.
struct Attack {
    name: &'static str,
    connections: usize,
    says: Vec<u8>,
    /// What it does after that.
    then: Then,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Nothing: it holds the connection until ELB ends it.
    Waits,
    /// It reads the answers, and says it again.
    Again,
    /// It resets the connection.
    Resets,
}

fn attacks() -> Vec<Attack> {
    let attack =
        |name, connections, says: String, then| Attack { name, connections, says: says.into_bytes(), then };
    let long = "x".repeat(60_000);
    let fields: String = (0..200).map(|n| format!("A{n}: b\r\n")).collect();
    let head =
        |host: &str, path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    vec![
        attack("one-byte heads", 300, "G".to_owned(), Then::Waits),
        attack("unfinished heads", 100, format!("GET / HTTP/1.1\r\nX: {}", &long[..5000]), Then::Waits),
        attack(
            "bodies for a slow URL",
            100,
            format!("PUT /slow HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 60000\r\n\r\n{long}"),
            Then::Waits,
        ),
        attack("heads for a slow URL", 100, head(SITE, "/slow", &format!("X: {long}\r\n")), Then::Waits),
        attack("tiny requests", 4, head("nobody.test", "/", "").repeat(200), Then::Again),
        attack("idle connections", 300, String::new(), Then::Waits),
        attack(
            "agents to look around in",
            2,
            head(LOOKS, "/", &format!("User-Agent: {long}\r\n")),
            Then::Again,
        ),
        attack(
            "empty connection options",
            2,
            head(SITE, "/", &format!("Connection: x{}\r\n{fields}", ",".repeat(50_000))),
            Then::Again,
        ),
        attack(
            "lists of protocols",
            50,
            head(SITE, "/slow", &format!("Connection: upgrade\r\nUpgrade: a{}\r\n", ", b".repeat(15_000))),
            Then::Waits,
        ),
        attack("hints that nobody reads", 50, head(SITE, "/hints", ""), Then::Waits),
        attack("resets", 4, get(SITE, "/"), Then::Resets),
    ]
}

/// A server that is slow where it is asked to be.
fn server() -> Server {
    Server::start(|talk| {
        while let Some(head) = talk.head()? {
            talk.body(&head, &mut |_| {})?;
            match head.target() {
                "/slow" => thread::sleep(SLOW), // The slowness that is asked for, not a wait.
                "/hints" => {
                    let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(15_000));
                    talk.send(hint.repeat(10))?;
                    return talk.some().map(drop);
                }
                _ => {}
            }
            talk.send(ok("a"))?;
        }
        Ok(())
    })
}

impl Attack {
    /// Reads an answer and asks again; `false` when that cannot be.
    fn again(&self, client: &mut Client) -> bool {
        client.try_response().is_ok_and(|answer| answer.is_some()) && client.try_send(&self.says).is_ok()
    }

    /// Attacks until it is over. Whatever happens to it is its own.
    fn run(&self, to: SocketAddr, over: &AtomicBool, mut chance: Chance) {
        let mut open: Vec<Client> = Vec::new();
        while !over.load(Ordering::SeqCst) {
            thread::sleep(PACE * u32::try_from(chance.between(1, 3)).unwrap_or(1));
            if open.len() < self.connections {
                let mut client = Client::connect_from(STRANGER, to);
                client.hurry(Duration::from_millis(500));
                if client.try_send(&self.says).is_ok() {
                    open.push(client);
                }
                if open.len() < self.connections && self.then != Then::Resets {
                    continue;
                }
            }
            let at = chance.below(open.len().max(1));
            match self.then {
                // One goes now and then, and another comes.
                Then::Waits if chance.one_in(4) && at < open.len() => drop(open.swap_remove(at)),
                Then::Resets if at < open.len() => open.swap_remove(at).reset(),
                Then::Again if at < open.len() && !self.again(&mut open[at]) => drop(open.swap_remove(at)),
                _ => {}
            }
        }
    }
}

/// What a normal client waits for its answers, for so long; each must come.
fn normal(elb: &Elb, time: Duration) -> Vec<Duration> {
    let (begun, mut waits) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let mut client = elb.client();
        for _ in 0..500 {
            if begun.elapsed() >= time {
                break;
            }
            let asked = Instant::now();
            assert_eq!(client.ask(get(SITE, "/")).text(), "a");
            waits.push(asked.elapsed());
            thread::sleep(PACE); // The pace of a client, not a wait.
        }
    }
    waits.sort();
    waits
}

fn p99(waits: &[Duration]) -> Duration {
    waits[waits.len() - 1 - waits.len() / 100]
}

#[test]
#[ignore = "a load for the whole machine: run it alone, and on a release build"]
fn a_normal_client_does_not_notice_the_worst_ones() {
    let seed = std::env::var("ELB_STORM_SEED").ok().map_or(1, |seed| seed.parse().expect("a number"));
    let time = load::seconds_or(SECONDS);
    let server = server();
    let looks = json!({"init": "ua", "rules": {
        "ua": {"type": "ua", "args": {"pattern": "(?=.*android)(?=.*mobile)", "succ": "up", "fail": "up"}},
        "up": {"type": "backend", "args": {"servername": "up"}}}});
    let document = json!({
        "domains": {SITE: rules::to("up"), LOOKS: looks},
        "upstreams": {"up": rules::upstream(&[&server], "")},
    });
    let elb = Launch::serving(&document)
        .workers(1)
        .flag("--admin-listen=127.0.0.1:0")
        .flag(&format!("--max-buffers={}m", BUFFERS >> 20))
        .flag("--max-connections=900")
        // Clients that have gone with a FIN may be waiting for an answer, so their servers are let go by this.
        .flag("--server-timeout=10s")
        .start();
    let alone = normal(&elb, time / 4);
    let before = elb.memory().now;

    let over = Arc::new(AtomicBool::new(false));
    let storm: Vec<_> = (0..)
        .zip(attacks())
        .map(|(number, attack)| {
            let (over, to) = (Arc::clone(&over), elb.address());
            let run = move || attack.run(to, &over, Chance::new(seed << 8 | number));
            thread::spawn(run)
        })
        .collect();
    let (mut beside, mut most) = (Vec::new(), 0);
    let begun = Instant::now();
    while begun.elapsed() < time {
        beside.extend(normal(&elb, Duration::from_millis(500)));
        most = most.max(elb.memory().now.saturating_sub(before));
    }
    let held = until(&elb, "window_bytes", |_| true);
    over.store(true, Ordering::SeqCst);
    let panicked = storm.into_iter().filter_map(|thread| thread.join().err()).count();
    beside.sort();
    println!(
        "seed {seed}: p50 {:?} and p99 {:?} alone; {:?} and {:?} beside; {most} bytes more, {held} in buffers; {}",
        alone[alone.len() / 2],
        p99(&alone),
        beside[beside.len() / 2],
        p99(&beside),
        elb.admin().get("workers")["all"]["refused"]
    );
    assert_eq!(panicked, 0);
    let bound = BUFFERS + BUFFERS / 10;
    assert!(most <= bound && held <= bound, "{most} bytes more, {held} in buffers, not {bound}");
    if time >= LONG {
        assert!(p99(&beside) < 3 * p99(&alone), "{:?} beside, {:?} alone", p99(&beside), p99(&alone));
    }
    for name in ["exchanges", "starved", "window_bytes", "leases"] {
        until(&elb, name, |number| number == 0);
    }
}
