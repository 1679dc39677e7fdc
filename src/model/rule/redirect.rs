//! Rule type `redirect`: the client is sent elsewhere.
//!
//! It owns where, and that nobody but the rule chooses the host: what a request brings is put in where a path or a query is, and
//! nowhere else. Next: [`route`](crate::model::route()) says what follows.

use super::args::{Args, Arguments};
use super::contract::Kind;
use crate::model::encode::{encode, escape};
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;
use crate::semantics::host::HostPort;

/// Longest `to`.
const TEXT: usize = 2048;
/// Longest `Location`, in bytes: as long as the head of a client may be for most servers.
const LOCATION: usize = 8 * 1024;
/// The codes there are (RFC 9110, section 15.4).
const CODES: [u64; 5] = [301, 302, 303, 307, 308];

/// Elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect(Box<To>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct To {
    code: u16,
    pieces: Box<[Piece]>,
    /// It begins with a path, so the host stays.
    is_local: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Host,
    Path,
    Query,
    Group(usize),
}

impl Redirect {
    /// The status of the answer.
    pub(crate) fn code(&self) -> u16 {
        self.0.code
    }

    /// Writes where to; `false` when that may not be said: dots to resolve, control bytes, or too long.
    pub(crate) fn write(&self, request: &RequestView<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
        let mut room = scratch.take_room();
        let sound = self.write_pieces(request, scratch, &mut room, out);
        scratch.give_room(room);
        sound
    }

    fn write_pieces(
        &self,
        request: &RequestView<'_>,
        scratch: &mut Scratch,
        room: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> bool {
        out.clear();
        room.clear();
        for piece in &self.0.pieces {
            let sound = match piece {
                Piece::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    true
                }
                // A request of HTTP/1.0 need not name a host, and then the path would stand in its place.
                Piece::Host => {
                    out.extend_from_slice(request.canonical_host);
                    !request.canonical_host.is_empty()
                }
                Piece::Path => encode(scratch.path(request).0, room),
                // Words of a query stay words, in a query of their own or behind others.
                Piece::Query => {
                    query(request.query(), out);
                    true
                }
                Piece::Group(number) => encode(scratch.group(*number).unwrap_or_default(), room),
            };
            append(room, out);
            if !sound || out.len() > LOCATION {
                return false;
            }
        }
        if self.0.is_local {
            // Two slashes would begin a host.
            let slashes = out.iter().take_while(|byte| **byte == b'/').count();
            out.drain(..slashes.saturating_sub(1));
        }
        true
    }
}

/// Adds what a piece has come to. Behind a `?` a path is a value, in which what separates words is escaped.
fn append(piece: &mut Vec<u8>, out: &mut Vec<u8>) {
    let is_value = out.contains(&b'?');
    for byte in piece.drain(..) {
        match byte {
            b'&' | b';' | b'=' | b'+' if is_value => escape(byte, out),
            byte => out.push(byte),
        }
    }
}

/// The query with its `?`, if there is one; what may not stand in a URL is escaped.
fn query(query: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(query) = query else { return };
    out.push(b'?');
    for byte in query {
        match byte {
            b'!' | b'$'..=b';' | b'=' | b'?'..=b'Z' | b'_' | b'a'..=b'z' | b'~' | b'[' | b']' => {
                out.push(*byte)
            }
            byte => escape(*byte, out),
        }
    }
}

impl Kind for Redirect {
    const ARGUMENTS: Arguments = Arguments::only(&["to", "code"]);

    fn read(args: &mut Args<'_>) -> Option<Redirect> {
        let code = args.number("code", 301, 308, 302);
        if let Some(code) = code.filter(|code| !CODES.contains(code)) {
            return args.fault("code", format!("must be 301, 302, 303, 307 or 308, and is {code}"));
        }
        let text = args.text("to")?;
        let pieces = match pieces(&text) {
            Ok(pieces) => pieces,
            Err(message) => return args.fault("to", message),
        };
        let is_local = match is_local(&pieces) {
            Ok(is_local) => is_local,
            Err(message) => return args.fault("to", message),
        };
        Some(Redirect(Box::new(To { code: code? as u16, pieces: pieces.into(), is_local })))
    }
}

