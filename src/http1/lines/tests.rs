//! The short way against `httparse`: the same heads are taken, and read as the same lines.

use proptest::prelude::*;

use super::*;

/// Every field line: where it begins, its name, its value and where that begins.
type Fields<'a> = Vec<(usize, &'a [u8], usize, &'a [u8])>;

#[test]
fn any_byte_beyond_ascii_may_stand_in_a_target() {
    for byte in 0x80..=0xff_u8 {
        let bytes = [b"GET /x", &[byte][..], b"?", &[byte], b" HTTP/1.1\r\n\r\n"].concat();
        let line = request_line(&bytes, 0).unwrap();
        assert_eq!(line.target.of(&bytes), &bytes[4..9]);
    }
}

/// What the short way makes of a request head.
fn ours(bytes: &[u8]) -> Option<(RequestLine, Fields<'_>, usize)> {
    let line = request_line(bytes, 0).ok()?;
    let (fields, end) = fields(bytes, line.end)?;
    Some((line, fields, end))
}

fn fields(bytes: &[u8], from: usize) -> Option<(Fields<'_>, usize)> {
    let (mut rest, mut fields, mut known) = (bytes.get(from..)?, Vec::new(), Vec::new());
    let at = |part: &[u8]| bytes.len() - part.len();
    while let Some(line) = cut(rest) {
        let (begin, end) = (at(rest), at(line.behind));
        assert_eq!(bytes.get(end - 2..end), Some(&b"\r\n"[..]));
        let (from, value) = (at(line.value), &line.value[..line.value_len]);
        fields.push((begin, line.name, from, value));
        let (name, value) = (field::name(line.name), Span::new(from, line.value_len));
        if name != Name::Other {
            known.push(Line { at: begin, end, name, value });
        }
        rest = line.behind;
    }
    let (mut slow, mut count) = (&bytes[from..], 0);
    while let Some(line) = unusual(slow) {
        (slow, count) = (line.behind, count + 1);
    }
    assert_eq!(fields.len(), count, "byte by byte");
    let mut lines = Lines::new(bytes, from);
    let mut read = Vec::new();
    loop {
        match lines.next() {
            Next::Line(line) => read.push(line),
            Next::End(end) => {
                assert_eq!((read, end), (known, at(rest) + 2));
                return Some((fields, end));
            }
            Next::Unusual => return None,
        }
    }
}

/// What `httparse` makes of it, which takes more: bare line feeds, and empty lines before the first one; and less: it wants
/// UTF-8 in a target, and only versions that it has heard of. So it is shown a first line with neither.
fn theirs(bytes: &[u8]) -> Option<(RequestLine, Fields<'_>, usize)> {
    let mut shown = bytes.to_vec();
    let line = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let spaces: Vec<usize> = (0..line).filter(|at| bytes[*at] == b' ').collect();
    if let &[from, to, ..] = &spaces[..] {
        shown[from..to].iter_mut().filter(|byte| **byte >= 0x80).for_each(|byte| *byte = b'x');
        if let [.., b'2'..=b'9', b'\r'] = &mut shown[to..line] {
            shown[line - 2] = b'1';
        }
    }
    let mut table = [httparse::EMPTY_HEADER; limits::HEADER_FIELDS];
    let mut request = httparse::Request::new(&mut table);
    let Ok(httparse::Status::Complete(end)) = request.parse(&shown) else { return None };
    let head = &shown[..end];
    let strict = (0..end).all(|at| head[at] != b'\n' || (at > 0 && head[at - 1] == b'\r'));
    if !strict || head.starts_with(b"\r") {
        return None;
    }
    let line = RequestLine {
        method: Span::within(head, request.method?.as_bytes()),
        target: Span::within(head, request.path?.as_bytes()),
        version: if request.version == Some(0) { Version::Http10 } else { Version::Http11 },
        end: memchr::memchr(b'\n', head)? + 1,
    };
    let fields = listed(head, request.headers);
    let of = |part: &[u8]| {
        let part = Span::within(head, part);
        &bytes[part.at as usize..part.end()]
    };
    let fields = fields.iter().map(|(at, name, from, value)| (*at, of(name), *from, of(value))).collect();
    Some((line, fields, end))
}

