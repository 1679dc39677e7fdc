//! Responses through ELB to hyper: whole and the same as without ELB, or ELB's 502, or visibly cut.

use std::io;

use serde_json::json;

use crate::mutate::mutate;
use crate::peers::{Asker, Heard, runtime};
use crate::record::{Read, hex, write};
use crate::requests::chunks;
use crate::seeds;
use crate::support::chance::Chance;
use crate::support::elb::Launch;
use crate::support::rules;
use crate::support::server::{Conversation, Server, ok};

/// What a server says to one request, and what it does then.
struct Case {
    bytes: Vec<u8>,
    closes: bool,
    /// The response, if nothing was spoiled.
    meant: Option<Read>,
}

impl Case {
    fn new(seed: u64) -> Case {
        let mut chance = Chance::new(seed.wrapping_add(1 << 32));
        let mut bytes = Vec::new();
        let (meant, by_close) = response(&mut bytes, &mut chance);
        let spoiled = mutate(&mut bytes, &mut chance);
        // A spoiled one that stays open may last as long as ELB is patient, so there are few of them.
        let closes = by_close || if spoiled { !chance.one_in(40) } else { chance.one_in(2) };
        Case { bytes, closes, meant: (!spoiled).then_some(meant) }
    }
}

/// Writes a good response, and says whether its end is the end of the connection.
fn response(bytes: &mut Vec<u8>, chance: &mut Chance) -> (Read, bool) {
    for _ in 0..[0, 0, 0, 1, 2][chance.below(5)] {
        bytes.extend(chance.pick(&[
            &b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"[..],
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 102 \r\n\r\n",
        ]));
    }
    let status = chance.pick(&["200", "200", "204", "206", "304", "404", "500", "599"]);
    let old = chance.one_in(6);
    let choices: &[&str] = &[
        "Server: x",
        "Date: yesterday",
        "Set-Cookie: a=b",
        "set-cookie: c",
        "X-A: b",
        "X-Empty:",
        "Connection: keep-alive",
        "Connection: X-A",
        "Connection: close",
        "Keep-Alive: 5",
        "Trailer: X-Sum",
        "Upgrade: websocket",
        "X-Byte: \u{e9}",
    ];
    let mut fields: Vec<String> = (0..chance.below(5)).map(|_| chance.pick(choices).to_owned()).collect();
    let bodiless = matches!(status, "204" | "304");
    let length = chance.below(200);
    let body = chance.content(length);
    let (framing, wire, by_close) = match chance.below(3) {
        0 if !old => ("Transfer-Encoding: chunked".to_owned(), chunks(&body, chance), false),
        1 => ("X-End: close".to_owned(), body.clone(), !bodiless),
        _ => (format!("Content-Length: {}", body.len()), body.clone(), false),
    };
    fields.insert(chance.below(fields.len() + 1), framing);
    let reason = chance.pick(&[" OK", " ", " Quite fine", ""]);
    bytes.extend(
        format!("HTTP/1.{} {status}{reason}\r\n{}\r\n\r\n", u8::from(!old), fields.join("\r\n")).as_bytes(),
    );
    if !bodiless {
        bytes.extend(wire);
    }
    (Read { line: status.to_owned(), body: if bodiless { Vec::new() } else { body } }, by_close)
}

/// Whether a head has a version that RFC 9110 has read as 1.1, which hyper does not.
fn speaks_later(bytes: &[u8]) -> bool {
    bytes.windows(8).any(|text| matches!(text, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9']))
}

/// Answers `/7` with the case of seed 7, and `/after/7` plainly.
fn play(talk: &mut Conversation) -> io::Result<()> {
    while let Some(request) = talk.request()? {
        let target = request.head.target();
        let Ok(seed) = target.trim_start_matches('/').parse() else {
            talk.send(ok(target))?;
            continue;
        };
        let case = Case::new(seed);
        talk.send(&case.bytes)?;
        if case.closes {
            break;
        }
    }
    Ok(())
}

#[test]
fn what_elb_passes_on_reads_as_a_response_or_as_cut() {
    let server = Server::start(play);
    let elb = Launch::serving(&rules::site(&[&server])).workers(1).flag("--server-timeout=500ms").start();
    let (mut whole, mut refused, mut cut, mut lines) = (0, 0, 0, Vec::new());
    runtime().block_on(async {
        for seed in seeds() {
            let case = Case::new(seed);
            let again = format!(
                "ELB_DIFFERENTIAL_SEED={seed} cargo test --test differential\n{}",
                case.bytes.escape_ascii()
            );
            let mut asker = Asker::connect(elb.address()).await;
            let heard = asker.ask(&format!("/{seed}")).await.expect("a fresh connection");
            let mut messages = Vec::new();
            match &heard {
                Heard::Fault(error) => panic!("ELB passed on what is no response: {error}\n{again}"),
                Heard::Cut => cut += 1,
                Heard::Whole(response, Some(_)) => {
                    refused += 1;
                    messages.push(response.json());
                }
                Heard::Whole(response, None) => {
                    whole += 1;
                    messages.push(response.json());
                    if case.closes && !speaks_later(&case.bytes) {
                        let mut direct = Asker::connect(server.address()).await;
                        let direct = direct.ask(&format!("/{seed}")).await;
                        assert_eq!(direct, Some(heard.clone()), "read otherwise without ELB\n{again}");
                    }
                }
            }
            if let Some(meant) = &case.meant {
                assert_eq!(heard, Heard::Whole(meant.clone(), None), "a good response\n{again}");
            }
            let after = format!("/after/{seed}");
            match asker.ask(&after).await {
                None | Some(Heard::Cut) => {}
                Some(Heard::Whole(response, None)) if response.body == after.as_bytes() => {
                    messages.push(response.json());
                }
                other => panic!("the next answer on the connection is not its own: {other:?}\n{again}"),
            }
            lines.push(json!({"wire": hex(&asker.wire.lock().expect("a lock")), "messages": messages}));
        }
    });
    println!("{whole} responses passed, {refused} were a 502, {cut} were cut");
    write("responses.jsonl", lines.into_iter());
}
