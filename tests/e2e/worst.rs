//! The worst clients: all that one address can do to others at once, beside a normal client that must not notice.
//!
//! The normal client gets every answer, none of its connections is taken from it, and memory stays within the buffers.
//!
//! How long it waits is compared with an ELB of the same settings that nobody attacks, and that it asks in turns with the
//! other. A thousand attackers and their servers take most of this machine's processors. Whoever asks anything there waits
//! for that, and so does what it asks; it is not ELB's doing, and both ELBs have the same of it. A calm time before the storm
//! would charge the attackers' own work to ELB. It is shown nevertheless. What is left between the two is what the attacks
//! do inside ELB: who waits for a place, for a window, for the end of a turn.
//!
//! Times are judged when `ELB_TEST_SECONDS` says a minute or more, for they tell something of a release build on a machine
//! with nothing else to do, and of nothing else. `ELB_STORM_SEED` is the seed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::resources::{until, until_all};
use crate::support::chance::Chance;
use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::load;
use crate::support::rules::{self, SITE};
use crate::support::skip::skipped;
use crate::worst_server::WorstServer;

/// How long the storm lasts by itself.
const SECONDS: u64 = 5;
/// From this length on waiting times are judged.
const LONG: Duration = Duration::from_secs(60);
/// How much longer than alone the slowest of a hundred answers may take beside the storm.
const SLOWER: u32 = 3;
/// The buffers of the one worker.
const BUFFERS: u64 = 32 << 20;
/// The places of the one worker: fewer than the attackers want.
const PLACES: usize = 900;
/// What the normal client asks on one connection. So one answer in fifty is the first of a connection that waited for a
/// place, and the slowest of a hundred is among them if places are what is short.
const ASKED: u32 = 50;
/// Descriptors of this process: two for each attacker and its server, and as many again for what is about to close.
const DESCRIPTORS: u64 = 5000;
/// Where the attacks come from.
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
/// The domain whose rules look around in the User-Agent.
const LOOKS: &str = "looks.test";
/// Between two steps of an attack, so that the storm is one of kinds and not of this machine's processors.
const PACE: Duration = Duration::from_millis(2);
/// The lowest priority, for threads that attack.
const GIVES_WAY: i32 = 19;

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

impl Attack {
    /// Reads an answer and asks again; `false` when that cannot be.
    fn again(&self, client: &mut Client) -> bool {
        client.try_response().is_ok_and(|answer| answer.is_some()) && client.try_send(&self.says).is_ok()
    }

