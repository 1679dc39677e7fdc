//! The state machine under an invented clock: every way a watch can end, and what is said and sent about it.

use super::*;

const PULSE: Pulse = Pulse { every: Duration::from_secs(2), silence: Duration::from_secs(3) };
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn change(domain: &str) -> KeyChange {
    KeyChange::Rule { domain: domain.into(), text: Some("{}".into()) }
}

fn changes(domain: &str, revision: i64) -> Heard {
    Heard::Changes { changes: vec![change(domain)], revision }
}

/// A machine, its clock, and everything it said since it was last asked.
struct Run {
    core: Core,
    now: Instant,
}

impl Run {
    fn new(endpoints: usize) -> Run {
        Run { core: Core::new(endpoints, PULSE), now: Instant::now() }
    }

    /// Listed at `revision`, watched, and steady.
    fn following(revision: i64) -> Run {
        let mut run = Run::new(1);
        run.list(revision);
        run.watch();
        run.now += STEADY;
        run.core.heard(Heard::Progress(revision), run.now, 0.0);
        run
    }

    fn list(&mut self, revision: i64) {
        self.expect_list(0);
        self.core.listed(0, Contents::default(), revision);
        self.told();
    }

    fn watch(&mut self) {
        assert!(matches!(self.core.step(), Step::Watch(_)));
        self.core.opened(self.now);
        self.quiet();
        assert!(matches!(self.core.step(), Step::Ask));
    }

    fn fail(&mut self, reason: &str) {
        self.core.failed(reason.into(), self.now, 1.0);
    }

    fn hear(&mut self, message: Heard) {
        self.core.heard(message, self.now, 1.0);
    }

    fn quiet(&mut self) {
        self.core.quiet(self.now, 1.0);
    }

    /// What comes out before the next thing to do, as `kind detail`.
    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(step) = self.core.out.pop_front() {
            told.push(match step {
                Step::Report(StoreEvent::Loaded { revision, .. }) => format!("loaded {revision}"),
                Step::Report(StoreEvent::Changed { changes, revision }) => {
                    format!("changed {} at {revision}", changes.len())
                }
                Step::Report(StoreEvent::Down { reason }) => format!("down {reason}"),
                Step::Say(Note::Again(reason)) => format!("again {reason}"),
                Step::Say(Note::Connected { endpoint, revision }) => {
                    format!("connected {endpoint} {revision}")
                }
                Step::Say(Note::Backwards { from, to }) => format!("backwards {from} {to}"),
                Step::Say(Note::Down(_)) => "said down".into(),
                Step::Ask => "ask".into(),
                other => panic!("{other:?} is not said"),
            });
        }
        told
    }

    fn expect_list(&mut self, endpoint: usize) {
        assert!(matches!(self.core.step(), Step::List(at) if at == endpoint));
    }

    /// How long the machine rests from now.
    #[track_caller]
    fn rest(&mut self) -> Duration {
        match self.core.step() {
            Step::Rest(until) => until - self.now,
            other => panic!("{other:?} instead of a rest"),
        }
    }

    #[track_caller]
    fn listen(&mut self) -> Duration {
        match self.core.step() {
            Step::Listen(until) => until - self.now,
            other => panic!("{other:?} instead of listening"),
        }
    }
}

#[test]
fn the_watch_begins_right_behind_the_list() {
    let mut run = Run::new(1);
    run.expect_list(0);
    run.core.listed(0, Contents::default(), 41);
    assert_eq!(run.told(), ["connected 0 41", "loaded 41"]);
    assert!(matches!(run.core.step(), Step::Watch(42)));
}

#[test]
fn a_new_watch_is_asked_at_once_and_then_regularly() {
    let mut run = Run::following(5);
    run.now += PULSE.every - STEADY;
    run.quiet();
    assert_eq!(run.told(), ["ask"]);
    run.hear(Heard::Progress(5));
    assert_eq!(run.listen(), PULSE.every);
}

#[test]
fn a_change_after_a_silence_is_published_at_once() {
    let mut run = Run::following(5);
    for revision in 6..16 {
        run.hear(changes("a", revision));
        assert_eq!(run.told(), [format!("changed 1 at {revision}")]);
        run.now += GROUP_QUIET;
    }
}

