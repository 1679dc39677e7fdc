//! What comes before the first request of a connection, and who its client is by that.
//!
//! It owns what those bytes mean, never a socket or a clock: the bytes that have come so far go in, an [`Outcome`]
//! comes out. They stay in the socket until all is known, so that nothing is kept meanwhile, and what follows is read
//! by whoever it is meant for. HTTP begins with its first byte, and then all of this costs nothing. Next:
//! [`super::listen`] for protocols, [`super::accept`] and [`super::pump`] for who asks, [`super::door`] for who does
//! not believe it.

use std::net::IpAddr;

use super::listen::Protocol;
use crate::reason::Reason;
use crate::semantics::proxy_header::ProxyHeader;

/// Bytes that are looked at. What has so many and is still not known is refused as `head-too-long`.
pub(super) const LONGEST: usize = 536;

/// Whom a connection is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Who is at the other end of the socket, whatever is said of the client. It is what the door judges.
    pub peer: IpAddr,
    /// Who speaks HTTP: the peer, or whom it speaks for. Connections are counted by it, servers are told of it, and what it says of
    /// others is believed only if it is trusted itself.
    pub client: IpAddr,
}

impl Ends {
    /// Nobody speaks for anybody.
    #[inline]
    #[must_use]
    pub fn of(peer: IpAddr) -> Self {
        Self { peer, client: peer }
    }
}

/// What the beginning of a connection came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// More bytes are to be shown, together with these.
    More,
    /// Requests may come.
    Over {
        /// Whose the connection is.
        ends: Ends,
        /// How many bytes belonged to the beginning.
        used: usize,
    },
    /// No connection of this protocol begins like this. It is closed, and counted under this reason.
    Refused(Reason),
}

/// What of its beginning a connection still owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prelude {
    /// Nothing.
    Over,
    /// A header of the PROXY protocol, by a peer that is believed.
    Header {
        /// Without one it is closed.
        must: bool,
        /// [`Prelude::Hello`] follows it.
        tls: bool,
    },
    /// The handshake of TLS, which the transport makes: none of its bytes are looked at here.
    Hello,
    /// What nobody believes of this peer, so it is closed.
    Stranger,
    /// The line of [`Protocol::Named`].
    #[cfg(test)]
    Name,
}

impl Prelude {
    /// What a connection of this protocol owes. `trusted` says whether its peer may speak for others.
    #[inline]
    #[must_use]
    pub fn of(protocol: Protocol, trusted: impl FnOnce() -> bool) -> Self {
        match protocol {
            Protocol::Http => Self::Over,
            Protocol::Tls => Self::Hello,
            Protocol::Proxy { must, tls } => match (trusted(), must) {
                (true, must) => Self::Header { must, tls },
                (false, true) => Self::Stranger,
                // A header of theirs is a request, or a hello, that is refused as what it is.
                (false, false) if tls => Self::Hello,
                (false, false) => Self::Over,
            },
            #[cfg(test)]
            Protocol::Named => Self::Name,
        }
    }

    /// Whether requests may come.
    #[inline]
    #[must_use]
    pub fn is_over(self) -> bool {
        self == Self::Over
    }

    /// Whether it is known whose the connection is: from then on it is one of its client's.
    #[inline]
    #[must_use]
    pub fn is_known(self) -> bool {
        matches!(self, Self::Over | Self::Hello)
    }

    /// Whether a session of TLS comes, now or later.
    #[must_use]
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Hello | Self::Header { tls: true, .. })
    }

    /// What comes after this.
    #[must_use]
    pub fn next(self) -> Self {
        if matches!(self, Self::Header { tls: true, .. }) { Self::Hello } else { Self::Over }
    }

    /// Judges all bytes that a connection with this peer has sent so far.
    #[inline]
    #[must_use]
    pub fn judge(self, peer: IpAddr, bytes: &[u8]) -> Outcome {
        let outcome = match (self, bytes) {
            (Self::Over, _) => Outcome::Over { ends: Ends::of(peer), used: 0 },
            (Self::Hello, _) => Outcome::More,
            (Self::Header { must, .. }, bytes) => header(must, peer, bytes),
            (Self::Stranger, _) => Outcome::Refused(Reason::BadProxyHeader),
            #[cfg(test)]
            (Self::Name, bytes) => tests::named(peer, bytes),
        };
        match outcome {
            Outcome::More if bytes.len() >= LONGEST => Outcome::Refused(Reason::HeadTooLong),
            outcome => outcome,
        }
    }
}

