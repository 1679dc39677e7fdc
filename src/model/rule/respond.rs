//! Rule type `respond`: ELB answers with a page of the rule's own.
//!
//! It owns the page, and whether a client has it already; never how an answer is framed. Next:
//! [`route`](crate::model::route()) says what follows.

use std::hash::Hasher;

use serde_json::Value;
use siphasher::sip::SipHasher24;

use super::args::{Args, Arguments};
use super::contract::Kind;
use super::fields;
use crate::semantics::RequestView;

/// Largest body, in bytes: a maintenance page, and no web server.
const BODY: usize = 64 * 1024;
/// What a body is, unless it is said.
const PLAIN: &str = "text/plain; charset=utf-8";
/// Statuses whose answers have no body (RFC 9110, section 6.4.1).
const BODILESS: [u16; 2] = [204, 205];

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond(Box<Page>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    status: u16,
    body: Box<str>,
    kind: Box<str>,
    /// `"…"`; only a 200 has one.
    tag: Option<Box<str>>,
    /// Its other fields as lines, with the tag among them.
    lines: Box<str>,
}

impl Respond {
    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// What it says.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.0.body
    }

    /// The media type of that.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// Further fields, each a line with its end.
    #[must_use]
    pub fn lines(&self) -> &str {
        &self.0.lines
    }

    /// Whether the client has this page already, and is told so with a 304 (RFC 9110, section 13.1.2).
    #[must_use]
    pub fn is_known(&self, request: &RequestView<'_>) -> bool {
        let Some(tag) = &self.0.tag else { return false };
        if !matches!(request.method(), b"GET" | b"HEAD") {
            return false;
        }
        let mut known = request.field(b"if-none-match").flat_map(|value| value.split(|byte| *byte == b','));
        known.any(|known| {
            let known = known.trim_ascii();
            known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes()
        })
    }
}

impl Kind for Respond {
    const ARGUMENTS: Arguments = Arguments::only(&["status", "body", "content_type", "headers"]);

    fn read(args: &mut Args<'_>) -> Option<Respond> {
        let status = args.number("status", 200, 599, 200);
        let body = match args.given.get("body") {
            None => Some(String::new()),
            Some(Value::String(text)) if text.len() <= BODY => Some(text.clone()),
            Some(Value::String(_)) => args.fault("body", format!("is longer than {BODY} bytes")),
            Some(_) => args.fault("body", "must be a string"),
        };
        let kind = match args.given.get("content_type") {
            None => Some(PLAIN.to_owned()),
            Some(Value::String(text)) if is_kind(text) => Some(text.clone()),
            Some(_) => args.fault("content_type", "must be a media type, as text/html; charset=utf-8"),
        };
        let given = args.given.get("headers");
        let fields = given.map_or(Some(Vec::new()), |given| fields::of_response(args, "/headers", given));
        if let Some(known) =
            args.given.get("headers").and_then(|given| given.as_object()?.keys().find(|name| is_kinds(name)))
        {
            let place = format!("/headers{}", crate::model::fault::step(known));
            let why = if known.eq_ignore_ascii_case("etag") {
                "follows from the page"
            } else {
                "is what content_type says"
            };
            args.report.fault(format!("{}{place}", args.at), why);
            return None;
        }
        let (status, body, kind, fields) = (status? as u16, body?, kind?, fields?);
        if matches!(status, 206 | 304) {
            return args.fault(
                "status",
                "is an answer to a question that only some clients ask; a page with status 200 gives it",
            );
        }
        if BODILESS.contains(&status) && !body.is_empty() {
            return args.fault("body", format!("is none that an answer with status {status} can have"));
        }
        let tag = (status == 200).then(|| tag(&kind, &body));
        let mut lines = String::new();
        for (name, value) in fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .chain(tag.as_deref().map(|tag| ("ETag", tag)))
        {
            lines.push_str(&format!("{name}: {value}\r\n"));
        }
        let tag = tag.map(Into::into);
        Some(Respond(Box::new(Page {
            status,
            body: body.into(),
            kind: kind.into(),
            tag,
            lines: lines.into(),
        })))
    }
}

