//! What servers and clients do wrong, late, or halfway.

use super::*;
use crate::http1::limits;

#[test]
fn a_connection_that_comes_after_its_deadline_is_nobodys() {
    for late in [true, false] {
        let mut play = Play::new();
        play.hold = true;
        play.client(GET);
        play.env.now = play.due();
        let env = play.env.clone();
        play.exchange.expired(&env);
        if late {
            play.exchange.connected(&env, false);
        } else {
            play.exchange.refused(&env, NoServer::Failed);
        }
        play.hold = false;
        play.turn();
        let reason = Reason::ConnectTimeout;
        assert_eq!(play.log[2..], [Step::Drop { sign: Sign::Fault(reason) }, Step::Connect { same: false }]);
        assert_eq!(play.server_saw(), SEEN);
        assert_eq!(play.server(OK).client_saw(), OK);
    }
}

#[test]
fn a_body_that_is_broken_before_its_head_left_is_a_502() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut at_once = Play::new();
    at_once.client(GET).server(&format!("{head}zz\r\n"));
    let text = at_once.client_saw();
    assert!(text.starts_with("HTTP/1.1 502") && text.contains("X-ELB-Reason: bad-response-body"), "{text}");
    assert!(at_once.log.contains(&Step::Drop { sign: Sign::Nothing }));
    let mut later = Play::new();
    later.client(GET).server(head).server("zz\r\n");
    assert_eq!(later.last(), Step::Close { reset: false, sign: Sign::Nothing });
}

#[test]
fn a_client_that_breaks_off_is_not_the_servers_fault() {
    let upload = "POST /p HTTP/1.0\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc";
    let early = "HTTP/1.1 200 OK\r\n\r\nwork";
    let mut gone = Play::new();
    gone.client(upload).server(early).ends(Side::Client);
    // Without the reset the client would take the half for the whole.
    assert_eq!(gone.last(), Step::Close { reset: true, sign: Sign::Nothing });
    let mut bad = Play::new();
    bad.client("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    bad.server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwork").client("zz\r\n");
    assert_eq!(bad.last(), Step::Close { reset: false, sign: Sign::Nothing });
}

#[test]
fn a_server_that_speaks_before_it_was_asked_is_not_believed() {
    // A fresh connection greets with the first bytes of a response; the rest comes when the request is there.
    let mut play = Play::new();
    play.hold = true;
    play.client(GET);
    let env = play.env.clone();
    play.exchange.connected(&env, false);
    play.hold = false;
    play.server("HTTP/1.1 200 OK\r\nContent-");
    assert_eq!(play.log[2..], [Step::Drop { sign: Sign::Nothing }, Step::Connect { same: false }]);
    play.server(OK);
    assert_eq!((play.client_saw().as_str(), play.last()), (OK, KEEP_BOTH));
}

#[test]
fn what_a_pooled_connection_says_before_it_was_asked_belongs_to_nobody() {
    for said in [OK, "HTTP/1.1 200 OK\r\nContent-", "nonsense"] {
        let mut play = Play::new();
        (play.hold, play.reused) = (true, true);
        play.client(GET);
        let env = play.env.clone();
        play.exchange.connected(&env, true);
        play.hold = false;
        play.server(said);
        // The same server again, on a fresh connection, and no fault of its own.
        assert_eq!(
            play.log[2..],
            [Step::Drop { sign: Sign::Nothing }, Step::Connect { same: true }],
            "{said}"
        );
        play.server(OK);
        assert_eq!((play.client_saw().as_str(), play.last()), (OK, KEEP_BOTH));
    }
}

#[test]
fn who_waits_for_a_window_until_the_deadline_is_told_so_and_no_peer_is_blamed() {
    let upload = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc";
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    for (client, server, told) in
        [("", "", true), ("GET / HT", "", true), (upload, "", true), (GET, "", true), (GET, half, false)]
    {
        let mut play = Play::new();
        play.client(client).server(server);
        play.env.now = play.due();
        let env = play.env.clone();
        play.exchange.starved(&env);
        play.turn();
        if !told {
            assert_eq!(play.last(), Step::Close { reset: false, sign: Sign::Nothing }, "{server:?}");
            continue;
        }
        let text = play.client_saw();
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("X-ELB-Reason: no-buffers"), "{text}");
        assert!(
            play.log.iter().all(|step| !matches!(step, Step::Drop { sign } if *sign != Sign::Nothing)),
            "{client:?}"
        );
    }
}

#[test]
fn who_idles_can_be_displaced_and_is_told_so_in_the_middle_of_a_head_alone() {
    let early = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n";
    for (client, server, idles, told) in [
        ("", "", true, false),
        ("\r\n", "", true, false),
        ("GET / HT", "", true, true),
        (GET, "", false, false),
        (early, "", false, false),
        (GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", false, false),
        (early, OK, true, false),
    ] {
        let mut play = Play::new();
        let begun = play.env.now;
        play.client(client).server(server);
        play.seconds(2);
        assert_eq!(play.exchange.idles_since(&play.env), idles.then_some(begun), "{client:?} {server:?}");
        if !idles {
            continue;
        }
        let env = play.env.clone();
        play.exchange.displaced(&env);
        play.turn();
        if !told {
            assert_eq!(play.last(), Step::Close { reset: false, sign: Sign::Nothing }, "{client:?}");
            continue;
        }
        let text = play.client_saw();
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("X-ELB-Reason: no-places"), "{text}");
    }
}

