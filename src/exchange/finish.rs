//! Who may be used again when both halves are done? One truth table.
//!
//! It owns the decision, never its execution. Next: [`super::machine`] asks and acts.

use super::phase::{Fate, Sign};

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // The columns of a truth table.
pub(super) struct End {
    /// The request was read to its end.
    pub request_read: bool,
    /// The whole request went out to the server.
    pub request_sent: bool,
    /// The client was promised that its connection goes on: it asked for that, and the head that left did not say
    /// otherwise.
    pub client_keeps: bool,
    /// The client sent an end of input, and nothing else is waiting.
    pub client_ended: bool,
    /// The server's head allows another request.
    pub server_keeps: bool,
    /// The server sent something behind its response, or its end of input.
    pub server_spoiled: bool,
    /// The server may have taken the request's body for another request, or may still send a body that it announced and that
    /// is none by rule. Neither shows before the next exchange is under way.
    pub blurred: bool,
    /// The status of the response, which was read to its end.
    pub status: u16,
}

/// The table: an exact end on both sides is what makes a connection usable.
#[must_use]
pub(super) fn decide(end: End) -> Fate {
    Fate {
        keep_client: end.request_read && end.client_keeps && !end.client_ended,
        keep_server: end.request_read
            && end.request_sent
            && end.server_keeps
            && !end.server_spoiled
            && !end.blurred,
        // No other server could better it, but that does not make it good.
        sign: if matches!(end.status, 500 | 504) { Sign::Nothing } else { Sign::Good },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_row_by_row() {
        let exact = End {
            request_read: true,
            request_sent: true,
            client_keeps: true,
            client_ended: false,
            server_keeps: true,
            server_spoiled: false,
            blurred: false,
            status: 200,
        };
        for (end, keep_client, keep_server) in [
            (exact, true, true),
            (End { server_keeps: false, ..exact }, true, false),
            (End { server_spoiled: true, ..exact }, true, false),
            (End { blurred: true, ..exact }, true, false),
            (End { client_keeps: false, ..exact }, false, true),
            (End { client_ended: true, ..exact }, false, true),
            (End { request_sent: false, ..exact }, true, false),
            (End { request_read: false, request_sent: false, ..exact }, false, false),
        ] {
            assert_eq!(decide(end), Fate { keep_client, keep_server, sign: Sign::Good }, "{end:?}");
        }
        for (status, sign) in
            [(404, Sign::Good), (500, Sign::Nothing), (503, Sign::Good), (504, Sign::Nothing)]
        {
            assert_eq!(decide(End { status, ..exact }).sign, sign, "{status}");
        }
    }
}