fn pieces(to: &str) -> Result<Vec<Piece>, String> {
    if to.is_empty() || to.len() > TEXT {
        return Err(format!("must have 1 to {TEXT} bytes"));
    }
    if let Some(bad) = to.chars().find(|letter| !letter.is_ascii_graphic() || "\\\"<>^`{|}".contains(*letter))
    {
        return Err(format!("has {bad:?}, which cannot stand in a URL: escape it, as %20"));
    }
    const WORDS: [(&str, Piece); 3] = [("host", Piece::Host), ("path", Piece::Path), ("query", Piece::Query)];
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), to);
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            text.push('$');
            rest = after;
            continue;
        }
        let digit = rest.bytes().next().filter(|digit| (b'1'..=b'9').contains(digit));
        let (piece, length) = match digit {
            Some(digit) => (Piece::Group(usize::from(digit - b'0')), 1),
            None => match WORDS.into_iter().find(|(word, _)| rest.starts_with(word)) {
                Some((word, piece)) => (piece, word.len()),
                None => return Err(
                    "has a $ that means nothing: $host, $path, $query and $1 to $9 do, and $$ is a dollar"
                        .to_owned(),
                ),
            },
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text).into()));
        }
        pieces.push(piece);
        rest = &rest[length..];
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    Ok(pieces)
}

