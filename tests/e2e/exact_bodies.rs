//! Request bodies, byte for byte: chunks that are refused, and what the server sees of the others.

use crate::support::client::get;
use crate::support::elb::Launch;
use crate::support::exact::{OURS, accepted, pair, refused};
use crate::support::rules::{self, SITE};

const CHUNKED: &[u8] = b"POST /p HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn chunks_that_are_refused() {
    let (server, elb) = pair();
    for (reason, body) in [
        // The size.
        ("bad-chunk-line", &b"\r\n"[..]),
        ("bad-chunk-line", b"g\r\nabc"),
        ("bad-chunk-line", b" 3\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"3 3\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"3 a\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"+3\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"-3\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"0x3\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"0_3\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"3\0\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"8000000000000000\r\nabc"),
        ("bad-chunk-line", b"00000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"3\r\nabc\r\n-0\r\n\r\n"),
        // Line ends.
        ("bad-line-end", b"3\nabc\r\n0\r\n\r\n"),
        ("bad-line-end", b"3\rabc\r\n0\r\n\r\n"),
        ("bad-line-end", b"3;a\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-end", b"3\r\nabc\n0\r\n\r\n"),
        ("bad-chunk-end", b"3\r\nabc\r0\r\n\r\n"),
        ("bad-chunk-end", b"3\r\nabcd\r\n0\r\n\r\n"),
        ("bad-chunk-end", b"3\r\nabc0\r\n\r\n"),
        ("bad-line-end", b"0\r\n\n"),
        ("bad-line-end", b"0\r\nA: b\n\r\n"),
        ("bad-line-end", b"0\r\nA: b\r\n\n"),
        // Extensions.
        ("bad-line-end", b"3 \nabc\r\n0\r\n\r\n"),
        ("bad-line-end", b"3;\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"3;a b\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"3;a=\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"3;a=\"b\r\nabc\r\n0\r\n\r\n"),
        ("bad-chunk-line", b"3;a=\"\n\"\r\nabc\r\n0\r\n\r\n"),
        // Trailers.
        ("bad-trailer", b"0\r\nA: b\0c\r\n\r\n"),
        ("bad-trailer", b"0\r\nA : b\r\n\r\n"),
        ("bad-trailer", b"0\r\nA: b\r\n c\r\n\r\n"),
        ("bad-trailer", b"0\r\n: b\r\n\r\n"),
        ("bad-trailer", b"0\r\nContent-Length: 3\r\n\r\n"),
        ("bad-trailer", b"0\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("bad-trailer", b"0\r\nHost: x\r\n\r\n"),
        ("bad-trailer", b"0\r\nCookie: x\r\nHost: x\r\n\r\n"),
    ] {
        refused(&elb, 400, reason, &[CHUNKED, body].concat());
    }
    assert_eq!(server.requests().len(), 0, "a refused request looked whole, or one behind it was read");
}

#[test]
fn chunks_above_a_limit_are_refused() {
    let (server, elb) = pair();
    let line = |extension: usize| format!("1;{}\r\nx\r\n", "e".repeat(extension));
    let end = "0\r\n\r\n".to_owned();
    let fields = |count: usize| (0..count).map(|number| format!("A{number}: b\r\n")).collect::<String>();
    for (reason, body) in [
        ("too-many-chunk-extensions", line(4096) + &end),
        ("too-many-chunk-extensions", line(2000).repeat(9) + &end),
        ("trailers-too-long", format!("0\r\nA: {}\r\n\r\n", "x".repeat(8192))),
        ("trailers-too-long", format!("0\r\n{}\r\n", fields(1000))),
    ] {
        refused(&elb, 400, reason, &[CHUNKED, body.as_bytes()].concat());
    }
    assert_eq!(server.requests().len(), 0);
    for body in [
        line(4000) + &end,
        line(2000).repeat(8) + &end,
        format!("0\r\nA: {}\r\n\r\n", "x".repeat(8000)),
        format!("0\r\n{}\r\n", fields(32)),
        format!("0\r\n{}\r\n", fields(500)),
    ] {
        assert_eq!(elb.client().ask([CHUNKED, body.as_bytes()].concat()).status(), 200, "{body:.80}");
    }
}

#[test]
fn a_long_body_may_have_a_few_words_in_each_chunk() {
    let (server, elb) = pair();
    let chunk = [b"1000;a=eeeeeeee\r\n", &[b'x'; 4096][..], b"\r\n"].concat();
    let body = [&chunk.repeat(1600)[..], b"0\r\n\r\n"].concat();
    assert_eq!(elb.client().ask([CHUNKED, &body].concat()).status(), 200);
    let plain = [b"1000\r\n", &[b'x'; 4096][..], b"\r\n"].concat();
    let seen = server.request().wire();
    assert!(seen.ends_with(&[b"\r\n\r\n", &plain.repeat(1600)[..], b"0\r\n\r\n"].concat()), "{}", seen.len());
}

#[test]
fn bodies_go_out_as_they_came_and_trailers_do_not() {
    let (server, elb) = pair();
    for (sent, seen) in [
        (&b"0\r\n\r\n"[..], &b"0\r\n\r\n"[..]),
        (b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
        (
            b"A\r\n0123456789\r\n00c\r\n0\r\n\r\nGET / x\r\n0\r\n\r\n",
            b"A\r\n0123456789\r\n00c\r\n0\r\n\r\nGET / x\r\n0\r\n\r\n",
        ),
        // What stands behind a size ends here: no two parsers need agree on it.
        (b"3;a;b=c;d=\"e;\\\"\"\r\nabc\r\n000;z\r\n\r\n", b"3\r\nabc\r\n000\r\n\r\n"),
        (b"3; a\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
        (b"3 ;a\r\nabc\r\n3;a =b\r\ndef\r\n0 ; x\r\n\r\n", b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),
        (b"3\t;\ta\t=\t\"b\"\t\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
        (b"3  \r\nabc\r\n3;\r\ndef\r\n0;  \r\n\r\n", b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),
        (
            b"0\r\nVary: *\r\nContent-Type: text/plain\r\nX_Forwarded_For: x\r\nConnection: close\r\n\r\n",
            b"0\r\n\r\n",
        ),
        (b"3\r\nabc\r\n0\r\nSum: 1\r\nA:\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
    ] {
        let head = format!("POST /p HTTP/1.1\r\n{OURS}Transfer-Encoding: chunked\r\n\r\n");
        accepted(&elb, &server, &[CHUNKED, sent].concat(), &[head.as_bytes(), seen].concat());
    }
    accepted(
        &elb,
        &server,
        b"PUT /p HTTP/1.1\r\nHost: site.test\r\nTrailer: Sum\r\ntransfer-ENCODING:\tChunKed \r\nA: b\r\n\r\n\
          1\r\nx\r\n0\r\nSum: 1\r\n\r\n",
        format!("PUT /p HTTP/1.1\r\n{OURS}A: b\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
            .as_bytes(),
    );
    for (field, body) in [
        ("Content-Length: 3", "abc"),
        ("Content-Length: 0000000000000000003", "\r\n\r"),
        ("Content-Length:0", ""),
        ("A: b", ""),
    ] {
        for method in ["POST", "GET", "DELETE"] {
            accepted(
                &elb,
                &server,
                format!("{method} /p HTTP/1.1\r\nHost: site.test\r\n{field}\r\n\r\n{body}").as_bytes(),
                format!("{method} /p HTTP/1.1\r\n{OURS}{field}\r\n\r\n{body}").as_bytes(),
            );
        }
    }
}

#[test]
fn a_body_above_the_limit_is_refused_and_nothing_behind_it_is_read() {
    let (server, _) = pair();
    let elb = Launch::serving(&rules::site(&[&server])).flag("--max-body=4").start();
    let sized = |length: usize| {
        let body = "x".repeat(length);
        format!("POST /p HTTP/1.1\r\nHost: site.test\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    refused(&elb, 413, "body-too-long", sized(5).as_bytes());
    refused(&elb, 413, "body-too-long", &[CHUNKED, b"5\r\nabcde\r\n0\r\n\r\n"].concat());
    refused(&elb, 413, "body-too-long", &[CHUNKED, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"].concat());
    assert_eq!(server.requests().len(), 0);
    assert_eq!(elb.client().ask(sized(4)).status(), 200);
    assert_eq!(elb.client().ask([CHUNKED, b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"].concat()).status(), 200);
}

#[test]
fn a_body_that_ends_before_its_end_is_no_request() {
    let (server, elb) = pair();
    for half in [
        &b"POST /p HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10\r\n\r\nabc"[..],
        b"3\r\nabc\r\n",
        b"0\r\n",
    ] {
        let request = if half.starts_with(b"POST") { half.to_vec() } else { [CHUNKED, half].concat() };
        let mut client = elb.client();
        client.send(request);
        client.finish();
        let (rest, _) = client.rest();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400 "), "{}", rest.escape_ascii());
    }
    assert_eq!(elb.client().ask(get(SITE, "/next")).status(), 200);
    assert_eq!(server.request().head.target(), "/next");
}
