//! A client that says exactly these bytes, and reads the answers strictly.
//!
//! It owns one connection. A surprise (a timeout, a malformed answer, a cut) ends the test, except in the methods that
//! begin with `try`, for tests whose subject is the surprise.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use super::message::{Head, Message};
use super::wait::PATIENCE;
use super::wire::Wire;

/// One client connection.
pub(crate) struct Client {
    wire: Wire,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(to: SocketAddr) -> Client {
        Client::try_connect(to).unwrap_or_else(|error| panic!("connecting to {to}: {error}"))
    }

    pub(crate) fn try_connect(to: SocketAddr) -> io::Result<Client> {
        Ok(Client { wire: Wire::new(TcpStream::connect_timeout(&to, PATIENCE)?)? })
    }

    /// A client of another address of this machine, such as 127.0.0.2: a stranger to lists that hold 127.0.0.1 alone.
    #[track_caller]
    pub(crate) fn connect_from(from: IpAddr, to: SocketAddr) -> Client {
        Client::try_connect_from(from, to)
            .unwrap_or_else(|error| panic!("connecting from {from} to {to}: {error}"))
    }

    pub(crate) fn try_connect_from(from: IpAddr, to: SocketAddr) -> io::Result<Client> {
        let kind = socket2::Domain::for_address(to);
        let socket = socket2::Socket::new(kind, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
        socket.connect(&to.into())?;
        Ok(Client { wire: Wire::new(socket.into())? })
    }

    /// The address that the server knows this client by.
    pub(crate) fn address(&self) -> SocketAddr {
        self.wire.stream().local_addr().expect("a local address")
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("sending");
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.send(bytes.as_ref())
    }

    /// Sends one request and reads its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        let request = request.as_ref();
        self.send(request);
        self.response_to(if request.starts_with(b"HEAD ") { "HEAD" } else { "GET" })
    }

    /// Sends one request and reads its answer; the error says what went wrong instead.
    pub(crate) fn try_ask(&mut self, request: &str) -> Result<Message, String> {
        self.try_send(request).map_err(|error| format!("sending: {error}"))?;
        let answer = self.try_response().map_err(|error| format!("no whole answer: {error}"))?;
        answer.ok_or_else(|| "closed without an answer".to_owned())
    }

    /// The whole answer to a request whose method lets it have a body.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Message {
        self.response_to("GET")
    }

    #[track_caller]
    pub(crate) fn response_to(&mut self, method: &str) -> Message {
        match self.try_response_to(method) {
            Ok(Some(message)) => message,
            Ok(None) => panic!("closed without an answer"),
            Err(error) => panic!("no whole answer: {error}"),
        }
    }

    /// `None` when ELB closed instead of answering.
    pub(crate) fn try_response(&mut self) -> io::Result<Option<Message>> {
        self.try_response_to("GET")
    }

    pub(crate) fn try_response_to(&mut self, method: &str) -> io::Result<Option<Message>> {
        let Some(head) = self.wire.head()? else { return Ok(None) };
        let framing = head.response_framing(method).map_err(io::Error::other)?;
        self.wire.message(head, framing).map(Some)
    }

    /// The next head alone; its body is read with [`Client::body`].
    #[track_caller]
    pub(crate) fn head(&mut self) -> Head {
        self.wire.head().expect("a head").expect("a head, not the end")
    }

    /// The body of a head that was just read, piece by piece.
    pub(crate) fn try_body(&mut self, head: &Head, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let framing = head.response_framing("GET").map_err(io::Error::other)?;
        self.wire.body(framing, sink).map(drop)
    }

    /// Exactly this many bytes.
    #[track_caller]
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        self.wire.exactly(length as u64, &mut |piece| bytes.extend_from_slice(piece)).expect("more bytes");
        bytes
    }

    /// Everything that still comes, to the end, and whether that was an orderly end and not a reset.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut rest = Vec::new();
        loop {
            match self.wire.some(u64::MAX, &mut |piece| rest.extend_from_slice(piece)) {
                Ok(0) => return (rest, true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return (rest, false),
                Err(error) => panic!("no end: {error}"),
            }
        }
    }

    /// How long reading and writing may take, instead of the usual patience.
    #[track_caller]
    pub(crate) fn hurry(&mut self, patience: Duration) {
        self.wire.stream().set_read_timeout(Some(patience)).expect("a deadline");
        self.wire.stream().set_write_timeout(Some(patience)).expect("a deadline");
    }

    /// The sending half alone, for a thread that sends while this one reads.
    pub(crate) fn sender(&self) -> Wire {
        Wire::new(self.wire.stream().try_clone().expect("a second handle")).expect("a second handle")
    }

    /// Says that nothing more will be sent; answers still come.
    #[track_caller]
    pub(crate) fn finish(&mut self) {
        self.wire.finish().expect("a half-close");
    }

    /// Goes away as a crash does: with a reset, not a farewell.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(self.wire.stream())
            .set_linger(Some(Duration::ZERO))
            .expect("a lingering of nothing");
    }

    /// Asserts that ELB closes now, with nothing left to say.
    #[track_caller]
    pub(crate) fn ended(&mut self) {
        let mut rest = Vec::new();
        let end = self.wire.some(u64::MAX, &mut |piece| rest.extend_from_slice(piece));
        let rest = String::from_utf8_lossy(&rest);
        match end {
            Ok(count) => assert_eq!(count, 0, "more instead of the end: {rest}"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "no end: {error}"),
        }
    }
}

/// A plain GET of `path` at `host`, on a connection that stays open.
pub(crate) fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}
