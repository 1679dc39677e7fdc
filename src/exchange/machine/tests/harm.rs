//! What one request can do to the servers, and so to the requests of others: as little as can be.

use super::*;

const POST: &str = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
/// Answers that cannot be accepted, and what is wrong with them.
const BAD: [(&str, &str); 6] = [
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "bad-response-framing",
    ),
    ("HTTP/1.1 302 Found\r\nLocation: /x?u=\u{1}\r\nContent-Length: 0\r\n\r\n", "bad-response-head"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "bad-response-framing"),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "bad-response-framing",
    ),
    ("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n", "unasked-switch"),
    ("SSH-2.0-x\r\n", "bad-status-line"),
];

#[test]
fn an_answer_that_cannot_be_accepted_blames_nobody_and_one_other_is_asked() {
    for (bad, reason) in BAD {
        for reused in [false, true] {
            let mut get = Play::new();
            get.reused = reused;
            get.client(GET).server(bad).server(bad);
            assert!(get.client_saw().contains(&format!("\r\nX-ELB-Reason: {reason}\r\n")), "{bad}");
            assert_eq!(get.signs(), [Sign::Nothing; 2], "{bad}");
            assert_eq!((get.servers, get.last()), (7, KEEP_CLIENT), "{bad}");

            let mut post = Play::new();
            post.reused = reused;
            post.client(POST).server(bad);
            assert!(post.client_saw().starts_with("HTTP/1.1 502"), "{bad}");
            assert_eq!((post.servers, post.signs()), (8, vec![Sign::Nothing]), "{bad}");
        }
        let mut bettered = Play::new();
        bettered.client(GET).server(bad).server(OK);
        assert_eq!((bettered.client_saw().as_str(), bettered.last()), (OK, KEEP_BOTH), "{bad}");
    }
}

#[test]
fn after_an_answer_that_could_not_be_accepted_no_third_server_is_asked_whatever_the_second_does() {
    let error = "HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx";
    let mut status = Play::new();
    assert_eq!(status.client(GET).server(BAD[0].0).server(error).client_saw(), error);
    let mut silence = Play::new();
    assert!(silence.client(GET).server(BAD[0].0).time_passes().client_saw().contains("server-timeout"));
    let mut end = Play::new();
    assert!(end.client(GET).server(BAD[0].0).ends(Side::Server).client_saw().contains("server-closed"));
    for play in [&status, &silence, &end] {
        assert_eq!(play.servers, 7);
    }
}

#[test]
fn a_pooled_connection_that_died_blames_nobody() {
    for said in ["", "HTTP/1.1 200 OK\r\nContent-"] {
        for request in [GET, POST] {
            let mut play = Play::new();
            play.reused = true;
            play.client(request).server(said).ends(Side::Server);
            assert_eq!(play.signs(), [Sign::Nothing], "{said:?} to {request}");
            assert_eq!(request == POST, play.client_saw().contains("X-ELB-Reason: server-closed"));
        }
    }
}

#[test]
fn silence_and_500_are_doubts_and_an_end_without_an_answer_is_a_fault() {
    let mut error = Play::new();
    error.client(GET).server("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").server(OK);
    assert_eq!((error.signs(), error.last()), (vec![Sign::Doubt(Doubt::ErrorStatus)], KEEP_BOTH));
    let mut silence = Play::new();
    silence.client(GET).time_passes().server(OK);
    assert_eq!((silence.signs(), silence.last()), (vec![Sign::Doubt(Doubt::Silence)], KEEP_BOTH));
    for request in [GET, POST] {
        let mut end = Play::new();
        end.client(request).ends(Side::Server);
        assert_eq!(end.signs(), [Sign::Fault(Reason::ServerClosed)]);
        let mut reset = Play::new();
        reset.client(request).exchange.failed(Side::Server);
        assert_eq!(reset.turn().signs(), [Sign::Fault(Reason::ServerClosed)]);
    }
}

const UPLOAD: &str =
    "GET /p HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\nContent-Length: 5\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";

#[test]
fn a_switch_that_comes_early_is_held_until_the_body_is_through() {
    let mut play = Play::new();
    play.client(UPLOAD).server(SWITCH).server("hi").client("ab");
    assert_eq!((play.client_saw().as_str(), play.exchange.phase()), ("", Phase::Await));
    play.client("cderaw");
    assert!(play.server_saw().ends_with("\r\n\r\nabcderaw"));
    assert!(play.client_saw().ends_with("Upgrade: chat\r\n\r\nhi"));
    assert!(play.signs().is_empty() && play.exchange.status() == 101);
    assert_eq!(play.client("more").server_saw(), "more");
}

