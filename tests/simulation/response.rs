//! What servers answer: responses of every kind, and what they do before, between and after their bytes.

use crate::chance::Chance;
use crate::request::{Chunks, Request, chunked};

/// How the end of a response is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// By its own bytes.
    Itself,
    /// Where the server closes.
    Close,
    /// Never: the protocol was switched.
    Switched,
}

/// One response.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// The number of the request it answers.
    pub(crate) request: usize,
    /// What the server sends; interim responses come first.
    pub(crate) wire: Vec<u8>,
    /// Bytes of `wire` that make it whole; what is behind them nobody asked for.
    pub(crate) whole: usize,
    pub(crate) ends: Ends,
    pub(crate) status: u16,
    /// Field lines that reach the client.
    pub(crate) fields: String,
    /// The content, or what is said in the tunnel.
    pub(crate) body: Vec<u8>,
    /// Trailers that reach a client, if it can take them.
    pub(crate) trailers: String,
    pub(crate) announced: bool,
    /// It is a page of text.
    pub(crate) text: bool,
    /// A body is announced, be there one or not.
    pub(crate) promises: bool,
    /// It challenges the connection to authenticate itself.
    pub(crate) challenges: bool,
    /// Where the line of the last chunk begins.
    pub(crate) last_chunk: Option<usize>,
    /// The final head is one that may be passed on.
    pub(crate) sound: bool,
    /// The server will take another request after it.
    pub(crate) keeps: bool,
    /// Bytes of it that were read from the server.
    pub(crate) given: usize,
    /// The server's orderly end was read.
    pub(crate) closed: bool,
}

impl Response {
    /// The server has said all of it, and it was read. What only the close ends is whole wherever the close comes.
    pub(crate) fn is_complete(&self) -> bool {
        match self.ends {
            Ends::Itself => self.given >= self.whole,
            Ends::Close => self.closed,
            Ends::Switched => true,
        }
    }

    /// The content that a client must get of a complete response.
    pub(crate) fn content(&self) -> &[u8] {
        let head = self.wire.len() - self.body.len();
        match self.ends {
            Ends::Close => self.body.get(..self.given - head).unwrap_or(&self.body),
            _ => &self.body,
        }
    }
}

/// When a server begins to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    /// When the whole request is there.
    Asked,
    /// When the head is there.
    Early,
    /// At once, before it was asked anything.
    Unasked,
    Never,
}

/// What a server does when it has sent what it will send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Stay,
    Close,
    Reset,
}

/// What a server does about one request.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The number of its response.
    pub(crate) response: usize,
    pub(crate) begins: Begins,
    /// Bytes of the response that are sent.
    pub(crate) until: usize,
    pub(crate) after: After,
    /// Where it pauses, and for how many milliseconds.
    pub(crate) pause: (usize, u64),
    /// It stops reading when it begins to answer.
    pub(crate) deaf: bool,
}

/// A good answer to `request`, for a server that does nothing odd. `error` allows statuses that are tried elsewhere.
pub(crate) fn good(
    number: usize,
    id: usize,
    request: &Request,
    weight: usize,
    error: bool,
    chance: &mut Chance,
) -> Response {
    let status = match chance.below(12) {
        0 => 204,
        1 => 304,
        2 => 404,
        3 if error => chance.pick(&[500, 504]),
        4 => 503,
        _ => 200,
    };
    let mut response = Response {
        request: id,
        wire: Vec::new(),
        whole: 0,
        ends: Ends::Itself,
        status,
        fields: String::new(),
        body: Vec::new(),
        trailers: String::new(),
        announced: false,
        text: !chance.one_in(4),
        promises: false,
        challenges: false,
        last_chunk: None,
        sound: true,
        keeps: true,
        given: 0,
        closed: false,
    };
    let mut interim = 0;
    while interim < 60 && chance.one_in(if interim == 0 { 6 } else { 2 }) {
        let status = chance.pick(&[100, 102, 103, 199]);
        let times = chance.pick(&[1, 1, 1, 20]).min(64 - interim); // More would be refused.
        response
            .wire
            .extend(format!("HTTP/1.1 {status} Wait\r\nX-Interim: {id}\r\n\r\n").repeat(times).as_bytes());
        interim += times;
    }
    if request.upgrade && chance.one_in(2) {
        switch(&mut response, number, chance.content(weight));
    } else {
        write(&mut response, number, request, weight, chance);
    }
    response
}

fn switch(response: &mut Response, number: usize, tunnel: Vec<u8>) {
    (response.status, response.ends, response.body) = (101, Ends::Switched, tunnel);
    response.fields = format!("X-Answer: {number}\r\n");
    let head = format!(
        "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nX-Answer: {number}\r\nUpgrade: sim\r\n\r\n"
    );
    response.wire.extend(head.as_bytes());
    response.whole = response.wire.len();
}

