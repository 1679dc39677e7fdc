//! Who gets something at all: `max_conns` over all workers, `drain`, `slow_start`, `sticky`, checks.

use std::sync::atomic::{AtomicU32, Ordering};

use super::methods::with_options;
use super::*;

#[test]
fn max_conns_is_exact_over_all_workers() {
    const LIMIT: u32 = 5;
    let both = ['a', 'b'].map(|name| server(name, |spec| spec.max_conns = LIMIT));
    let mut definition = (*upstream(both.into())).clone();
    for options in ["", "method=least_conn", "method=hash key=client hash_balance=1.25"] {
        definition.options = UpstreamOptions::parse(options).unwrap();
        let upstream = Arc::new(definition.clone());
        let (busy, most) = ([0, 1].map(AtomicU32::new), AtomicU32::new(0));
        busy.iter().for_each(|busy| busy.store(0, Ordering::SeqCst));
        std::thread::scope(|scope| {
            for seed in 0..8 {
                let (upstream, busy, most) = (&upstream, &busy, &most);
                scope.spawn(move || {
                    let mut balancer = Balancer::new(upstream, seed);
                    let (now, tried, mut held) = (Instant::now(), Tried::new(), Vec::new());
                    for key in 0..5_000 {
                        // Each of the eight wants four at once, which is three times what there is.
                        if let Some((at, lease)) = balancer
                            .pick(&Choice { affinity: &Affinity { key, sticky: 0 }, ..choice(&tried, now) })
                        {
                            most.fetch_max(busy[at].fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            held.push((at, lease));
                        }
                        if held.len() == 4 || key % 7 == 0 {
                            for (at, lease) in held.drain(..) {
                                busy[at].fetch_sub(1, Ordering::SeqCst);
                                balancer.done(lease, Sign::Good, now, now);
                            }
                        }
                    }
                    for (at, lease) in held {
                        busy[at].fetch_sub(1, Ordering::SeqCst);
                        balancer.done(lease, Sign::Good, now, now);
                    }
                });
            }
        });
        assert!((1..=LIMIT).contains(&most.into_inner()), "{options}");
        assert!(upstream.servers.iter().all(|server| server.state.load().active() == 0), "{options}");
    }
}

#[test]
fn what_is_full_for_one_worker_is_full_for_all() {
    let narrow = ['a', 'b'].map(|name| server(name, |spec| spec.max_conns = 5));
    let upstream = upstream(narrow.into());
    let mut workers: Vec<Scene> = (0..4).map(|_| Scene::new(&upstream)).collect();
    let mut leases = Vec::new();
    for client in 0..200 {
        let scene = &mut workers[client % 4];
        if let Some((name, lease)) = scene.take() {
            leases.push((client % 4, name, lease));
        }
    }
    let at = |name| leases.iter().filter(|(_, other, _)| *other == name).count();
    assert_eq!((leases.len(), at('a'), at('b')), (10, 5, 5));
    let (worker, name, lease) = leases.remove(3);
    workers[worker].done(lease, Sign::Good);
    assert_eq!(workers[(worker + 1) % 4].take().unwrap().0, name, "whoever leaves makes room for anybody");
}

#[test]
fn a_dead_server_is_asked_by_one_request_of_all_workers() {
    const WAIT: f64 = 3.0;
    for count in [8_u64, 64] {
        let upstream = weighted(&[1, 1]);
        let mut workers: Vec<Scene> = (0..count).map(|_| Scene::new(&upstream)).collect();
        workers[0].fail('a');
        let start = workers[0].now;
        // For a minute each worker has a request every 100 ms. One to the dead server fails after 3 s.
        let (mut waiting, mut asked, mut most) = (Vec::new(), 0, 0);
        for tick in 0..600 {
            for worker in &mut workers {
                worker.now = start + Duration::from_millis(100 * tick);
            }
            waiting.retain_mut(|(worker, ends, lease): &mut (usize, f64, Option<Lease>)| {
                let over = *ends <= tick as f64 / 10.0;
                if over {
                    let scene: &mut Scene = &mut workers[*worker];
                    scene.done(lease.take().unwrap(), FAULT);
                }
                !over
            });
            for (worker, scene) in workers.iter_mut().enumerate() {
                let (name, lease) = scene.take().unwrap();
                if name == 'a' {
                    waiting.push((worker, tick as f64 / 10.0 + WAIT, Some(lease)));
                    asked += 1;
                    most = most.max(waiting.len());
                } else {
                    scene.done(lease, Sign::Good);
                }
            }
        }
        assert!(
            most <= 2 && (3..=6).contains(&asked),
            "{most} at once, {asked} in a minute, {count} workers"
        );
    }
}

#[test]
fn a_drained_server_gets_nobody_who_is_not_kept_there() {
    let drained = || server('b', |spec| spec.drain = true);
    let mut scene = Scene::new(&weighted(&[1, 1]));
    let (_, under_way) = scene.take().unwrap();
    let a = scene.balancer.upstream().servers[0].clone();
    scene.balancer.carry(&upstream(vec![a.clone(), drained()]));
    assert_eq!(scene.sequence(4), "aaaa");
    scene.done(under_way, Sign::Good);
    // Neither when nobody else can be used, and the only one beside it is never aside.
    for _ in 0..3 {
        assert_eq!(scene.exchange(true), 'a');
    }
    let down = Server { spec: Arc::new(ServerSpec { down: true, ..(*a.spec).clone() }), ..a };
    scene.balancer.carry(&upstream(vec![down, drained()]));
    assert_eq!(scene.exchange(false), '-');
    let connection = scene.balancer.claim(1, scene.now);
    scene.done(connection.expect("a client's own connection to it goes on"), Sign::Good);
    assert!(scene.balancer.claim(0, scene.now).is_none());
}

#[test]
fn clients_are_kept_at_their_server_while_it_can_be_used() {
    let mut definition = (*with_options(&[1; 3], "sticky=cookie:srv")).clone();
    let mut scene = Scene::new(&Arc::new(definition.clone()));
    let cookies: Vec<String> = (0..3).map(|at| scene.balancer.cookie(at, 0).unwrap().to_owned()).collect();
    let id = |cookie: &str| u64::from_str_radix(&cookie["srv=".len()..][..16], 16).unwrap();
    let ids: Vec<u64> = cookies.iter().map(|cookie| id(cookie)).collect();
    assert!(cookies.iter().all(|cookie| cookie.ends_with("; Path=/; HttpOnly")), "{cookies:?}");
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 3);
    assert_eq!(scene.balancer.cookie(1, ids[1]), None, "it is told once");
    let kept = |scene: &mut Scene, sticky: u64| {
        let tried = Tried::new();
        let affinity = Affinity { key: 0, sticky };
        let choice = Choice { affinity: &affinity, ..choice(&tried, scene.now) };
        assert!(scene.balancer.others(&choice));
        let (at, lease) = scene.balancer.pick(&choice).unwrap();
        scene.done(lease, Sign::Good);
        scene.name(at)
    };
    assert_eq!([0; 5].map(|_| kept(&mut scene, ids[1])), ['b'; 5]);
    let unknown: String = (0..3).map(|_| kept(&mut scene, 12_345)).collect();
    assert_eq!(unknown.matches(['a', 'b', 'c']).count(), 3);
    // Drained: those who are there stay. Aside: they go, and come back.
    definition.servers[1] = server('b', |spec| spec.drain = true);
    scene.balancer.carry(&Arc::new(definition.clone()));
    assert_eq!((kept(&mut scene, ids[1]), scene.balancer.cookie(1, 0)), ('b', Some(&*cookies[1])));
    assert!((0..6).all(|_| kept(&mut scene, 0) != 'b'));
    definition.servers[1].state.fail(Blame::ErrorStatus, false, 1, scene.now);
    assert!((0..6).all(|_| kept(&mut scene, ids[1]) != 'b'));
    definition.servers[1].state.forgive();
    assert_eq!(kept(&mut scene, ids[1]), 'b');
    definition.servers[1] = server('b', |spec| spec.down = true);
    scene.balancer.carry(&Arc::new(definition.clone()));
    assert!((0..6).all(|_| kept(&mut scene, ids[1]) != 'b'));
    // Another upstream calls the same server otherwise.
    definition.name = "other".to_owned();
    let other = Balancer::new(&Arc::new(definition), 0);
    assert_ne!(id(other.cookie(0, 0).unwrap()), ids[0]);
}

