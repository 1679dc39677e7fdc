//! One socket with a deadline on every read and write, read as strict HTTP/1.
//!
//! It owns the bytes that were read and not yet asked for; it never judges what a message means. `client` and `server`
//! are its two faces.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::message::{Framing, Head, Message, field};
use super::wait::PATIENCE;

/// A head that is longer than this is not one of ours.
const HEAD: usize = 512 << 10;
const WINDOW: usize = 64 << 10;

/// A socket and what was read from it.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The bytes of the body that is being read, when somebody wants them all.
    raw: Option<Vec<u8>>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, buffer: vec![0; WINDOW], start: 0, end: 0, raw: None })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent; reading goes on.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// The next head; `None` when the peer closed before its first byte.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            let read = &self.buffer[self.start..self.end];
            if let Some(at) = memchr::memmem::find(read, b"\r\n\r\n") {
                let head = Head::parse(&read[..at + 4]).map_err(malformed)?;
                self.start += at + 4;
                return Ok(Some(head));
            }
            if read.len() > HEAD {
                return Err(malformed("a head without an end"));
            }
            let empty = read.is_empty();
            if self.fill()? == 0 {
                return if empty { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The body after a head, piece by piece; the result is its trailers. A cut is an error.
    pub(crate) fn body(
        &mut self,
        framing: Framing,
        sink: &mut dyn FnMut(&[u8]),
    ) -> io::Result<Vec<(String, String)>> {
        match framing {
            Framing::None => {}
            Framing::Length(length) => self.exactly(length, sink)?,
            Framing::Close => while self.some(u64::MAX, sink)? > 0 {},
            Framing::Chunked => loop {
                let line = self.line()?;
                let digits = line.split(';').next().unwrap_or_default();
                let size =
                    u64::from_str_radix(digits, 16).map_err(|_| malformed(format!("chunk size {line:?}")))?;
                if size == 0 {
                    return self.trailers();
                }
                self.exactly(size, sink)?;
                if !self.line()?.is_empty() {
                    return Err(malformed("a chunk without its line end"));
                }
            },
        }
        Ok(Vec::new())
    }

    /// The message that a head begins.
    pub(crate) fn message(&mut self, head: Head, framing: Framing) -> io::Result<Message> {
        let mut body = Vec::new();
        self.raw = Some(Vec::new());
        let trailers = self.body(framing, &mut |piece| body.extend_from_slice(piece));
        let raw = self.raw.take().unwrap_or_default();
        Ok(Message { head, body, raw, trailers: trailers? })
    }

    /// This many bytes, whatever they are.
    pub(crate) fn exactly(&mut self, mut length: u64, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        while length > 0 {
            match self.some(length, sink)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                taken => length -= taken,
            }
        }
        Ok(())
    }

    /// Some bytes, up to `limit`; 0 when the peer closed.
    pub(crate) fn some(&mut self, limit: u64, sink: &mut dyn FnMut(&[u8])) -> io::Result<u64> {
        if self.start == self.end && self.fill()? == 0 {
            return Ok(0);
        }
        let taken = (self.end - self.start).min(usize::try_from(limit).unwrap_or(usize::MAX));
        let piece = &self.buffer[self.start..self.start + taken];
        if let Some(raw) = &mut self.raw {
            raw.extend_from_slice(piece);
        }
        sink(piece);
        self.start += taken;
        Ok(taken as u64)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            self.exactly(1, &mut |byte| line.extend_from_slice(byte))?;
            if line.ends_with(b"\n") && !line.ends_with(b"\r\n") {
                return Err(malformed("a bare line feed"));
            }
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).map_err(malformed)
    }

    fn trailers(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut trailers = Vec::new();
        loop {
            match self.line()?.as_str() {
                "" => return Ok(trailers),
                line => trailers.push(field(line).map_err(malformed)?),
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end == self.buffer.len() {
                self.buffer.resize(self.end * 2, 0);
            }
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                // A read with a deadline is not begun anew by the kernel when a signal or a stop of the process ends it.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    let count = read?;
                    self.end += count;
                    return Ok(count);
                }
            }
        }
    }
}

fn malformed(what: impl ToString) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_string())
}