    /// Attacks until it is over. Whatever happens to it is its own.
    fn run(&self, to: SocketAddr, over: &AtomicBool, mut chance: Chance) {
        // On other machines it would take nothing of this one's processors. Where it cannot give way it only costs more.
        let _ = rustix::process::nice(GIVES_WAY);
        let mut open: Vec<Client> = Vec::new();
        while !over.load(Ordering::SeqCst) {
            thread::sleep(PACE * u32::try_from(chance.between(1, 3)).unwrap_or(1));
            if open.len() < self.connections {
                // With all its ports in use it has to do with what it has.
                let Ok(mut client) = Client::try_connect_from(STRANGER, to) else { continue };
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

/// A normal client of one ELB, and how long it waited for each answer.
struct Normal<'a> {
    elb: &'a Elb,
    client: Option<Client>,
    waits: Vec<Duration>,
}

impl<'a> Normal<'a> {
    fn of(elb: &'a Elb) -> Self {
        Normal { elb, client: None, waits: Vec::new() }
    }

    /// Asks once. To connect is part of it, and after so many answers it connects anew.
    fn ask(&mut self) {
        let asked = Instant::now();
        let client = self.client.get_or_insert_with(|| self.elb.client());
        assert_eq!(client.ask(get(SITE, "/")).text(), "a");
        self.waits.push(asked.elapsed());
        if self.waits.len().is_multiple_of(ASKED as usize) {
            self.client = None;
        }
    }

    /// How long half of its answers took at most, and how long all but one of a hundred.
    fn p50_and_p99(&mut self) -> [Duration; 2] {
        self.waits.sort();
        [2, 100].map(|part| self.waits[self.waits.len() - 1 - self.waits.len() / part])
    }
}

/// Lets both ask in turns for so long, at the pace of a client, and says meanwhile what is to be said.
fn in_turns(mut clients: [&mut Normal; 2], time: Duration, mut meanwhile: impl FnMut()) {
    let begun = Instant::now();
    let mut said = begun;
    while begun.elapsed() < time {
        clients.iter_mut().for_each(|client| client.ask());
        thread::sleep(PACE); // The pace of a client, not a wait.
        if said.elapsed() > Duration::from_millis(500) {
            said = Instant::now();
            meanwhile();
        }
    }
}

fn launch(server: &WorstServer) -> Elb {
    let looks = json!({"init": "ua", "rules": {
        "ua": {"type": "ua", "args": {"pattern": "(?=.*android)(?=.*mobile)", "succ": "up", "fail": "up"}},
        "up": {"type": "backend", "args": {"servername": "up"}}}});
    let document = json!({
        "domains": {SITE: rules::to("up"), LOOKS: looks},
        "upstreams": {"up": {server.address().to_string(): ""}},
    });
    Launch::serving(&document)
        .workers(1)
        .flag("--admin-listen=127.0.0.1:0")
        .flag(&format!("--max-buffers={}m", BUFFERS >> 20))
        .flag(&format!("--max-connections={PLACES}"))
        // Clients that have gone with a FIN may be waiting for an answer, so their servers are let go by this.
        .flag("--server-timeout=10s")
        .start()
}

/// All attacks at once, until it is over.
fn storm(elb: &Elb, seed: u64, over: &Arc<AtomicBool>) -> Vec<thread::JoinHandle<()>> {
    let begin = |(number, attack): (u64, Attack)| {
        let (over, to) = (Arc::clone(over), elb.address());
        thread::spawn(move || attack.run(to, &over, Chance::new(seed << 8 | number)))
    };
    (0..).zip(attacks()).map(begin).collect()
}

#[test]
fn a_normal_client_does_not_notice_the_worst_ones() {
    if !rlimit::increase_nofile_limit(u64::MAX).is_ok_and(|limit| limit >= DESCRIPTORS) {
        return skipped("there is no storm of the worst clients", "5000 descriptors may not be opened");
    }
    let seed = std::env::var("ELB_STORM_SEED").ok().map_or(1, |seed| seed.parse().expect("a number"));
    let time = load::seconds_or(SECONDS);
    let server = WorstServer::start();
    let [elb, calm] = [launch(&server), launch(&server)];
    let mut before = Normal::of(&elb);
    in_turns([&mut before, &mut Normal::of(&calm)], time / 8, || {});
    let held_before = elb.memory().now;

    let over = Arc::new(AtomicBool::new(false));
    let storm = storm(&elb, seed, &over);
    until_all(&elb, "places to be short", |all| all["short_of_connections"] == 1);
    let (mut beside, mut alone, mut most) = (Normal::of(&elb), Normal::of(&calm), 0);
    in_turns([&mut beside, &mut alone], time, || {
        most = most.max(elb.memory().now.saturating_sub(held_before));
    });
    let told = until_all(&elb, "the last numbers", |_| true);
    over.store(true, Ordering::SeqCst);
    let panicked = storm.into_iter().filter_map(|thread| thread.join().err()).count();

    let held = told["window_bytes"].as_u64().expect("a number");
    let [before, alone, beside] = [before, alone, beside].map(|mut client| client.p50_and_p99());
    println!(
        "seed {seed}: p50 and p99 {before:?} before, {alone:?} alone, {beside:?} beside; {most} bytes more, {held} in \
         buffers; {} connections accepted, {}",
        told["accepted"], told["refused"]
    );
    assert_eq!(panicked, 0);
    let bound = BUFFERS + BUFFERS / 10;
    assert!(most <= bound && held <= bound, "{most} bytes more, {held} in buffers, not {bound}");
    if time >= LONG {
        assert!(beside[1] < SLOWER * alone[1], "{beside:?} beside, {alone:?} alone");
    }
    for name in ["exchanges", "waiting_for_buffer", "window_bytes", "requests_at_servers"] {
        until(&elb, name, |number| number == 0);
    }
}
