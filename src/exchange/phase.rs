//! The vocabulary of an exchange: sides, phases, steps, answers to steps, and the policy that bounds them.
//!
//! It owns words and numbers, never a transition. Next: [`super::machine`] is the table that uses them.

use std::time::{Duration, Instant};

use crate::http1::fields::ExtraFields;
use crate::http1::origin::Identity;
use crate::http1::reply::Date;
use crate::reason::Reason;

/// Which peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who connected to ELB.
    Client,
    /// Whom ELB connected to.
    Server,
}

/// Where an exchange stands. Each phase holds what is true only in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The request head arrives.
    Head,
    /// The head is whole; the shell was asked where it goes.
    Route,
    /// A server is wanted, and the shell was asked for a connection to one.
    Connect,
    /// A server is connected and nothing final was sent to the client.
    Await,
    /// A status came that another server may improve on: the shell was asked whether there is one.
    Failover,
    /// The final head is on its way to the client.
    Relay {
        /// The client was promised that its connection goes on.
        keep: bool,
    },
    /// The protocol was switched: bytes pass both ways. The flags say which directions were shut down.
    Tunnel {
        /// Nothing more is sent to the server: the client has ended.
        server_shut: bool,
        /// Nothing more is sent to the client: the server has ended.
        client_shut: bool,
    },
    /// ELB's own answer is on its way.
    Reply {
        /// What follows it.
        then: AfterReply,
    },
    /// The answer is out, and the client was told that nothing follows; what still comes is thrown away, for a time.
    Linger,
    /// Nothing more happens.
    Over,
}

/// What becomes of the client's connection after an answer of ELB's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterReply {
    /// It goes on with another request, as the client was told.
    Keep,
    /// It is closed.
    Close,
    /// The request was not read to its end: what still comes is thrown away before the connection is closed.
    Linger,
}

/// What an attempt, or a whole exchange, says about the health of its server. A client chooses the URL and the server the
/// answer, so that little of what may go wrong says that the server is ill; `data::balancer` decides what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Nothing: a pooled connection had died, an answer could not be accepted or broke off, the client went away.
    Nothing,
    /// It answers: a whole response came that no other server could better, or a switch of protocols.
    Good,
    /// Silence, 500 or 504: either the server is ill or what was asked of it is.
    Doubt(Doubt),
    /// It cannot be connected to, or ended a fresh connection without an answer, for this reason.
    Fault(Reason),
}

/// What a server is doubted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It was silent for too long.
    Silence,
    /// It answered 500 or 504.
    ErrorStatus,
}

/// What the shell must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing until a peer or the deadline moves.
    Wait,
    /// Say where the request goes.
    Route,
    /// Close the server connection, if there is one, then lend or make one and say `connected` or `refused`.
    Connect {
        /// The same server again, on a fresh connection.
        same: bool,
    },
    /// Say whether an untried server is left.
    Failover,
    /// Close the server connection.
    Drop {
        /// What that says about the server.
        sign: Sign,
    },
    /// Tell this side that nothing more will be sent to it.
    Shutdown(Side),
    /// The exchange is over; this is who may be used again.
    Finished(Fate),
    /// Close both connections. `reset` makes the cut visible to a client that would take a close for the end.
    Close {
        /// Reset instead of an orderly close.
        reset: bool,
        /// What that says about the server.
        sign: Sign,
    },
}

/// Who may be used again when an exchange has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// The client connection goes on with another request.
    pub keep_client: bool,
    /// The server connection may be pooled. Meaningless when there is none.
    pub keep_server: bool,
    /// What the exchange says about its server.
    pub sign: Sign,
}

/// Why a connection to a server did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoServer {
    /// This attempt was refused, reset, or timed out: another server may do.
    Failed,
    /// It was there, and no session of TLS came of it: another server may do.
    NoSession,
    /// No server can be tried: the upstream is unknown, has no addresses, or all are set aside.
    NoneLeft(
        /// What the client is told when no attempt was made before.
        Reason,
    ),
}

