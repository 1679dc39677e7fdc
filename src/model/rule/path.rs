//! Rule type `path`: does the path begin so, or match a pattern, and is part of it the new path?
//!
//! It owns that question and which part survives a rewrite, never how the new path is encoded. It sees the path decoded
//! and normalised, as rules before it left it. Next: [`graph`](super::super::graph) follows the answer,
//! [`encode`](super::super::encode) writes the path out.

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use super::matcher::{Form, Matcher};
use crate::model::pattern::Pattern;
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;
use crate::warning::Code;

/// A test of the path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Path {
    /// The path is meant: `/path1` as a prefix also takes `/path12`, and nothing takes all.
    Test(Matcher),
    /// The pattern matches somewhere, and then its first group becomes the path.
    Rewrite(Pattern),
    /// The same, and its groups are kept.
    RewriteAndCapture(Pattern),
}

impl Kind for Path {
    const ARGUMENTS: Arguments = Arguments::only(&["pattern", "succ", "fail", "match", "regex", "rewrite"]);

    fn read(args: &mut Args<'_>) -> Option<Path> {
        args.branches();
        let (form, rewrite) = (Form::read(args, Form::Prefix), args.flag("rewrite"));
        Some(match (form?, rewrite?) {
            (Form::Regex, true) if args.captures => Path::RewriteAndCapture(args.pattern("pattern", true)?),
            (Form::Regex, true) => Path::Rewrite(args.pattern("pattern", true)?),
            // What is no pattern is never rewritten, whatever `rewrite` says: so it was in the first ELB.
            (form, rewrite) => {
                if rewrite {
                    let message = "does nothing without a regex, whose first group would be the new path: set regex to true";
                    args.warn(Code::RewriteWithoutRegex, "rewrite", message);
                }
                Path::Test(Matcher::of(args, form)?)
            }
        })
    }
}

impl Ask for Path {
    #[inline(always)]
    fn answer(&self, request: &RequestView<'_>, _draw: u64, scratch: &mut Scratch) -> usize {
        let (path, engines) = scratch.path(request);
        // One look finds out what nearly all are.
        if let Path::Test(Matcher::Regex(pattern)) = self {
            return usize::from(engines.is_match(pattern, path));
        }
        let group = match self {
            Path::Test(matcher) => return usize::from(matcher.takes(path, engines)),
            Path::Rewrite(pattern) => engines.first_group(pattern, path),
            Path::RewriteAndCapture(pattern) => {
                engines.capture(pattern, path);
                engines.first_group(pattern, path)
            }
        };
        match group {
            Some(group) => {
                // A copy, so that the request lies in registers where nothing is rewritten.
                let request = *request;
                scratch.rewrite(&request, group.unwrap_or(0..0));
                1
            }
            None => 0,
        }
    }

    fn covers(&self, other: &Path) -> bool {
        match (self, other) {
            (Path::Test(matcher), Path::Test(other)) => matcher.covers(other),
            _ => self == other,
        }
    }

    fn changes_path(&self, answer: bool) -> bool {
        answer && !matches!(self, Path::Test(_))
    }

    fn look(&self, request: &RequestView<'_>, scratch: &mut Scratch) -> Look {
        let test = match self {
            Path::Test(matcher) => matcher.told(),
            Path::Rewrite(pattern) | Path::RewriteAndCapture(pattern) => pattern.text().to_owned(),
        };
        Look::new("path", Some(scratch.path(request).0), test)
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing::{self, read, request};
    use crate::model::scratch::Scratch;
    use serde_json::{Value, json};

    /// Whether it matched, and the path afterwards if it was rewritten.
    fn ask(args: Value, path: &[u8]) -> (bool, Option<Vec<u8>>) {
        let mut scratch = Scratch::new();
        let matched = testing::ask("path", args, &request(path, None), &mut scratch) == 1;
        (matched, scratch.rewritten().map(<[u8]>::to_vec))
    }

    #[test]
    fn a_prefix_is_bytes_and_never_rewrites() {
        assert_eq!(ask(json!({"pattern": "/path1"}), b"/path12"), (true, None));
        assert_eq!(ask(json!({"pattern": "/path1"}), b"/Path1"), (false, None));
        assert_eq!(ask(json!({"pattern": ""}), b"/"), (true, None));
        assert_eq!(ask(json!({"pattern": "/a", "regex": false, "rewrite": true}), b"/a/b"), (true, None));
        assert_eq!(ask(json!({"pattern": "a(", "rewrite": true}), b"/a("), (false, None));
    }

    #[test]
    fn a_regex_matches_or_not() {
        let args = json!({"pattern": r"^\/blog\/(\S+)$", "regex": true, "rewrite": false});
        assert_eq!(ask(args.clone(), b"/blog/a"), (true, None));
        assert_eq!(ask(args, b"/shop/a"), (false, None));
    }

    #[test]
    fn a_rewrite_leaves_the_first_group_behind_one_slash() {
        let rewrite = |pattern: &str, path: &[u8]| {
            ask(json!({"pattern": pattern, "regex": true, "rewrite": true}), path)
        };
        let to = |path: &[u8]| (true, Some(path.to_vec()));
        assert_eq!(rewrite(r"^\/blog\/(\S+)$", b"/blog/a/b"), to(b"/a/b"));
        assert_eq!(rewrite(r"^\/blog(\/\S+)$", b"/blog/a"), to(b"/a"));
        assert_eq!(rewrite("^/blog/(.*)$", b"/blog/"), to(b"/"));
        assert_eq!(rewrite("^/blog", b"/blog/a"), to(b"/"), "no group");
        assert_eq!(rewrite("^/blog|(x)", b"/blog/a"), to(b"/"), "the group took no part");
        assert_eq!(rewrite(r"^\/blog\/(\S+)$", b"/shop/a"), (false, None), "no match rewrites nothing");
    }

    #[test]
    fn flags_are_json_booleans() {
        for (name, value) in [
            ("regex", json!("false")),
            ("regex", json!(0)),
            ("regex", json!(null)),
            ("rewrite", json!("true")),
        ] {
            let faults = read("path", json!({"pattern": "/", name: value})).unwrap_err();
            assert_eq!(faults[0].to_string(), format!("/args/{name}: must be true or false"));
        }
        assert_eq!(
            read("path", json!({"regex": 1, "rewrite": 1})).unwrap_err().len(),
            2,
            "every fault is told"
        );
    }
}
