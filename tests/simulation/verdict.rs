//! What the client got, read by a second reader and held against what servers said.

use flate2::{Decompress, FlushDecompress, Status};

use crate::client::Closing;
use crate::request::{Fault, Request};
use crate::response::{Ends, Response};
use crate::wire::{Chunks, Head};
use crate::world::World;

/// What follows a head.
enum Body {
    /// So many bytes of a whole body.
    Whole(usize),
    /// All that is left, and it is visibly not all there should be.
    Cut,
}

/// Judges the whole run.
pub(crate) fn judge(world: &World) {
    let (client, mut at) = (&world.client, 0);
    let (mut finals, mut closes) = (0, false);
    'requests: for (id, request) in client.requests.iter().enumerate() {
        let mut continued = false;
        loop {
            let Some(head) = Head::read(&client.got[at..]) else { break 'requests };
            let status = status(&head);
            at += head.length;
            match status {
                100 => {
                    assert!(request.expects && !continued, "a 100 that nobody waits for");
                    continued = true;
                }
                101 => {
                    finals += 1;
                    tunnel(world, id, request, &head, at);
                    at = client.got.len();
                    break 'requests;
                }
                102..200 => {
                    assert!(!request.old, "an interim response to an old client");
                    assert_eq!(head.field("X-Interim"), Some(id.to_string().as_str()));
                }
                _ => {
                    finals += 1;
                    closes = head.field("Connection") == Some("close");
                    assert!(!closes || !world.fair || request.closes || request.old, "closed for no reason");
                    match answer(world, id, request, &head, at) {
                        Body::Whole(length) => at += length,
                        Body::Cut => {
                            assert_eq!(finals, world.answered + 1, "a cut in the middle");
                            assert_ne!(client.closing, Closing::Open);
                            at = client.got.len();
                            break 'requests;
                        }
                    }
                    if let Some(mark) = world.marks.get(id) {
                        assert_eq!(*mark, at, "the end of answer {id}");
                    }
                    break;
                }
            }
        }
        if id >= world.answered && finals == id {
            break;
        }
    }
    finals += usize::from(refuses(world, &client.got[at..]));
    assert!(finals >= world.answered, "{finals} answers for {} finished exchanges", world.answered);
    if world.fair {
        assert_eq!(world.expirations, 0, "in fair weather nothing takes too long");
        let all = client.requests.len();
        assert!(finals >= all || closes, "in fair weather everything is answered: {finals} of {all}");
    }
    if world.routed && client.behaves && !world.let_go && client.requests[world.answered].fault == Fault::None
    {
        let begun = client.got.len() > world.marks.last().copied().unwrap_or(0);
        assert!(finals > world.answered || begun, "a request of a good client has no answer");
    }
}

/// Whether what is left behind the answers refuses what was no request; otherwise it is nothing, or a part of a head.
fn refuses(world: &World, rest: &[u8]) -> bool {
    let Some(head) = Head::read(rest) else {
        assert!(rest.is_empty() || !world.fair, "half a head in fair weather");
        return false;
    };
    assert!(!world.fair || world.client.requests.iter().any(|request| request.upgrade));
    let status = status(&head);
    let refused = matches!(status, 400 | 408 | 505) || (status == 503 && world.dearth.is_some());
    assert!(refused && head.field("X-ELB-Reason").is_some(), "{head:?}");
    true
}

fn status(head: &Head<'_>) -> u16 {
    let mut parts = head.first.splitn(3, ' ');
    assert_eq!(parts.next(), Some("HTTP/1.1"), "{}", head.first);
    let status = parts.next().expect("a status").parse().expect("a number");
    assert!(parts.next().is_some(), "a reason, if only an empty one");
    status
}

/// One final answer, whose head ends at `at`.
fn answer(world: &World, id: usize, request: &Request, head: &Head<'_>, at: usize) -> Body {
    let rest = &world.client.got[at..];
    let status = status(head);
    if head.field("X-ELB-Reason").is_some() {
        own(world, request, status);
        let length = head.length_field().expect("ELB's own answers have a length");
        let length = if request.method == "HEAD" && request.fault == Fault::None { 0 } else { length };
        return if rest.len() < length { Body::Cut } else { Body::Whole(length) };
    }
    assert!(
        !request.denied && !matches!(request.fault, Fault::Head(_)),
        "an answer to what was not forwarded"
    );
    let number: usize = head.field("X-Answer").expect("a number").parse().expect("a number");
    let response = &world.responses[number];
    assert!(response.sound, "an unsound response was passed on");
    assert_eq!((response.request, response.status), (id, status), "another request's response");
    assert_eq!(head.first, format!("HTTP/1.1 {status} So"));
    assert_eq!(fields(head), expected(world, request, response, head), "the fields of response {number}");
    body(world, request, response, head, rest)
}