fn write(response: &mut Response, number: usize, request: &Request, weight: usize, chance: &mut Chance) {
    let bodiless = request.method == "HEAD" || matches!(response.status, 204 | 304);
    let length = match chance.below(6) {
        0 => 0,
        1..5 => chance.below(weight + 2),
        _ => chance.below(30 * weight + 2),
    };
    let body = chance.content(length);
    let old = chance.one_in(8);
    let chunks = !old && chance.one_in(2);
    let by_close = !chunks && chance.one_in(3);
    response.keeps = !by_close && !chance.one_in(6);
    response.announced = chunks && chance.one_in(3);
    response.promises = chunks || (!by_close && length > 0);
    response.challenges = chance.one_in(8);
    let mut lines = vec![
        (format!("X-Answer: {number}"), true),
        ("Server: sim/1".to_owned(), true),
        ("Date: yesterday".to_owned(), true),
    ];
    let mut add = |wanted: bool, line: &str, passes: bool| {
        if wanted {
            lines.push((line.to_owned(), passes));
        }
    };
    add(!chunks && !by_close, &format!("Content-Length: {length}"), response.status != 204);
    add(chunks, "Transfer-Encoding: chunked", false);
    // Toward HTTP/1.0 there are no chunks, so no trailers follow.
    add(response.text, "Content-Type: text/html", true);
    add(response.announced, "Trailer: X-Sum", bodiless || !request.old);
    add(!response.keeps, "Connection: close", false);
    add(response.keeps && old, "Connection: keep-alive", false);
    add(chance.one_in(4), "Keep-Alive: timeout=3", false);
    add(
        response.challenges,
        chance.pick(&["WWW-Authenticate: Negotiate", "Proxy-Authenticate: x, ntlm"]),
        true,
    );
    add(!response.challenges && chance.one_in(8), "WWW-Authenticate: Basic realm=\"x\"", true);
    if chance.one_in(4) {
        add(true, "Connection: x-drop", false);
        add(true, "X-Drop: 1", false);
    }
    for at in (1..lines.len()).rev() {
        lines.swap(at, chance.below(at + 1));
    }
    let mut head = format!("HTTP/1.{} {} So\r\n", u8::from(!old), response.status);
    for (line, passes) in lines {
        head += &format!("{line}\r\n");
        if passes {
            response.fields += &format!("{line}\r\n");
        }
    }
    head += "\r\n";
    response.wire.extend(head.as_bytes());
    if !bodiless {
        if chunks {
            let Chunks { wire: chunks, last, .. } = chunked(&body, chance);
            if chance.one_in(3) {
                let long = "z".repeat(chance.pick(&[1, 1, 1, 3000]));
                response.trailers = format!("X-Sum: 1\r\nX-Other: {long}\r\n");
            }
            response.last_chunk = Some(response.wire.len() + chunks.len());
            response.wire.extend([&chunks, last, response.trailers.as_bytes(), b"\r\n"].concat());
        } else {
            response.wire.extend(&body);
        }
        if by_close {
            response.ends = Ends::Close;
        }
        response.body = body;
    }
    response.whole = response.wire.len();
}

/// What is not a response, or not one to this request.
const GARBAGE: [&[u8]; 10] = [
    b"SSH-2.0-sim\r\n",
    b"HTTP/2.0 200 OK\r\n\r\n",
    b"HTTP/1.1 99 Low\r\n\r\n",
    b"HTTP/1.1 099 Low\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"HTTP/1.1 200 OK\nX: y\n\n",
    b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
    b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"<html>hello</html>",
];

/// What a server in bad weather makes of a good answer.
pub(crate) fn spoil(response: &mut Response, request: &Request, chance: &mut Chance) {
    let never = usize::MAX;
    if request.upgrade && chance.one_in(2) {
        let other = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n";
        response.wire = other.to_vec();
        (response.whole, response.sound, response.keeps) = (never, false, false);
        return;
    }
    match (chance.below(10), response.ends, response.last_chunk) {
        (0, ..) => {
            response.wire = chance.pick(&GARBAGE).to_vec();
            (response.whole, response.sound, response.keeps) = (never, false, false);
        }
        (1, _, Some(at)) => {
            response.wire.truncate(at);
            response.wire.extend(b"zz\r\n\r\n");
            (response.whole, response.keeps) = (never, false);
        }
        (2 | 3, Ends::Itself, _) => {
            response.wire.extend(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
        }
        (4, ..) => {
            let hints = format!("HTTP/1.1 103 Hints\r\nX-Interim: {}\r\n\r\n", response.request);
            response.wire = [hints.repeat(200).into_bytes(), std::mem::take(&mut response.wire)].concat();
            (response.whole, response.sound, response.keeps) = (never, false, false);
        }
        _ => {}
    }
}
