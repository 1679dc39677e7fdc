//! The wheel against a naive model, and the edges of its revolutions.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn client(slot: u32) -> Token {
    Token::new(Kind::Client, slot, 1)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn due(timers: &mut Timers, now: Instant) -> Vec<Token> {
    let mut tokens = Vec::new();
    timers.expire(now, |token| tokens.push(token));
    check_invariants(timers);
    tokens
}

/// Every list is linked both ways and holds what belongs there; the bits say where there are lists; nothing armed is
/// in none.
fn check_invariants(timers: &mut Timers) {
    let mut listed = 0;
    for slot in 0..SLOTS {
        let (mut id, mut before) = (timers.first[slot], Id::NONE);
        assert_eq!(timers.occupied[slot / 64] >> (slot % 64) & 1 == 1, id != Id::NONE, "slot {slot}");
        while let Some(entry) = timers.entry(id).cloned() {
            assert_eq!((slot_of(entry.tick), entry.before), (slot, before));
            assert!(entry.tick > timers.tick, "what is due was handed out");
            listed += 1;
            (before, id) = (id, entry.after);
        }
        assert_eq!(id, Id::NONE);
    }
    for word in 0..64 {
        assert_eq!(timers.words >> word & 1 == 1, timers.occupied[word] != 0, "word {word}");
    }
    assert_eq!(listed, timers.armed());
    assert_eq!(listed, timers.entries.iter().flatten().filter(|entry| entry.tick != UNARMED).count());
}

#[test]
fn a_token_is_handed_out_once_and_not_before_its_time() {
    let start = Instant::now();
    let mut timers = Timers::new(start, 0);
    assert_eq!(timers.next(start), None);
    timers.arm(client(0), start + ms(250));
    assert_eq!(timers.next(start), Some(ms(300)));
    assert_eq!(timers.next(start + ms(299)), Some(ms(1)));
    assert_eq!(timers.next(start + ms(1000)), Some(ms(0)));
    assert_eq!(due(&mut timers, start + ms(299)), []);
    assert_eq!(due(&mut timers, start + ms(300)), [client(0)]);
    assert_eq!(due(&mut timers, start + ms(10_000)), []);
    assert_eq!(timers.next(start + ms(10_000)), None);
}

#[test]
fn a_deadline_on_the_tick_waits_for_no_further_one() {
    let start = Instant::now();
    let mut timers = Timers::new(start, 0);
    timers.arm(client(0), start + ms(300));
    assert_eq!(due(&mut timers, start + ms(300)), [client(0)]);
}

#[test]
fn a_deadline_that_has_passed_comes_with_the_next_tick() {
    let start = Instant::now();
    let mut timers = Timers::new(start, 0);
    assert_eq!(due(&mut timers, start + ms(1050)), []);
    timers.arm(client(0), start + ms(500));
    assert_eq!(timers.next(start + ms(1050)), Some(ms(50)));
    assert_eq!(due(&mut timers, start + ms(1100)), [client(0)]);
    timers.arm(client(0), start);
    assert_eq!(due(&mut timers, start + ms(1200)), [client(0)]);
}

#[test]
fn later_stays_earlier_moves() {
    let start = Instant::now();
    let mut timers = Timers::new(start, 0);
    timers.arm(client(0), start + ms(1000));
    timers.arm(client(0), start + ms(5000));
    timers.arm(client(1), start + ms(5000));
    timers.arm(client(1), start + ms(1000));
    let mut tokens = due(&mut timers, start + ms(1000));
    tokens.sort_by_key(|token| token.slot);
    assert_eq!(tokens, [client(0), client(1)]);
    timers.arm(client(0), start + ms(5000));
    assert_eq!(due(&mut timers, start + ms(4999)), []);
    assert_eq!(due(&mut timers, start + ms(5000)), [client(0)]);
}

#[test]
fn an_hour_is_many_revolutions() {
    let start = Instant::now();
    let mut timers = Timers::new(start, 0);
    let hour = ms(3_600_000);
    timers.arm(client(0), start + hour);
    let mut now = start;
    let mut wakes = 0;
    while let Some(sleep) = timers.next(now) {
        now += sleep;
        wakes += 1;
        let tokens = due(&mut timers, now);
        assert_eq!(tokens.is_empty(), now < start + hour);
    }
    assert_eq!(now, start + hour);
    assert_eq!(wakes, 9, "one look a revolution");
}

#[test]
fn a_long_sleep_loses_nothing() {
    let start = Instant::now();
    let mut timers = Timers::new(start, 0);
    for slot in 0..1000 {
        timers.arm(client(slot), start + ms(u64::from(slot) * 3_700));
    }
    assert_eq!(due(&mut timers, start + ms(3_700_000)).len(), 1000);
    assert_eq!(timers.next(start), None);
}