fn listed<'a>(head: &'a [u8], headers: &[httparse::Header<'a>]) -> Fields<'a> {
    let place = |part: &[u8]| Span::within(head, part).at as usize;
    let field = |header: &httparse::Header<'a>| {
        let (name, value) = (header.name.as_bytes(), header.value);
        (place(name), name, place(value), value)
    };
    headers.iter().map(field).collect()
}

/// The same for a response.
fn theirs_of_response(bytes: &[u8]) -> Option<(Fields<'_>, usize)> {
    let mut table = [httparse::EMPTY_HEADER; limits::HEADER_FIELDS];
    let mut response = httparse::Response::new(&mut table);
    let Ok(httparse::Status::Complete(end)) = response.parse(bytes) else { return None };
    let head = &bytes[..end];
    let strict = (0..end).all(|at| head[at] != b'\n' || (at > 0 && head[at - 1] == b'\r'));
    (strict && head.starts_with(b"HTTP")).then(|| (listed(head, response.headers), end))
}

/// Bytes that decide something, and some that do not.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        6 => prop::sample::select(&b" \t\r\n::aZ09-_/.(@[`{\x7f\0\x01\x1f\x80\x9f\xa0\xff"[..]),
        1 => any::<u8>(),
    ]
}

/// A line that is well-formed, or nearly so.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::collection::vec(prop::sample::select(&b"aZ09-_.^~"[..]), 1..40);
    let known = prop::sample::select(KNOWN);
    let white = prop::sample::select(WHITE);
    let text = prop_oneof![4 => b' '..=b'~', 1 => Just(b'\t'), 1 => 0x80..=0xff_u8];
    let value = prop_oneof![prop::collection::vec(b'!'..=b'~', 0..60), prop::collection::vec(text, 0..60),];
    let end = prop_oneof![30 => Just(&b"\r\n"[..]), 1 => Just(&b"\n"[..]), 1 => Just(&b"\r"[..])];
    (prop_oneof![name, known.prop_map(<[u8]>::to_vec)], white, value, end)
        .prop_map(|(name, white, value, end)| [&name, &b":"[..], white, &value, end].concat())
}

/// A head, and a few changes of it, and what follows it.
fn head(first: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, byte()), 0..3);
    let behind = prop::collection::vec(byte(), 0..40);
    (prop::sample::select(first), prop::collection::vec(line(), 0..6), changes, behind).prop_map(
        |(first, lines, changes, behind)| {
            let mut head = [first, &b"\r\n"[..], &lines.concat(), b"\r\n"].concat();
            for (at, how, byte) in changes {
                let at = at.index(head.len());
                match how {
                    0 => head[at] = byte,
                    1 => head.insert(at, byte),
                    _ => drop(head.remove(at)),
                }
            }
            head.extend(behind);
            head
        },
    )
}

const KNOWN: &[&[u8]] = &[b"Host", b"Connection", b"x-forwarded-for", b"User-Agent"];
const WHITE: &[&[u8]] = &[b" ", b" ", b" ", b"", b"  ", b"\t", b" \t "];
const REQUESTS: &[&[u8]] = &[
    b"GET / HTTP/1.1",
    b"POST /a/rather/long/path?with=a&query#and HTTP/1.0",
    b"a!#$%&'*+-.^_`|~z http://example.com HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"GET /caf\xc3\xa9/\xe2\x82\xac?\xf0\x9f\x98\x80 HTTP/1.1",
    b"GET /caf\xe9?\xd6\xd0\xff HTTP/1.2",
];
const RESPONSES: &[&[u8]] =
    &[b"HTTP/1.1 200 OK", b"HTTP/1.0 404 ", b"HTTP/1.1 503", b"HTTP/1.1 200 It is a fine \xe9\t day"];

