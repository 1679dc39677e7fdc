//! Answers that are compressed on their way: what leaves when, whatever comes how, and what is lent for it.

use std::io::Read;

use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress};
use proptest::prelude::*;

use super::*;
use crate::exchange::MOST_PRESSES;
use crate::semantics::Gzip;

const ASKING: &str = "GET /p HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";

/// An exchange whose answers are compressed, and whose request is at its server.
fn asked() -> Play {
    let mut play = Play::new();
    play.edits = Some(Arc::new(ResponseEdits { gzip: Some(Box::default()), ..ResponseEdits::default() }));
    play.client(ASKING);
    play
}

fn with_length(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n")
}

fn chunk(content: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", content.len()).as_bytes(), content, b"\r\n"].concat()
}

/// Text that is as compressible as pages are, and no two stretches of it are the same.
fn page(length: usize) -> Vec<u8> {
    let mut number = 1u32;
    let words = std::iter::from_fn(|| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(format!("<p class=\"word\">{}</p>\n", number >> 12).into_bytes())
    });
    let mut page: Vec<u8> = words.flatten().take(length).collect();
    page.shrink_to_fit();
    page
}

/// Feeds as much as is wanted at once; gives how much that was.
fn pour(play: &mut Play, bytes: &[u8]) -> usize {
    if !play.exchange.wants(Side::Server) {
        return 0;
    }
    let Need { useful, .. } = play.exchange.need(Side::Server);
    if useful > 0 {
        let size = if useful == FIRST_WINDOW { play.window } else { useful.next_power_of_two() };
        drop(play.exchange.lend(Side::Server, Buf::new(size)));
    }
    let room = play.exchange.room(Side::Server);
    let n = room.len().min(bytes.len());
    room[..n].copy_from_slice(&bytes[..n]);
    play.exchange.filled(Side::Server, n);
    play.turn();
    n
}

/// The answer that the client got: its head, its chunks, and whether the last one is there.
fn got(bytes: &[u8]) -> (String, Vec<Vec<u8>>, bool) {
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
    let (mut rest, mut chunks) = (&bytes[head..], Vec::new());
    while !rest.is_empty() {
        let end = rest.windows(2).position(|end| end == b"\r\n").expect("a size");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let content = &rest[end + 2..];
        assert_eq!(&content[size..size + 2], b"\r\n");
        rest = &content[size + 2..];
        if size == 0 {
            assert_eq!(rest, b"", "something behind the last chunk");
            return (String::from_utf8(bytes[..head].to_vec()).unwrap(), chunks, true);
        }
        chunks.push(content[..size].to_vec());
    }
    (String::from_utf8(bytes[..head].to_vec()).unwrap(), chunks, false)
}

/// The content of an answer that is whole.
fn whole(bytes: &[u8]) -> (String, Vec<u8>) {
    let (head, chunks, ended) = got(bytes);
    assert!(ended, "no last chunk");
    let (mut content, chunks) = (Vec::new(), chunks.concat());
    let mut decoder = GzDecoder::new(&chunks[..]);
    decoder.read_to_end(&mut content).expect("gzip, whole");
    assert!(decoder.into_inner().is_empty(), "something behind its end");
    (head, content)
}

/// What a client can read of an answer that has come so far.
fn readable(bytes: &[u8]) -> Vec<u8> {
    let chunks = got(bytes).1.concat();
    let (mut decoder, mut content) = (Decompress::new_gzip(15), Vec::with_capacity(1 << 20));
    decoder.decompress_vec(&chunks, &mut content, FlushDecompress::Sync).expect("gzip");
    content
}