#[test]
fn changes_that_come_together_are_published_together() {
    let mut run = Run::following(5);
    run.hear(changes("a", 6));
    assert_eq!(run.told(), ["changed 1 at 6"]);
    run.now += 3 * MS;
    run.hear(changes("b", 7));
    assert_eq!(run.listen(), GROUP_QUIET);
    run.now += 3 * MS;
    run.hear(changes("c", 8));
    assert_eq!(run.listen(), GROUP_QUIET);
    assert_eq!(run.told(), [""; 0]);
    run.now += GROUP_QUIET;
    run.quiet();
    assert_eq!(run.told(), ["changed 2 at 8"]);
}

#[test]
fn changes_that_never_stop_are_published_all_the_same() {
    let mut run = Run::following(5);
    let mut published = 0;
    for revision in 6..106 {
        run.hear(changes("a", revision));
        published += run.told().len();
        run.now += 2 * MS;
    }
    assert_eq!(published, 4, "200 ms of changes: the first, and one publication each 52 ms");
}

#[test]
fn changes_of_keys_that_are_no_data_are_not_published() {
    let mut run = Run::following(5);
    run.hear(Heard::Changes { changes: Vec::new(), revision: 6 });
    run.now += GROUP_LONGEST;
    run.quiet();
    assert_eq!(run.told(), [""; 0]);
}

#[test]
fn a_canceled_watch_is_listed_again_at_once() {
    let mut run = Run::following(5);
    run.hear(Heard::Canceled("compacted".into()));
    assert_eq!(run.told(), ["again the watch was canceled: compacted"]);
    run.expect_list(0);
    run.core.listed(0, Contents::default(), 9);
    assert_eq!(run.told(), ["loaded 9"]);
}

#[test]
fn changes_before_the_end_of_a_watch_are_not_lost() {
    let mut run = Run::following(5);
    run.hear(changes("a", 6));
    run.told();
    run.hear(changes("a", 7));
    run.fail("reset");
    assert_eq!(run.told(), ["changed 1 at 7", "again reset"]);
}

/// A user who may read but not watch, or a proxy that cuts streams: this degrades to polling, slower each time.
#[test]
fn a_watch_that_never_holds_is_not_tried_in_a_hot_loop() {
    let mut run = Run::new(1);
    let mut rests = Vec::new();
    for _ in 0..4 {
        run.list(5);
        run.watch();
        run.hear(Heard::Canceled("permission denied".into()));
        run.told();
        rests.push(run.rest());
        run.core.rested();
    }
    assert_eq!(rests, [100 * MS, 200 * MS, 400 * MS, 800 * MS]);
}

#[test]
fn silence_is_the_end_of_a_watch() {
    let mut run = Run::following(5);
    run.now += PULSE.every;
    run.quiet();
    assert_eq!(run.told(), ["ask"]);
    run.now += PULSE.every;
    run.quiet();
    assert_eq!(run.told(), ["ask"], "a second question does not put the end off");
    assert_eq!(run.listen(), PULSE.silence - PULSE.every);
    run.now += PULSE.silence - PULSE.every;
    run.quiet();
    assert_eq!(run.told(), ["again no sign of life for 3000 ms"]);
    run.expect_list(0);
}

#[test]
fn anything_that_is_heard_is_a_sign_of_life() {
    let mut run = Run::following(5);
    run.now += PULSE.every;
    run.quiet();
    run.now += PULSE.silence - MS;
    run.hear(changes("a", 6));
    run.now += SECOND;
    run.quiet();
    assert_eq!(run.told(), ["ask", "changed 1 at 6", "ask"]);
    assert_eq!(run.listen(), PULSE.every);
}

#[test]
fn a_smaller_revision_means_another_etcd() {
    let mut run = Run::following(50);
    run.hear(Heard::Progress(7));
    assert_eq!(run.told(), ["again the revision went from 50 back to 7"]);
    run.expect_list(0);
    run.core.listed(0, Contents::default(), 7);
    assert_eq!(run.told(), ["backwards 50 7", "loaded 7"]);
    assert!(matches!(run.core.step(), Step::Watch(8)));
}

