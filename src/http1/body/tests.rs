//! Tables of bodies, each whole, byte by byte and with bytes behind it.

use proptest::prelude::*;

use super::*;

/// What a body came to: its content, its framing, its trailers that pass, what is left out, how many bytes it took in all,
/// and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    content: Vec<u8>,
    framing: Vec<u8>,
    trailers: Vec<u8>,
    dropped: Vec<u8>,
    taken: usize,
    end: End,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum End {
    Done,
    #[default]
    More,
    Refused(Refusal),
}

/// Shows `wire` to a body in steps that end at `stops` and at its end, as a socket would.
fn read(framing: Framing, max: u64, wire: &[u8], stops: impl IntoIterator<Item = usize>) -> Outcome {
    let mut body = Body::new(framing, max);
    let mut outcome = Outcome::default();
    for stop in stops.into_iter().chain([wire.len()]) {
        loop {
            let shown = &wire[outcome.taken..stop];
            let left = body.remaining();
            let before = body.clone();
            outcome.taken += match body.next(shown) {
                Ok(Piece::Data(n)) => {
                    assert!(n > 0 && n as u64 <= left.unwrap_or(u64::MAX));
                    outcome.content.extend_from_slice(&shown[..n]);
                    n
                }
                Ok(Piece::Line(n)) => {
                    outcome.framing.extend_from_slice(&shown[..n]);
                    n
                }
                Ok(Piece::Trailer(n)) => {
                    outcome.trailers.extend_from_slice(&shown[..n]);
                    n
                }
                Ok(Piece::Drop(n)) => {
                    outcome.dropped.extend_from_slice(&shown[..n]);
                    n
                }
                Ok(Piece::More) => {
                    assert!(!body.is_done());
                    break;
                }
                Ok(Piece::Done) => {
                    assert!(body.is_done() && body.ended());
                    outcome.end = End::Done;
                    return outcome;
                }
                Err(refusal) => {
                    assert_eq!(before.place, body.place, "a refusal moves nothing");
                    assert_eq!(body.next(shown), Err(refusal), "a refusal stays");
                    outcome.end = End::Refused(refusal);
                    return outcome;
                }
            };
            assert!(outcome.taken <= stop);
        }
    }
    outcome
}

/// Whole, byte by byte, and with another message right behind: always the same outcome.
fn read_all_ways(framing: Framing, max: u64, wire: &[u8]) -> Outcome {
    let whole = read(framing, max, wire, []);
    assert_eq!(
        read(framing, max, wire, 0..wire.len()),
        whole,
        "byte by byte: {:?}",
        wire.escape_ascii().to_string()
    );
    if whole.end != End::More {
        let mut longer = wire.to_vec();
        longer.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(read(framing, max, &longer, []), whole, "trailing: {:?}", wire.escape_ascii().to_string());
        assert_eq!(read(framing, max, &longer, 0..longer.len()), whole);
    }
    whole
}

fn chunked(wire: &[u8]) -> Outcome {
    read_all_ways(Framing::Chunked, u64::MAX, wire)
}