#[test]
fn an_answer_is_compressed_and_says_so() {
    let mut play = asked();
    let page = page(20_000);
    play.server(&with_length(page.len())).feed(Side::Server, &page);
    let (head, content) = whole(&play.to_client);
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    assert_eq!((content == page, play.last()), (true, KEEP_BOTH));
    assert!(play.to_client.len() * 2 < page.len(), "{} bytes", play.to_client.len());
    let pressed = play.heads.pressed();
    assert_eq!((pressed.answers, pressed.taken, pressed.refused), (1, page.len() as u64, 0));
    assert!(pressed.given > 0 && pressed.given < play.to_client.len() as u64);
}

#[test]
fn what_has_a_length_is_not_torn_and_what_has_none_leaves_at_once() {
    let page = page(60_000);
    let mut sizes = Vec::new();
    for (head, end) in [(with_length(page.len()), &b""[..]), (CHUNKED.to_owned(), b"0\r\n\r\n")] {
        let mut play = asked();
        play.server(&head);
        let mut seen = 0;
        for piece in page.chunks(500) {
            let piece = if end.is_empty() { piece.to_vec() } else { chunk(piece) };
            play.feed(Side::Server, &piece);
            seen += 500;
            if !end.is_empty() {
                assert_eq!(readable(&play.to_client).len(), seen.min(page.len()), "each word arrives");
            }
        }
        play.feed(Side::Server, end);
        assert!(whole(&play.to_client).1 == page);
        sizes.push((got(&play.to_client).1.len(), play.to_client.len()));
    }
    let [(few, small), (many, large)] = sizes[..] else { panic!("{sizes:?}") };
    assert!(few <= 4 && many == 120 + 1, "{few} and {many} chunks");
    assert!(small < large, "{small} and {large} bytes");
}

/// Bytes that cannot be compressed.
fn noise(length: usize) -> Vec<u8> {
    let mut number = 1u64;
    let noise = std::iter::repeat_with(|| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (number >> 56) as u8
    });
    noise.take(length).collect()
}

/// Lets a client that is slow read this; gives how much was held for it at most.
fn slowly(content: &[u8]) -> usize {
    let mut play = asked();
    play.server(&with_length(content.len()));
    play.deaf = true;
    let (mut given, mut most) = (0, 0);
    while given < content.len() {
        loop {
            let n = pour(&mut play, &content[given..content.len().min(given + 8000)]);
            given += n;
            if n == 0 {
                break;
            }
        }
        most = most.max(play.exchange.held() + play.exchange.outside() as usize);
        // It takes a little, and a little more, and then what is there.
        for part in [3, 1000, usize::MAX] {
            let out = play.exchange.out(Side::Client).concat();
            let n = out.len().min(part);
            play.to_client.extend(&out[..n]);
            play.exchange.sent(Side::Client, n);
            let wants = play.exchange.wants(Side::Server);
            assert!(!wants || play.exchange.need(Side::Server).useful <= BULK_WINDOW, "a larger window");
            play.turn();
            // A shell comes back when something moves: a window that nothing but a turn has freed is not read into.
            let leaves = play.exchange.out(Side::Client).iter().any(|slice| !slice.is_empty());
            assert!(wants || !play.exchange.wants(Side::Server) || leaves, "room that nobody hears of");
        }
    }
    play.deaf = false;
    play.turn();
    assert!(whole(&play.to_client).1 == content);
    most
}

#[test]
fn a_slow_client_holds_up_its_server_and_no_more_than_a_window() {
    // What cannot be compressed fills most, and what all but vanishes fills nothing.
    let noise = noise(1 << 20);
    let mixed: Vec<u8> = noise.chunks(9000).flat_map(|noise| [noise, &[b'x'; 150_000]].concat()).collect();
    for content in [&noise, &mixed] {
        let most = slowly(content);
        assert!(most <= 4 * BULK_WINDOW, "{most} bytes were held");
    }
}

