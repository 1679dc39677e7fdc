//! A session between this end and a client of rustls, moved by hand over a real socket.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;

use mio::net::TcpStream;
use mio::{Events, Poll};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;
use crate::tls::{Certified, PairText, Sessions, Shown};

const NAME: &str = "a.test";

/// A session's two ends: ours, and a client that is moved by hand.
struct Ends {
    ours: Secure,
    poll: Poll,
    client: ClientConnection,
    socket: std::net::TcpStream,
}

impl Ends {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
        let (certificate_text, key_text) = (certificate.pem(), key.serialize_pem());
        let pair = PairText {
            certificate: (Path::new("a.crt"), &certificate_text),
            key: (Path::new("a.key"), &key_text),
            staple: None,
        };
        let certified = Arc::new(Certified::read("a", pair).unwrap());
        let config = Sessions::new().unwrap().with(Shown::of([&certified]), None).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_nonblocking(true).unwrap();
        let accepted = listener.accept().unwrap().0;
        accepted.set_nonblocking(true).unwrap();
        let mut ours = Secure::accepted(Socket::accepted(TcpStream::from_std(accepted)), config).unwrap();
        let poll = Poll::new().unwrap();
        ours.register(poll.registry(), Token(1)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        let client = ClientConnection::new(config, ServerName::try_from(NAME).unwrap()).unwrap();
        Self { ours, poll, client, socket }
    }

    /// Takes what epoll tells of ours.
    fn look(&mut self) {
        let mut events = Events::with_capacity(8);
        self.poll.poll(&mut events, Some(std::time::Duration::from_millis(1))).unwrap();
        events.iter().for_each(|event| self.ours.mark(event));
    }

    /// Moves both until something is true of ours.
    fn until(&mut self, mut is: impl FnMut(&mut Secure) -> bool) {
        let begun = std::time::Instant::now();
        while !is(&mut self.ours) {
            assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it did not come to that");
            self.client_sends();
            self.look();
            self.client_receives();
        }
    }

    fn client_sends(&mut self) {
        while self.client.wants_write() && self.client.write_tls(&mut self.socket).is_ok() {}
    }

    fn client_receives(&mut self) {
        while matches!(self.client.read_tls(&mut self.socket), Ok(1..)) {
            self.client.process_new_packets().unwrap();
        }
    }

    /// The handshake is over.
    fn open() -> Self {
        let mut ends = Self::new();
        ends.until(|ours| ours.handshake() == Handshake::Over);
        ends
    }
}

#[test]
fn a_session_begins_however_few_bytes_come_at_once() {
    let mut ends = Ends::new();
    let mut hello = Vec::new();
    ends.client.write_tls(&mut hello).unwrap();
    for byte in &hello {
        assert_eq!(ends.ours.handshake(), Handshake::UnderWay);
        ends.socket.write_all(&[*byte]).unwrap();
        ends.look();
    }
    ends.until(|ours| ours.handshake() == Handshake::Over);
    assert_eq!(ends.ours.server_name(), Some(NAME));
    assert!(ends.ours.is_quiet() || ends.ours.can_read());
}

#[test]
fn tickets_leave_with_the_first_answer_or_when_there_is_nothing_to_read() {
    for asks in [true, false] {
        let mut ends = Ends::new();
        ends.client_sends();
        while ends.ours.handshake() != Handshake::UnderWay || ends.client.is_handshaking() {
            ends.look();
            ends.client_receives();
        }
        // The last of the handshake, and perhaps a request with it.
        if asks {
            ends.client.writer().write_all(b"request").unwrap();
        }
        ends.client_sends();
        let begun = std::time::Instant::now();
        while ends.ours.handshake() == Handshake::UnderWay {
            assert!(begun.elapsed() < std::time::Duration::from_secs(20));
            ends.look();
        }
        assert_eq!(ends.ours.session.wants_write(), asks, "they wait for the answer to what is there");
        let read = ends.ours.read(&mut [0; 16]);
        assert_eq!(read, if asks { Flow::Moved(7) } else { Flow::Blocked });
        assert_eq!(ends.ours.write(&[IoSlice::new(b"answer")]), Flow::Moved(6));
        while ends.client.reader().read(&mut [0; 16]).is_err() {
            assert!(begun.elapsed() < std::time::Duration::from_secs(20));
            ends.client_receives();
        }
        assert_eq!(ends.client.tls13_tickets_received(), 2, "they came before it");
    }
}

