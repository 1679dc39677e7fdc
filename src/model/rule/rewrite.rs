//! Rule type `rewrite`: makes another path of the path, and goes on.
//!
//! It owns what becomes of the path, never how it is encoded nor whether it may be sent. Next:
//! [`encode`](super::super::encode) writes it out, [`path`](super::path) has a rewrite of its own.

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use crate::model::engines::Engines;
use crate::model::pattern::Pattern;
use crate::model::recorder::Look;
use crate::model::scratch::{LONGEST_PATH, Scratch};
use crate::semantics::RequestView;

/// Longest text that a rule adds or makes of groups.
const TEXT: usize = 1024;

/// Another path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Rewrite(Box<How>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum How {
    /// Without these segments at its beginning, if they are there.
    Strip(Box<[u8]>),
    /// With these segments before it.
    Add(Box<[u8]>),
    /// Made of the groups of a pattern, if it matches.
    Groups { pattern: Pattern, to: Box<[Piece]> },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Piece {
    Text(Box<[u8]>),
    Group(usize),
}

impl Kind for Rewrite {
    const ARGUMENTS: Arguments = Arguments::only(&["strip_prefix", "add_prefix", "regex", "to", "succ"]);

    fn read(args: &mut Args<'_>) -> Option<Rewrite> {
        args.link("succ");
        let given: Vec<&str> = ["strip_prefix", "add_prefix", "regex"]
            .into_iter()
            .filter(|name| args.given.contains_key(*name))
            .collect();
        let how = match given[..] {
            ["regex"] => {
                let to = args.text("to").and_then(|to| pieces(&to, args));
                How::Groups { pattern: args.pattern("regex", true)?, to: to? }
            }
            [name] if args.given.contains_key("to") => {
                return args.fault("to", format!("goes with regex, and not with {name}"));
            }
            ["strip_prefix"] => How::Strip(prefix(args, "strip_prefix")?),
            ["add_prefix"] => How::Add(prefix(args, "add_prefix")?),
            _ => {
                args.report.fault(args.at.clone(), "must have one of strip_prefix, add_prefix and regex");
                return None;
            }
        };
        Some(Rewrite(Box::new(how)))
    }
}

/// Whole segments, without a slash at their end.
fn prefix(args: &mut Args<'_>, name: &str) -> Option<Box<[u8]>> {
    let text = args.text(name)?;
    let bare = text.strip_suffix('/').unwrap_or(&text);
    if !bare.starts_with('/') || bare.contains("//") || text.len() > TEXT {
        return args
            .fault(name, format!("must be a path that begins with /, as /api, of {TEXT} bytes at most"));
    }
    if let Some(why) = never_sent(&text) {
        return args.fault(name, why);
    }
    Some(bare.as_bytes().into())
}

/// Why a path that holds this text would never be sent, or not as it is meant.
fn never_sent(text: &str) -> Option<&'static str> {
    if text.contains(['?', '#']) {
        return Some("has a ? or a #, which is no part of a path: the query of the request stays as it is");
    }
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Some("has a control character, and a path with one is sent to no server");
    }
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    text.split('/').any(is_dots).then_some("has a segment of dots, and a path with one is sent to no server")
}

/// `$1` to `$9` are groups, `$$` is a dollar.
fn pieces(to: &str, args: &mut Args<'_>) -> Option<Box<[Piece]>> {
    if !to.starts_with(['/', '$']) || to.len() > TEXT {
        return args
            .fault("to", format!("must begin with / or a group, as /v2/$1, and have {TEXT} bytes at most"));
    }
    if let Some(why) = never_sent(to) {
        return args.fault("to", why);
    }
    let (mut pieces, mut text) = (Vec::new(), Vec::new());
    let mut bytes = to.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'$' => match bytes.next() {
                Some(b'$') => text.push(b'$'),
                Some(digit @ b'1'..=b'9') => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                    }
                    pieces.push(Piece::Group(usize::from(digit - b'0')));
                }
                _ => return args.fault("to", "has a $ that is no group: $1 to $9 are, and $$ is a dollar"),
            },
            byte => text.push(byte),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    Some(pieces.into())
}

impl Ask for Rewrite {
    fn answer(&self, request: &RequestView<'_>, _draw: u64, scratch: &mut Scratch) -> usize {
        match &*self.0 {
            How::Strip(prefix) => {
                let rest = scratch.path(request).0.strip_prefix(&**prefix);
                if let Some(rest) = rest.filter(|rest| matches!(rest.first(), None | Some(b'/'))) {
                    let length = rest.len();
                    scratch.make_path(request, |path, _, out| {
                        out.extend_from_slice(path.get(path.len() - length..).unwrap_or_default());
                    });
                }
            }
            How::Add(prefix) => scratch.make_path(request, |path, _, out| {
                out.extend_from_slice(prefix);
                out.extend_from_slice(path);
            }),
            How::Groups { pattern, to } => {
                let (path, engines) = scratch.path(request);
                if engines.capture(pattern, path) {
                    scratch.make_path(request, |_, engines, out| fill(to, engines, out));
                }
            }
        }
        0
    }

