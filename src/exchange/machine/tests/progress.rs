//! Deadlines are moved by what is owed, not by single bytes.

use super::*;

const UPLOAD: &str = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n";

fn upload() -> Play {
    let mut play = Play::new();
    play.env.policy.max_body = 10_000;
    play.client(UPLOAD);
    play
}

#[test]
fn single_bytes_of_a_body_do_not_move_its_deadline() {
    let mut play = upload();
    assert_eq!(play.patience(), 61);
    for second in 1..=60 {
        play.seconds(1).client("x");
        assert_eq!(play.patience(), 61 - second);
    }
    play.time_passes();
    assert!(play.client_saw().contains("X-ELB-Reason: client-body-timeout"));
}

#[test]
fn a_fair_part_of_a_body_moves_its_deadline() {
    let mut play = upload();
    play.seconds(50).client(&"x".repeat(1000));
    assert_eq!(play.patience(), 11);
    play.seconds(5).client(&"x".repeat(24));
    assert_eq!(play.patience(), 61);
    play.seconds(60).client(&"x".repeat(5000 - 1024));
    assert_eq!(play.patience(), 30, "now the server owes its response");
}

#[test]
fn a_slow_server_is_not_charged_to_the_client() {
    let mut play = upload();
    play.seconds(20);
    play.stuck = true;
    play.client("x");
    assert_eq!(play.patience(), 30, "the server has bytes to take");
    play.seconds(25).stuck = false;
    play.turn();
    assert_eq!(play.patience(), 41, "what the client had left");
}

#[test]
fn single_bytes_to_a_slow_reader_do_not_move_its_deadline() {
    let mut play = Play::new();
    play.deaf = true;
    let body = "x".repeat(5000);
    play.client(GET).server(&format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{body}"));
    assert_eq!(play.patience(), 62);
    for (bytes, left) in [(1, 52), (1022, 42), (1, 62), (1, 52)] {
        play.seconds(10).exchange.sent(Side::Client, bytes);
        play.turn();
        assert_eq!(play.patience(), left);
    }
    play.deaf = false;
    play.turn();
    assert_eq!(play.last(), KEEP_BOTH);
}

#[test]
fn a_response_head_comes_in_time_and_a_stream_may_be_slow() {
    let mut play = Play::new();
    play.client(GET).seconds(10).server("HTTP/1.1 200 ");
    assert_eq!(play.patience(), 20);
    play.seconds(10).server("OK\r\nContent-Length: 9\r\n\r\n");
    for _ in 0..9 {
        assert_eq!(play.patience(), 30);
        play.seconds(29).server("x");
    }
    assert_eq!(play.last(), KEEP_BOTH);
}

#[test]
fn an_interim_response_gives_the_server_more_time() {
    let mut play = Play::new();
    play.client(GET).seconds(29).server("HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(play.patience(), 30);
}

#[test]
fn a_server_that_waits_for_the_rest_of_a_body_is_not_to_blame() {
    let mut play = upload();
    play.server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(play.patience(), 61);
    play.seconds(60).client("x");
    assert_eq!(play.patience(), 61, "an exchange that goes both ways may be slow");
    play.time_passes();
    assert_eq!(play.last(), Step::Close { reset: false, sign: Sign::Nothing });
}

#[test]
fn the_course_of_a_request_has_its_times_and_its_own_bytes_each_way() {
    let mut play = Play::new();
    let (begun, early) = (play.env.now, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    let second = Duration::from_secs(1);
    // Of two requests in one piece, the second is not the first's.
    play.client(&GET[..5]);
    play.seconds(1).client(&[&GET[5..], GET].concat());
    play.seconds(1).server(early);
    assert_eq!(play.exchange.course().answered, None, "an interim response is no answer");
    play.seconds(1).server(&OK[..OK.len() - 1]);
    let course = play.exchange.course();
    assert_eq!((course.begun, course.connected), (begun, Some(begun + second)));
    assert_eq!(course.answered, Some(begun + 3 * second));
    assert_eq!((course.received, course.sent), (GET.len() as u64, (early.len() + OK.len() - 1) as u64));
    play.seconds(1).server(&OK[OK.len() - 1..]);
    // The second begins where the first is over, and what has come of it is its own.
    let course = play.exchange.course();
    assert_eq!((course.begun, course.answered), (begun + 4 * second, None));
    assert_eq!((course.received, course.sent), (GET.len() as u64, 0));
}

#[test]
fn an_answer_that_another_server_was_asked_for_is_none_of_that_ones() {
    let mut play = Play::new();
    let (begun, second) = (play.env.now, Duration::from_secs(1));
    play.client(GET).seconds(1).server("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    let course = play.exchange.course();
    assert_eq!((course.connected, course.answered), (Some(begun + second), None));
}

#[test]
fn an_answer_of_elbs_own_has_no_server_and_its_bytes_count() {
    let mut play = Play::new();
    play.deny = Some(Reason::NoDomain);
    let sent = play.client(GET).client_saw().len() as u64;
    let course = play.exchange.course();
    assert_eq!((course.connected, course.answered), (None, None));
    assert_eq!((course.received, course.sent), (GET.len() as u64, sent));
}
