//! Exact sequences, failure windows with an invented clock, and what a new definition keeps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::balance::Balancer;
use super::choice::{Affinity, Choice};
use super::lease::{Doubts, Lease, Tried};
use crate::exchange::{Doubt, Sign};
use crate::model::{Blame, Endpoint, Server, ServerId, ServerIds, ServerSpec, Upstream, UpstreamOptions};
use crate::reason::Reason;

mod health;
mod methods;
mod places;
mod shared;
mod tail;

/// A server as the tests write it: `a` is the first, its address follows from its name.
pub(super) fn server(name: char, parameters: impl FnOnce(&mut ServerSpec)) -> Server {
    let mut spec = ServerSpec {
        name: name.to_string(),
        weight: 1,
        max_fails: 1,
        fail_timeout: Duration::from_secs(10),
        max_conns: 0,
        backup: false,
        down: false,
        drain: false,
        slow_start: Duration::ZERO,
    };
    parameters(&mut spec);
    let endpoint = Endpoint::Unix(format!("/{name}").into());
    Server { id: id(name), endpoint, spec: Arc::new(spec), state: Arc::default() }
}

/// A request that belongs nowhere.
static ANYWHERE: Affinity = Affinity { key: 0, sticky: 0 };

fn choice(tried: &Tried, now: Instant) -> Choice<'_> {
    Choice { tried, now, affinity: &ANYWHERE }
}

/// A server is the same one by its letter.
fn id(name: char) -> ServerId {
    let mut ids = ServerIds::default();
    ('A'..=name).map(|_| ids.give()).last().unwrap()
}

fn upstream(servers: Vec<Server>) -> Arc<Upstream> {
    Arc::new(Upstream {
        name: "up".to_owned(),
        servers,
        options: UpstreamOptions::default(),
        implicit: false,
    })
}

pub(super) fn weighted(weights: &[u32]) -> Arc<Upstream> {
    upstream(('a'..).zip(weights).map(|(name, weight)| server(name, |spec| spec.weight = *weight)).collect())
}

/// A balancer, a clock that is set by hand, and servers called by their letters.
const DOUBT: Sign = Sign::Doubt(Doubt::Silence);
const FAULT: Sign = Sign::Fault(Reason::ConnectFailed);

struct Scene {
    balancer: Balancer,
    now: Instant,
}

