//! The edges of the record layer: single bytes, halves of records, wrong ones, and ends that are not announced.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::support::client::get;
use crate::support::elb::Elb;
use crate::support::folder::{Folder, secure};
use crate::support::rules::{self, SITE};
use crate::support::secure::Trust;
use crate::support::server::Server;
use crate::support::wait::{self, PATIENCE};

struct House {
    elb: Elb,
    address: SocketAddr,
    trust: Trust,
    server: Server,
    _folder: Folder,
}

impl House {
    fn new() -> House {
        let (folder, server) = (Folder::of_site(), Server::named("a"));
        let elb = folder.launch(&rules::site(&[&server])).start();
        House { address: secure(&elb), elb, trust: folder.trust(), server, _folder: folder }
    }

    fn session(&self) -> ClientConnection {
        let name = ServerName::try_from(SITE).unwrap();
        ClientConnection::new(Arc::clone(&self.trust.0), name).unwrap()
    }

    fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// A session that has begun, and its socket.
    fn begun(&self) -> (ClientConnection, TcpStream) {
        let (mut session, mut socket) = (self.session(), self.socket());
        while session.is_handshaking() {
            session.complete_io(&mut socket).unwrap();
        }
        (session, socket)
    }

    /// Somebody else is served.
    fn serves(&self) -> bool {
        self.trust.connect(self.address, SITE).ask(get(SITE, "/")).ends_with("\r\n\r\na")
    }
}

/// A socket that moves one byte at a time.
struct Trickle(TcpStream);

impl Read for Trickle {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(&mut room[..1])
    }
}

impl Write for Trickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..1])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The records of a request.
fn records(session: &mut ClientConnection) -> Vec<u8> {
    session.writer().write_all(get(SITE, "/").as_bytes()).unwrap();
    let mut records = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut records).unwrap();
    }
    records
}

#[test]
fn a_session_and_a_request_that_come_byte_by_byte_are_served() {
    let house = House::new();
    let mut stream = StreamOwned::new(house.session(), Trickle(house.socket()));
    for _ in 0..2 {
        stream.write_all(get(SITE, "/").as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\na") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1);
            answer.push(byte[0]);
        }
    }
    assert_eq!(house.server.requests().len(), 2);
}

#[test]
fn half_a_record_is_no_request_and_a_wrong_one_ends_the_session_with_an_alert() {
    let house = House::new();
    let (mut session, mut socket) = house.begun();
    let whole = records(&mut session);
    socket.write_all(&whole[..whole.len() - 1]).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).unwrap();
    assert!(house.serves());

    let mut asked = 1;
    // The first bytes say a kind and a version that say nothing of what is sealed (RFC 8446, section 5.2); then comes the length.
    for at in [3, 4, 5, 40, usize::MAX] {
        let (mut session, mut socket) = house.begun();
        let mut wrong = records(&mut session);
        let at = at.min(wrong.len() - 1);
        wrong[at] ^= 1;
        socket.write_all(&wrong).unwrap();
        // A length that was made longer waits for more.
        socket.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        // The close may be a reset, as what came was not read to its end.
        let _ = socket.read_to_end(&mut rest);
        assert!(house.serves());
        asked += 1;
        assert_eq!(house.server.requests().len(), asked, "byte {at} of a record was wrong");
    }
}

#[test]
fn an_end_that_is_not_announced_and_one_that_is_close_the_connection() {
    let house = House::new();
    let clients = || house.elb.admin().get("workers")["all"]["clients"].as_u64().unwrap();
    for is_announced in [false, true] {
        let (session, socket) = house.begun();
        let mut stream = StreamOwned::new(session, socket);
        stream.write_all(get(SITE, "/").as_bytes()).unwrap();
        let mut room = [0; 1024];
        let read = stream.read(&mut room).unwrap();
        assert!(room[..read].ends_with(b"\r\n\r\na"));
        if is_announced {
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            // What comes behind it is not looked at.
            stream.sock.write_all(b"\x17\x03\x03\x00\x05hello").unwrap();
        } else {
            stream.sock.shutdown(Shutdown::Write).unwrap();
        }
        let mut rest = Vec::new();
        let _ = stream.sock.read_to_end(&mut rest);
        drop(stream);
        wait::until("the connection to be gone", || (clients() <= 1).then_some(()));
    }
    assert!(house.serves());
}

#[test]
fn a_client_that_begins_a_session_anew_within_it_is_cut_off() {
    let house = House::new();
    let (_session, mut socket) = house.begun();
    let mut other = house.session();
    let mut hello = Vec::new();
    other.write_tls(&mut hello).unwrap();
    socket.write_all(&hello).unwrap();
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest);
    assert_eq!(house.server.requests().len(), 0);
    assert!(house.serves());
}
