//! What workers learn from each other about servers.

use super::*;

/// Two workers of one upstream, which begin their sequences at the same server; their clock is one.
fn workers(upstream: &Arc<Upstream>) -> (Scene, Scene) {
    let one = Scene::new(upstream);
    let other = Scene { balancer: Balancer::new(upstream, 0), now: one.now };
    (one, other)
}

fn pass(scenes: [&mut Scene; 2], seconds: f64) {
    scenes.into_iter().for_each(|scene| scene.pass(seconds));
}

#[test]
fn a_server_that_one_worker_sets_aside_is_aside_for_all() {
    let (mut one, mut other) = workers(&weighted(&[1, 1]));
    one.fail('a');
    assert_eq!(other.sequence(3), "bbb");
    pass([&mut one, &mut other], 10.1);
    let (name, probe) = other.take().unwrap();
    assert_eq!(name, 'a', "one is let through");
    assert_eq!(one.sequence(3), "bbb", "of all workers'");
    other.done(probe, Sign::Good);
    assert!(one.sequence(4).contains('a') && other.sequence(4).contains('a'), "back for all");
}

#[test]
fn failures_of_all_workers_add_up() {
    let servers = vec![server('a', |spec| spec.max_fails = 2), server('b', |_| ())];
    let (mut one, mut other) = workers(&upstream(servers));
    one.fail('a');
    assert!(other.sequence(2).contains('a'));
    other.fail('a');
    assert_eq!((one.sequence(2), other.sequence(2)), ("bb".to_owned(), "bb".to_owned()));
}

#[test]
fn a_good_answer_to_one_worker_dispels_the_doubts_of_another() {
    let (mut one, mut other) = workers(&weighted(&[1, 1]));
    let (name, under_way) = other.take().unwrap();
    assert_eq!(name, 'a');
    let (name, slow) = one.take().unwrap();
    assert_eq!(name, 'a');
    one.done(slow, DOUBT);
    assert_eq!(one.sequence(2), "bb");
    other.done(under_way, Sign::Good);
    assert!(one.sequence(4).contains('a'));
    // And one that came before lets no doubt count, within a fail_timeout or nearly.
    pass([&mut one, &mut other], 20.0);
    other.sequence(2);
    pass([&mut one, &mut other], 9.0);
    for _ in 0..4 {
        let (_, lease) = one.take().unwrap();
        one.done(lease, DOUBT);
    }
    assert!(one.sequence(4).contains('a') && other.sequence(4).contains('a'));
    pass([&mut one, &mut other], 10.1);
    for _ in 0..2 {
        let (_, lease) = other.take().unwrap();
        other.done(lease, DOUBT);
    }
    let (_, lease) = one.take().unwrap();
    one.done(lease, Sign::Nothing);
    assert!(one.balancer.take_opened(), "nobody has answered anybody");
}

#[test]
fn a_lost_race_for_a_server_ends_at_another() {
    let (mut one, mut other) = workers(&weighted(&[1, 1]));
    one.fail('a');
    pass([&mut one, &mut other], 10.1);
    // Both see that it has rested; then the other lets one through.
    let (Some(mine), Some(theirs)) = (one.balancer.peers.first_mut(), other.balancer.peers.first_mut())
    else {
        panic!("two servers")
    };
    assert!(mine.is_usable(one.now) && theirs.is_usable(one.now));
    assert!(theirs.begin(false, one.now) && !mine.begin(false, one.now));
    assert_eq!(one.sequence(2), "bb");
}