#[test]
fn an_answer_that_is_cut_is_seen_to_be_and_what_came_of_it_arrives() {
    for head in [with_length(50_000), CHUNKED.to_owned()] {
        let mut play = asked();
        let page = page(30_000);
        let body = if head == CHUNKED { chunk(&page) } else { page.clone() };
        play.server(&head).feed(Side::Server, &body).ends(Side::Server);
        assert!(!got(&play.to_client).2, "a last chunk");
        assert!(readable(&play.to_client) == page);
        assert_eq!(play.last(), Step::Close { reset: false, sign: Sign::Nothing });
        assert_eq!(play.exchange.take_reason(), Some(Reason::ResponseCut));
    }
}

#[test]
fn a_body_that_is_none_ends_in_a_502_as_long_as_nothing_left_and_in_a_cut_then() {
    let mut play = asked();
    play.server(&format!("{CHUNKED}zz\r\n"));
    let seen = play.client_saw();
    assert!(seen.starts_with("HTTP/1.1 502") && !seen.contains("gzip"), "{seen}");
    assert_eq!(play.last(), KEEP_CLIENT);
    // The next request of the same client is answered as ever.
    play.exchange.restart(&play.stage.env);
    play.client(ASKING).server(OK);
    assert_eq!(play.client_saw(), OK);

    let mut play = asked();
    play.server(&format!("{CHUNKED}3\r\nabc\r\n")).server("zz\r\n");
    assert!(!got(&play.to_client).2);
    assert_eq!(play.last(), Step::Close { reset: false, sign: Sign::Nothing });
}

#[test]
fn what_a_server_ends_by_closing_ends_with_a_last_chunk() {
    for pieces in [1, 7] {
        let mut play = asked();
        let page = page(10_000);
        play.server("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n");
        for piece in page.chunks(page.len() / pieces) {
            play.feed(Side::Server, piece);
        }
        play.ends(Side::Server);
        assert!(whole(&play.to_client).1 == page);
    }
    // Its end may come while the client is slow, and before any content.
    let mut play = asked();
    play.deaf = true;
    play.server("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nabc").ends(Side::Server);
    play.deaf = false;
    play.turn();
    assert_eq!(whole(&play.to_client).1, b"abc");
    let mut play = asked();
    play.server("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n").ends(Side::Server);
    assert_eq!(whole(&play.to_client).1, b"");
}

#[test]
fn trailers_that_may_come_are_not_lost() {
    let mut play = Play::new();
    play.edits = Some(Arc::new(ResponseEdits { gzip: Some(Box::default()), ..ResponseEdits::default() }));
    play.client(
        "GET /p HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nConnection: TE\r\nTE: trailers\r\n\r\n",
    );
    play.server(&format!("{CHUNKED}1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"));
    let seen = play.client_saw();
    assert!(seen.contains("Vary: Accept-Encoding\r\n") && !seen.contains("gzip"), "{seen}");
    assert!(seen.ends_with("1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"), "{seen}");
}

#[test]
fn a_304_says_of_a_compressed_answer_what_that_said() {
    for (tag, says) in
        [("W/\"a\"", "ETag: W/\"a\"\r\nVary: Accept-Encoding\r\n"), ("\"a\"", "ETag: \"a\"\r\n")]
    {
        let mut play = Play::new();
        play.edits = Some(Arc::new(ResponseEdits { gzip: Some(Box::default()), ..ResponseEdits::default() }));
        play.client(&format!(
            "GET /p HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n\r\n"
        ));
        play.server("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n");
        assert_eq!(play.client_saw(), format!("HTTP/1.1 304 Not Modified\r\n{says}\r\n"));
    }
}