#[test]
fn a_new_tenant_takes_over_the_slot() {
    let start = Instant::now();
    let mut timers = Timers::new(start, 0);
    timers.arm(client(3), start + ms(1000));
    let tenant = Token::new(Kind::Client, 3, 2);
    timers.arm(tenant, start + ms(9000));
    timers.arm(Token::new(Kind::Server, 3, 2), start + ms(1000));
    let mut tokens = due(&mut timers, start + ms(1000));
    tokens.sort_by_key(|token| token.kind as u8);
    assert_eq!(tokens, [tenant, Token::new(Kind::Server, 3, 2)], "early, never late");
}

#[test]
fn who_is_gone_is_forgotten_and_who_came_after_is_not() {
    let start = Instant::now();
    let mut timers = Timers::new(start, 0);
    timers.arm(client(0), start + ms(1000));
    timers.arm(client(1), start + ms(1000));
    timers.disarm(client(0));
    timers.disarm(Token::new(Kind::Client, 1, 0));
    timers.disarm(client(7));
    assert_eq!((timers.armed(), timers.armed_for(client(0))), (1, None));
    assert_eq!(timers.armed_for(client(1)), Some(start + ms(1000)));
    assert_eq!(due(&mut timers, start + ms(1000)), [client(1)]);
}

#[test]
fn nothing_grows_but_with_the_tables() {
    let start = Instant::now();
    let mut timers = Timers::new(start, 0);
    for round in 0..10_000 {
        let now = start + ms(round * 10);
        timers.expire(now, |_| ());
        timers.arm(client((round % 8) as u32), now + ms(65_000));
        timers.arm(client((round % 8) as u32), now + ms(3_000));
    }
    assert_eq!(timers.entries[Kind::Client as usize].len(), 8);
    check_invariants(&mut timers);
}

/// What happens to a wheel.
#[derive(Debug, Clone)]
enum Event {
    /// A token is armed for so many ms from now.
    Arm(Token, u64),
    /// The owner of a token goes.
    Disarm(Token),
    /// So many ms pass.
    Pass(u64),
}

fn any_event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![Just(Kind::Listener), Just(Kind::Client), Just(Kind::Server)];
    let token =
        (kind, 0_u32..6, 0_u32..3).prop_map(|(kind, slot, generation)| Token::new(kind, slot, generation));
    let ahead = prop_oneof![3 => 0_u64..1_000, 3 => 0_u64..70_000, 1 => 0_u64..4_000_000];
    prop_oneof![
        1 => token.clone().prop_map(Event::Disarm),
        2 => (token, ahead.clone()).prop_map(|(token, ahead)| Event::Arm(token, ahead)),
        1 => ahead.prop_map(Event::Pass),
    ]
}

proptest! {
    #[test]
    fn as_the_naive_model(events in proptest::collection::vec(any_event(), 0..60)) {
        let start = Instant::now();
        let mut timers = Timers::new(start, 0);
        // Slot of a table to its tenant and when it is due, in ms.
        let mut model: HashMap<(u8, u32), (Token, u64)> = HashMap::new();
        let mut now = 0;
        for event in events {
            match event {
                Event::Arm(token, ahead) => {
                    timers.arm(token, start + ms(now + ahead));
                    let at = (now + ahead).max(now / 100 * 100 + 100).next_multiple_of(100);
                    let armed = model.entry((token.kind as u8, token.slot)).or_insert((token, at));
                    *armed = (token, armed.1.min(at));
                }
                Event::Disarm(token) => {
                    timers.disarm(token);
                    model.retain(|_, (armed, _)| *armed != token);
                }
                Event::Pass(time) => {
                    now += time;
                    let mut tokens = due(&mut timers, start + ms(now));
                    let mut expected: Vec<Token> =
                        model.values().filter(|(_, at)| *at <= now).map(|(token, _)| *token).collect();
                    model.retain(|_, (_, at)| *at > now);
                    tokens.sort_by_key(|token| token.to_usize());
                    expected.sort_by_key(|token| token.to_usize());
                    prop_assert_eq!(tokens, expected);
                }
            }
            prop_assert_eq!(timers.armed(), model.len());
            for (token, at) in model.values() {
                let armed = timers.armed_for(*token).map(|at| ticks_up(at - start) * 100);
                prop_assert!(armed.is_some_and(|armed| armed <= *at));
            }
            let earliest = model.values().map(|(_, at)| at - now).min();
            let next = timers.next(start + ms(now));
            prop_assert_eq!(next.is_some(), earliest.is_some());
            if let (Some(next), Some(earliest)) = (next, earliest) {
                prop_assert!(next <= ms(earliest), "{:?} is later than {} ms", next, earliest);
                // Only what is for a later revolution may make the wheel look too early.
                let far = model.values().any(|(_, at)| at - now >= 409_500);
                prop_assert!(far || next == ms(earliest));
            }
        }
    }
}
