//! Rule type `cookie`: does the client bring such a cookie?
//!
//! It owns that question. The value is compared as it stands there, quotes included (RFC 6265, section 4.2). Next:
//! [`matcher`](super::matcher) compares.

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use super::named::Named;
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::RequestView;

/// A test of a cookie.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Cookie(Box<Named>);

impl Kind for Cookie {
    const ARGUMENTS: Arguments = Arguments::only(Named::ARGUMENTS);

    fn read(args: &mut Args<'_>) -> Option<Cookie> {
        Named::read(args, true).map(|named| Cookie(Box::new(named)))
    }
}

impl Ask for Cookie {
    fn answer(&self, request: &RequestView<'_>, _draw: u64, scratch: &mut Scratch) -> usize {
        let Named { name, test } = &*self.0;
        let mut values = request.cookies(name);
        let (_, engines) = scratch.value();
        usize::from(match test {
            None => values.next().is_some(),
            Some(test) => values.any(|value| test.takes(value, engines)),
        })
    }

    fn covers(&self, other: &Cookie) -> bool {
        self.0.covers(&other.0, str::eq)
    }

    fn look(&self, request: &RequestView<'_>, _scratch: &mut Scratch) -> Look {
        let values: Vec<&[u8]> = request.cookies(&self.0.name).collect();
        let value = (!values.is_empty()).then(|| values.join(&b"; "[..]));
        Look::new(format!("cookie {}", self.0.name), value.as_deref(), self.0.told())
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing;
    use crate::model::scratch::Scratch;
    use crate::semantics::Sketch;
    use serde_json::{Value, json};

    fn takes(args: Value, fields: &[&str]) -> bool {
        let sketch = fields.iter().fold(Sketch::new("h", "/"), |sketch, value| sketch.field("Cookie", value));
        testing::ask("cookie", args, &sketch, &mut Scratch::new()) == 1
    }

    #[test]
    fn all_cookies_of_the_name_in_all_fields_are_looked_at() {
        let beta = json!({"name": "group", "pattern": "beta"});
        for (fields, found) in [
            (&["group=beta"][..], true),
            (&["a=1; group=beta; b=2"], true),
            (&["a=1;group=x", "group=beta"], true),
            (&["Group=beta"], false),
            (&["group=beta2"], false),
            (&["xgroup=beta"], false),
            (&["group"], false),
            (&[], false),
        ] {
            assert_eq!(takes(beta.clone(), fields), found, "{fields:?}");
        }
        assert!(
            takes(json!({"name": "group"}), &["group="]) && !takes(json!({"name": "group"}), &["groups=1"])
        );
    }
}
