//! Which failures count, and what happens when everybody has failed.

use super::*;

impl Scene {
    /// An exchange of the server `name` that began so many seconds ago; others are given back without a word.
    fn exchange_of(&mut self, name: char, sign: Sign, seconds: u64) {
        let since = self.now.checked_sub(Duration::from_secs(seconds)).unwrap();
        loop {
            let (picked, lease) = self.take().unwrap();
            if picked == name {
                return self.done_since(lease, sign, since);
            }
            self.done(lease, Sign::Nothing);
        }
    }

    fn is_aside(&self, name: char) -> bool {
        let servers = &self.balancer.upstream().servers;
        let index = servers.iter().position(|server| server.spec.name == name.to_string());
        !self.balancer.peers[index.unwrap()].is_usable(self.now)
    }
}

#[test]
fn doubts_count_while_a_server_answers_nobody_well() {
    let servers = ('a'..='c').map(|name| server(name, |spec| spec.max_fails = 2));
    let mut scene = Scene::new(&upstream(servers.collect()));
    scene.exchange_of('a', DOUBT, 0);
    assert!(!scene.is_aside('a'));
    scene.exchange_of('a', DOUBT, 0);
    assert!(scene.is_aside('a'), "max_fails of them, as nginx has it");
    scene.pass(10.1);
    scene.exchange_of('a', DOUBT, 0);
    assert!(scene.is_aside('a'), "it was let through, and nothing has changed");
}

#[test]
fn a_server_that_answers_others_well_is_not_put_aside_for_what_was_asked() {
    let mut scene = Scene::new(&weighted(&[1, 1]));
    scene.exchange_of('a', Sign::Good, 0);
    for _ in 0..100 {
        scene.exchange_of('a', DOUBT, 0);
    }
    assert!(!scene.is_aside('a'));
    scene.pass(10.0);
    scene.exchange_of('a', DOUBT, 0);
    assert!(!scene.is_aside('a'), "up to the timeout");
    scene.pass(0.1);
    scene.exchange_of('a', DOUBT, 11);
    assert!(!scene.is_aside('a'), "the answer came while this request was under way");
    scene.exchange_of('a', DOUBT, 1);
    assert!(scene.is_aside('a'), "and a server that falls ill is found out");
}

/// An exchange that asks these servers one after the other, and gets these answers.
fn ask_all(scene: &mut Scene, answers: &[(char, Sign)]) {
    let (mut tried, mut doubts) = (Tried::new(), Doubts::default());
    for (name, sign) in answers {
        let mut passed = tried.clone();
        let lease = loop {
            let (picked, lease) = scene.take_other(&passed).expect("an untried server");
            if picked == *name {
                break lease;
            }
            passed.add(&lease);
            scene.done(lease, Sign::Nothing);
        };
        tried.add(&lease);
        if let Sign::Doubt(doubt) = *sign {
            doubts.hold(doubt, &tried, &lease);
        }
        scene.balancer.done(lease, *sign, scene.now, scene.now);
    }
    let bettered = answers.iter().any(|(_, sign)| *sign == Sign::Good);
    scene.balancer.conclude(&tried, doubts, bettered, scene.now, scene.now);
}

#[test]
fn a_doubt_counts_if_another_server_answers_the_same_request_well() {
    for (answers, aside) in [
        (&[('a', DOUBT), ('b', Sign::Good)][..], "a"),
        (&[('a', DOUBT), ('c', DOUBT), ('b', Sign::Good)], "ac"),
        (&[('a', DOUBT), ('b', DOUBT)], ""),
        (&[('a', DOUBT), ('b', DOUBT), ('c', DOUBT)], ""),
        (&[('a', DOUBT), ('b', Sign::Nothing)], ""),
        (&[('a', DOUBT), ('b', FAULT)], "b"),
        (&[('a', DOUBT)], "a"),
    ] {
        let mut scene = Scene::new(&weighted(&[1, 1, 1]));
        ask_all(&mut scene, answers);
        let found: String = ['a', 'b', 'c'].into_iter().filter(|name| scene.is_aside(*name)).collect();
        assert_eq!(found, aside, "{answers:?}");
    }
}

#[test]
fn a_broken_request_that_is_let_through_lets_the_next_one_see() {
    let mut scene = Scene::new(&weighted(&[1, 1, 1]));
    scene.fail('a');
    scene.pass(10.1);
    ask_all(&mut scene, &[('a', DOUBT), ('b', DOUBT)]);
    assert!(!scene.is_aside('a') && !scene.is_aside('b'), "nothing was said of either");
    scene.exchange_of('a', Sign::Good, 0);
    assert_eq!(scene.balancer.peers[0].state.failures(), 0);
}

#[test]
fn other_parameters_do_not_undo_a_good_answer() {
    let mut scene = Scene::new(&weighted(&[1, 1]));
    scene.exchange_of('a', Sign::Good, 0);
    let mut servers = scene.balancer.upstream().servers.clone();
    servers[0].spec = server('a', |spec| spec.weight = 2).spec;
    scene.balancer.carry(&upstream(servers));
    scene.exchange_of('a', DOUBT, 0);
    assert!(!scene.is_aside('a'), "it was what was asked, as it was before");
    scene.pass(10.1);
    scene.exchange_of('a', DOUBT, 0);
    assert!(scene.is_aside('a'));
}

