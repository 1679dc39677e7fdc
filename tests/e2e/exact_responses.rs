//! Responses, byte for byte: what a client gets of them, which are a 502, and which are cut so that it shows.

use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::rules::{self, SITE};
use crate::support::stage::Then::{Closes, Crashes, Waits};
use crate::support::stage::{actor, bad_gateway, hear, paths, stage};

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Plays each of these, and asserts that the client gets exactly the second, in an orderly way.
#[track_caller]
fn all_pass(line: &str, fields: &str, cases: &[(&[u8], &[u8])]) {
    let (_server, elb) = stage(&cases.iter().map(|(says, _)| (*says, Waits)).collect::<Vec<_>>());
    for (number, (says, expected)) in cases.iter().enumerate() {
        for path in paths(number) {
            let (heard, orderly) = hear(&elb, &line.replace("{}", &path), fields);
            assert_eq!(
                heard.escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "{}",
                says.escape_ascii()
            );
            assert!(orderly, "{}", says.escape_ascii());
        }
    }
}

#[test]
fn status_lines_that_pass() {
    let (server, elb) = stage(&[
        (b"HTTP/1.1 200 Quite Fine\r\nContent-Length: 0\r\n\r\n", Waits),
        (b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", Waits),
        (b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", Waits),
        (b"HTTP/1.1 200 \xe9t\xe9\tOK\r\nContent-Length: 0\r\n\r\n", Waits),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", Waits),
        (b"HTTP/1.0 200 Old\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", Waits),
        (b"HTTP/1.2 200 Later\r\nContent-Length: 0\r\n\r\n", Waits),
    ]);
    for (number, line) in [
        &b"HTTP/1.1 200 Quite Fine"[..],
        b"HTTP/1.1 404 ",
        b"HTTP/1.1 404 ",
        b"HTTP/1.1 200 \xe9t\xe9\tOK",
        b"HTTP/1.1 999 Odd",
        b"HTTP/1.1 200 Old",
        b"HTTP/1.1 200 Later",
    ]
    .iter()
    .enumerate()
    {
        for path in paths(number) {
            let (heard, orderly) = hear(&elb, &format!("GET {path} HTTP/1.1"), "");
            assert_eq!(heard, [line, &b"\r\nContent-Length: 0\r\n\r\n"[..]].concat(), "{number}");
            assert!(orderly);
        }
    }
    assert_eq!(server.requests().len(), 14);
}

#[test]
fn heads_that_are_a_502() {
    let cases: &[(&str, &[u8])] = &[
        // No status line, or one of something else.
        ("bad-status-line", b"hello"),
        ("bad-status-line", b"hello\r\n\r\n"),
        ("bad-status-line", b"<html>\r\n\r\n"),
        ("bad-status-line", b"\0\0\0\0"),
        ("bad-status-line", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b" HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"SSH-2.0-x\r\n"),
        ("bad-status-line", b"ICY 200 OK\r\n\r\n"),
        ("bad-status-line", b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.x 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/11 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status", b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status", b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-status-line", b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-head", b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-head", b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-head", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
        // Fields.
        ("bad-response-head", b"HTTP/1.1 200 OK\r\nA : b\r\n c : d\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\nContent-Length: 3\r\n\r\nabc"),
        (
            "bad-response-framing",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        ),
        ("bad-response-head", b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-head", b"HTTP/1.1 200 OK\r\n A: b\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-head", b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-head", b"HTTP/1.1 200 OK\r\nA\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-head", b"HTTP/1.1 200 OK\r\nA b: c\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-head", b"HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-head", b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n"),
        ("bad-response-head", b"HTTP/1.1 200 OK\r\nA: b\x7f\r\nContent-Length: 0\r\n\r\n"),
        // Framing.
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc"),
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc"),
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nabc"),
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nabc"),
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nabc"),
        ("bad-response-framing", b"HTTP/1.1 204 OK\r\nContent-Length: -1\r\n\r\n"),
        (
            "bad-response-framing",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "bad-response-framing",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        ),
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        ("bad-response-framing", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nabc"),
        (
            "bad-response-framing",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("bad-response-framing", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ];
    let (_server, elb) = stage(&cases.iter().map(|(_, says)| (*says, Closes)).collect::<Vec<_>>());
    for (number, (reason, says)) in cases.iter().enumerate() {
        for path in paths(number) {
            bad_gateway(&hear(&elb, &format!("GET {path} HTTP/1.1"), ""), reason, says);
        }
    }
}

#[test]
fn a_head_that_does_not_come_is_a_502() {
    let cases: &[&[u8]] =
        &[b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP"];
    for then in [Closes, Crashes] {
        let (_server, elb) = stage(&cases.iter().map(|says| (*says, then)).collect::<Vec<_>>());
        for (number, says) in cases.iter().enumerate() {
            let heard = hear(&elb, &format!("GET /{number} HTTP/1.0"), "");
            bad_gateway(&heard, "server-closed", says);
        }
    }
}

#[test]
fn heads_up_to_256_kib_pass() {
    let head = |length: usize| {
        let start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
        let lines = (length - start.len() - 2) / 2048;
        let mut head = start.to_owned();
        for number in 0..lines {
            head += &format!("A{number:03}: {}\r\n", "x".repeat(2048 - 8));
        }
        let rest = length - 2 - head.len();
        head + &format!("Z: {}\r\n\r\n", "z".repeat(rest - 5))
    };
    let (large, above) = (head(256 << 10), head((256 << 10) + 1));
    let (_server, elb) = stage(&[(large.as_bytes(), Waits), (above.as_bytes(), Closes)]);
    let (heard, orderly) = hear(&elb, "GET /0 HTTP/1.1", "");
    assert!(heard == large.as_bytes() && orderly, "{} of {} bytes", heard.len(), large.len());
    bad_gateway(&hear(&elb, "GET /1 HTTP/1.1", ""), "response-head-too-long", above.as_bytes());
}

#[test]
fn bodies_pass_as_they_came() {
    all_pass(
        "GET {} HTTP/1.1",
        "",
        &[
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
            (b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n"),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nA: b\r\n\r\n3;x=\"y\"\r\nabc\r\n000\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n000\r\n\r\n",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2; a\r\nok\r\n2  \r\nok\r\n1 ;a =b\r\nx\r\n0;\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n2\r\nok\r\n1\r\nx\r\n0\r\n\r\n",
            ),
            (
                b"HTTP/1.1 205 Reset\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                b"HTTP/1.1 205 Reset\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ),
            // Nothing but 1xx, 204, 304 and HEAD is without a body, and those are whatever they say.
            (b"HTTP/1.1 204 No\r\nContent-Length: 3\r\nA: b\r\n\r\n", b"HTTP/1.1 204 No\r\nA: b\r\n\r\n"),
            (b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n"),
            (b"HTTP/1.1 204 No\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n"),
            (b"HTTP/1.1 304 Same\r\nContent-Length: 3\r\n\r\n", b"HTTP/1.1 304 Same\r\nContent-Length: 3\r\n\r\n"),
            (
                b"HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"HTTP/1.1 304 Same\r\n\r\n"),
        ],
    );
    all_pass(
        "HEAD {} HTTP/1.1",
        "",
        &[
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
            ),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"),
        ],
    );
}

/// RFC 9112, section 5.1: a proxy must take them out of a response.
#[test]
fn blanks_before_a_colon_are_taken_out() {
    all_pass(
        "GET {} HTTP/1.1",
        "",
        &[
            (
                b"HTTP/1.1 200 OK\r\nA : b\r\nB\t \t:c : d\r\nContent-Length : 3\r\nC: e\r\n\r\nabc",
                b"HTTP/1.1 200 OK\r\nA: b\r\nB:c : d\r\nContent-Length: 3\r\nC: e\r\n\r\nabc",
            ),
            (
                b"HTTP/1.1 200 OK : \r\nTransfer-Encoding : chunked\r\nConnection : X-Drop\r\nX-Drop : 1\r\n\r\n1\r\nx\r\n0\r\n\r\n",
                b"HTTP/1.1 200 OK : \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            ),
            (
                b"HTTP/1.1 103 Early\r\nLink : a\r\n\r\nHTTP/1.1 204 No\r\nA : b\r\n\r\n",
                b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\nA: b\r\n\r\n",
            ),
        ],
    );
}

/// RFC 9110, section 15.5.22: it says nothing without.
#[test]
fn what_a_426_asks_for_reaches_the_client() {
    all_pass(
        "GET {} HTTP/1.1",
        "",
        &[
            (
                b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\nConnection: upgrade\r\n\r\n",
            ),
            (
                b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0, HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0, HTTP/1.1\r\nContent-Length: 0\r\nConnection: upgrade\r\n\r\n",
            ),
            (
                b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n",
            ),
            (
                b"HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            ),
        ],
    );
}

#[test]
fn a_long_body_may_have_a_few_words_in_each_chunk() {
    let body = |line: &str| {
        let chunk = [line.as_bytes(), &[b'x'; 4096], b"\r\n"].concat();
        [CHUNKED, &chunk.repeat(1600), b"0\r\n\r\n"].concat()
    };
    let (_server, elb) = stage(&[(&body("1000;a=eeeeeeee\r\n"), Waits)]);
    let (heard, orderly) = hear(&elb, "GET /0 HTTP/1.1", "");
    assert!(heard == body("1000\r\n") && orderly, "{} bytes", heard.len());
    let (heard, orderly) = hear(&elb, "GET /0 HTTP/1.0", "");
    let end = [b"\r\n\r\n", &[b'x'; 4096].repeat(1600)[..]].concat();
    assert!(heard.ends_with(&end) && orderly, "{} bytes", heard.len());
}

#[test]
fn trailers_that_do_not_belong_there_are_left_out() {
    let fields = |count: usize| (0..count).map(|number| format!("A{number}: b\r\n")).collect::<String>();
    let says = |trailers: &str| [CHUNKED, b"1\r\nx\r\n0\r\n", trailers.as_bytes(), b"\r\n"].concat();
    let mixed = says("Sum: 1\r\nContent-Type: text/plain\r\nTrailer: x\r\nSet-Cookie: a=b\r\nVary: *\r\n");
    let many = says(&fields(40));
    all_pass(
        "GET {} HTTP/1.1",
        "TE: trailers\r\n",
        &[(&mixed, &says("Sum: 1\r\nVary: *\r\n")), (&many, &says(&fields(32)))],
    );
    all_pass("GET {} HTTP/1.1", "", &[(&mixed, &says("")), (&many, &says(""))]);
    let old = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx";
    all_pass("GET {} HTTP/1.0", "", &[(&mixed, old), (&many, old)]);
}

#[test]
fn trailers_reach_those_who_can_take_them() {
    let plain = [CHUNKED, b"1\r\nx\r\n0\r\nSum: 1\r\nA: \xe9\r\n\r\n"].concat();
    let bare = [CHUNKED, b"1\r\nx\r\n0\r\n\r\n"].concat();
    let head =
        b"HTTP/1.1 200 OK\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nSum: 1\r\n\r\n";
    let old = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx";
    all_pass("GET {} HTTP/1.1", "TE: trailers\r\n", &[(&plain, &plain), (head, head)]);
    all_pass("GET {} HTTP/1.1", "Connection: TE\r\nTE: gzip;q=0.5, Trailers\r\n", &[(&plain, &plain)]);
    all_pass("GET {} HTTP/1.1", "", &[(&plain, &bare), (head, head)]);
    all_pass("GET {} HTTP/1.0", "TE: trailers\r\n", &[(&plain, old), (head, old)]);
}

#[test]
fn chunks_are_decoded_for_http_1_0_which_closes() {
    let says = [CHUNKED, b"3;a=b\r\nabc\r\n004\r\ndefg\r\n0\r\n\r\n"].concat();
    let expected = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdefg";
    all_pass("GET {} HTTP/1.0", "", &[(&says, expected)]);
    all_pass("GET {} HTTP/1.0", "Connection: keep-alive\r\n", &[(&says, expected)]);
    let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    let kept = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx";
    all_pass("GET {} HTTP/1.0", "Connection: Keep-Alive\r\n", &[(sized, kept)]);
}

#[test]
fn what_ends_by_close_is_chunked_for_http_1_1_and_ends_by_close_for_1_0() {
    for head in ["HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.0 200 OK\r\nA: b\r\nTrailer: Sum\r\n"] {
        let says = format!("{head}\r\nuntil the end");
        let (_server, elb) = stage(&[(says.as_bytes(), Closes), (format!("{head}\r\n").as_bytes(), Closes)]);
        for (fields, persistence) in [("", ""), ("Connection: close\r\n", "Connection: close\r\n")] {
            let expected = |body: &str| {
                format!(
                    "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n{persistence}\r\n{body}0\r\n\r\n"
                )
            };
            let (heard, orderly) = hear(&elb, "GET /0 HTTP/1.1", fields);
            assert_eq!(String::from_utf8_lossy(&heard), expected("d\r\nuntil the end\r\n"));
            assert!(orderly);
            let (heard, _) = hear(&elb, "GET /1 HTTP/1.1", fields);
            assert_eq!(String::from_utf8_lossy(&heard), expected(""), "no body at all");
            let mut client = elb.client();
            let slow = client.ask(format!("GET /0/slow HTTP/1.1\r\nHost: {SITE}\r\n{fields}\r\n"));
            assert_eq!(slow.text(), "until the end");
        }
        let lines = head.split_inclusive('\n').filter(|line| !line.starts_with("HTTP")).collect::<String>();
        let expected = format!("HTTP/1.1 200 OK\r\n{lines}Connection: close\r\n\r\nuntil the end");
        for fields in ["", "Connection: keep-alive\r\n"] {
            let (heard, orderly) = hear(&elb, "GET /0/slow HTTP/1.0", fields);
            assert_eq!((String::from_utf8_lossy(&heard).as_ref(), orderly), (expected.as_str(), true));
        }
    }
}

#[test]
fn a_body_that_breaks_is_a_502_before_its_head_left_and_a_cut_after() {
    for broken in
        ["g\r\n", "3\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n", "0\r\nContent-Length: 3\r\n\r\n", "0\r\nA\0: b\r\n"]
    {
        let says = [CHUNKED, broken.as_bytes()].concat();
        let later = [CHUNKED, b"3\r\nabc\r\n", broken.as_bytes()].concat();
        let (_server, elb) = stage(&[(&says, Closes), (&later, Closes)]);
        bad_gateway(&hear(&elb, "GET /0 HTTP/1.1", ""), "bad-response-body", &says);
        for (path, version) in [("/0/slow", "1.1"), ("/1/slow", "1.1"), ("/1/slow", "1.0")] {
            let (heard, orderly) = hear(&elb, &format!("GET {path} HTTP/{version}"), "");
            let text = heard.escape_ascii().to_string();
            if text.starts_with("HTTP/1.1 502 ") {
                continue; // Bytes that follow closely may well be read in one turn.
            }
            assert!(text.is_empty() || text.starts_with("HTTP/1.1 200 OK"), "{text} for {broken:?}");
            assert!(!heard.ends_with(b"0\r\n\r\n"), "{text} looks whole");
            assert!(!orderly || version == "1.1", "a cut that looks like an end: {text} for {broken:?}");
        }
    }
}

#[test]
fn a_body_that_is_cut_short_is_a_cut_for_every_client() {
    let cases: &[(&[u8], _)] = &[
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Closes),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Crashes),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", Closes),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", Closes),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", Crashes),
        (b"HTTP/1.1 200 OK\r\n\r\nhalf", Crashes),
        (b"HTTP/1.0 200 OK\r\n\r\nhalf", Crashes),
    ];
    let (_server, elb) = stage(cases);
    for (number, (says, then)) in cases.iter().enumerate() {
        for (version, fields) in [
            ("1.1", ""),
            ("1.1", "Connection: close\r\n"),
            ("1.0", ""),
            ("1.0", "Connection: keep-alive\r\n"),
        ] {
            let (heard, orderly) = hear(&elb, &format!("GET /{number} HTTP/{version}"), fields);
            let text = String::from_utf8_lossy(&heard);
            if text.starts_with("HTTP/1.1 502 ") {
                continue; // It broke before a byte of the head had left.
            }
            let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
            let shows = match () {
                () if head.contains("Content-Length: 10") => body.len() < 10,
                () if head.contains("chunked") => !body.ends_with("0\r\n\r\n"),
                () => !orderly,
            };
            assert!(shows, "HTTP/{version} {fields:?}: {text:?} of {} and {then:?}", says.escape_ascii());
        }
    }
}

#[test]
fn bytes_behind_a_response_reach_nobody_and_end_the_servers_connection() {
    for (method, head, end) in [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", ""),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", ""),
        ("GET", "HTTP/1.1 204 No\r\n\r\n", ""),
        ("GET", "HTTP/1.1 304 Same\r\nContent-Length: 4\r\n\r\n", ""),
        ("GET", "HTTP/1.1 304 Same\r\n", "Transfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", ""),
        ("HEAD", "HTTP/1.1 200 OK\r\n", "Transfer-Encoding: chunked\r\n\r\n"),
    ] {
        for behind in ["more", "\r\n", "0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"] {
            let server = actor(&[(format!("{head}{end}{behind}").as_bytes(), Waits)]);
            let elb = Launch::serving(&rules::site(&[&server])).workers(1).start();
            let expected = if end.is_empty() { head.to_owned() } else { format!("{head}\r\n") };
            let (heard, orderly) = hear(&elb, &format!("{method} /0 HTTP/1.1"), "");
            assert_eq!((String::from_utf8_lossy(&heard).into_owned(), orderly), (expected, true));
            let mut client = elb.client();
            client.send(format!("{method} /0 HTTP/1.1\r\nHost: {SITE}\r\n\r\n"));
            client.response_to(method);
            assert_eq!(client.ask(get(SITE, "/after")).text(), "after", "{head:?} {behind:?}");
            assert_eq!(server.connections(), 3, "{head:?} {behind:?}");
        }
    }
}

#[test]
fn fields_of_the_origin_pass_unchanged() {
    let head = b"HTTP/1.1 200 OK\r\nserver: a/1\r\nDATE: yesterday\r\nSet-Cookie: a=1\r\nA:\r\nset-cookie:b=2\r\nVia: x\r\n\
        X_Real_IP: 1\r\nX-Real-IP: 2\r\nHost: h\r\nB: \xe9\t\"\r\nA: 2\r\nContent-Length: 0\r\n\r\n";
    all_pass("GET {} HTTP/1.1", "", &[(head, head)]);
}