impl Scene {
    fn new(upstream: &Arc<Upstream>) -> Self {
        Self { balancer: Balancer::new(upstream, 0), now: Instant::now() }
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    fn take(&mut self) -> Option<(char, Lease)> {
        self.take_other(&Tried::new())
    }

    fn take_other(&mut self, tried: &Tried) -> Option<(char, Lease)> {
        let choice = choice(tried, self.now);
        let others = self.balancer.others(&choice);
        let picked = self.balancer.pick(&choice);
        assert_eq!(picked.is_some(), others, "what is promised is kept");
        picked.map(|(index, lease)| (self.name(index), lease))
    }

    fn name(&self, index: usize) -> char {
        self.balancer.upstream().servers[index].spec.name.chars().next().unwrap()
    }

    /// A whole exchange: the letter of its server, or `-`.
    fn exchange(&mut self, failed: bool) -> char {
        let Some((name, lease)) = self.take() else { return '-' };
        self.done(lease, if failed { FAULT } else { Sign::Good });
        name
    }

    /// Exchanges under way on a server.
    fn conns(&self, index: usize) -> u32 {
        self.balancer.peers.get(index).map_or(0, |peer| peer.conns)
    }

    fn done(&mut self, lease: Lease, sign: Sign) {
        self.done_since(lease, sign, self.now);
    }

    /// It began at `since`, and no other server was asked.
    fn done_since(&mut self, lease: Lease, sign: Sign, since: Instant) {
        let mut tried = Tried::new();
        tried.add(&lease);
        let mut doubts = Doubts::default();
        if let Sign::Doubt(doubt) = sign {
            doubts.hold(doubt, &tried, &lease);
        }
        self.balancer.done(lease, sign, since, self.now);
        self.balancer.conclude(&tried, doubts, sign == Sign::Good, since, self.now);
    }

    fn sequence(&mut self, length: usize) -> String {
        (0..length).map(|_| self.exchange(false)).collect()
    }

    /// Exchanges until the server `name` has failed once.
    fn fail(&mut self, name: char) {
        loop {
            let (picked, lease) = self.take().unwrap();
            self.done(lease, if picked == name { FAULT } else { Sign::Good });
            if picked == name {
                return;
            }
        }
    }
}

#[test]
fn sequences_are_smooth() {
    let cases: &[(&[u32], &str)] = &[
        (&[1], "aaaa"),
        (&[7], "aaaa"),
        (&[1, 1], "abababab"),
        (&[3, 3, 3], "abcabc"),
        (&[5, 1, 1], "aabacaaaabacaa"),
        (&[1, 2], "babbab"),
        (&[2, 1], "abaaba"),
        (&[4, 2, 1], "abacabaabacaba"),
    ];
    for (weights, sequence) in cases {
        assert_eq!(Scene::new(&weighted(weights)).sequence(sequence.len()), *sequence, "{weights:?}");
    }
}

#[test]
fn the_seed_is_where_the_sequence_starts() {
    let upstream = weighted(&[5, 1, 1]);
    for seed in 0..15 {
        let mut scene = Scene::new(&upstream);
        scene.balancer = Balancer::new(&upstream, seed);
        let at = seed as usize % 7;
        assert_eq!(scene.sequence(7), "aabacaaaabacaa"[at..at + 7], "{seed}");
    }
    // In lowest terms: 100, 100 is a sequence of two.
    let firsts: String = (0..4)
        .map(|seed| {
            let mut scene = Scene::new(&weighted(&[100, 100]));
            scene.balancer = Balancer::new(&weighted(&[100, 100]), seed);
            scene.exchange(false)
        })
        .collect();
    assert_eq!(firsts, "abab");
}

#[test]
fn nobody_to_pick() {
    let down = |name| server(name, |spec| spec.down = true);
    let down_backup = server('b', |spec| (spec.down, spec.backup) = (true, true));
    for servers in [vec![], vec![down('a')], vec![down('a'), down('b')], vec![down('a'), down_backup]] {
        let mut scene = Scene::new(&upstream(servers));
        assert_eq!(scene.exchange(false), '-');
        scene.balancer = Balancer::new(&Arc::clone(scene.balancer.upstream()), 12345);
        assert_eq!(scene.take(), None);
    }
}

#[test]
fn down_servers_are_left_out() {
    let servers = vec![server('a', |_| ()), server('b', |spec| spec.down = true), server('c', |_| ())];
    assert_eq!(Scene::new(&upstream(servers)).sequence(4), "acac");
}

#[test]
fn backups_wait_until_no_other_is_left() {
    let backup = |name| server(name, |spec| spec.backup = true);
    let mut scene =
        Scene::new(&upstream(vec![backup('x'), server('a', |_| ()), backup('y'), server('b', |_| ())]));
    assert_eq!(scene.sequence(4), "abab");
    scene.fail('a');
    assert_eq!(scene.sequence(3), "bbb");
    scene.fail('b');
    assert_eq!(scene.sequence(4), "xyxy");
    scene.fail('x');
    assert_eq!(scene.sequence(3), "yyy");
    scene.pass(10.1);
    let back = scene.sequence(6);
    assert!(back.contains('a') && back.contains('b') && !back.contains(['x', 'y']), "{back}");
}

#[test]
fn a_failed_server_stays_aside_for_its_timeout() {
    let mut scene = Scene::new(&weighted(&[1, 1]));
    scene.fail('a');
    assert_eq!(scene.sequence(3), "bbb");
    scene.pass(10.0);
    assert_eq!(scene.sequence(2), "bb", "up to the timeout and not beyond");
    scene.pass(0.001);
    // The failure had cost it all its weight, so its turn is a little later than it would have been.
    assert_eq!(scene.sequence(3), "bba");
    assert_eq!(scene.sequence(4).matches('a').count(), 2, "it is back for good");
}

#[test]
fn one_exchange_is_let_through_to_see() {
    let mut scene = Scene::new(&weighted(&[1, 1]));
    scene.fail('a');
    scene.pass(11.0);
    let mut probe = None;
    for _ in 0..10 {
        let (name, lease) = scene.take().unwrap();
        match name {
            'a' => assert!(probe.replace(lease).is_none(), "only one while the first is under way"),
            _ => scene.done(lease, Sign::Good),
        }
    }
    scene.done(probe.take().unwrap(), FAULT);
    assert_eq!(scene.sequence(3), "bbb", "it failed again");
    scene.pass(11.0);
    assert!(scene.sequence(4).contains('a'), "it is let through and succeeds");
    assert_eq!(scene.sequence(4).matches('a').count(), 2);
}

#[test]
fn failures_are_counted_until_a_success_after_the_window() {
    let servers = || upstream(vec![server('a', |spec| spec.max_fails = 2), server('b', |_| ())]);
    // Two within the window.
    let mut scene = Scene::new(&servers());
    scene.fail('a');
    scene.pass(9.0);
    scene.fail('a');
    assert_eq!(scene.sequence(3), "bbb");
    // A success within the window does not forgive, one after it does.
    for (seconds, forgiven) in [(5.0, false), (10.5, true)] {
        let mut scene = Scene::new(&servers());
        scene.fail('a');
        scene.pass(seconds);
        assert!(scene.sequence(2).contains('a'));
        scene.fail('a');
        assert_eq!(scene.sequence(4).contains('a'), forgiven, "after {seconds} s");
    }
}

#[test]
fn max_fails_0_is_never_aside() {
    let mut scene = Scene::new(&upstream(vec![server('a', |spec| spec.max_fails = 0), server('b', |_| ())]));
    for _ in 0..10 {
        scene.fail('a');
    }
    assert_eq!(scene.sequence(4).matches('a').count(), 2);
}

#[test]
fn an_only_server_is_never_aside_also_beside_one_that_is_down() {
    let beside = || upstream(vec![server('a', |_| ()), server('b', |spec| spec.down = true)]);
    for only in [weighted(&[1]), beside()] {
        let mut scene = Scene::new(&only);
        for _ in 0..10 {
            assert_eq!(scene.exchange(true), 'a');
        }
        assert!(!scene.balancer.take_opened() && !scene.balancer.is_open(), "that is no outage");
    }
    let both = weighted(&[1, 1]);
    let mut scene = Scene::new(&both);
    scene.fail('a');
    let down = server('b', |spec| spec.down = true);
    scene.balancer.carry(&upstream(vec![both.servers[0].clone(), down]));
    assert_eq!(scene.sequence(2), "aa", "it is the only one now");
    assert!(!scene.balancer.take_opened());
    scene.balancer.carry(&both);
    assert!(scene.sequence(2).contains('a'), "and what it did before is no matter");
}

#[test]
fn tried_servers_are_not_picked_again() {
    let mut scene = Scene::new(&weighted(&[1; 7]));
    let mut tried = Tried::new();
    assert!(tried.is_empty());
    let mut order = String::new();
    while let Some((name, lease)) = scene.take_other(&tried) {
        tried.add(&lease);
        order.push(name);
        assert_eq!(tried.len(), order.len());
        scene.done(lease, Sign::Good);
    }
    assert_eq!(order, "abcdefg");
    tried.clear();
    assert!(tried.is_empty() && scene.take_other(&tried).is_some());

    let mut scene = Scene::new(&weighted(&[1]));
    let (_, lease) = scene.take().unwrap();
    let mut tried = Tried::new();
    tried.add(&lease);
    assert_eq!(scene.take_other(&tried), None, "an only server too");
}

#[test]
fn max_conns_is_a_bound_on_exchanges_at_once() {
    let narrow = || server('a', |spec| spec.max_conns = 2);
    let mut scene = Scene::new(&upstream(vec![narrow(), server('b', |_| ())]));
    let mut leases: Vec<(char, Lease)> = (0..8).map(|_| scene.take().unwrap()).collect();
    assert_eq!(leases.iter().filter(|(name, _)| *name == 'a').count(), 2);
    assert_eq!((scene.conns(0), scene.conns(1)), (2, 6));
    let (name, lease) = leases.remove(0);
    assert_eq!(name, 'a');
    scene.done(lease, Sign::Good);
    assert!([0, 1].map(|_| scene.take().unwrap().0).contains(&'a'));
    assert_eq!(scene.conns(0), 2);

    let mut scene = Scene::new(&upstream(vec![narrow()]));
    let (first, second) = (scene.take().unwrap().1, scene.take().unwrap().1);
    assert_eq!(scene.take(), None, "an only server has its bound");
    scene.done(first, FAULT);
    assert!(scene.take().is_some());
    scene.done(second, Sign::Good);
}

#[test]
fn a_new_definition_keeps_what_is_under_way_and_failures() {
    let mut scene = Scene::new(&weighted(&[1, 1, 1]));
    scene.fail('a');
    scene.fail('b');
    let (name, lease) = scene.take().unwrap();
    assert_eq!(name, 'c');
    // b gets other parameters, c another place, d is new.
    let old = scene.balancer.upstream().servers.clone();
    let changed = server('b', |spec| spec.max_fails = 2);
    scene.balancer.carry(&upstream(vec![old[2].clone(), changed, old[0].clone(), server('d', |_| ())]));
    assert_eq!([0, 1, 2, 3].map(|index| scene.conns(index)), [1, 0, 0, 0]);
    let seen = scene.sequence(12);
    assert!(!seen.contains('a'), "still aside: {seen}");
    assert!(['b', 'c', 'd'].iter().all(|name| seen.matches(*name).count() >= 3), "{seen}");
    scene.done(lease, FAULT);
    assert_eq!(scene.conns(0), 0);
    assert!(!scene.sequence(6).contains('c'), "the failure is its own, wherever it stands now");
}

#[test]
fn leases_outlive_their_server() {
    let mut scene = Scene::new(&weighted(&[1, 1]));
    let (_, gone) = scene.take().unwrap();
    let (_, kept) = scene.take().unwrap();
    let mut tried = Tried::new();
    tried.add(&gone);
    tried.add(&kept);
    let b = scene.balancer.upstream().servers[1].clone();
    scene.balancer.carry(&upstream(vec![server('c', |_| ()), b]));
    scene.done(gone, FAULT);
    assert_eq!((scene.conns(0), scene.conns(1)), (0, 1), "c is not a");
    assert_eq!(scene.take_other(&tried).unwrap().0, 'c', "b was tried, c was not");
    scene.done(kept, Sign::Good);
    // A server that comes back is another one.
    scene.balancer.carry(&upstream(vec![]));
    assert_eq!(scene.take(), None);
    let back = ['a', 'b'].map(|name| Server { id: id(name.to_ascii_uppercase()), ..server(name, |_| ()) });
    scene.balancer.carry(&upstream(back.into()));
    assert_eq!(scene.conns(1), 0);
    assert!(scene.take_other(&tried).is_some());
}

/// The choice as nginx writes it down, one field for one field, in whole units of time.
#[derive(Clone, Default)]
struct Naive {
    weight: i64,
    max_fails: i64,
    effective_weight: i64,
    current_weight: i64,
    fails: i64,
    accessed: i64,
    checked: i64,
}

const FAIL_TIMEOUT: i64 = 10;

/// `all` is ELB's own: as if nobody were aside.
fn naive_pick(peers: &mut [Naive], all: bool, now: i64) -> Option<usize> {
    let (mut best, mut total) = (None::<usize>, 0);
    for index in 0..peers.len() {
        let peer = &mut peers[index];
        if !all && peer.max_fails != 0 && peer.fails >= peer.max_fails && now - peer.checked <= FAIL_TIMEOUT {
            continue;
        }
        peer.current_weight += peer.effective_weight;
        total += peer.effective_weight;
        if peer.effective_weight < peer.weight {
            peer.effective_weight += 1;
        }
        if best.is_none_or(|best| peers[index].current_weight > peers[best].current_weight) {
            best = Some(index);
        }
    }
    let best = best?;
    peers[best].current_weight -= total;
    if all || now - peers[best].checked > FAIL_TIMEOUT {
        peers[best].checked = now;
    }
    Some(best)
}

fn naive_done(peer: &mut Naive, failed: bool, now: i64) {
    if failed {
        peer.fails += 1;
        (peer.accessed, peer.checked) = (now, now);
        if peer.max_fails != 0 {
            peer.effective_weight -= peer.weight / peer.max_fails;
        }
        peer.effective_weight = peer.effective_weight.max(0);
    } else if peer.accessed < peer.checked {
        peer.fails = 0;
    }
}

/// What happens to a balancer.
#[derive(Debug, Clone)]
enum Event {
    Pick,
    /// One of the exchanges under way ends.
    Done(prop::sample::Index, bool),
    Pass(u8),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Pick),
        3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, failed)| Event::Done(which, failed)),
        1 => (0_u8..15).prop_map(Event::Pass),
    ]
}