#[cold]
fn header(must: bool, peer: IpAddr, bytes: &[u8]) -> Outcome {
    match ProxyHeader::of(bytes, LONGEST) {
        ProxyHeader::More => Outcome::More,
        ProxyHeader::Is { client, length } => {
            Outcome::Over { ends: Ends { peer, client: client.unwrap_or(peer) }, used: length }
        }
        ProxyHeader::Other if !must => Outcome::Over { ends: Ends::of(peer), used: 0 },
        ProxyHeader::Other | ProxyHeader::Broken => Outcome::Refused(Reason::BadProxyHeader),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;

    use super::*;
    use crate::data::clients::Clients;
    use crate::data::tests::{ASKS, Turned, answer, is_closed};

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const LINE: &[u8] = b"FOR 192.0.2.7\n";

    /// `FOR client` and the end of the line.
    pub(super) fn named(peer: IpAddr, bytes: &[u8]) -> Outcome {
        let magic = b"FOR ";
        if !bytes.starts_with(&magic[..bytes.len().min(magic.len())]) {
            return Outcome::Refused(Reason::BadRequestLine);
        }
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Outcome::More };
        let words = std::str::from_utf8(&bytes[magic.len()..end]).unwrap();
        Outcome::Over { ends: Ends { peer, client: words.parse().unwrap() }, used: end + 1 }
    }

    #[test]
    fn http_has_nothing_before_its_first_byte_and_its_client_is_the_peer() {
        let over = Outcome::Over { ends: Ends::of(PEER), used: 0 };
        for bytes in [&b""[..], ASKS, LINE, b"\x16\x03\x01"] {
            assert_eq!(Prelude::of(Protocol::Http, || true).judge(PEER, bytes), over);
        }
        assert!(Prelude::of(Protocol::Http, || true).is_over());
    }

    #[test]
    fn a_beginning_is_judged_by_all_that_has_come_and_what_follows_is_not_its_own() {
        let prelude = Prelude::of(Protocol::Named, || true);
        assert!(!prelude.is_over());
        let whole = [LINE, ASKS].concat();
        let over = Outcome::Over {
            ends: Ends { peer: PEER, client: "192.0.2.7".parse().unwrap() },
            used: LINE.len(),
        };
        for shown in 0..whole.len() {
            let expected = if shown < LINE.len() { Outcome::More } else { over };
            assert_eq!(prelude.judge(PEER, &whole[..shown]), expected, "{shown}");
        }
        assert_eq!(prelude.judge(PEER, b"FROG"), Outcome::Refused(Reason::BadRequestLine));
        let endless = [b"FOR ", &[b'x'; LONGEST - 4][..]].concat();
        assert_eq!(prelude.judge(PEER, &endless[1..]), Outcome::Refused(Reason::BadRequestLine));
        assert_eq!(prelude.judge(PEER, &endless[..LONGEST - 1]), Outcome::More);
        assert_eq!(prelude.judge(PEER, &endless), Outcome::Refused(Reason::HeadTooLong));
    }

    /// A worker whose connections begin with a line, and where each client may have one.
    fn house() -> Turned {
        let mut house = Turned::new(&[]);
        house.worker.ctx.clients = Clients::new(1);
        house.worker.listeners[0].protocol = Protocol::Named;
        house
    }

    /// This many requests have been answered, the last to this client.
    fn is_answered(house: &mut Turned, requests: u64, client: &mut TcpStream) -> bool {
        house.until("the request", |worker| worker.ctx.requests == requests);
        answer(client).starts_with("HTTP/1.1 404")
    }

    /// For whom the only connection is.
    fn client_of(house: &Turned) -> &[u8] {
        assert_eq!(house.worker.conns.len(), 1);
        house.worker.conns.iter().next().unwrap().1.address.as_bytes()
    }

    #[test]
    fn a_connection_is_its_clients_from_the_end_of_its_beginning_on_however_it_comes() {
        let mut house = house();
        let mut client = house.client(b"");
        for byte in LINE {
            assert_eq!(client_of(&house), b"127.0.0.1");
            client.write_all(&[*byte]).unwrap();
            house.turn();
        }
        client.write_all(ASKS).unwrap();
        assert!(is_answered(&mut house, 1, &mut client));
        assert_eq!(client_of(&house), b"192.0.2.7");
        let mut second = house.client(&[LINE, ASKS].concat());
        house.until("the second to go", |worker| worker.conns.len() == 1);
        assert!(is_closed(&mut second), "its client has one already");
        let mut other = house.client(&[b"FOR 192.0.2.8\n", ASKS].concat());
        assert!(is_answered(&mut house, 2, &mut other));
        drop((client, other));
        house.until("both to go", |worker| worker.conns.is_empty());
        let mut again = house.client(&[LINE, ASKS].concat());
        assert!(is_answered(&mut house, 3, &mut again), "the first counts no more");
    }

    #[test]
    fn who_ends_its_beginning_too_early_or_never_or_with_something_else_is_let_go() {
        let mut house = house();
        let endless = [b"FOR ", &[b'x'; LONGEST][..]].concat();
        for says in [&b"GET / HTTP/1.1\r\n"[..], &endless, &LINE[..9]] {
            let mut client = house.client(says);
            // It may be gone already.
            let _ = client.shutdown(std::net::Shutdown::Write);
            house.until("it to go", |worker| worker.conns.is_empty());
            assert!(is_closed(&mut client));
        }
        assert_eq!(house.worker.ctx.requests, 0);
        let refused: Vec<_> = house.worker.ctx.refused.iter().collect();
        assert_eq!(
            refused,
            [(Reason::BadRequestLine, 1), (Reason::HeadTooLong, 1)],
            "the third left by itself"
        );
    }
}
