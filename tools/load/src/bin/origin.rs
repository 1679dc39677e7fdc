//! An origin server that is never the bottleneck: every answer is rendered before the first request comes.
//!
//! It finds the end of each request (and of its body, by `Content-Length`), and answers by the last segment of the path.
//! It keeps every connection, whatever the request says, so that what a proxy does with its connections is the proxy's
//! own doing.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::thread;

use load::args::Args;
use load::head;
use load::net::{self, Flow, LISTENER, Poll, Ready};
use rustix::fd::OwnedFd;

const HELP: &str = "\
origin: answers HTTP/1.1 requests as fast as can be

  --listen ADDRESS    where it listens, as 127.0.0.1:8080
  --threads N         loops, each with a listener of its own (1)

The last segment of the path chooses the answer: 128, 16k and 1m are that many bytes; rich is 128 bytes behind 13
headers; anything else is 404 without a body.";

/// Headers of an answer as a site behind a CDN gives it; the length and the date come to them.
const RICH: &str = "Server: origin\r
Content-Type: text/html; charset=utf-8\r
Cache-Control: private, max-age=0, must-revalidate\r
ETag: \"5f3c9a2b-80\"\r
Last-Modified: Tue, 04 Feb 2025 09:12:44 GMT\r
Vary: Accept-Encoding, Cookie\r
X-Request-Id: 7f9c24e8-3b1d-4c58-9a4e-0d6b5a1f2c33\r
X-Content-Type-Options: nosniff\r
X-Frame-Options: SAMEORIGIN\r
Strict-Transport-Security: max-age=31536000; includeSubDomains\r
Set-Cookie: session=eyJhbGciOiJIUzI1NiJ9.eyJ1IjoxfQ; Path=/; HttpOnly; SameSite=Lax\r
";

fn main() -> io::Result<()> {
    let mut args = Args::read(HELP);
    let listen: SocketAddrV4 = args.required("listen");
    let threads: usize = args.or("threads", 1);
    args.end();
    let answers = Arc::new(Answers::render());
    for _ in 1..threads {
        let answers = Arc::clone(&answers);
        thread::spawn(move || Origin::new(listen, answers)?.run());
    }
    Origin::new(listen, answers)?.run()
}

/// All that it can say, each by its number.
struct Answers {
    names: Vec<&'static [u8]>,
    rendered: Vec<Vec<u8>>,
}

impl Answers {
    fn render() -> Self {
        let plain = "Server: origin\r\nContent-Type: text/plain\r\n";
        Self {
            names: vec![b"128", b"rich", b"16k", b"1m"],
            rendered: vec![
                answer("200 OK", plain, 128),
                answer("200 OK", RICH, 128),
                answer("200 OK", plain, 16 * 1024),
                answer("200 OK", plain, 1024 * 1024),
                answer("404 Not Found", plain, 0),
            ],
        }
    }

    /// The number of the answer to a request; that of the last for a path without one of the names.
    fn of(&self, head: &[u8]) -> usize {
        let mut words = head.split(|byte| *byte == b' ');
        let target = words.nth(1).unwrap_or_default();
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let segment = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        self.names.iter().position(|name| *name == segment).unwrap_or(self.names.len())
    }
}

fn answer(status: &str, headers: &str, length: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nDate: Tue, 04 Feb 2025 09:12:45 GMT\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + length, b'x');
    bytes
}

/// A connection.
struct Conn {
    socket: OwnedFd,
    /// Bytes of requests that are not whole yet, or wait behind an answer that was not taken.
    carry: Vec<u8>,
    /// Bytes of a body that are still to come, and the answer that follows them.
    body: usize,
    due: usize,
    /// An answer that was not taken whole, and how much of it was.
    held: Option<(usize, usize)>,
}

struct Origin {
    listener: OwnedFd,
    answers: Arc<Answers>,
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    scratch: Vec<u8>,
}