proptest! {
    #[test]
    fn as_nginx_has_it(
        servers in proptest::collection::vec((1_u32..20, 0_u32..4), 2..6),
        events in proptest::collection::vec(any_event(), 0..100),
    ) {
        let list = ('a'..).zip(&servers).map(|(name, &(weight, max_fails))| {
            server(name, |spec| (spec.weight, spec.max_fails) = (weight, max_fails))
        });
        let mut scene = Scene::new(&upstream(list.collect()));
        let mut naive: Vec<Naive> = servers
            .iter()
            .map(|&(weight, max_fails)| Naive {
                weight: weight.into(),
                effective_weight: weight.into(),
                max_fails: max_fails.into(),
                ..Naive::default()
            })
            .collect();
        let mut clock = 1_000_000;
        let mut leases = Vec::new();
        for event in events {
            match event {
                Event::Pick => {
                    let picked = scene.balancer.pick(&choice(&Tried::new(), scene.now));
                    let nginx = naive_pick(&mut naive, false, clock);
                    prop_assert_eq!(scene.balancer.take_opened(), nginx.is_none());
                    let expected = nginx.or_else(|| naive_pick(&mut naive, true, clock));
                    prop_assert_eq!(picked.as_ref().map(|(index, _)| *index), expected);
                    leases.extend(picked);
                }
                Event::Done(which, failed) if !leases.is_empty() => {
                    let (index, lease) = leases.swap_remove(which.index(leases.len()));
                    scene.done(lease, if failed { FAULT } else { Sign::Good });
                    naive_done(&mut naive[index], failed, clock);
                }
                Event::Done(..) => {}
                Event::Pass(seconds) => {
                    scene.pass(f64::from(seconds));
                    clock += i64::from(seconds);
                }
            }
        }
        prop_assert_eq!((0..servers.len()).map(|index| scene.conns(index)).sum::<u32>() as usize, leases.len());
    }

    #[test]
    fn shares_are_exact(weights in proptest::collection::vec(1_u32..50, 1..10), seed: u64) {
        let upstream = weighted(&weights);
        let mut balancer = Balancer::new(&upstream, seed);
        let (now, rounds) = (Instant::now(), 3);
        let mut picks = vec![0; weights.len()];
        for _ in 0..weights.iter().sum::<u32>() * rounds {
            let (index, lease) = balancer.pick(&choice(&Tried::new(), now)).unwrap();
            picks[index] += 1;
            balancer.done(lease, Sign::Good, now, now);
        }
        prop_assert_eq!(picks, weights.iter().map(|weight| weight * rounds).collect::<Vec<_>>());
    }
}