#[test]
fn what_is_kept_for_another_try_is_given_up_when_windows_are_short() {
    let mut play = Play::new();
    play.client("PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    assert!(play.exchange.reclaim(Side::Client).is_none(), "it is kept");
    assert!(play.exchange.release_replay() && !play.exchange.release_replay());
    assert!(play.exchange.reclaim(Side::Client).is_some());
    play.client("defghi").server(OK);
    assert!(play.server_saw().ends_with("\r\n\r\nabcdefghi"));
    assert_eq!((play.client_saw().as_str(), play.last()), (OK, KEEP_BOTH));
}

#[test]
fn a_switch_to_another_protocol_is_refused() {
    let ask = "POST /p HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat, WebSocket\r\n\r\n";
    for (protocol, status) in
        [("websocket", "101"), ("chat", "101"), ("other", "502"), ("chat, other", "502")]
    {
        let mut play = Play::new();
        let switch = format!("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        let text = play.client(ask).server(&switch).client_saw();
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{protocol}: {text}");
        assert_eq!(play.exchange.status().to_string(), status);
    }
}

#[test]
fn a_status_that_the_client_did_not_get_is_not_its_status() {
    let mut play = Play::new();
    play.client(GET).server("HTTP/1.1 103 Early Hints\r\n\r\n");
    assert_eq!(play.exchange.status(), 0);
    play.hold = true;
    play.server("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(play.exchange.status(), 0);
}

#[test]
fn a_bad_body_is_refused_while_there_is_no_server_yet() {
    let upload = "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut bad = Play::new();
    bad.hold = true;
    bad.client(upload).client("zz\r\n");
    assert!(bad.client_saw().contains("X-ELB-Reason: bad-chunk-line"));
    assert_eq!(bad.log[2..], [Step::Drop { sign: Sign::Nothing }, Step::Shutdown(Side::Client)]);
    let mut gone = Play::new();
    gone.hold = true;
    gone.client(upload).ends(Side::Client);
    assert_eq!(gone.last(), Step::Close { reset: false, sign: Sign::Nothing });
}

#[test]
fn the_next_request_stays_in_the_kernel_while_a_server_is_sought() {
    let mut play = Play::new();
    play.hold = true;
    play.client(GET);
    assert!(!play.exchange.wants(Side::Client));
    let mut upload = Play::new();
    upload.hold = true;
    upload.client("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab");
    assert!(upload.exchange.wants(Side::Client));
}

#[test]
fn a_piece_that_fills_its_window_gets_a_larger_one() {
    let trailers = format!("X-Long: {}\r\n", "y".repeat(200));
    let body = format!("3\r\nabc\r\n0\r\n{trailers}\r\n");
    let response = format!("HTTP/1.1 200 OK\r\nTrailer: X-Long\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let request = format!("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let mut play = Play::new();
    play.window = 100;
    play.client(&request);
    assert!(play.server_saw().ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
    assert!(play.server(&response).client_saw().ends_with(&body));
    assert_eq!(play.last(), KEEP_BOTH);
}

#[test]
fn a_reset_passes_through_a_tunnel() {
    let mut play = Play::new();
    play.client("GET /p HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    play.server("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhi");
    play.exchange.failed(Side::Server);
    play.turn();
    assert_eq!(play.last(), Step::Close { reset: true, sign: Sign::Good });
}

#[test]
fn interim_responses_do_not_pile_up() {
    let mut play = Play::new();
    play.client(GET);
    play.deaf = true;
    for _ in 0..16 {
        play.server(&format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(15_000)));
    }
    let waiting: usize = play.exchange.out(Side::Client).iter().map(|slice| slice.len()).sum();
    assert!(waiting < limits::INTERIM_BACKLOG + 16_000, "{waiting}");
    play.deaf = false;
    assert!(play.server(OK).client_saw().ends_with(OK));
}

#[test]
fn interim_responses_are_bounded_in_number_and_in_bytes() {
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let most = usize::from(limits::INTERIM_RESPONSES);
    let long = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(15_000));
    let few = limits::INTERIM_BYTES as usize / long.len();
    for (said, most) in [(hint, most), (&long, few)] {
        let mut play = Play::new();
        let text = play.client(GET).server(&said.repeat(most)).server(OK).client_saw();
        assert!(text.ends_with(OK) && text.len() == most * said.len() + OK.len());
        let mut play = Play::new();
        play.servers = 1;
        let text = play.client(GET).server(&said.repeat(most + 1)).client_saw();
        assert!(text.contains("\r\nX-ELB-Reason: too-many-interim-responses\r\n"), "{most}");
    }
}

#[test]
fn the_first_line_is_judged_first_however_the_bytes_are_split() {
    for text in ["GET / HTTP/9.9\r\nA: b\n\r\n", "nonsense\r\n folded\n\r\n"] {
        let whole = Play::new().client(text).client_saw();
        let mut split = Play::new();
        for byte in text.split_inclusive(|_: char| true) {
            if split.exchange.phase() == Phase::Head {
                split.client(byte);
            }
        }
        assert_eq!(split.client_saw(), whole);
    }
}
