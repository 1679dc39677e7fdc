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
