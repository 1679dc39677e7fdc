//! What clients ask: requests of every kind, each with the bytes that the server must see, written independently.

use crate::chance::Chance;

/// The client's address as ELB writes it.
pub(crate) const PEER: &str = "192.0.2.7";
/// The field that a rule replaces, and by what.
pub(crate) const RULED: (&str, &str) = ("X-Tag", "ruled");
/// Longest body and head that are taken.
pub(crate) const MAX_BODY: usize = 100_000;
pub(crate) const MAX_HEAD: usize = 8 * 1024;

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The head is refused with this status.
    Head(u16),
    /// The body is refused with this status, if it comes to that.
    Body(u16),
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What the client sends.
    pub(crate) wire: Vec<u8>,
    /// Where the head ends in `wire`.
    pub(crate) head: usize,
    /// What a server gets, or a beginning of it; with a fault in the body, never more than this.
    pub(crate) onward: Vec<u8>,
    /// The content of the body.
    pub(crate) body: Vec<u8>,
    pub(crate) method: &'static str,
    pub(crate) old: bool,
    pub(crate) takes_trailers: bool,
    pub(crate) takes_gzip: bool,
    pub(crate) upgrade: bool,
    pub(crate) expects: bool,
    pub(crate) closes: bool,
    pub(crate) denied: bool,
    /// It has a body, be it an empty one in chunks.
    pub(crate) bodied: bool,
    /// Its credentials are the connection's.
    pub(crate) private: bool,
    pub(crate) fault: Fault,
}

impl Request {
    /// To send it twice is to send it once.
    pub(crate) fn repeatable(&self) -> bool {
        self.method != "POST"
    }

    /// A server may take its body for another request.
    pub(crate) fn puzzles(&self) -> bool {
        self.bodied && matches!(self.method, "GET" | "HEAD" | "DELETE" | "OPTIONS")
    }
}

/// How a body is framed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    None,
    Length,
    Chunks,
}

/// Request number `id`. `weight` is about how long a body may be; `ruled` says that a rule replaces a field.
pub(crate) fn valid(id: usize, weight: usize, ruled: bool, chance: &mut Chance) -> Request {
    let method =
        chance.pick(&["GET", "GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS"]);
    let old = chance.one_in(6);
    let with_body = matches!(method, "POST" | "PUT") || chance.one_in(8);
    let frame = match (with_body, old) {
        (false, _) => Frame::None,
        (true, true) => Frame::Length,
        (true, false) => chance.pick(&[Frame::Length, Frame::Chunks]),
    };
    let body = if with_body { content(weight, chance) } else { Vec::new() };
    let mut request = Request {
        wire: Vec::new(),
        head: 0,
        onward: Vec::new(),
        method,
        old,
        takes_trailers: !old && chance.one_in(4),
        takes_gzip: !chance.one_in(3),
        upgrade: false,
        expects: with_body && !old && chance.one_in(3),
        closes: chance.one_in(8),
        denied: chance.one_in(12),
        bodied: false,
        private: chance.one_in(8),
        fault: Fault::None,
        body,
    };
    write(&mut request, id, frame, ruled, chance);
    request
}

/// A GET that asks for the protocol `sim`, sometimes with a body that must be through before.
pub(crate) fn upgrade(id: usize, weight: usize, ruled: bool, chance: &mut Chance) -> Request {
    let mut request = valid(id, 0, ruled, chance);
    (request.method, request.old, request.upgrade, request.expects) = ("GET", false, true, false);
    (request.closes, request.denied) = (false, false);
    let frame = chance.pick(&[Frame::None, Frame::Length, Frame::Chunks]);
    request.body = if frame == Frame::None { Vec::new() } else { content(weight, chance) };
    write(&mut request, id, frame, ruled, chance);
    request
}

/// A request whose head breaks one rule.
pub(crate) fn broken_head(chance: &mut Chance) -> Request {
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "y".repeat(MAX_HEAD));
    let (text, status) = chance.pick(&[
        ("GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\nHost: h\r\n\r\n", 505),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("GET h HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET /.. HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\nabc", 413),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n", 417),
        ("\u{1}\u{2}nonsense\r\n\r\n", 400),
        ("", 431),
    ]);
    let wire = if text.is_empty() { long } else { text.to_owned() }.into_bytes();
    Request {
        head: wire.len(),
        wire,
        onward: Vec::new(),
        body: Vec::new(),
        method: "GET",
        old: false,
        takes_trailers: false,
        takes_gzip: false,
        upgrade: false,
        expects: false,
        closes: true,
        denied: false,
        bodied: false,
        private: false,
        fault: Fault::Head(status),
    }
}

