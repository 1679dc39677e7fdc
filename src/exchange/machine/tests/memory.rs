//! What an exchange holds beside its windows is told, and freed as soon as it is of no more use.

use super::*;

/// A request with this line and so long a head.
fn long(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: h\r\n{fields}X-Long: {}\r\n\r\n", "x".repeat(7000))
}

#[test]
fn a_large_head_is_kept_for_a_second_try_and_no_longer() {
    let mut waits = Play::new();
    waits.client(&long("GET /p", ""));
    assert!(waits.exchange.outside() > 7000);
    assert!(waits.exchange.release_replay() && !waits.exchange.release_replay());
    assert_eq!(waits.exchange.outside(), 0);
    assert_eq!(waits.server(OK).client_saw(), OK);

    let mut once = Play::new();
    once.client(&long("POST /p", "Content-Length: 0\r\n"));
    assert_eq!(once.exchange.outside(), 0, "it will not leave again");

    let mut answered = Play::new();
    answered.client(&long("GET /p", "")).server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(answered.exchange.outside(), 0, "it will not leave again");
}

#[test]
fn a_tunnel_keeps_nothing_of_the_request() {
    let mut tunnel = Play::new();
    let lists = format!("Connection: Upgrade\r\nUpgrade: chat{}\r\n", ", o".repeat(50));
    tunnel.client(&long("GET /p", &lists));
    tunnel.server("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
    assert_eq!((tunnel.exchange.status(), tunnel.exchange.outside()), (101, 0));
}

#[test]
fn a_list_of_protocols_beyond_any_use_asks_for_none() {
    for (others, asks) in [(50, true), (100, false)] {
        let mut play = Play::new();
        let lists = format!("Connection: Upgrade\r\nUpgrade: chat{}\r\n", ", o".repeat(others));
        play.client(&format!("GET /p HTTP/1.1\r\nHost: h\r\n{lists}\r\n"));
        assert_eq!(play.server_saw().contains("Upgrade: chat"), asks, "{others}");
        assert_eq!(play.server(OK).client_saw(), OK);
    }
}

#[test]
fn interim_responses_that_nobody_reads_are_told_and_freed_when_read() {
    let mut reader = Play::new();
    reader.client(GET);
    reader.deaf = true;
    let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(7000));
    reader.server(&hint).server(&hint);
    assert!(reader.exchange.outside() > 14_000);
    reader.deaf = false;
    reader.turn();
    assert_eq!(reader.exchange.outside(), 0);
    assert!(reader.server(OK).client_saw().ends_with(OK));
}

#[test]
fn as_much_of_a_request_is_kept_for_another_try_as_the_operator_says() {
    const BODY: usize = 100_000;
    for (replay_buffer, kept) in [(64 * 1024, false), (128 * 1024, true)] {
        let mut play = Play::new();
        (play.env.policy.max_body, play.env.policy.replay_buffer) = (BODY as u64, replay_buffer);
        play.client(&format!("PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: {BODY}\r\n\r\n"));
        play.client(&"x".repeat(BODY)).server_saw();
        play.ends(Side::Server);
        assert_eq!(play.server_saw().len() > BODY, kept, "{replay_buffer}");
        assert_eq!(play.client_saw().starts_with("HTTP/1.1 502"), !kept, "{replay_buffer}");
    }
}
