//! Exchanges byte for byte: every request in one packet and in as many as it has bytes, with another right behind it.
//!
//! It owns the ways in which bytes are said and the judgement whether a refusal is one. The tables are in `../e2e`.

use super::client::{Client, get};
use super::elb::Elb;
use super::rules::SITE;
use super::server::{Server, ok};

/// The fields that ELB itself writes for a client on loopback that asks for [`SITE`].
pub(crate) const OURS: &str = "Host: site.test\r\nX-Real-IP: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\n\
                               REMOTE-HOST: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n\
                               X-Forwarded-Host: site.test\r\n";

/// The same for one that names this host, which is [`SITE`] in another spelling.
pub(crate) fn ours_for(authority: &str) -> String {
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.is_empty());
    OURS.replace("X-Forwarded-Host: site.test", &format!("X-Forwarded-Host: {authority}"))
        .replace("Port: 80", &format!("Port: {}", port.unwrap_or("80")))
}

/// What is longer than this is not sent byte by byte.
const BY_BYTES: usize = 1024;

/// A server that answers everything with a word, and an ELB before it.
pub(crate) fn pair() -> (Server, Elb) {
    let server = Server::answering(|request| {
        let answer = ok("seen");
        if request.head.method() == "HEAD" { answer.trim_end_matches("seen").to_owned() } else { answer }
    });
    let elb = Elb::before(&[&server]);
    (server, elb)
}

/// Says `bytes`, in one packet or each in its own. Who is refused need not be able to finish.
pub(crate) fn say(client: &mut Client, bytes: &[u8], whole: bool) {
    for piece in bytes.chunks(if whole { bytes.len() } else { 1 }) {
        if client.try_send(piece).is_err() {
            return;
        }
    }
}

/// Both ways to say so many bytes: `true` is in one packet.
pub(crate) fn splits(length: usize) -> &'static [bool] {
    if length > BY_BYTES { &[true] } else { &[true, false] }
}

/// Asserts that this request is refused for this reason, that the connection closes, and that what stands behind the
/// request is not read as another. Only the server of [`pair`] can say whether that was so: ask it after the table.
#[track_caller]
pub(crate) fn refused(elb: &Elb, status: u16, reason: &str, request: &[u8]) {
    let shown = request[..request.len().min(200)].escape_ascii().to_string();
    let bytes = [request, get(SITE, "/smuggled").as_bytes()].concat();
    for &whole in splits(bytes.len()) {
        let mut client = elb.client();
        say(&mut client, &bytes, whole);
        let answer = client.response();
        let said = (answer.status(), answer.head.get("X-ELB-Reason"), answer.head.get("Connection"));
        assert_eq!(said, (status, Some(reason), Some("close")), "{shown}, whole: {whole}");
        assert!(answer.head.get("Date").is_some() && answer.text().ends_with(&format!(": {reason}\n")));
        client.ended();
    }
}

/// Asserts that the server sees exactly `seen` of this request, and that the one behind it is read as another.
#[track_caller]
pub(crate) fn accepted(elb: &Elb, server: &Server, request: &[u8], seen: &[u8]) {
    let bytes = [request, get(SITE, "/next").as_bytes()].concat();
    for &whole in splits(bytes.len()) {
        let before = server.requests().len();
        let mut client = elb.client();
        say(&mut client, &bytes, whole);
        let method = if request.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        assert_eq!(client.response_to(method).status(), 200, "{}", request.escape_ascii());
        assert_eq!(client.response().text(), "seen", "{}", request.escape_ascii());
        let arrived = server.requests().split_off(before);
        let arrived: Vec<String> = arrived.iter().map(|one| one.wire().escape_ascii().to_string()).collect();
        let next = format!("GET /next HTTP/1.1\r\n{OURS}\r\n");
        assert_eq!(
            arrived,
            [seen.escape_ascii().to_string(), next.escape_default().to_string()],
            "whole: {whole}"
        );
    }
}
