//! A stream of events: what it tells each second, how many there are, and that none keeps the process or the API.

use serde_json::Value;

use crate::support::admin::Admin;
use crate::support::client::{Client, get};
use crate::support::elb::Elb;
use crate::support::rules::SITE;
use crate::support::server::Server;
use crate::support::wait;

/// Streams at a time.
const STREAMS: usize = 8;

/// Asks for events as HTTP/1.0, so that they come without chunks.
fn stream(admin: &Admin, field: &str) -> Client {
    let mut client = admin.client();
    client.send(format!("GET /__erulb__/events HTTP/1.0\r\nHost: {}\r\n{field}\r\n", admin.address()));
    client
}

/// The next event: its name, its number and what it tells.
fn event(client: &mut Client) -> (String, Option<u64>, Value) {
    let mut text = Vec::new();
    while !text.ends_with(b"\n\n") {
        text.extend(client.bytes(1));
    }
    let text = String::from_utf8(text).expect("text");
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = serde_json::from_str(line("data").expect("data")).expect("JSON");
    (line("event").expect("a name").to_owned(), line("id").map(|id| id.parse().expect("a number")), data)
}

fn seconds(told: &Value) -> Vec<u64> {
    let seconds = told["seconds"].as_array().expect("seconds").iter();
    seconds.map(|second| second["second"].as_u64().expect("a number")).collect()
}

#[test]
fn each_event_tells_of_the_seconds_since_the_last() {
    let server = Server::named("a");
    let elb = Elb::before(&[&server]);
    let mut client = stream(&elb.admin(), "");
    let head = client.head();
    assert_eq!(
        (head.line.as_str(), head.get("Content-Type")),
        ("HTTP/1.0 200 OK", Some("text/event-stream"))
    );
    assert_eq!(head.get("Cache-Control"), Some("no-cache"));
    assert_eq!(elb.client().ask(get(SITE, "/")).status(), 200);
    let (mut told, mut last) = (Vec::new(), 0);
    let overview = wait::until("the request to be told", || {
        let (name, id, overview) = event(&mut client);
        assert_eq!(name, "overview");
        told.extend(seconds(&overview));
        last = id.unwrap_or(last);
        (overview["total"]["requests"] == 1).then_some(overview)
    });
    assert!(told.iter().copied().eq(0..told.len() as u64), "each once: {told:?}");
    assert_eq!(last, told.len() as u64 - 1);
    assert_eq!(overview["store"]["up"], true);
    let mut again = stream(&elb.admin(), &format!("Last-Event-ID: {last}\r\n"));
    again.head();
    let (_, _, overview) = event(&mut again);
    assert!(seconds(&overview).iter().all(|second| *second > last), "{overview}");
}

#[test]
fn there_are_so_many_streams_and_who_has_gone_leaves_a_place() {
    let elb = Elb::empty();
    let mut streams: Vec<Client> = (0..STREAMS).map(|_| stream(&elb.admin(), "")).collect();
    streams.iter_mut().for_each(|client| drop(client.head()));
    let refused = elb.admin().call("GET", "events", None);
    assert_eq!((refused.status(), refused.head.get("Retry-After")), (503, Some("1")), "{}", refused.text());
    assert_eq!(elb.admin().call("GET", "domain", None).status(), 200, "others are answered");
    drop(streams.pop());
    wait::until("a place", || (stream(&elb.admin(), "").head().line == "HTTP/1.0 200 OK").then_some(()));
}

#[test]
fn a_stream_does_not_keep_a_process_that_is_told_to_end() {
    let mut elb = Elb::empty();
    let mut client = stream(&elb.admin(), "");
    client.head();
    event(&mut client);
    elb.signal("TERM");
    let why = loop {
        let (name, _, told) = event(&mut client);
        if name == "end" {
            break told;
        }
    };
    assert_eq!(why["why"], "ELB accepts no calls any more");
    client.ended();
    assert!(elb.exit().success());
    assert!(!elb.log().contains("cut off"), "{}", elb.log());
}