#[test]
fn so_many_at_once_and_the_others_leave_as_they_came() {
    let mut house = asked();
    let mut under_way = Vec::new();
    let begun = format!("{CHUNKED}3\r\nabc\r\n");
    for number in 0..MOST_PRESSES + 3 {
        let mut play = asked();
        std::mem::swap(&mut play.heads, &mut house.heads);
        play.server(&begun);
        let is_pressed = got(&play.to_client).0.contains("Content-Encoding");
        assert_eq!(is_pressed, number < MOST_PRESSES, "{number}");
        std::mem::swap(&mut play.heads, &mut house.heads);
        under_way.push(play);
    }
    assert_eq!(house.heads.pressed().refused, 3);
    // Some are given up in the middle, some come to their end: all of them make room.
    for (number, mut play) in under_way.into_iter().enumerate() {
        std::mem::swap(&mut play.heads, &mut house.heads);
        if number % 2 == 0 {
            let _ = play.exchange.surrender(Side::Server);
        } else {
            play.server("0\r\n\r\n");
            assert_eq!(play.last(), KEEP_BOTH);
        }
        std::mem::swap(&mut play.heads, &mut house.heads);
    }
    let mut under_way = Vec::new();
    for _ in 0..MOST_PRESSES {
        let mut play = asked();
        std::mem::swap(&mut play.heads, &mut house.heads);
        play.server(&begun);
        assert_eq!(readable(&play.to_client), b"abc", "a press that was used before");
        std::mem::swap(&mut play.heads, &mut house.heads);
        under_way.push(play);
    }
    assert_eq!(house.heads.pressed().refused, 3);
}

#[test]
fn each_backend_has_its_level() {
    let page = page(50_000);
    let mut play = asked();
    let mut sizes = Vec::new();
    for level in [1, 9, 1, 9] {
        let gzip = Gzip { level, ..Gzip::default() };
        play.edits = Some(Arc::new(ResponseEdits { gzip: Some(Box::new(gzip)), ..ResponseEdits::default() }));
        play.exchange.restart(&play.stage.env);
        play.client(ASKING).server(&with_length(page.len())).feed(Side::Server, &page);
        let got = std::mem::take(&mut play.to_client);
        assert!(whole(&got).1 == page);
        sizes.push(got.len());
    }
    assert!(sizes[1] < sizes[0] && sizes[3] < sizes[2] && sizes[3] < sizes[0], "{sizes:?}");
}

proptest! {
    #[test]
    fn any_content_in_any_pieces_arrives(
        words in proptest::collection::vec((0..2000usize, 0..4u8, proptest::bool::ANY), 0..40),
        framing in 0..3u8,
        window in 64..5000usize,
    ) {
        let mut play = asked();
        play.window = window.max(512);
        let text = page(80_000);
        let pieces: Vec<(&[u8], bool)> = words
            .iter()
            .map(|(length, kind, deaf)| {
                let at = usize::from(*kind) * 15_000;
                (&text[at..at + length], *deaf)
            })
            .collect();
        let content: Vec<u8> = pieces.iter().flat_map(|(piece, _)| piece.to_vec()).collect();
        let head = match framing {
            // What is shorter leaves as it is.
            0 if content.len() < 1024 => return Ok(()),
            0 => with_length(content.len()),
            1 => CHUNKED.to_owned(),
            _ => "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n".to_owned(),
        };
        play.server(&head);
        for (piece, deaf) in pieces.into_iter().filter(|(piece, _)| !piece.is_empty()) {
            play.deaf = deaf;
            for part in piece.chunks(window / 4) {
                let bytes = if framing == 1 { chunk(part) } else { part.to_vec() };
                let mut bytes = &bytes[..];
                while !bytes.is_empty() {
                    let n = pour(&mut play, &bytes[..bytes.len().min(101)]);
                    bytes = &bytes[n..];
                    if n == 0 {
                        // A client that was deaf hears all before there is no room.
                        prop_assert!(play.deaf, "nothing is wanted, and nobody waits");
                        play.deaf = false;
                        play.turn();
                    }
                }
            }
        }
        play.deaf = false;
        play.turn();
        match framing {
            0 => {}
            1 => { play.feed(Side::Server, b"0\r\n\r\n"); },
            _ => { play.ends(Side::Server); }
        }
        prop_assert!(whole(&play.to_client).1 == content);
    }
}
