//! Requests through ELB to hyper: exactly those that ELB passed answers on for, as the client meant them.

use serde_json::json;

use crate::mutate::mutate;
use crate::peers::Reader;
use crate::record::{Read, hex, write};
use crate::seeds;
use crate::support::chance::Chance;
use crate::support::client::Client;
use crate::support::elb::Launch;
use crate::support::message::Message;

/// What a client says on one connection, and whether it is good as it is.
struct Case {
    bytes: Vec<u8>,
    /// The requests in it, if nothing was spoiled.
    meant: Option<Vec<Read>>,
}

impl Case {
    fn new(seed: u64) -> Case {
        let mut chance = Chance::new(seed);
        let (mut bytes, mut meant) = (Vec::new(), Vec::new());
        for left in (0..chance.between(1, 3)).rev() {
            meant.push(request(&mut bytes, left == 0, &mut chance));
        }
        let spoiled = mutate(&mut bytes, &mut chance);
        Case { bytes, meant: (!spoiled).then_some(meant) }
    }
}

/// Writes a good request; the last one may end the connection.
fn request(bytes: &mut Vec<u8>, last: bool, chance: &mut Chance) -> Read {
    let method = chance.pick(&["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "Brew"]);
    let (sent, seen) = chance.pick(&[
        ("/", "/"),
        ("/a/b?c=d&e=%zz", "/a/b?c=d&e=%zz"),
        ("/%41%2Fb..;x=y", "/%41%2Fb..;x=y"),
        ("//a/.b/..c//", "//a/.b/..c//"),
        ("//a/./b/../?/../", "/a/?/../"),
        ("http://site.test/x?y", "/x?y"),
        ("HTTP://SITE.test:80?y", "/?y"),
    ]);
    let old = last && chance.one_in(8);
    let mut fields =
        vec![format!("{}: {}", chance.pick(&["Host", "host"]), chance.pick(&["site.test", "Site.Test:80"]))];
    let choices: &[&str] = &[
        "X-A: b",
        "x-a:  c\t",
        "X-Empty:",
        "X_Under: d",
        "Accept: */*",
        "Cookie: a=b; c=d",
        "TE: trailers",
        "Connection: keep-alive",
        "Connection: X-A",
        "Keep-Alive: 5",
        "User-Agent: sim",
        "Upgrade: websocket",
        "X-Forwarded-For: 1.2.3.4",
        "Via: 1.0 x",
        "Expect: 100-continue",
    ];
    for _ in 0..chance.below(5) {
        let field = chance.pick(choices).to_owned();
        if !field.starts_with("User-Agent") || !fields.contains(&field) {
            fields.push(field);
        }
    }
    if last && chance.one_in(6) {
        fields.push("Connection: close".to_owned());
    }
    let length = if chance.one_in(2) { chance.below(200) } else { chance.below(3) };
    let body = chance.content(length);
    let wire = match chance.below(3) {
        0 if !old => {
            fields.push("Transfer-Encoding: chunked".to_owned());
            chunks(&body, chance)
        }
        1 => {
            fields.push(format!("Content-Length: {}", body.len()));
            body.clone()
        }
        _ => Vec::new(),
    };
    let place = chance.below(fields.len());
    fields.rotate_left(place);
    let version = if old { "1.0" } else { "1.1" };
    bytes.extend(format!("{method} {sent} HTTP/{version}\r\n{}\r\n\r\n", fields.join("\r\n")).as_bytes());
    bytes.extend(&wire);
    Read { line: format!("{method} {seen}"), body: if wire.is_empty() { Vec::new() } else { body } }
}

/// The same in chunks, some with extensions, and perhaps with trailers.
pub(crate) fn chunks(mut body: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = Vec::new();
    let extension = |chance: &mut Chance| chance.pick(&["", "", "", ";a", ";a=b;c=\"d;\\\"\""]);
    while !body.is_empty() {
        let (chunk, rest) = body.split_at(chance.between(1, body.len()));
        bytes.extend(format!("{:x}{}\r\n", chunk.len(), extension(chance)).as_bytes());
        bytes.extend([chunk, b"\r\n"].concat());
        body = rest;
    }
    let trailers = chance.pick(&["", "", "X-Sum: 1\r\n", "X-Sum: 1\r\nX-More:\r\n"]);
    bytes.extend(format!("0{}\r\n{trailers}\r\n", extension(chance)).as_bytes());
    bytes
}

/// A method and a target, without dot segments.
fn resolved(line: &str) -> String {
    let (path, query) = line.split_at(line.find('?').unwrap_or(line.len()));
    let Some((method, path)) = path.split_once('/') else { return line.to_owned() };
    let dots = |segment: &str| segment.to_ascii_lowercase().replace("%2e", ".");
    if !path.split('/').any(|segment| matches!(dots(segment).as_str(), "." | "..")) {
        return line.to_owned();
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match dots(segment).as_str() {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let ends_in_name =
        path.rsplit('/').next().is_some_and(|last| !matches!(dots(last).as_str(), "" | "." | ".."));
    let slash = if ends_in_name || kept.is_empty() { "" } else { "/" };
    format!("{method}/{}{slash}{query}", kept.join("/"))
}

/// Says it all, in one piece or a few, and hears all answers; 1xx are not among them.
fn tell(mut client: Client, bytes: &[u8], chance: &mut Chance) -> Vec<Message> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, left) =
            rest.split_at(if chance.one_in(2) { rest.len() } else { chance.between(1, rest.len()) });
        if client.try_send(piece).is_err() {
            break;
        }
        rest = left;
    }
    let _ = client.sender().finish();
    let mut answers = Vec::new();
    while let Ok(Some(answer)) = client.try_response() {
        if answer.status() >= 200 {
            answers.push(answer);
        }
    }
    answers
}

#[test]
fn what_elb_forwards_reads_as_what_it_counted() {
    let (behind, beside) = (Reader::start(), Reader::start());
    let document = json!({
        "domains": {"*": crate::support::rules::to("up")},
        "upstreams": {"up": {behind.address.to_string(): ""}},
    });
    let elb = Launch::serving(&document).workers(1).start();
    let (mut forwarded, mut compared, mut good) = (0, 0, 0);
    for seed in seeds() {
        let case = Case::new(seed);
        let mut chance = Chance::new(!seed);
        let before = [behind.seen().requests.len(), beside.seen().requests.len()];
        let answers = tell(elb.client(), &case.bytes, &mut chance);
        tell(Client::connect(beside.address), &case.bytes, &mut chance);
        let again = format!(
            "ELB_DIFFERENTIAL_SEED={seed} cargo test --test differential\n{}",
            case.bytes.escape_ascii()
        );

        let seen = behind.seen();
        assert!(seen.faults.is_empty(), "what arrived is no HTTP: {:?}\n{again}", seen.faults);
        let counted: Vec<String> =
            answers.iter().filter(|answer| answer.status() == 200).map(|answer| answer.text()).collect();
        let arrived: Vec<String> =
            (before[0]..seen.requests.len()).map(|number| number.to_string()).collect();
        assert_eq!(counted, arrived, "other requests arrived than were counted\n{again}");
        let through = &seen.requests[before[0]..];
        if let Some(meant) = &case.meant {
            assert_eq!(through, meant, "a good request\n{again}");
            good += 1;
        }
        let beside = beside.seen();
        let direct = &beside.requests[before[1]..];
        for (through, direct) in through.iter().zip(direct) {
            // hyper gives `http://site.test` a path, and the last proxy must make a `*` of it where it means the server.
            let server = through.line == "OPTIONS *" && direct.line == "OPTIONS /";
            let same = (server || through.line == resolved(&direct.line)) && through.body == direct.body;
            assert!(same, "{through:?}\nwithout ELB: {direct:?}\n{again}");
            compared += 1;
        }
        forwarded += through.len();
    }
    println!("{forwarded} requests arrived, {compared} of them compared; {good} cases were good");
    assert!(compared * 100 >= forwarded * 97, "hyper alone reads only {compared} of {forwarded}");
    let seen = behind.seen();
    write(
        "requests.jsonl",
        seen.connections.iter().map(|one| {
            let requests: Vec<_> = one.requests.iter().map(|number| seen.requests[*number].json()).collect();
            json!({"wire": hex(&one.wire.lock().expect("a lock")), "messages": requests, "disliked": one.disliked})
        }),
    );
}