proptest! {
    #[test]
    fn requests_are_split_as_httparse_does(bytes in head(REQUESTS)) {
        prop_assert_eq!(ours(&bytes), theirs(&bytes));
    }

    #[test]
    fn responses_are_split_as_httparse_does(bytes in head(RESPONSES)) {
        if let Some((theirs, end)) = theirs_of_response(&bytes) {
            let from = memchr::memchr(b'\n', &bytes).unwrap() + 1;
            let reason = text(&bytes, 12).unwrap();
            prop_assert_eq!(reason.end() + 2, from);
            prop_assert_eq!(fields(&bytes, from), Some((theirs, end)));
        }
    }

    #[test]
    fn lines_of_a_response_are_taken_only_if_httparse_takes_them(bytes in head(&[b"HTTP/1.1 200 OK"])) {
        if bytes.starts_with(b"HTTP/1.1 200 OK\r\n") {
            prop_assert_eq!(fields(&bytes, 17), theirs_of_response(&bytes));
        }
    }

    #[test]
    fn runs_join_the_lines_that_pass(kept in prop::collection::vec(any::<bool>(), 0..12)) {
        let (mut run, mut runs) = (Run::new(3), Vec::new());
        let at = |number: usize| 3 + 5 * number;
        for (number, _) in kept.iter().enumerate().filter(|(_, kept)| !**kept) {
            run.skip(at(number), at(number + 1), &mut runs);
        }
        run.end(at(kept.len()), &mut runs);
        let whole = |number: usize| runs.iter().any(|run| run.at as usize <= at(number) && at(number + 1) <= run.end());
        prop_assert!(kept.iter().enumerate().all(|(number, kept)| whole(number) == *kept));
        prop_assert_eq!(runs.iter().map(|run| run.len as usize).sum::<usize>(), 5 * kept.iter().filter(|kept| **kept).count());
        prop_assert!(runs.windows(2).all(|two| two[0].end() < two[1].at as usize), "{:?} touch", runs);
    }
}

#[test]
fn the_most_fields_are_as_many_as_the_limit_says() {
    for (fields, taken) in [(limits::HEADER_FIELDS, true), (limits::HEADER_FIELDS + 1, false)] {
        let bytes = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a: b\r\n".repeat(fields), b"\r\n"].concat();
        assert_eq!((ours(&bytes).is_some(), theirs(&bytes).is_some()), (taken, taken), "{fields}");
    }
}

#[test]
fn a_head_that_is_not_whole_is_not_taken() {
    let bytes = b"GET / HTTP/1.1\r\nHost: h\r\nA-Name-That-Is-Long: and a value that is longer\r\nB:\r\n\r\n";
    assert!((0..bytes.len()).all(|length| ours(&bytes[..length]).is_none()));
    assert_eq!(ours(bytes), theirs(bytes));
    assert!(ours(bytes).is_some());
}

#[test]
fn each_byte_is_judged_wherever_it_stands() {
    for byte in 0..=255_u8 {
        for length in 0..40 {
            let fill = vec![b'x'; length];
            let fields: [&[&[u8]]; 3] = [
                &[&fill, &[byte], b"y: z"],
                &[b"n: ", &fill, &[byte], b"yyyyyyyy"],
                &[b"n: ", &fill, &[byte]],
            ];
            for parts in fields {
                let bytes = [b"GET / HTTP/1.1\r\n", &parts.concat()[..], b"\r\n\r\n"].concat();
                assert_eq!(ours(&bytes), theirs(&bytes), "{}", bytes.escape_ascii());
            }
            let bytes = [b"GET /", &fill[..], &[byte], b"y HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(ours(&bytes), theirs(&bytes), "{}", bytes.escape_ascii());
        }
    }
}
