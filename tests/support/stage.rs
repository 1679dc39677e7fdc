//! A server that answers with exact bytes, chosen by the path: `/2` is the third of its answers, `/2/slow` the same in
//! as many packets as it has bytes.
//!
//! It owns what is said and what is done after it; the judgement is the test's. Next: `server` plays it.

use std::io;

use super::elb::Elb;
use super::rules::SITE;
use super::server::{Conversation, Server, ok};

/// What a server does after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It waits for the next request.
    Waits,
    /// It closes.
    Closes,
    /// It ends with a reset.
    Crashes,
}

/// A server with these answers, and an ELB before it.
pub(crate) fn stage(answers: &[(&[u8], Then)]) -> (Server, Elb) {
    let server = actor(answers);
    let elb = Elb::before(&[&server]);
    (server, elb)
}

/// A server with these answers.
pub(crate) fn actor(answers: &[(&[u8], Then)]) -> Server {
    let answers: Vec<(Vec<u8>, Then)> = answers.iter().map(|(says, then)| (says.to_vec(), *then)).collect();
    Server::start(move |talk| play(talk, &answers))
}

fn play(talk: &mut Conversation, answers: &[(Vec<u8>, Then)]) -> io::Result<()> {
    while let Some(request) = talk.request()? {
        let mut words = request.head.target().split('/').skip(1);
        let number = words.next().and_then(|word| word.parse::<usize>().ok());
        let Some((says, then)) = number.and_then(|number| answers.get(number)) else {
            talk.send(ok("after"))?;
            continue;
        };
        match words.next() {
            Some("slow") => says.iter().try_for_each(|byte| talk.send([*byte]))?,
            _ => talk.send(says)?,
        }
        match then {
            Then::Waits => {}
            Then::Closes => return Ok(()),
            Then::Crashes => return talk.crash(),
        }
    }
    Ok(())
}

/// Sends one request, says that it was the last, and hears everything: the bytes, and whether they ended in order.
#[track_caller]
pub(crate) fn hear(elb: &Elb, line: &str, fields: &str) -> (Vec<u8>, bool) {
    let mut client = elb.client();
    client.send(format!("{line}\r\nHost: {SITE}\r\n{fields}\r\n"));
    let _ = client.sender().finish(); // A cut may have come before it.
    client.rest()
}

/// The paths of one answer, in one packet and byte by byte.
pub(crate) fn paths(number: usize) -> [String; 2] {
    [format!("/{number}"), format!("/{number}/slow")]
}

/// Asserts that these bytes are ELB's own 502 for this reason.
#[track_caller]
pub(crate) fn bad_gateway(heard: &(Vec<u8>, bool), reason: &str, what: &[u8]) {
    let text = heard.0.escape_ascii().to_string();
    let answer = text.starts_with("HTTP/1.1 502 Bad Gateway\\r\\nDate: ");
    let said = text.contains(&format!("\\r\\nX-ELB-Reason: {reason}\\r\\n"));
    assert!(answer && said && heard.1, "{text} for {}", what[..what.len().min(200)].escape_ascii());
}