#[test]
fn what_is_meant_for_a_held_tunnel_does_not_overtake_the_end_of_the_body() {
    let head = UPLOAD.replace("Content-Length: 5", "Transfer-Encoding: chunked");
    let mut play = Play::new();
    // The trailer ends here, so the last bytes of the body are ELB's own; the server does not take them at once.
    play.client(&head).server(SWITCH).stuck = true;
    play.client("2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\nraw");
    assert_eq!((play.client_saw().as_str(), play.exchange.phase()), ("", Phase::Await));
    play.stuck = false;
    play.turn();
    assert!(play.server_saw().ends_with("\r\n\r\n2\r\nab\r\n0\r\n\r\nraw"));
    assert!(play.client_saw().starts_with("HTTP/1.1 101"));
}

#[test]
fn a_switch_that_is_held_ends_without_blame() {
    let mut late = Play::new();
    late.client(UPLOAD).server(SWITCH).client("ab").time_passes();
    assert!(late.client_saw().contains("X-ELB-Reason: client-body-timeout"));
    assert_eq!(late.signs(), [Sign::Nothing]);
    let mut cut = Play::new();
    cut.client(UPLOAD).server(SWITCH).ends(Side::Client);
    assert_eq!(cut.last(), Step::Close { reset: false, sign: Sign::Nothing });
    let mut ended = Play::new();
    ended.client(UPLOAD).server(SWITCH).ends(Side::Server).server(SWITCH).ends(Side::Server);
    assert!(ended.client_saw().contains("X-ELB-Reason: response-cut"));
    assert_eq!((ended.signs(), ended.servers), (vec![Sign::Nothing; 2], 7));
}

#[test]
fn what_a_held_tunnel_brings_gets_no_more_room_than_is_there() {
    let mut play = Play::new();
    play.window = 512;
    play.client(UPLOAD).server(SWITCH);
    while play.exchange.wants(Side::Server) {
        let room = play.exchange.room(Side::Server).len();
        play.server(&"x".repeat(room));
    }
    assert_eq!(play.exchange.held(), 2 * 512);
    play.client("abcde").client_saw();
    assert!(play.exchange.wants(Side::Server));
}

#[test]
fn an_answer_to_a_client_that_has_said_all_has_some_time_to_begin() {
    let told = |play: &mut Play| {
        let env = play.env.clone();
        play.exchange.half_closed(&env);
    };
    let mut late = Play::new();
    late.client(GET);
    told(&mut late);
    assert_eq!(late.patience(), 6);
    late.seconds(2);
    told(&mut late);
    assert_eq!(late.patience(), 4, "from when it was known");
    late.time_passes();
    assert_eq!(
        (late.client_saw().as_str(), late.last()),
        ("", Step::Close { reset: false, sign: Sign::Nothing })
    );

    let mut connecting = Play::new();
    connecting.hold = true;
    connecting.client(GET);
    told(&mut connecting);
    assert_eq!(connecting.patience(), 3, "nobody waits longer than else");

    let mut begun = Play::new();
    begun.client(GET);
    told(&mut begun);
    begun.server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(begun.patience(), 30);

    let mut next = Play::new();
    next.client(&GET.repeat(2));
    told(&mut next);
    next.seconds(5).server(OK);
    told(&mut next);
    assert_eq!(next.patience(), 6, "each answer has its own time");

    let mut body = Play::new();
    body.client("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab");
    told(&mut body);
    assert_eq!(body.patience(), 61, "its end is still in the kernel, and so may be the rest");

    let mut tunnel = Play::new();
    tunnel.client("GET /p HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    told(&mut tunnel);
    tunnel.server(SWITCH);
    assert_eq!(tunnel.patience(), 3600);
}

#[test]
fn what_comes_behind_an_answer_is_read_for_a_time() {
    let early = || {
        let mut play = Play::new();
        play.client("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc").server(OK);
        assert!(play.client_saw().contains("\r\nConnection: close\r\n"));
        assert_eq!((play.exchange.phase(), play.patience()), (Phase::Linger, 5));
        play
    };
    let mut silent = early();
    silent.seconds(4).client("abc");
    assert_eq!(silent.patience(), 1, "a few bytes are nothing");
    assert!(matches!(silent.time_passes().last(), Step::Close { .. }));
    let mut busy = early();
    for _ in 0..6 {
        busy.seconds(4).client(&"x".repeat(100_000));
        assert_eq!(busy.patience(), 5);
    }
    busy.seconds(4).client(&"x".repeat(100_000));
    assert_eq!(busy.patience(), 2, "that is all the time there is");
    assert!(matches!(busy.time_passes().last(), Step::Close { .. }));
    let mut ended = early();
    assert!(matches!(ended.client("abc").ends(Side::Client).last(), Step::Close { .. }));
}