#[test]
fn a_good_answer_takes_doubts_back_but_no_faults() {
    let mut scene = Scene::new(&weighted(&[1, 1, 1]));
    let mut under_way = Vec::new();
    while under_way.len() < 2 {
        let (name, lease) = scene.take().unwrap();
        match name {
            'a' => under_way.push(lease),
            _ => scene.done(lease, Sign::Nothing),
        }
    }
    scene.exchange_of('a', DOUBT, 0);
    assert!(scene.is_aside('a'));
    scene.done(under_way.pop().unwrap(), Sign::Good);
    assert!(!scene.is_aside('a'), "that is another request's, which was under way meanwhile");
    scene.exchange_of('a', FAULT, 0);
    assert!(scene.is_aside('a'), "no connection is no connection");
    scene.done(under_way.pop().unwrap(), Sign::Good);
    assert!(scene.is_aside('a'));
}

#[test]
fn what_says_nothing_changes_nothing_and_lets_the_next_one_see() {
    let mut scene = Scene::new(&weighted(&[1, 1]));
    for _ in 0..10 {
        scene.exchange_of('a', Sign::Nothing, 0);
    }
    assert!(!scene.is_aside('a'));
    scene.exchange_of('a', FAULT, 0);
    scene.pass(10.1);
    scene.exchange_of('a', Sign::Nothing, 0);
    assert!(!scene.is_aside('a'), "the next one may see");
    scene.exchange_of('a', Sign::Good, 0);
    assert_eq!(scene.sequence(8).matches('a').count(), 4, "forgotten");
}

#[test]
fn when_everybody_is_aside_nobody_is() {
    let backup = server('x', |spec| spec.backup = true);
    let down = server('d', |spec| spec.down = true);
    let mut scene = Scene::new(&upstream(vec![server('a', |_| ()), backup, down, server('b', |_| ())]));
    for name in ['a', 'b', 'x'] {
        scene.fail(name);
    }
    assert!(!scene.balancer.take_opened());
    let mut tried = Tried::new();
    let mut asked = Vec::new();
    while let Some((name, lease)) = scene.take_other(&tried) {
        assert!(scene.balancer.take_opened() && !scene.balancer.take_opened());
        tried.add(&lease);
        asked.push(name);
        scene.done(lease, FAULT);
    }
    asked.sort_unstable();
    assert_eq!(asked, ['a', 'b', 'x'], "backups too, those that are down not, nobody twice");
    assert!(scene.balancer.is_open());
    scene.pass(1.0);
    let name = scene.exchange(false);
    assert!(scene.balancer.take_opened(), "the first of them");
    assert!(!scene.balancer.is_open() && !scene.is_aside(name), "one that answers ends it at once");
    assert_eq!(scene.sequence(3), String::from(name).repeat(3));
    assert!(!scene.balancer.take_opened(), "and none after it");
}

#[test]
fn somebody_who_is_busy_is_no_reason_not_to_ask_those_who_are_aside() {
    let narrow = server('a', |spec| spec.max_conns = 1);
    let mut scene = Scene::new(&upstream(vec![narrow, server('b', |_| ())]));
    scene.fail('b');
    let (name, lease) = scene.take().unwrap();
    assert_eq!(name, 'a');
    assert_eq!(scene.exchange(true), 'b');
    scene.done(lease, Sign::Good);
    assert_eq!(scene.sequence(2), "aa");
}

#[test]
fn somebody_who_can_be_used_and_was_tried_is_a_reason() {
    let mut scene = Scene::new(&upstream(vec![server('a', |spec| spec.max_fails = 0), server('b', |_| ())]));
    scene.fail('b');
    let (name, lease) = scene.take().unwrap();
    let mut tried = Tried::new();
    tried.add(&lease);
    scene.done(lease, FAULT);
    assert_eq!((name, scene.take_other(&tried)), ('a', None), "b is aside, and the upstream is not out");
}

#[test]
fn an_outage_that_another_worker_sees_the_end_of_is_over() {
    let both = weighted(&[1, 1]);
    let (mut one, mut other) = (Scene::new(&both), Scene::new(&both));
    other.now = one.now;
    for name in ['a', 'b'] {
        one.fail(name);
    }
    one.exchange(true);
    other.exchange(true);
    assert!(one.balancer.is_open() && other.balancer.is_open());
    one.pass(1.0);
    one.exchange(false);
    assert!(!one.balancer.is_open() && !other.balancer.is_open());
}

#[test]
fn neither_a_backup_nor_a_second_address_leaves_a_client_without_a_server() {
    // One name at two addresses is two servers of one name.
    let addresses = ["/1", "/2"].map(|path| {
        let one = server(if path == "/1" { 'a' } else { 'b' }, |spec| spec.name = "h:1".to_owned());
        Server { endpoint: Endpoint::Unix(path.into()), ..one }
    });
    let backup = vec![server('a', |_| ()), server('b', |spec| spec.backup = true)];
    for servers in [addresses.into(), backup] {
        for options in ["", "method=least_conn", "method=ewma", "method=random", "method=hash key=host"] {
            let mut definition = (*upstream(servers.clone())).clone();
            definition.options = UpstreamOptions::parse(options).unwrap();
            definition.servers.iter_mut().for_each(|server| server.state = Arc::default());
            let mut scene = Scene::new(&Arc::new(definition));
            for _ in 0..20 {
                let (_, lease) = scene.take().expect("a server");
                scene.done(lease, FAULT);
            }
            assert!(scene.balancer.is_open(), "{options}");
        }
    }
}