#[test]
fn a_server_that_comes_starts_slowly() {
    let slow = server('b', |spec| spec.slow_start = Duration::from_secs(30));
    let mut definition = (*upstream(vec![server('a', |_| ()), slow])).clone();
    for (options, within) in
        [("", 30), ("method=random", 150), ("method=hash key=client", 150), ("method=least_conn", 150)]
    {
        definition.options = UpstreamOptions::parse(options).unwrap();
        definition.servers[1].state = Arc::default();
        let mut scene = Scene::new(&Arc::new(definition.clone()));
        let share = |scene: &mut Scene| {
            let (tried, mut picks) = (Tried::new(), 0);
            for key in 0..3_000_u64 {
                let key = crate::data::draws::mix(key);
                let (at, lease) = scene
                    .balancer
                    .pick(&Choice { affinity: &Affinity { key, sticky: 0 }, ..choice(&tried, scene.now) })
                    .unwrap();
                picks += at;
                scene.done(lease, Sign::Good);
            }
            picks
        };
        let assert_share = |scene: &mut Scene, expected: usize| {
            let picks = share(scene);
            assert!(picks.abs_diff(expected) <= within, "{options}: {picks}, not {expected}");
        };
        assert_share(&mut scene, 0);
        scene.pass(15.0);
        // Half its weight beside a whole one.
        assert_share(&mut scene, 1_000);
        scene.pass(15.0);
        assert_share(&mut scene, 1_500);
        // It was aside and is taken up again.
        let b = Arc::clone(&scene.balancer.upstream().servers[1].state);
        b.fail(Blame::ErrorStatus, false, 1, scene.now);
        assert_share(&mut scene, 0);
        scene.pass(10.1);
        assert!(b.let_through(Duration::from_secs(10), scene.now));
        b.recover(1, scene.now);
        assert_share(&mut scene, 0);
        scene.pass(30.0);
        assert_share(&mut scene, 1_500);
        b.set_check(false, scene.now);
        b.set_check(true, scene.now);
        assert_share(&mut scene, 0);
    }
}