/// A chunked POST whose body breaks a rule after some whole chunks.
pub(crate) fn broken_body(id: usize, weight: usize, ruled: bool, chance: &mut Chance) -> Request {
    let mut request = valid(id, weight, ruled, chance);
    (request.method, request.old, request.closes, request.denied) = ("POST", false, false, false);
    request.body = content(weight, chance);
    let (wire, onward) = write(&mut request, id, Frame::Chunks, ruled, chance);
    request.wire.truncate(wire);
    request.onward.truncate(onward);
    let (bad, status): (&[u8], u16) = chance.pick(&[
        (&b"x\r\n"[..], 400),
        (b"-1\r\n", 400),
        (b" 3\r\nabc\r\n", 400),
        (b"3\nabc\r\n", 400),
        (b"fffffff\r\n", 413),
        (b"ffffffffffffffff\r\n", 400),
        (b"3;=\r\nabc\r\n", 400),
        (b"\r\n", 400),
    ]);
    request.wire.extend(bad);
    request.wire.extend(b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    request.fault = Fault::Body(status);
    request
}

fn content(weight: usize, chance: &mut Chance) -> Vec<u8> {
    let length = match chance.below(8) {
        0 => 0,
        1..6 => chance.below(weight + 2),
        6 => chance.below(4 * weight + 2),
        _ => chance.below(16 * weight + 2),
    };
    chance.content(length.min(MAX_BODY))
}

/// Writes the request as the client sends it, and as the server must see it; says where in both the last chunk begins.
fn write(request: &mut Request, id: usize, frame: Frame, ruled: bool, chance: &mut Chance) -> (usize, usize) {
    let absolute = chance.one_in(8);
    let query = chance.pick(&["", "", "?q=%20&r", "?"]);
    let prefix = if absolute { "http://Abs.Example:81" } else { "" };
    let version = if request.old { "1.0" } else { "1.1" };
    let mut wire = chance.pick(&["", "", "", "\r\n"]).to_owned();
    wire += &format!("{} {prefix}/r{id}{query} HTTP/{version}\r\n", request.method);
    let host = if absolute { "abs.example" } else { "sim.example" };
    let (came, port) = if absolute { ("Abs.Example:81", 81) } else { ("Sim.Example:8080", 8080) };
    let (mut kept, mut forwarded) = (String::new(), String::new());
    for (line, passes) in fields(request, frame, chance) {
        wire += &line;
        if let Some(value) = line.strip_prefix("X-Forwarded-For: ") {
            forwarded += &format!("{}, ", value.trim_end());
        }
        if passes && !(ruled && line.starts_with(RULED.0)) {
            kept += &line;
        }
    }
    if ruled {
        kept += &format!("{}: {}\r\n", RULED.0, RULED.1);
    }
    if frame == Frame::Chunks {
        kept += "Transfer-Encoding: chunked\r\n";
    }
    kept += match (request.upgrade, request.takes_trailers) {
        (true, _) => "Connection: upgrade\r\nUpgrade: sim\r\n",
        (_, true) => "Connection: TE\r\nTE: trailers\r\n",
        _ => "",
    };
    wire += "\r\n";
    let onward = format!(
        "{} /r{id}{query} HTTP/1.1\r\nHost: {host}\r\nX-Real-IP: {PEER}\r\nX-Forwarded-For: {forwarded}{PEER}\r\n\
         REMOTE-HOST: {PEER}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: {port}\r\nX-Forwarded-Host: {came}\r\n{kept}\r\n",
        request.method
    );
    request.bodied = frame == Frame::Chunks || (frame == Frame::Length && !request.body.is_empty());
    request.head = wire.len();
    (request.wire, request.onward) = (wire.into_bytes(), onward.into_bytes());
    let (body, plain, last) = match frame {
        Frame::None => (Vec::new(), Vec::new(), &b""[..]),
        Frame::Length => (request.body.clone(), request.body.clone(), &b""[..]),
        Frame::Chunks => {
            let chunks = chunked(&request.body, chance);
            (chunks.wire, chunks.plain, chunks.last)
        }
    };
    request.wire.extend(&body);
    request.onward.extend(&plain);
    let ends = (request.wire.len(), request.onward.len());
    if frame == Frame::Chunks {
        let long = "z".repeat(chance.pick(&[1, 1, 1, 3000]));
        let trailers =
            if chance.one_in(3) { format!("X-Sum: 1\r\nX-Other: {long}\r\n") } else { String::new() };
        request.wire.extend([last, trailers.as_bytes(), b"\r\n"].concat());
        request.onward.extend(b"0\r\n\r\n");
    }
    ends
}

/// Field lines in some order, each with whether it goes on as it is.
fn fields(request: &Request, frame: Frame, chance: &mut Chance) -> Vec<(String, bool)> {
    let mut lines = vec![("Host: Sim.Example:8080\r\n".to_owned(), false)];
    let mut add = |wanted: bool, line: &str, passes: bool| {
        if wanted {
            lines.push((format!("{line}\r\n"), passes));
        }
    };
    add(chance.one_in(2), "X-Tag: one", true);
    add(chance.one_in(3), "Cookie: a=b; c=d", true);
    add(request.takes_gzip, "Accept-Encoding: br, gzip;q=0.5", true);
    add(
        request.private,
        chance.pick(&["Authorization: NTLM TlRM", "proxy-authorization: negotiate x"]),
        true,
    );
    add(!request.private && chance.one_in(8), "Authorization: Basic TlRM", true);
    add(chance.one_in(8), &format!("X-Long: {}", "z".repeat(chance.below(3000))), true);
    add(chance.one_in(4), "X-Forwarded-For: 10.0.0.9", false);
    add(chance.one_in(4), "X-Forwarded-For: 10.0.0.8, 10.0.0.7", false);
    add(chance.one_in(4), "X-Real-IP: 6.6.6.6", false);
    add(chance.one_in(6), "X-Forwarded-Proto: https", false);
    add(chance.one_in(6), "X_Forwarded-Host: evil", false);
    add(chance.one_in(4), "Keep-Alive: timeout=9", false);
    add(chance.one_in(6), "X_Forwarded_For: 6.6.6.6", false);
    if chance.one_in(5) {
        add(true, "Connection: x-hop", false);
        add(true, "X-Hop: 1", false);
    }
    add(request.closes, "Connection: close", false);
    add(request.old && !request.closes && chance.one_in(2), "Connection: keep-alive", false);
    add(request.takes_trailers, "TE: trailers", false);
    add(request.expects, "Expect: 100-continue", false);
    add(request.upgrade, "Connection: Upgrade", false);
    add(request.upgrade, "Upgrade: sim", false);
    add(frame == Frame::Length, &format!("Content-Length: {}", request.body.len()), true);
    add(frame == Frame::Chunks, "Transfer-Encoding: chunked", false);
    for at in (1..lines.len()).rev() {
        lines.swap(at, chance.below(at + 1));
    }
    lines
}

/// A body in chunks.
pub(crate) struct Chunks {
    /// As it is sent, up to the last chunk.
    pub(crate) wire: Vec<u8>,
    /// As it leaves ELB: without what stands behind the sizes.
    pub(crate) plain: Vec<u8>,
    /// The line of the last chunk, as it is sent.
    pub(crate) last: &'static [u8],
}

/// The chunks of a body.
pub(crate) fn chunked(body: &[u8], chance: &mut Chance) -> Chunks {
    const BEHIND: [&str; 5] = [";name=\"a \\\" b\";x", " ;a = b", "; a", "  ", ";"];
    let mut chunks = Chunks { wire: Vec::new(), plain: Vec::new(), last: b"" };
    let mut rest = body;
    let largest = chance.pick(&[3, 100, 5000, 100_000]);
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(chance.between(1, largest).min(rest.len()));
        let size = format!("{:x}", chunk.len());
        let size = if chance.one_in(4) { size.to_uppercase() } else { size };
        // What is longer than 16 bytes takes of what a body may have of that.
        let extension =
            if chance.one_in(6) { chance.pick(&BEHIND[usize::from(body.len() >= 2000)..]) } else { "" };
        let ends: [&[u8]; 3] = [b"\r\n", chunk, b"\r\n"];
        chunks.wire.extend([&[size.as_bytes(), extension.as_bytes()], &ends[..]].concat().concat());
        chunks.plain.extend([&[size.as_bytes()], &ends[..]].concat().concat());
        rest = behind;
    }
    chunks.last = chance.pick(&[&b"0\r\n"[..], b"0\r\n", b"0;last\r\n", b"0 ; last \r\n"]);
    chunks
}