/// Where a request goes, as far as its bytes are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Forward<'a> {
    /// The client's address, as text: what servers are told in `X-Real-IP`.
    pub client: &'a [u8],
    /// The address of who brought the request, which `X-Forwarded-For` ends with, if that is a proxy that is trusted; what it
    /// says of how the request came is believed. Otherwise the client brought it.
    pub peer: Option<&'a [u8]>,
    /// It came by TLS, by this client.
    pub session: Option<&'a Identity>,
    /// The path that replaces the client's, encoded, without query.
    pub path: Option<&'a [u8]>,
    /// The `Host` that replaces the client's.
    pub host: Option<&'a [u8]>,
    /// Fields that the rule adds, replaces or removes.
    pub extra: &'a ExtraFields,
}

/// Times and sizes that bound every exchange; settings of the operator.
#[derive(Debug, Clone)]
pub struct Policy {
    /// From the first byte of a request to the end of its head.
    pub client_header_timeout: Duration,
    /// A client that owes a body and sends less than [`crate::http1::limits::PROGRESS`] bytes of it.
    pub client_body_timeout: Duration,
    /// A client that takes less than that of what waits for it.
    pub client_write_timeout: Duration,
    /// From the attempt to the established connection.
    pub connect_timeout: Duration,
    /// A server that owes the head of a response, or takes less than that of a request; then silence in its body.
    pub server_timeout: Duration,
    /// Silence of both ends of a tunnel.
    pub tunnel_timeout: Duration,
    /// Longest wait for the head of an answer once the client has sent its end of input.
    pub half_close_timeout: Duration,
    /// Longest wait for more of a request that was answered before it was read.
    pub linger_timeout: Duration,
    /// How long it is read on at most, however much comes.
    pub linger_time: Duration,
    /// Longest request body, in bytes.
    pub max_body: u64,
    /// Longest request head, in bytes.
    pub max_head: usize,
    /// Servers tried for one request.
    pub tries: u32,
    /// Bytes of a request, head and body, that are held so that it can be sent once more. What fits the first window is always.
    pub replay_buffer: usize,
    /// Most entries of `X-Forwarded-For` that a request may come with; 0 for any.
    pub max_forwarded: u32,
    /// The server sees the path as received, with its dots.
    pub path_as_received: bool,
    /// The server sees `Host` as received, not in lower case without port.
    pub host_as_received: bool,
    /// `X-Forwarded-Proto`, `-Host` and `-Port` pass as received, whoever sent them, and ELB sets none.
    pub pass_forwarded: bool,
}

impl Policy {
    /// Bounds for tests and benches, which change those they are about. The times of one side differ, so that a test sees
    /// which of them was meant. A field that is new is set here and where settings become a policy, and nowhere else.
    #[must_use]
    pub fn for_tests() -> Policy {
        Policy {
            client_header_timeout: Duration::from_secs(60),
            client_body_timeout: Duration::from_secs(61),
            client_write_timeout: Duration::from_secs(62),
            connect_timeout: Duration::from_secs(3),
            server_timeout: Duration::from_secs(30),
            tunnel_timeout: Duration::from_secs(3600),
            half_close_timeout: Duration::from_secs(6),
            linger_timeout: Duration::from_secs(5),
            linger_time: Duration::from_secs(30),
            max_body: 1000,
            max_head: 8192,
            tries: 3,
            replay_buffer: 64 * 1024,
            max_forwarded: 32,
            path_as_received: false,
            host_as_received: false,
            pass_forwarded: false,
        }
    }
}

/// What an exchange is told with every call: the time, the policy, and the state of the process.
#[derive(Debug, Clone)]
pub struct Env {
    /// The clock, read once a turn.
    pub now: Instant,
    /// The bounds.
    pub policy: Policy,
    /// The date for ELB's own answers.
    pub date: Date,
    /// The process is going down: no connection is kept.
    pub draining: bool,
}
