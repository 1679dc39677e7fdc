//! The words between the schedule and the prober: what to ask a server, and what was found.
//!
//! It owns these shapes, and how what an operator said becomes a question; never when it is asked. Next:
//! [`schedule`](super::schedule) orders, [`prober`](super::prober) carries out.

use std::time::Duration;

use crate::model::{CheckKind, CheckOptions, Endpoint, OpeningOptions, Server, ServerId};
use crate::semantics::ProxyVersion;

/// Which check this is. One that was stopped and one that was begun in its place are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// The server.
    pub server: ServerId,
    /// No other check of this schedule has it.
    pub number: u64,
}

/// A check to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which one it is.
    pub ticket: Ticket,
    /// Where to connect to.
    pub endpoint: Endpoint,
    /// What comes before that.
    pub opening: Opening,
    /// What to ask there; nothing where a connection is enough.
    pub question: Option<Question>,
    /// How long it may take in all.
    pub within: Duration,
}

/// What is said before a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// A header that says that the connection is ELB's own.
    pub proxy: Option<ProxyVersion>,
    /// TLS: whom the certificate must be for, and whether that is looked at.
    pub tls: Option<(Box<str>, bool)>,
}

/// A request, and what a good answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Path and query.
    pub target: Box<str>,
    /// `Host`.
    pub host: Box<str>,
    /// The lowest and the highest good status.
    pub status: (u16, u16),
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How long it took.
    pub took: Duration,
    /// What the server said or did, in a few words: `200`, `connection refused`.
    pub what: Box<str>,
    /// That is what was hoped for.
    pub ok: bool,
}

impl Order {
    /// The check of a server that its upstream's options ask for.
    pub(super) fn new(
        ticket: Ticket,
        server: &Server,
        (options, opening): (&CheckOptions, Option<&OpeningOptions>),
    ) -> Self {
        let endpoint = match (&server.endpoint, options.port) {
            (Endpoint::Inet(address), Some(port)) => Endpoint::Inet((address.ip(), port).into()),
            (own, _) => own.clone(),
        };
        let host = || match (&options.host, &endpoint) {
            (Some(host), _) => host.clone(),
            // No path is a host.
            (None, Endpoint::Unix(_)) => "localhost".into(),
            (None, Endpoint::Inet(_)) => server.spec.name.as_str().into(),
        };
        let question = match &options.kind {
            CheckKind::Tcp => None,
            CheckKind::Http(target) => {
                Some(Question { target: target.clone(), host: host(), status: options.status })
            }
        };
        // What is asked at another port is asked as it is, as by HAProxy.
        let opening = opening.filter(|_| options.port.is_none()).map(|opening| Opening {
            proxy: opening.proxy,
            tls: opening.tls.as_ref().map(|tls| (tls.name_of(&server.spec).into(), tls.verify)),
        });
        let opening = opening.unwrap_or_default();
        Self { ticket, endpoint, opening, question, within: options.timeout }
    }
}
