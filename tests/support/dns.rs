//! A name server on loopback that says what the test says, and counts who asks.
//!
//! It owns a socket on a port of the kernel's choice and a thread, and knows IPv4 addresses only.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What it says of any name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Says {
    /// These are its addresses.
    Addresses(Vec<Ipv4Addr>),
    /// There is no such name.
    NoName,
    /// It cannot tell.
    Fails,
    /// Nothing.
    Nothing,
}

/// The server.
pub(crate) struct Dns {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    says: Mutex<Says>,
    asked: Mutex<Vec<String>>,
    ending: AtomicBool,
}

impl Dns {
    pub(crate) fn saying(says: Says) -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
        let address = socket.local_addr().expect("its address");
        let ending = AtomicBool::new(false);
        let shared = Arc::new(Shared { says: Mutex::new(says), asked: Mutex::default(), ending });
        let own = Arc::clone(&shared);
        Dns { address, shared, listening: Some(thread::spawn(move || own.listen(&socket))) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// It says something else from now on.
    pub(crate) fn says(&self, says: Says) {
        *self.shared.says.lock().expect("a word") = says;
    }

    /// The names it was asked for, in order, each as often as it was.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().expect("the names").clone()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        let _ = self.listening.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn listen(&self, socket: &UdpSocket) {
        let mut room = [0; 1500];
        while !self.ending.load(Ordering::SeqCst) {
            let Ok((length, peer)) = socket.recv_from(&mut room) else { continue };
            if let Some(answer) = self.answer(&room[..length]) {
                let _ = socket.send_to(&answer, peer);
            }
        }
    }

    /// RFC 1035, section 4: twelve bytes of header, then the question as it came, then the addresses.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (mut name, mut at) = (String::new(), 12);
        while *query.get(at)? > 0 {
            let label = usize::from(query[at]);
            name.push_str(&String::from_utf8_lossy(query.get(at + 1..at + 1 + label)?));
            name.push('.');
            at += 1 + label;
        }
        let question = query.get(12..at + 5)?;
        let is_v4 = question.ends_with(&[0, 1, 0, 1]);
        self.asked.lock().expect("the names").push(name.trim_end_matches('.').to_owned());
        let (code, addresses) = match self.says.lock().expect("a word").clone() {
            Says::Addresses(addresses) => (0, if is_v4 { addresses } else { Vec::new() }),
            Says::NoName => (3, Vec::new()),
            Says::Fails => (2, Vec::new()),
            Says::Nothing => return None,
        };
        let mut answer = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1];
        answer.extend(u16::try_from(addresses.len()).expect("a few").to_be_bytes());
        answer.extend([0; 4]);
        answer.extend(question);
        for address in addresses {
            // The name is that of the question, the type A, the class IN, valid for a second, four bytes.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            answer.extend(address.octets());
        }
        Some(answer)
    }
}
