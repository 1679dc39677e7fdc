//! Rule type `method`: is the method one of these?
//!
//! It owns that question. Methods are compared byte for byte, as they have to be (RFC 9110, section 9.1). Next:
//! [`kind`](super::kind) has the list that it is on.

use serde_json::Value;

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;
use crate::semantics::syntax::is_token;
use crate::warning::Code;

/// Most methods of one rule: more than HTTP and WebDAV have together.
const METHODS: usize = 64;
/// Longest method.
const LONGEST: usize = 64;

/// A test of the method.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Method(Box<[Box<str>]>);

impl Kind for Method {
    const ARGUMENTS: Arguments = Arguments::only(&["methods", "succ", "fail"]);

    fn read(args: &mut Args<'_>) -> Option<Method> {
        args.branches();
        let given = args.list("methods", METHODS)?;
        let mut methods: Vec<Box<str>> = Vec::with_capacity(given.len());
        let mut sound = true;
        for (at, method) in given.iter().enumerate() {
            match method {
                Value::String(text) if (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_token) => {
                    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
                        let upper = text.to_ascii_uppercase();
                        args.warn_at(
                            Code::LowerCaseMethod,
                            "methods",
                            at,
                            format!("{text} is not {upper}: case makes a difference"),
                        );
                    }
                    methods.push(text.as_str().into());
                }
                _ => {
                    sound = false;
                    args.fault_at("methods", at, "must be a method, as GET");
                }
            }
        }
        sound.then(|| Method(methods.into()))
    }
}

impl Ask for Method {
    fn answer(&self, request: &RequestView<'_>, _draw: u64, _scratch: &mut Scratch) -> usize {
        let method = request.method();
        usize::from(self.0.iter().any(|known| known.as_bytes() == method))
    }

    fn covers(&self, other: &Method) -> bool {
        other.0.iter().all(|method| self.0.contains(method))
    }

    fn look(&self, request: &RequestView<'_>, _scratch: &mut Scratch) -> Look {
        Look::new("method", Some(request.method()), self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing::{self, read};
    use crate::model::scratch::Scratch;
    use crate::semantics::Sketch;
    use serde_json::json;

    #[test]
    fn a_method_is_one_of_the_list_or_not() {
        let takes = |method: &str| {
            let sketch = Sketch::new("h", "/").method(method);
            testing::ask("method", json!({"methods": ["GET", "PURGE"]}), &sketch, &mut Scratch::new()) == 1
        };
        assert!(takes("GET") && takes("PURGE") && !takes("get") && !takes("HEAD") && !takes("GETS"));
    }

    #[test]
    fn faults_are_told_at_their_place() {
        for (args, fault) in [
            (json!({}), "/args: has no methods"),
            (json!({"methods": "GET"}), "/args/methods: must be a list of 1 to 64"),
            (json!({"methods": []}), "/args/methods: must be a list of 1 to 64"),
            (json!({"methods": ["GET", "A B"]}), "/args/methods/1: must be a method, as GET"),
            (json!({"methods": [1]}), "/args/methods/0: must be a method, as GET"),
        ] {
            assert_eq!(read("method", args).unwrap_err()[0].to_string(), fault);
        }
    }
}