/// The field lines that an answer must have, which are others where it is compressed or would be for another client.
fn expected(world: &World, request: &Request, response: &Response, head: &Head<'_>) -> String {
    let has = |name: &str| head.lines.iter().any(|line| line.starts_with(name));
    let is_empty = response.fields.contains("Content-Length: 0\r\n");
    let varies = world.gzip && response.text && !matches!(response.status, 204 | 304) && !is_empty;
    if !varies || has("Trailer: ") {
        return response.fields.clone();
    }
    let trailers = request.takes_trailers && response.last_chunk.is_some();
    let coded = request.takes_gzip && !request.old && request.method != "HEAD" && !trailers;
    let kept = response.fields.split_inclusive("\r\n");
    let kept: String = kept.filter(|line| !coded || !line.starts_with("Content-Length: ")).collect();
    let says = if coded { "Content-Encoding: gzip\r\n" } else { "" };
    format!("{kept}Vary: Accept-Encoding\r\n{says}")
}

/// What can be read of compressed content, and whether it came to its end.
fn unpacked(content: &[u8]) -> (Vec<u8>, bool) {
    let (mut decoder, mut unpacked, mut ended) = (Decompress::new_gzip(15), Vec::new(), false);
    while !ended && (decoder.total_in() as usize) < content.len() {
        unpacked.reserve(64 * 1024);
        let rest = &content[decoder.total_in() as usize..];
        let status = decoder.decompress_vec(rest, &mut unpacked, FlushDecompress::Sync).expect("gzip");
        ended = status == Status::StreamEnd;
    }
    assert_eq!(decoder.total_in() as usize, content.len(), "something behind the end of the content");
    (unpacked, ended)
}

/// The field lines without those that belong to the hop.
fn fields(head: &Head<'_>) -> String {
    let hop = ["Connection: ", "Transfer-Encoding: ", "Upgrade: "];
    let lines = head.lines.iter().filter(|line| !hop.iter().any(|name| line.starts_with(name)));
    lines.map(|line| format!("{line}\r\n")).collect()
}

/// Whether ELB may give this answer of its own.
fn own(world: &World, request: &Request, status: u16) {
    let allowed = match request.fault {
        _ if status == 503 && world.dearth.is_some() => true,
        Fault::Head(refused) => status == refused || (status == 408 && !world.client.behaves),
        Fault::Body(refused) => status == refused || matches!(status, 408 | 502 | 503 | 504),
        Fault::None if request.denied => status == 404 || (status == 408 && !world.client.behaves),
        Fault::None => matches!(status, 408 | 502 | 503 | 504),
    };
    assert!(allowed, "ELB's own {status} to {:?}", request.fault);
    assert!(status != 408 || !world.client.behaves, "408 to a client that is in time");
    assert!(!world.fair || request.denied || request.fault != Fault::None, "{status} in fair weather");
}

/// The body of a response that was passed on: whole and true, or a beginning that is visibly no more than that.
fn body(world: &World, request: &Request, response: &Response, head: &Head<'_>, rest: &[u8]) -> Body {
    let bodiless = request.method == "HEAD" || matches!(response.status, 204 | 304);
    if bodiless {
        assert!(!head.is_chunked());
        return Body::Whole(0);
    }
    let (content, trailers, whole) = if head.is_chunked() {
        assert!(!request.old && head.length_field().is_none());
        let chunks = Chunks::read(rest);
        let trailers = String::from_utf8(chunks.trailers).expect("trailers of text");
        if head.field("Content-Encoding") == Some("gzip") {
            let (content, ended) = unpacked(&chunks.content);
            assert!(
                ended || chunks.length.is_none(),
                "whole to who reads chunks, and cut to who unpacks them"
            );
            (content, trailers, chunks.length)
        } else {
            (chunks.content, trailers, chunks.length)
        }
    } else if let Some(length) = head.length_field() {
        let have = length.min(rest.len());
        (rest[..have].to_vec(), String::new(), (have == length).then_some(length))
    } else {
        assert_eq!(head.field("Connection"), Some("close"), "only the close ends this body");
        let orderly = world.client.closing == Closing::Orderly && !world.client.reset || world.client_told;
        (rest.to_vec(), String::new(), orderly.then_some(rest.len()))
    };
    assert!(
        response.body.starts_with(&content),
        "the body of the response to {} is not the server's",
        response.request
    );
    let Some(length) = whole else {
        assert!(!world.fair, "a cut in fair weather");
        return Body::Cut;
    };
    assert!(response.is_complete(), "whole to the client, and the server had not said all");
    assert_eq!(
        content.len(),
        response.content().len(),
        "whole to the client, and shorter than what the server said"
    );
    let passes =
        head.is_chunked() && response.ends == Ends::Itself && (request.takes_trailers || response.announced);
    assert_eq!(trailers, if passes { response.trailers.as_str() } else { "" });
    Body::Whole(length)
}

/// The protocol was switched, and everything behind the head at `at` came through the tunnel.
fn tunnel(world: &World, id: usize, request: &Request, head: &Head<'_>, at: usize) {
    assert!(request.upgrade && !request.old, "nobody asked for a 101");
    let number: usize = head.field("X-Answer").expect("a number").parse().expect("a number");
    let response = &world.responses[number];
    assert_eq!((response.request, response.ends), (id, Ends::Switched));
    assert_eq!(fields(head), response.fields);
    assert_eq!((head.field("Connection"), head.field("Upgrade")), (Some("upgrade"), Some("sim")));
    let said = &world.client.got[at..];
    assert!(response.body.starts_with(said), "the tunnel changed what the server said");
    if world.fair {
        assert_eq!(said.len(), response.body.len(), "the tunnel lost what the server said");
    }
}