/// `type/subtype`, and whatever parameters, without a control byte.
fn is_kind(text: &str) -> bool {
    let (kind, rest) = text.split_once('/').unwrap_or((text, ""));
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(crate::semantics::syntax::is_token);
    is_name(kind)
        && is_name(rest.split(';').next().unwrap_or_default().trim_end())
        && text.len() <= 255
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Fields that another argument says, or that follow from the body.
fn is_kinds(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-type") || name.eq_ignore_ascii_case("etag")
}

/// The same for the same page, whoever serves it (RFC 9110, section 8.8.3).
fn tag(kind: &str, body: &str) -> String {
    let mut hasher = SipHasher24::new();
    hasher.write(kind.as_bytes());
    hasher.write_u8(0);
    hasher.write(body.as_bytes());
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::kind::testing::read;
    use crate::model::rule::kind::{RuleRead, Terminal};
    use crate::semantics::Sketch;
    use serde_json::json;

    fn page(args: Value) -> Respond {
        match read("respond", args).unwrap() {
            RuleRead::End(Terminal::Respond(page)) => page,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_page_has_what_was_said_and_a_tag_that_follows_from_it() {
        let plain = page(json!({}));
        assert_eq!((plain.status(), plain.body(), plain.kind()), (200, "", PLAIN));
        let args = json!({"status": 503, "body": "<h1>soon</h1>", "content_type": "text/html", "headers": {"Retry-After": 60, "X-A": ["1", "2\r\nX: y"]}});
        let soon = page(args);
        assert_eq!(
            soon.lines(),
            "Retry-After: 60\r\nX-A: 1\r\nX-A: 2%0D%0AX: y\r\n",
            "no line begins in a value"
        );
        assert_eq!((soon.status(), soon.body(), soon.kind()), (503, "<h1>soon</h1>", "text/html"));
        let hello = page(json!({"body": "hello"}));
        assert_eq!(hello.lines(), page(json!({"body": "hello"})).lines());
        assert_ne!(hello.lines(), page(json!({"body": "hallo"})).lines());
    }

    #[test]
    fn who_has_the_page_is_told_so() {
        let hello = page(json!({"body": "hello"}));
        let tag = hello.lines().trim_end().strip_prefix("ETag: ").unwrap().to_owned();
        let known = |method: &str, field: &str| {
            hello.is_known(&Sketch::new("h", "/").method(method).field("If-None-Match", field).view())
        };
        assert!(known("GET", &tag) && known("HEAD", &format!("\"x\", W/{tag}")) && known("GET", "*"));
        assert!(
            !known("POST", &tag) && !known("GET", "\"x\"") && !hello.is_known(&Sketch::new("h", "/").view())
        );
        assert!(
            !page(json!({"body": "hello", "status": 404}))
                .is_known(&Sketch::new("h", "/").field("If-None-Match", "*").view())
        );
    }

    #[test]
    fn faults_are_told_at_their_place() {
        for (args, fault) in [
            (json!({"status": 304}), "/args/status: is an answer to a question"),
            (json!({"headers": {"ETag": "x"}}), "/args/headers/ETag: follows from the page"),
            (json!({"status": 100}), "/args/status: must be a whole number from 200 to 599"),
            (
                json!({"status": 204, "body": "x"}),
                "/args/body: is none that an answer with status 204 can have",
            ),
            (json!({"body": 1}), "/args/body: must be a string"),
            (json!({"body": "x".repeat(BODY + 1)}), "/args/body: is longer than 65536 bytes"),
            (json!({"content_type": "html"}), "/args/content_type: must be a media type"),
            (json!({"content_type": "text/html\r\nX: y"}), "/args/content_type: must be a media type"),
            (json!({"headers": []}), "/args/headers: must be an object"),
            (json!({"headers": {"a b": "1"}}), "/args/headers/a b: is not a header name"),
            (
                json!({"headers": {"Content-Length": "1"}}),
                "/args/headers/Content-Length: is ELB's own business",
            ),
            (json!({"headers": {"X-ELB-Reason": "1"}}), "/args/headers/X-ELB-Reason: is ELB's own business"),
            (
                json!({"headers": {"content-type": "1"}}),
                "/args/headers/content-type: is what content_type says",
            ),
        ] {
            let told = read("respond", args).unwrap_err()[0].to_string();
            assert!(told.starts_with(fault), "{told}");
        }
    }
}
