//! Rule type `header`: does the request have such a field?
//!
//! It owns that question. Every value of the field is looked at, each by itself. Next: [`matcher`](super::matcher) compares.

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use super::named::Named;
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// A test of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Header(Box<Named>);

impl Kind for Header {
    const ARGUMENTS: Arguments = Arguments::only(Named::ARGUMENTS);

    fn read(args: &mut Args<'_>) -> Option<Header> {
        Named::read(args, true).map(|named| Header(Box::new(named)))
    }
}

impl Ask for Header {
    fn answer(&self, request: &RequestView<'_>, _draw: u64, scratch: &mut Scratch) -> usize {
        let Named { name, test } = &*self.0;
        let mut values = request.field(name.as_bytes());
        let (_, engines) = scratch.value();
        usize::from(match test {
            None => values.next().is_some(),
            Some(test) => values.any(|value| test.takes(value, engines)),
        })
    }

    fn covers(&self, other: &Header) -> bool {
        self.0.covers(&other.0, str::eq_ignore_ascii_case)
    }

    fn look(&self, request: &RequestView<'_>, _scratch: &mut Scratch) -> Look {
        let values: Vec<&[u8]> = request.field(self.0.name.as_bytes()).collect();
        let value = (!values.is_empty()).then(|| values.join(&b", "[..]));
        Look::new(format!("header {}", self.0.name), value.as_deref(), self.0.told())
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing::{self, read};
    use crate::model::scratch::Scratch;
    use crate::semantics::Sketch;
    use serde_json::{Value, json};

    fn takes(args: Value, values: &[&str]) -> bool {
        let sketch = values.iter().fold(Sketch::new("h", "/"), |sketch, value| sketch.field("X-User", value));
        testing::ask("header", args, &sketch, &mut Scratch::new()) == 1
    }

    #[test]
    fn any_value_will_do_and_without_a_pattern_the_field_itself() {
        let present = json!({"name": "x-user"});
        assert!(takes(present.clone(), &[""]) && takes(present.clone(), &["a", "b"]) && !takes(present, &[]));
        let exact = json!({"name": "x-user", "pattern": "beta"});
        assert!(
            takes(exact.clone(), &["a", "beta"])
                && !takes(exact.clone(), &["beta2"])
                && !takes(exact, &["Beta"])
        );
        assert!(takes(json!({"name": "X-USER", "pattern": "be", "match": "prefix"}), &["beta"]));
        assert!(takes(json!({"name": "X-USER", "pattern": "^b.t", "regex": true}), &["x", "beta"]));
    }

    #[test]
    fn faults_are_told_at_their_place() {
        for (args, fault) in [
            (json!({}), "/args: has no name"),
            (
                json!({"name": "a b"}),
                "/args/name: must be a name of letters, digits, - and the like, of 1 to 255 bytes",
            ),
            (
                json!({"name": "a", "match": "exact"}),
                "/args/match: says how a pattern is meant, and there is none",
            ),
            (
                json!({"name": "a", "pattern": "(", "regex": true}),
                "/args/pattern: the pattern does not compile",
            ),
            (json!({"name": "a", "pattern": 1}), "/args/pattern: must be a string"),
        ] {
            let told = read("header", args).unwrap_err()[0].to_string();
            assert!(told.starts_with(fault), "{told}");
        }
    }
}