#[test]
fn what_the_client_says_is_read_in_pieces_of_any_size_and_an_event_tells_of_what_is_not_there() {
    let mut ends = Ends::open();
    let said = vec![b'x'; 40_000];
    ends.client.writer().write_all(&said).unwrap();
    let (mut room, mut read, mut sizes) = ([0; 7000], Vec::new(), [1, 7000, 3, 16_384].into_iter().cycle());
    ends.until(|ours| {
        while read.len() < said.len() {
            let size = sizes.next().unwrap_or(1).min(room.len());
            match ours.read(&mut room[..size]) {
                Flow::Moved(n) => read.extend_from_slice(&room[..n]),
                Flow::Blocked => return false,
                other => panic!("{other:?}"),
            }
        }
        true
    });
    assert_eq!(read, said);
    ends.client.send_close_notify();
    ends.until(|ours| ours.read(&mut [0; 8]) == Flow::Ended);
    assert!(ends.ours.has_ended() && !ends.ours.has_failed());
}

#[test]
fn a_client_that_ends_without_saying_so_has_ended() {
    let mut ends = Ends::open();
    ends.socket.shutdown(Shutdown::Write).unwrap();
    ends.until(|ours| ours.read(&mut [0; 8]) == Flow::Ended);
}

#[test]
fn what_was_taken_leaves_before_the_connection_does() {
    let mut ends = Ends::open();
    let piece = vec![b'y'; 64 * 1024];
    let mut sent = 0;
    loop {
        match ends.ours.write(&[b"head", &piece[..], b""].map(IoSlice::new)) {
            Flow::Moved(n) => sent += n,
            Flow::Blocked => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(ends.ours.wants_write() && !ends.ours.can_write());
    assert!(!ends.ours.leave() && ends.ours.is_leaving(), "records wait");
    let (mut got, mut room) = (0, [0; 16 * 1024]);
    let begun = std::time::Instant::now();
    let ended = loop {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
        ends.look();
        match ends.client.read_tls(&mut ends.socket) {
            Ok(_) => drop(ends.client.process_new_packets().unwrap()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        match ends.client.reader().read(&mut room) {
            Ok(0) => break true,
            Ok(n) => got += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break false,
        }
    };
    assert!(ended, "it was told that this is all");
    assert_eq!(got, sent);
    assert!(!ends.ours.wants_write() && ends.ours.leave());
}

#[test]
fn what_is_no_session_fails_and_the_client_is_told_where_it_can_be() {
    for (said, told) in [(&b"GET / HTTP/1.1\r\n\r\n"[..], 0x15), (b"\x16\x03\x01\xff\xff\x01", 0x15)] {
        let mut ends = Ends::new();
        ends.socket.write_all(said).unwrap();
        ends.until(|ours| ours.handshake() == Handshake::Failed);
        ends.socket.set_nonblocking(false).unwrap();
        let mut first = [0];
        ends.socket.read_exact(&mut first).unwrap();
        assert_eq!(first[0], told, "an alert");
        assert!(ends.ours.has_failed() && ends.ours.leave(), "nothing more is said");
    }
    let mut ends = Ends::new();
    ends.socket.shutdown(Shutdown::Write).unwrap();
    ends.until(|ours| ours.handshake() == Handshake::Failed);
}

#[test]
fn a_reset_says_nothing_before() {
    let mut ends = Ends::open();
    ends.ours.reset_on_close();
    assert!(ends.ours.leave());
    drop(ends.ours);
    let mut room = [0; 4096];
    ends.socket.set_nonblocking(false).unwrap();
    let error = loop {
        match ends.socket.read(&mut room) {
            Ok(0) => panic!("an end"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
