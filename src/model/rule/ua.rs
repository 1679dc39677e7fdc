//! Rule type `ua`: does a pattern match the user agent?
//!
//! It owns that question. The user agent is put into lower case and the pattern is not, so a capital in a pattern never
//! matches unless it says `(?i)`: stored patterns are written for it, and whoever writes another is warned. Next:
//! [`kind`](super::kind) has the list that it is on, [`graph`](super::super::graph) follows the answer.

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use crate::model::pattern::Pattern;
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// A test of the user agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ua {
    pattern: Pattern,
    /// Its groups are kept.
    captures: bool,
}

impl Kind for Ua {
    const ARGUMENTS: Arguments = Arguments::only(&["pattern", "succ", "fail"]);

    fn read(args: &mut Args<'_>) -> Option<Ua> {
        args.branches();
        let captures = args.captures;
        let pattern = args.pattern("pattern", captures)?;
        args.warn_of_capital(&pattern, "the user agent");
        Some(Ua { pattern, captures })
    }
}

impl Ask for Ua {
    /// A request without a user agent never matches, not even the empty pattern.
    #[inline(always)]
    fn answer(&self, request: &RequestView<'_>, _draw: u64, scratch: &mut Scratch) -> usize {
        let Some(agent) = request.user_agent() else { return 0 };
        let (agent, engines) = scratch.agent(agent);
        usize::from(match self.captures {
            false => engines.is_match(&self.pattern, agent),
            true => engines.capture(&self.pattern, agent),
        })
    }

    fn covers(&self, other: &Ua) -> bool {
        self == other
    }

    fn look(&self, request: &RequestView<'_>, scratch: &mut Scratch) -> Look {
        let agent = request.user_agent().map(|agent| scratch.agent(agent).0);
        Look::new("user agent", agent, self.pattern.text())
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing::{self, read, request};
    use crate::model::scratch::Scratch;
    use serde_json::json;

    fn matches(pattern: &str, agent: Option<&[u8]>) -> bool {
        testing::ask("ua", json!({"pattern": pattern}), &request(b"/", agent), &mut Scratch::new()) == 1
    }

    #[test]
    fn the_agent_is_lower_case_and_the_pattern_is_not() {
        assert!(matches(r"httpie(\S+)$", Some(b"HTTPie/0.9.9")));
        assert!(!matches("HTTPie", Some(b"HTTPie/0.9.9")));
        assert!(matches("(?i)HTTPie", Some(b"HTTPie/0.9.9")));
        assert!(matches(r"\xff$", Some(b"x\xff")), "bytes, not characters");
    }

    #[test]
    fn its_groups_are_those_that_a_redirect_has() {
        let mut scratch = Scratch::new();
        let sketch = request(b"/", Some(b"curl/8.1"));
        let args = json!({"pattern": r"^curl/(\d+)"});
        assert_eq!(testing::ask_capturing("ua", args, &sketch, &mut scratch), 1);
        assert_eq!(scratch.group(1), Some(&b"8"[..]));
    }

    #[test]
    fn no_agent_is_no_match_and_an_empty_one_is_an_agent() {
        assert!(!matches("", None));
        assert!(matches("", Some(b"")));
    }

    #[test]
    fn a_pattern_is_needed_and_must_compile() {
        let fault = |args| read("ua", args).unwrap_err()[0].to_string();
        assert_eq!(fault(json!({})), "/args: has no pattern");
        assert_eq!(fault(json!({"pattern": 5})), "/args/pattern: must be a string");
        assert!(
            fault(json!({"pattern": "a("}))
                .starts_with("/args/pattern: the pattern does not compile: unclosed")
        );
    }
}