#[test]
fn chunks_that_pass() {
    let cases: &[(&[u8], &[u8], &[u8])] = &[
        (b"0\r\n\r\n", b"", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello", b""),
        (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world", b""),
        (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789", b""),
        (b"0000000000000001\r\nx\r\n0000000000000000\r\n\r\n", b"x", b""),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", b""),
        (b"0\r\nA: b\r\n\r\n", b"", b"A: b\r\n"),
        (b"0\r\na:\r\nServer-Timing: \ta;b \xe9\r\n\r\n", b"", b"a:\r\nServer-Timing: \ta;b \xe9\r\n"),
        (b"0\r\ntee: x\r\nx-forward: y\r\nhosts: z\r\n\r\n", b"", b"tee: x\r\nx-forward: y\r\nhosts: z\r\n"),
    ];
    for (wire, content, trailers) in cases {
        let outcome = chunked(wire);
        assert_eq!(outcome.end, End::Done, "{}", wire.escape_ascii());
        assert_eq!(outcome.taken, wire.len(), "{}", wire.escape_ascii());
        let read = (&outcome.content[..], &outcome.trailers[..], &outcome.dropped[..]);
        assert_eq!(read, (*content, *trailers, &b""[..]), "{}", wire.escape_ascii());
    }
}

/// The grammar of extensions with the blanks that a recipient must parse, and what every well-known proxy takes besides.
/// Nothing of it leaves, so that whoever reads the body next need not agree.
#[test]
fn what_stands_behind_a_size_is_read_and_left_out() {
    let all: &[&[u8]] = &[
        b";a",
        b";a=b;c;d=\"e\"",
        b";a=\" ;\\\"\\\\\t\xe9\";b",
        b";a=\"\"",
        b" ;a",
        b"\t;a",
        b"; a",
        b";a =b",
        b";a= b",
        b";a\t \t=\t\"b\"\t;  c",
        b";a ;b",
        b";a=b ",
        b";a=\"b\" ;c",
        b";a ",
        b" ",
        b" \t  ",
        b";",
        b"; ",
        b" ; ;",
    ];
    for extension in all {
        let wire = [b"1", *extension, b"\r\nx\r\n00", extension, b"\r\n\r\n"].concat();
        let outcome = chunked(&wire);
        assert_eq!((&outcome.end, &outcome.content[..]), (&End::Done, &b"x"[..]), "{}", wire.escape_ascii());
        assert_eq!(outcome.framing, b"1\r\n\r\n00\r\n\r\n", "{}", wire.escape_ascii());
        assert_eq!(outcome.dropped, extension.repeat(2), "{}", wire.escape_ascii());
    }
}

#[test]
fn chunks_that_are_refused() {
    use Refusal::{ChunkEnd, ChunkLine, LineEnd, Trailer};
    let cases: &[(&[u8], Refusal)] = &[
        // The size.
        (b"\r\n", ChunkLine),
        (b"\n", ChunkLine),
        (b"g\r\n", ChunkLine),
        (b" 5\r\n", ChunkLine),
        (b"\t5\r\n", ChunkLine),
        (b"+5\r\n", ChunkLine),
        (b"-5\r\n", ChunkLine),
        (b"-0\r\n", ChunkLine),
        (b"0x5\r\n", ChunkLine),
        (b"5_0\r\n", ChunkLine),
        (b"5g\r\n", ChunkLine),
        (b"5,5\r\n", ChunkLine),
        (b"5\0\r\n", ChunkLine),
        (b"\xef\xbc\x95\r\n", ChunkLine),
        (b"8000000000000000\r\n", ChunkLine),
        (b"ffffffffffffffff\r\n", ChunkLine),
        (b"00000000000000005\r\n", ChunkLine),
        (b"10000000000000005\r\n", ChunkLine),
        // Its line end.
        (b"5\n", LineEnd),
        (b"5\rhello", LineEnd),
        (b"5\r\r\n", LineEnd),
        (b"5;a\n", LineEnd),
        (b"5;a=b\rc", LineEnd),
        (b"5;a=\"b\"\n", LineEnd),
        // Extensions.
        (b"5 a\r\n", ChunkLine),
        (b"5 5\r\n", ChunkLine),
        (b"5 \n", LineEnd),
        (b"5; \n", LineEnd),
        (b"5 \rx", LineEnd),
        (b"5 =b\r\n", ChunkLine),
        (b"5;=b\r\n", ChunkLine),
        (b"5;a b\r\n", ChunkLine),
        (b"5;a=\r\n", ChunkLine),
        (b"5;a= \r\n", ChunkLine),
        (b"5;a=;b\r\n", ChunkLine),
        (b"5;a=b=c\r\n", ChunkLine),
        (b"5;a=b c\r\n", ChunkLine),
        (b"5;a=b =c\r\n", ChunkLine),
        (b"5;a=\"b\"c\r\n", ChunkLine),
        (b"5;a=\"b\r\n", ChunkLine),
        (b"5;a=\"b\n\"\r\n", ChunkLine),
        (b"5;a=\"\\\r\n", ChunkLine),
        (b"5;a=\"\x01\"\r\n", ChunkLine),
        (b"5;a=\"\x7f\"\r\n", ChunkLine),
        (b"5;a\0\r\n", ChunkLine),
        (b"5;a\x0b\r\n", ChunkLine),
        (b"5;\xe9\r\n", ChunkLine),
        // After the data.
        (b"1\r\nxy", ChunkEnd),
        (b"1\r\nx\n", ChunkEnd),
        (b"1\r\nx\ry", ChunkEnd),
        (b"1\r\nx\r\r\n", ChunkEnd),
        (b"1\r\nx0\r\n\r\n", ChunkEnd),
        (b"2\r\nx\r\n\r\n0", ChunkEnd),
        // Trailers.
        (b"0\r\n\n", LineEnd),
        (b"0\r\n\rx", LineEnd),
        (b"0\r\na: b\n", LineEnd),
        (b"0\r\na: b\rc", LineEnd),
        (b"0\r\na: b\r\n\n", LineEnd),
        (b"0\r\na\r\n", LineEnd),
        (b"0\r\na\n", LineEnd),
        (b"0\r\n: b\r\n", Trailer),
        (b"0\r\n a: b\r\n", Trailer),
        (b"0\r\na : b\r\n", Trailer),
        (b"0\r\na: b\r\n c\r\n", Trailer),
        (b"0\r\na: b\r\n\tc\r\n", Trailer),
        (b"0\r\na: b\0c\r\n", Trailer),
        (b"0\r\na: \x1b\r\n", Trailer),
        (b"0\r\na: \x7f\r\n", Trailer),
        (b"0\r\na\xe9: b\r\n", Trailer),
        (b"0\r\na\0: b\r\n", Trailer),
        (b"0\r\nContent-Length: 5\r\n", Trailer),
        (b"0\r\nok: 1\r\ntransfer-ENCODING: chunked\r\n", Trailer),
        (b"0\r\nCookie: 1\r\nhost: a\r\n", Trailer),
    ];
    for (wire, refusal) in cases {
        assert_eq!(chunked(wire).end, End::Refused(*refusal), "{}", wire.escape_ascii());
    }
}

#[test]
fn trailers_that_do_not_belong_there_are_left_out() {
    let wire =
        b"0\r\nA: 1\r\nVary: *\r\nContent-Type: text/plain\r\nB: 2\r\nTrailer: x\r\nX_Forwarded_For: 1\r\n\
                 Transfer_Encoding: chunked\r\nTE:\r\nSet-Cookie: a=b\r\nC: 3\r\n\r\n";
    let outcome = chunked(wire);
    assert_eq!(outcome.end, End::Done);
    assert_eq!(outcome.trailers.escape_ascii().to_string(), r"A: 1\r\nVary: *\r\nB: 2\r\nC: 3\r\n");
    assert_eq!(outcome.framing, b"0\r\n\r\n");
}

#[test]
fn a_prefix_of_a_good_body_asks_for_more_and_is_a_cut() {
    let wire = b"5;a=\"b\\\"\"\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n";
    for end in 0..wire.len() {
        assert_eq!(read_all_ways(Framing::Chunked, u64::MAX, &wire[..end]).end, End::More, "{end}");
        let mut body = Body::new(Framing::Chunked, u64::MAX);
        let mut at = 0;
        while let Ok(Piece::Data(n) | Piece::Line(n) | Piece::Trailer(n) | Piece::Drop(n)) =
            body.next(&wire[at..end])
        {
            at += n;
        }
        assert!(!body.ended(), "{end}");
    }
}

#[test]
fn lengths() {
    let cases: &[(Framing, u64, &[u8], usize, End)] = &[
        (Framing::None, 0, b"", 0, End::Done),
        (Framing::None, 0, b"next", 0, End::Done),
        (Framing::Length(0), 0, b"next", 0, End::Done),
        (Framing::Length(4), 4, b"body", 4, End::Done),
        (Framing::Length(4), 4, b"bodynext", 4, End::Done),
        (Framing::Length(4), 4, b"bod", 3, End::More),
        (Framing::Length(5), 4, b"", 0, End::Refused(Refusal::BodyTooLong)),
        (Framing::Length(5), 4, b"bodyx", 0, End::Refused(Refusal::BodyTooLong)),
        (Framing::Length(u64::MAX), u64::MAX, b"body", 4, End::More),
        (Framing::Close, u64::MAX, b"anything", 8, End::More),
        (Framing::Close, 8, b"anything", 8, End::More),
        (Framing::Close, 7, b"anything", 7, End::Refused(Refusal::BodyTooLong)),
    ];
    for (framing, max, wire, taken, end) in cases {
        let outcome = read(*framing, *max, wire, []);
        assert_eq!(outcome, read(*framing, *max, wire, 0..wire.len()));
        assert_eq!((outcome.taken, &outcome.end), (*taken, end), "{framing:?}");
        assert_eq!(outcome.content, wire[..*taken]);
    }
}

#[test]
fn only_a_close_delimited_body_ends_by_close() {
    for (framing, right) in [
        (Framing::None, true),
        (Framing::Length(0), true),
        (Framing::Close, true),
        (Framing::Length(1), false),
        (Framing::Chunked, false),
    ] {
        let mut body = Body::new(framing, u64::MAX);
        assert_eq!(body.ended(), right, "{framing:?}");
        assert_eq!(body.is_done(), right, "{framing:?}");
    }
}

#[test]
fn the_bound_on_content_counts_data_alone() {
    let wire = b"3;extension\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n";
    assert_eq!(read_all_ways(Framing::Chunked, 5, wire).end, End::Done);
    let outcome = read_all_ways(Framing::Chunked, 4, wire);
    assert_eq!((outcome.end, outcome.content), (End::Refused(Refusal::BodyTooLong), b"abc".to_vec()));
    assert_eq!(read_all_ways(Framing::Chunked, 0, b"0\r\n\r\n").end, End::Done);
}

#[test]
fn what_is_left_is_known_of_a_length_only() {
    let mut body = Body::new(Framing::Length(10), 10);
    assert_eq!(body.remaining(), Some(10));
    assert_eq!(body.next(b"abc"), Ok(Piece::Data(3)));
    assert_eq!(body.remaining(), Some(7));
    let mut body = Body::new(Framing::Chunked, 10);
    assert_eq!(body.next(b"8\r\n"), Ok(Piece::Line(3)));
    assert_eq!(body.remaining(), None);
    assert_eq!(Body::new(Framing::Close, 10).remaining(), None);
}

/// `before`, then as much filling as makes the whole `length` bytes long, then `after`.
fn filled(before: &str, length: usize, after: &str) -> Vec<u8> {
    let filling = length - before.len() - after.len();
    [before.as_bytes(), &vec![b'x'; filling], after.as_bytes()].concat()
}

#[test]
fn a_chunk_line_is_bounded() {
    let line = filled("0;", limits::CHUNK_LINE, "\r\n");
    let mut body = Body::new(Framing::Chunked, 0);
    assert_eq!(body.next(&line), Ok(Piece::Line(1)));
    assert_eq!(body.next(&line[1..]), Ok(Piece::Drop(limits::CHUNK_LINE - 3)));
    assert_eq!(body.next(b"\r\n"), Ok(Piece::Line(2)));
    for long in [
        filled("0;", limits::CHUNK_LINE + 1, "\r\n"),
        filled("0;a=\"", limits::CHUNK_LINE, ""),
        [&b"0"[..], &[b' '; limits::CHUNK_LINE]].concat(),
    ] {
        let mut body = Body::new(Framing::Chunked, 0);
        assert_eq!(body.next(&long[..limits::CHUNK_LINE - 1]), Ok(Piece::More));
        assert_eq!(body.next(&long[..limits::CHUNK_LINE]), Err(Refusal::ChunkExtensions));
        assert_eq!(body.next(&long), Err(Refusal::ChunkExtensions));
    }
}

/// How many chunks of this size with this much behind each size pass.
fn passing(size: usize, extension: usize) -> usize {
    let before = format!("{size:x};");
    let line = filled(&before, before.len() - 1 + extension + 2, "\r\n");
    let chunk = [&line[..], &vec![b'x'; size], b"\r\n"].concat();
    let mut body = Body::new(Framing::Chunked, u64::MAX);
    for number in 0..5_000 {
        let mut at = 0;
        while at < chunk.len() {
            match body.next(&chunk[at..]) {
                Ok(Piece::Data(n) | Piece::Line(n) | Piece::Drop(n)) => at += n,
                Err(Refusal::ChunkExtensions) => return number,
                other => panic!("{other:?}"),
            }
        }
    }
    usize::MAX
}

#[test]
fn extensions_may_cost_as_much_as_the_content_pays_for() {
    // A long body with a few words in each chunk has no end.
    for (size, extension) in [(4096, 11), (1, 13), (1, 5), (100, 200), (2048, 4000)] {
        assert_eq!(passing(size, extension), usize::MAX, "{extension} bytes behind {size}");
    }
    // One that is all extensions has one: each chunk costs its line and pays for 16 bytes and twice its content.
    assert_eq!(passing(1, 1024), limits::CHUNK_EXCESS / (1 + 1024 + 2 - 16 - 2));
    assert_eq!(passing(1, 20), limits::CHUNK_EXCESS / (1 + 20 + 2 - 16 - 2));
    assert_eq!(passing(500, 2000), limits::CHUNK_EXCESS / (3 + 2000 + 2 - 16 - 1000));
    let fits = limits::CHUNK_EXCESS / (1 + 1024 + 2 - 16 - 2);
    let chunk = [filled("1;", 1 + 1024 + 2, "\r\n"), b"x\r\n".to_vec()].concat();
    assert_eq!(chunked(&[chunk.repeat(fits), b"0\r\n\r\n".to_vec()].concat()).end, End::Done);
    let outcome = chunked(&chunk.repeat(fits + 1));
    assert_eq!((outcome.end, outcome.content.len()), (End::Refused(Refusal::ChunkExtensions), fits));
}

#[test]
fn trailers_are_bounded_in_size_and_those_above_a_number_are_left_out() {
    let at_trailers = || {
        let mut body = Body::new(Framing::Chunked, 0);
        assert_eq!(body.next(b"0\r\n"), Ok(Piece::Line(3)));
        body
    };
    let line = limits::TRAILERS - 2;
    let section = filled("a: ", limits::TRAILERS, "\r\n\r\n");
    let mut body = at_trailers();
    assert_eq!(body.next(&section), Ok(Piece::Trailer(line)));
    assert_eq!(body.next(&section[line..]), Ok(Piece::Line(2)));
    let long = filled("a: ", limits::TRAILERS + 1, "\r\n\r\n");
    assert_eq!(at_trailers().next(&long[..line - 1]), Ok(Piece::More));
    assert_eq!(at_trailers().next(&long[..line]), Err(Refusal::TrailersTooLong));
    assert_eq!(at_trailers().next(&long), Err(Refusal::TrailersTooLong));

    let fields = "a:b\r\n".repeat(limits::TRAILER_FIELDS);
    let outcome = chunked(format!("0\r\n{fields}c:d\r\nTE: x\r\n{fields}\r\n").as_bytes());
    assert_eq!(outcome.end, End::Done);
    assert_eq!(outcome.trailers, fields.as_bytes());
    assert_eq!(outcome.dropped, format!("c:d\r\nTE: x\r\n{fields}").as_bytes());
    // The bound on their size holds for those too, and what frames is looked for among them.
    let most = "a:b\r\n".repeat((limits::TRAILERS - 2) / 5);
    assert_eq!(chunked(format!("0\r\n{most}\r\n").as_bytes()).end, End::Done);
    assert_eq!(
        chunked(format!("0\r\n{most}c:d\r\n\r\n").as_bytes()).end,
        End::Refused(Refusal::TrailersTooLong)
    );
    let hidden = format!("0\r\n{fields}Content-Length: 3\r\n");
    assert_eq!(chunked(hidden.as_bytes()).end, End::Refused(Refusal::Trailer));
}

/// A section that comes byte by byte is shown from the line on that is not whole.
#[test]
fn a_trailer_that_was_judged_is_not_looked_at_again() {
    let wire = ["0\r\n", &"a: b\r\n".repeat(limits::TRAILERS / 6 - 1), "\r\n"].concat();
    let (mut body, mut at, mut most) = (Body::new(Framing::Chunked, 0), 0, 0);
    for stop in 1..=wire.len() {
        most = most.max(stop - at);
        while let Ok(Piece::Line(n) | Piece::Trailer(n) | Piece::Drop(n)) =
            body.next(&wire.as_bytes()[at..stop])
        {
            at += n;
        }
    }
    assert!(body.is_done());
    assert_eq!(most, "a: b\r\n".len(), "bytes that are shown at once");
}

/// Bytes that are nearly chunked bodies, so that random inputs get past the first line.
fn nearly_chunked() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => (0_usize..40).prop_map(|n| format!("{n:x}\r\n{}\r\n", "d".repeat(n)).into_bytes()),
        2 => "[0-9a-fA-F]{1,3}[ \t]?;[ \t]?[a-c]{1,3}([ \t]?=[ \t]?([a-c]{1,3}|\"[ -~]{0,5}\"))?[ \t]?\r\n".prop_map(String::into_bytes),
        2 => Just(b"0\r\n".to_vec()),
        2 => "[a-zA-Z-]{1,18}: ?[ -~]{0,10}\r\n".prop_map(String::into_bytes),
        2 => Just(b"\r\n".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn any_framing() -> impl Strategy<Value = Framing> {
    prop_oneof![
        6 => Just(Framing::Chunked),
        1 => (0_u64..64).prop_map(Framing::Length),
        1 => Just(Framing::Close),
        1 => Just(Framing::None),
    ]
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        wire in nearly_chunked(),
        framing in any_framing(),
        max in prop_oneof![Just(u64::MAX), 0_u64..100],
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = read(framing, max, &wire, []);
        prop_assert_eq!(&read(framing, max, &wire, cuts), &whole);
        prop_assert_eq!(&read(framing, max, &wire, 0..wire.len()), &whole);
    }

    #[test]
    fn what_is_written_in_chunks_is_read_back(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..100), 0..8),
        next in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        let length = wire.len();
        wire.extend_from_slice(&next);
        let outcome = read(Framing::Chunked, u64::MAX, &wire, []);
        prop_assert_eq!((outcome.content, outcome.taken, outcome.end), (chunks.concat(), length, End::Done));
        prop_assert!(outcome.trailers.is_empty() && outcome.dropped.is_empty());
    }
}