impl Origin {
    fn new(listen: SocketAddrV4, answers: Arc<Answers>) -> io::Result<Self> {
        let listener = net::listen(listen)?;
        Ok(Self { listener, answers, conns: Vec::new(), free: Vec::new(), scratch: vec![0; 256 * 1024] })
    }

    fn run(mut self) -> io::Result<()> {
        let mut poll = Poll::new()?;
        poll.add(&self.listener, LISTENER)?;
        loop {
            poll.wait(None, |poll, ready| match ready.token {
                LISTENER => self.accept(poll),
                token => {
                    self.stir(token as usize, ready);
                    Ok(())
                }
            })?;
        }
    }

    fn accept(&mut self, poll: &Poll) -> io::Result<()> {
        while let Some(socket) = net::accept(&self.listener)? {
            let number = self.free.pop().unwrap_or_else(|| {
                self.conns.push(None);
                self.conns.len() - 1
            });
            poll.add(&socket, number as u64)?;
            self.conns[number] = Some(Conn { socket, carry: Vec::new(), body: 0, due: 0, held: None });
        }
        Ok(())
    }

    fn stir(&mut self, number: usize, ready: Ready) {
        let Some(conn) = &mut self.conns[number] else { return };
        let flushed = !ready.writable || conn.flush(&self.answers);
        if !flushed || ready.readable && !conn.receive(&self.answers, &mut self.scratch, ready.ended) {
            self.conns[number] = None;
            self.free.push(number);
        }
    }
}

impl Conn {
    /// Reads what has come and answers it. `false`: the connection has ended.
    fn receive(&mut self, answers: &Answers, scratch: &mut [u8], to_the_end: bool) -> bool {
        loop {
            match net::receive(&self.socket, scratch) {
                Flow::Moved(n) => {
                    if !self.take(answers, &scratch[..n]) {
                        return false;
                    }
                    if n < scratch.len() && !to_the_end {
                        return true;
                    }
                }
                Flow::Blocked => return true,
                Flow::Gone => return false,
            }
        }
    }

    fn take(&mut self, answers: &Answers, bytes: &[u8]) -> bool {
        if self.carry.is_empty() {
            let Some(taken) = self.answer(answers, bytes) else { return false };
            self.carry.extend_from_slice(&bytes[taken..]);
            return true;
        }
        let mut all = std::mem::take(&mut self.carry);
        all.extend_from_slice(bytes);
        let Some(taken) = self.answer(answers, &all) else { return false };
        all.drain(..taken);
        self.carry = all;
        true
    }

    /// Answers the whole requests in `bytes`; how many bytes that took, or nothing when the connection is gone.
    fn answer(&mut self, answers: &Answers, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while self.held.is_none() && at < bytes.len() {
            if self.body == 0 {
                let Some(length) = head::end(&bytes[at..]) else { break };
                let request = &bytes[at..at + length];
                at += length;
                self.due = answers.of(request);
                let is_get = request.starts_with(b"GET ");
                self.body = if is_get { 0 } else { head::content_length(request).unwrap_or(0) };
            }
            let here = self.body.min(bytes.len() - at);
            self.body -= here;
            at += here;
            if self.body == 0 {
                self.send(answers, self.due, 0)?;
            }
        }
        Some(at)
    }

    /// Sends an answer from a byte on; what is not taken is held. Nothing: the connection is gone.
    fn send(&mut self, answers: &Answers, number: usize, from: usize) -> Option<()> {
        let bytes = &answers.rendered[number];
        let sent = match net::send(&self.socket, &bytes[from..]) {
            Flow::Moved(n) => from + n,
            Flow::Blocked => from,
            Flow::Gone => return None,
        };
        self.held = (sent < bytes.len()).then_some((number, sent));
        Some(())
    }

    /// Sends what was not taken before, then answers what waited behind it. `false`: the connection is gone.
    fn flush(&mut self, answers: &Answers) -> bool {
        let Some((number, from)) = self.held else { return true };
        if self.send(answers, number, from).is_none() {
            return false;
        }
        self.held.is_some() || self.carry.is_empty() || self.take(answers, &[])
    }
}