/// etcd 3.4 answers a question for progress beside the stream of events: the answer may be older than they are.
#[test]
fn a_progress_message_that_events_overtook_is_no_other_etcd() {
    let mut run = Run::following(50);
    run.hear(changes("a", 52));
    run.hear(Heard::Progress(51));
    assert_eq!(run.told(), ["changed 1 at 52"]);
}

#[test]
fn down_is_told_once_and_up_again_once() {
    let mut run = Run::following(5);
    run.fail("reset");
    run.told();
    for attempt in 0..5 {
        run.expect_list(0);
        run.fail("refused");
        let told = run.told();
        assert_eq!(told, if attempt == 0 { vec!["said down", "down refused"] } else { vec![] });
        run.rest();
        run.core.rested();
    }
    run.expect_list(0);
    run.core.listed(0, Contents::default(), 5);
    assert_eq!(run.told(), ["connected 0 5", "loaded 5"]);
}

#[test]
fn rests_double_from_a_tenth_of_a_second_to_two_seconds() {
    let mut run = Run::new(1);
    let mut rests = Vec::new();
    for _ in 0..7 {
        run.expect_list(0);
        run.fail("refused");
        run.told();
        rests.push(run.rest().as_millis());
        run.core.rested();
    }
    assert_eq!(rests, [100, 200, 400, 800, 1600, 2000, 2000]);
    assert_eq!(rest(1, 0.0), 50 * MS, "chance takes up to a half");
    assert_eq!(rest(u32::MAX, 1.0), REST_LONGEST);
}

#[test]
fn a_round_of_all_endpoints_is_one_attempt_and_another_begins_the_next() {
    let mut run = Run::new(3);
    run.expect_list(0);
    run.fail("refused");
    assert_eq!(run.told(), ["said down", "down refused"]);
    assert_eq!(run.rest(), REST_FIRST);
    run.core.rested();
    run.expect_list(1);
    run.core.listed(2, Contents::default(), 5);
    assert_eq!(run.told(), ["connected 2 5", "loaded 5"]);
}

/// Whoever asked for it waits for a word, although the log has heard it all before.
#[test]
fn what_comes_of_a_resync_is_reported_each_time() {
    let mut run = Run::new(1);
    run.fail("refused");
    run.told();
    for _ in 0..2 {
        run.core.resync();
        run.expect_list(0);
        run.fail("bad password");
        assert_eq!(run.told(), ["down bad password"]);
        run.rest();
        run.core.rested();
        run.expect_list(0);
        run.fail("bad password");
        assert_eq!(run.told(), [""; 0], "this one nobody asked for");
    }
}

/// The control loop took nothing for a while, or the machine was busy: what etcd said meanwhile waits to be read.
#[test]
fn time_in_which_nobody_listened_is_no_silence() {
    let mut run = Run::following(5);
    run.now += PULSE.every;
    run.quiet();
    assert_eq!(run.told(), ["ask"]);
    run.now += 10 * PULSE.silence;
    run.core.missed(10 * PULSE.silence);
    run.quiet();
    assert_eq!(run.told(), ["ask"], "it is asked again, not given up");
    assert_eq!(run.listen(), PULSE.every);
    run.now += PULSE.silence;
    run.quiet();
    assert_eq!(run.told(), ["again no sign of life for 3000 ms"]);
}

#[test]
fn a_member_that_dies_is_replaced_by_the_next_without_a_word_of_down() {
    let mut run = Run::new(2);
    run.list(5);
    run.watch();
    run.now += STEADY;
    run.fail("reset");
    assert_eq!(run.told(), ["again reset"]);
    run.expect_list(1);
    run.core.listed(0, Contents::default(), 5);
    assert_eq!(run.told(), ["loaded 5"]);
}

#[test]
fn a_resync_ends_a_rest_and_a_watch() {
    let mut run = Run::new(1);
    run.fail("refused");
    run.told();
    run.rest();
    run.core.resync();
    run.list(5);
    run.watch();
    run.hear(changes("a", 6));
    run.told();
    run.hear(changes("a", 7));
    run.core.resync();
    assert_eq!(run.told(), ["changed 1 at 7"]);
    run.expect_list(0);
}