#[test]
fn a_server_whose_checks_fail_is_as_one_that_is_aside() {
    for options in ["", "method=least_conn"] {
        let upstream = with_options(&[1, 1], options);
        let mut scene = Scene::new(&upstream);
        let check = |at: usize, up: bool, now| upstream.servers[at].state.set_check(up, now);
        check(0, false, scene.now);
        scene.pass(100.0);
        assert_eq!(scene.sequence(4), "bbbb", "time does not change it");
        check(1, false, scene.now);
        let names: String = (0..8).map(|_| scene.exchange(false)).collect();
        assert!(names.contains('a') && names.contains('b') && scene.balancer.take_opened(), "{names}");
        check(1, true, scene.now);
        assert_eq!(scene.sequence(4), "bbbb");
        assert!(!scene.balancer.take_opened() && !scene.balancer.is_open());
        // Requests that fail count besides.
        scene.exchange(true);
        scene.pass(10.1);
        check(0, true, scene.now);
        let back = scene.sequence(12);
        assert!(back.contains('a') && back.contains('b'), "{back}");
        let only = with_options(&[1], options);
        only.servers[0].state.set_check(false, scene.now);
        let mut scene = Scene::new(&only);
        assert_eq!((scene.sequence(2), scene.balancer.take_opened()), ("aa".to_owned(), false));
    }
}

/// Definitions that a balancer goes through while exchanges are under way.
fn definitions() -> Vec<Arc<Upstream>> {
    let all = ['a', 'b', 'c'].map(|name| server(name, |spec| spec.max_fails = 0));
    let options =
        ["", "method=ewma", "method=least_conn sticky=cookie:s", "method=hash key=client", "method=ewma"];
    let change = |(at, options): (usize, &&str)| {
        let mut servers = all.to_vec();
        servers.rotate_left(at % 3);
        if at == 4 {
            let spec = &mut servers[0].spec;
            *spec = Arc::new(ServerSpec { max_conns: 2, ..(**spec).clone() });
        }
        let mut upstream = (*upstream(servers)).clone();
        upstream.options = UpstreamOptions::parse(options).unwrap();
        Arc::new(upstream)
    };
    options.iter().enumerate().map(change).collect()
}

#[test]
fn requests_of_a_server_that_is_gone_count_nowhere() {
    let both = with_options(&[1, 1], "method=ewma");
    let mut scene = Scene::new(&both);
    let leases = [scene.take().unwrap().1, scene.take().unwrap().1];
    let mut fewer = (*both).clone();
    let gone = fewer.servers.remove(0);
    scene.balancer.carry(&Arc::new(fewer));
    let active = || [gone.state.load().active(), both.servers[1].state.load().active()];
    assert_eq!(active(), [0, 1]);
    leases.into_iter().for_each(|lease| scene.done(lease, Sign::Good));
    assert_eq!((active(), scene.balancer.leases()), ([0, 0], 0));
}

proptest! {
    /// Whatever changes while exchanges are under way, in whichever order workers hear of it: when all are over none counts.
    #[test]
    fn counts_return_to_nothing(
        events in proptest::collection::vec((0_usize..3, 0_u8..4, any::<prop::sample::Index>()), 0..200),
    ) {
        let definitions = definitions();
        let (now, tried) = (Instant::now(), Tried::new());
        let mut workers = [0, 1, 2].map(|seed| (Balancer::new(&definitions[0], seed), Vec::new()));
        for (worker, event, which) in events {
            let (balancer, leases) = &mut workers[worker];
            match event {
                0 => balancer.carry(which.get(&definitions)),
                1 | 2 => leases.extend(balancer.pick(&choice(&tried, now)).map(|(_, lease)| lease)),
                _ if leases.is_empty() => {}
                _ => {
                    let mut lease = leases.swap_remove(which.index(leases.len()));
                    if which.index(2) == 0 {
                        balancer.answered(&mut lease, now, now);
                    }
                    balancer.done(lease, if which.index(3) == 0 { Sign::Nothing } else { Sign::Good }, now, now);
                }
            }
        }
        for (balancer, leases) in &mut workers {
            leases.drain(..).for_each(|lease| balancer.done(lease, Sign::Good, now, now));
            prop_assert_eq!(balancer.leases(), 0);
        }
        for server in &definitions[0].servers {
            prop_assert_eq!(server.state.load().active(), 0);
        }
    }
}