/// Whether the host stays; or that the rule does not say where.
fn is_local(pieces: &[Piece]) -> Result<bool, String> {
    const CURE: &str = "must begin with /, with $path, or with http:// or https:// and a host that is written there, or $host";
    let text = match pieces.first() {
        Some(Piece::Path) => return Ok(true),
        Some(Piece::Text(text)) => text,
        _ => return Err(CURE.to_owned()),
    };
    if text.starts_with("//") {
        return Err(CURE.to_owned());
    }
    if text.starts_with('/') {
        return Ok(true);
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(CURE)?;
    let is_host = |host: &str| HostPort::parse(host.as_bytes()).is_ok();
    let ends = |text: &str| text.starts_with(['/', '?', '#']);
    // What follows the host, if that is in the first text.
    let end = rest.find(['/', '?', '#']);
    let (host, is_over) = (&rest[..end.unwrap_or(rest.len())], end.is_some());
    let next = |at: usize| match pieces.get(at) {
        None | Some(Piece::Path | Piece::Query) => true,
        Some(Piece::Text(text)) => ends(text),
        Some(Piece::Host | Piece::Group(_)) => false,
    };
    let sound = match (host, is_over, pieces.get(1)) {
        ("", false, Some(Piece::Host)) => match pieces.get(2) {
            // A port may follow.
            Some(Piece::Text(text)) if text.starts_with(':') => {
                let port = text[1..].bytes().take_while(u8::is_ascii_digit).count();
                port > 0 && if port + 1 == text.len() { next(3) } else { ends(&text[port + 1..]) }
            }
            _ => next(2),
        },
        ("", ..) => false,
        (host, true, _) => is_host(host),
        (host, false, _) => is_host(host) && next(1),
    };
    if sound { Ok(false) } else { Err(CURE.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::kind::testing::{self, read, request};
    use crate::model::rule::kind::{RuleRead, Terminal};
    use crate::semantics::Sketch;
    use proptest::prelude::*;
    use serde_json::json;

    fn redirect(to: &str) -> Redirect {
        match read("redirect", json!({"to": to})).unwrap() {
            RuleRead::End(Terminal::Redirect(redirect)) => redirect,
            other => panic!("{other:?}"),
        }
    }

    /// Where a request for this host, path and query is sent.
    fn sent(to: &str, sketch: &Sketch) -> Option<String> {
        let mut out = Vec::new();
        let sound = redirect(to).write(&sketch.view(), &mut Scratch::new(), &mut out);
        sound.then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_put_in_stands_where_it_was_said() {
        let sketch = Sketch::new("A.test:80", "/x y/é").query("a=b c&d=<");
        for (to, location) in [
            ("https://$host$path$query", "https://a.test/x%20y/%C3%A9?a=b%20c&d=%3C"),
            ("https://b.test/new", "https://b.test/new"),
            ("https://$host:8443/", "https://a.test:8443/"),
            ("$path", "/x%20y/%C3%A9"),
            ("/login?from=$path", "/login?from=/x%20y/%C3%A9"),
            ("/login$query&more=1", "/login?a=b%20c&d=%3C&more=1"),
            ("/a$$b", "/a$b"),
        ] {
            assert_eq!(sent(to, &sketch).as_deref(), Some(location), "{to}");
        }
        assert_eq!(sent("https://$host$query", &Sketch::new("a", "/")).as_deref(), Some("https://a"));
    }

    #[test]
    fn a_rule_that_does_not_say_where_is_refused() {
        for to in [
            "",
            "x",
            "//b.test",
            "ftp://b.test/",
            "https://",
            "https:///x",
            "https://$1/",
            "https://$path",
            "https://b.test$1",
            "https://u@b.test/",
            "https://b$host/",
            "https://$host$1",
            "https://$host.b.test/",
            "https://$host:/",
            "$1",
            "$host/",
            "$query",
            "/a b",
            "/a\r\nX: y",
            "/\\b.test",
            "/$x",
            "/$0",
            "javascript:alert(1)",
            "https://$host:80$1",
        ] {
            let fault = read("redirect", json!({"to": to})).unwrap_err().remove(0);
            assert_eq!(fault.pointer, "/args/to", "{to}");
        }
        assert!(
            read("redirect", json!({"to": "/", "code": 305})).unwrap_err()[0]
                .message
                .starts_with("must be 301")
        );
    }

    #[test]
    fn a_local_path_stays_local() {
        let rules = json!({"pattern": "^/go(.*)$", "regex": true});
        let mut scratch = Scratch::new();
        for (path, location) in [
            ("/go//evil.test", "/evil.test"),
            ("/go/\\evil.test", "/%5Cevil.test"),
            ("/go", ""),
            ("/gox", "x"),
        ] {
            let sketch = request(path.as_bytes(), None);
            assert_eq!(testing::ask_capturing("path", rules.clone(), &sketch, &mut scratch), 1);
            let mut out = Vec::new();
            assert!(redirect("/$1").write(&sketch.view(), &mut scratch, &mut out));
            assert_eq!(
                String::from_utf8(out).unwrap(),
                format!("/{}", location.trim_start_matches('/')),
                "{path}"
            );
        }
    }

    #[test]
    fn a_path_in_a_query_is_one_value() {
        let sketch = Sketch::new("a", "/a&admin=1;b=+2");
        assert_eq!(
            sent("/signin?from=$path&x=1", &sketch).as_deref(),
            Some("/signin?from=/a%26admin%3D1%3Bb%3D%2B2&x=1")
        );
        assert_eq!(sent("$path", &sketch).as_deref(), Some("/a&admin=1;b=+2"));
    }

    #[test]
    fn without_a_host_nobody_is_sent_to_what_stands_in_its_place() {
        assert_eq!(sent("https://$host$path", &Sketch::new("", "/evil.test/x")), None);
        assert_eq!(sent("$path", &Sketch::new("", "/evil.test/x")).as_deref(), Some("/evil.test/x"));
    }

    #[test]
    fn dots_and_control_bytes_are_sent_nowhere() {
        assert_eq!(sent("$path", &Sketch::new("a", "/x\r\nX: y")), None);
        assert_eq!(sent("$path", &Sketch::new("a", "/../x")), None);
        assert_eq!(sent("$path", &Sketch::new("a", "/".to_owned() + &"x".repeat(LOCATION))), None);
    }

    /// The host that a browser goes to: tabs and line ends are nothing to it, and a backslash is a slash.
    fn host_of(location: &str) -> Option<String> {
        let seen: String = location
            .chars()
            .filter(|letter| !"\t\r\n".contains(*letter))
            .collect::<String>()
            .replace('\\', "/");
        let rest = seen.strip_prefix("https:").or(seen.strip_prefix("http:")).unwrap_or(&seen);
        let rest = rest.strip_prefix("//")?;
        let rest = rest.trim_start_matches('/');
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Some(rest[..end].rsplit('@').next().unwrap_or_default().to_owned())
    }

    proptest! {
        #[test]
        fn no_request_chooses_the_host(
            to in prop::sample::select(vec!["https://$host$path$query", "/x$path$query", "$path", "$path$query", "https://b.test$path", "https://b.test/$query",
                "https://$host:81/$1$query", "/$1$2", "/$2?x=$1", "https://b.test/$1?y=$2"]),
            host in "[a-zA-Z0-9.-]{1,8}(:[0-9]{1,4})?",
            pattern in prop::sample::select(vec!["^/(.*)$", "^(/*)(.*)$", "/([^/]*)(/.*)?$", "^/(?=(.))(.*)"]),
            path in "/[\\x00-\\xff]{0,20}|/{1,4}[a-z@:.]{1,8}|/[\\\\/@:]{0,6}evil\\.test",
            query in prop::option::of("[\\x00-\\xff]{0,20}|@evil.test|//evil.test"),
        ) {
            let sketch = Sketch::new(host, path);
            let sketch = match query { Some(query) => sketch.query(query), None => sketch };
            let (mut scratch, mut out) = (Scratch::new(), Vec::new());
            testing::ask_capturing("path", json!({"pattern": pattern, "regex": true}), &sketch, &mut scratch);
            let meant = std::str::from_utf8(sketch.view().canonical_host).unwrap().to_owned();
            if redirect(to).write(&sketch.view(), &mut scratch, &mut out) {
                let location = String::from_utf8(out).unwrap();
                let meant = if to.contains("$host:81") { format!("{meant}:81") } else { meant };
                prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location:?}");
                let host = host_of(&location);
                let meant =
                    if to.starts_with("https://b") { Some("b.test") } else { to.starts_with("https").then_some(&*meant) };
                prop_assert_eq!(host.as_deref(), meant, "{}", location);
            }
        }
    }
}
