//! Rule type `host`: which of the names of a wildcard domain is asked for?
//!
//! It owns that question. The host is in lower case, without port and trailing dot, and so is a text that it is compared with;
//! a pattern is not, and a capital in one
//! matches nothing. A host that it must be may be written as in the name of a domain. Next: [`matcher`](super::matcher) compares.

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use super::matcher::{Form, Matcher};
use crate::model::host;
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// A test of the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Host(Box<Matcher>);

impl Kind for Host {
    const ARGUMENTS: Arguments = Arguments::only(&["pattern", "match", "regex", "succ", "fail"]);

    fn read(args: &mut Args<'_>) -> Option<Host> {
        args.branches();
        let mut matcher = Matcher::read(args, Form::Exact)?;
        if let Matcher::Exact(given) = &mut matcher {
            match std::str::from_utf8(given).ok().and_then(host::normal) {
                Some(normal) => *given = normal.into_bytes().into(),
                None => return args.fault("pattern", "is not a host name"),
            }
        }
        if let Matcher::Regex(pattern) | Matcher::Capture(pattern) = &matcher {
            args.warn_of_capital(pattern, "the host");
        }
        Some(Host(Box::new(matcher.in_lower_case())))
    }
}

impl Ask for Host {
    fn answer(&self, request: &RequestView<'_>, _draw: u64, scratch: &mut Scratch) -> usize {
        usize::from(self.0.takes(request.canonical_host, scratch.value().1))
    }

    fn covers(&self, other: &Host) -> bool {
        self.0.covers(&other.0)
    }

    fn look(&self, request: &RequestView<'_>, _scratch: &mut Scratch) -> Look {
        Look::new("host", Some(request.canonical_host), self.0.told())
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing;
    use crate::model::scratch::Scratch;
    use crate::semantics::Sketch;
    use serde_json::{Value, json};

    #[test]
    fn a_host_is_compared_in_its_normal_form() {
        let takes = |args: Value, host: &str| {
            testing::ask("host", args, &Sketch::new(host, "/"), &mut Scratch::new()) == 1
        };
        assert!(takes(json!({"pattern": "WWW.a.test"}), "www.A.test:8080"));
        assert!(!takes(json!({"pattern": "a.test"}), "www.a.test"));
        assert!(takes(json!({"pattern": "a.test.:80"}), "a.test:8080"));
        assert!(takes(json!({"pattern": "bücher.test"}), "xn--bcher-kva.test"));
        let fault = &testing::read("host", json!({"pattern": "a.test/x"})).unwrap_err()[0];
        assert_eq!(fault.to_string(), "/args/pattern: is not a host name");
        assert!(takes(json!({"pattern": "api-", "match": "prefix"}), "api-1.a.test."));
        assert!(takes(json!({"pattern": r"^\d+\.", "regex": true}), "17.a.test"));
    }
}