    fn changes_path(&self, _answer: bool) -> bool {
        true
    }

    fn look(&self, request: &RequestView<'_>, scratch: &mut Scratch) -> Look {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let test = match &*self.0 {
            How::Strip(prefix) => format!("strip_prefix {}", text(prefix)),
            How::Add(prefix) => format!("add_prefix {}", text(prefix)),
            How::Groups { pattern, .. } => pattern.text().to_owned(),
        };
        Look::new("path", Some(scratch.path(request).0), test)
    }

    fn branch(&self, _successor: usize) -> String {
        "succ".to_owned()
    }
}

/// What is longer than a path may be is cut off, and not sent.
fn fill(to: &[Piece], engines: &Engines, out: &mut Vec<u8>) {
    for piece in to {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Group(number) => out.extend_from_slice(engines.group(*number).unwrap_or_default()),
        }
        if out.len() > LONGEST_PATH {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing::{self, read, request};
    use crate::model::scratch::Scratch;
    use serde_json::{Value, json};

    /// The path afterwards, or nothing if it stays.
    fn path(args: Value, path: &str) -> Option<String> {
        let mut scratch = Scratch::new();
        assert_eq!(testing::ask("rewrite", args, &request(path.as_bytes(), None), &mut scratch), 0);
        scratch.rewritten().map(|path| String::from_utf8(path.to_vec()).unwrap())
    }

    #[test]
    fn segments_are_taken_away_or_put_before() {
        let strip = |from: &str| path(json!({"strip_prefix": "/api"}), from);
        assert_eq!(
            (strip("/api/x"), strip("/api"), strip("/api/")),
            (Some("/x".into()), Some("/".into()), Some("/".into()))
        );
        assert_eq!((strip("/apiary"), strip("/x/api")), (None, None), "whole segments, at the beginning");
        assert_eq!(path(json!({"strip_prefix": "/a/b/"}), "/a/b/c"), Some("/c".into()));
        assert_eq!(path(json!({"add_prefix": "/v1/"}), "/x"), Some("/v1/x".into()));
    }

    #[test]
    fn groups_make_a_path() {
        let to = |to: &str, from: &str| path(json!({"regex": "^/(\\w+)/(\\d+)(x)?", "to": to}), from);
        assert_eq!(to("/$2/$1", "/a/17/z"), Some("/17/a".into()));
        assert_eq!(to("$1$3$$", "/a/17"), Some("/a$".into()), "a slash goes before, and no group is nothing");
        assert_eq!(to("/$1", "/a/b"), None);
        assert_eq!(to("/$9", "/a/1"), Some("/".into()));
    }

    #[test]
    fn a_path_that_grows_without_end_has_one() {
        let long = "/".to_owned() + &"a".repeat(60_000);
        let made = path(json!({"regex": "^(.*)$", "to": "$1".repeat(500)}), &long).unwrap();
        assert!(made.len() <= 200_000, "{}", made.len());
    }

    #[test]
    fn faults_are_told_at_their_place() {
        for (args, fault) in [
            (json!({}), "/args: must have one of strip_prefix, add_prefix and regex"),
            (json!({"strip_prefix": "/a", "add_prefix": "/b"}), "/args: must have one of"),
            (json!({"strip_prefix": "a"}), "/args/strip_prefix: must be a path that begins with /"),
            (json!({"add_prefix": "/"}), "/args/add_prefix: must be a path that begins with /"),
            (json!({"add_prefix": "/a?b"}), "/args/add_prefix: has a ? or a #"),
            (json!({"add_prefix": "/a/../b"}), "/args/add_prefix: has a segment of dots"),
            (json!({"regex": "a", "to": "/./$1"}), "/args/to: has a segment of dots"),
            (json!({"regex": "a", "to": "/a\r$1"}), "/args/to: has a control character"),
            (json!({"regex": "a", "to": "/a?b=$1"}), "/args/to: has a ? or a #"),
            (json!({"strip_prefix": "/a", "to": "/"}), "/args/to: goes with regex"),
            (json!({"regex": "a"}), "/args: has no to"),
            (json!({"regex": "a", "to": "x"}), "/args/to: must begin with /"),
            (json!({"regex": "a", "to": "/$x"}), "/args/to: has a $ that is no group"),
            (json!({"regex": "a", "to": "/$0"}), "/args/to: has a $ that is no group"),
            (json!({"regex": "(", "to": "/"}), "/args/regex: the pattern does not compile"),
        ] {
            let told = read("rewrite", args).unwrap_err()[0].to_string();
            assert!(told.starts_with(fault), "{told}");
        }
    }
}
