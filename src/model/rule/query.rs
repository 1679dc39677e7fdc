//! Rule type `query`: does the query have such a word?
//!
//! It owns that question. Names and values are compared as forms mean them, `+` and escapes decoded. Next:
//! [`matcher`](super::matcher) compares, [`crate::semantics::query`] decodes.

use super::args::{Args, Arguments};
use super::contract::{Ask, Kind};
use super::named::Named;
use crate::model::recorder::Look;
use crate::model::scratch::Scratch;
use crate::semantics::{RequestView, query};

/// A test of a word of the query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Query(Box<Named>);

impl Kind for Query {
    const ARGUMENTS: Arguments = Arguments::only(Named::ARGUMENTS);

    fn read(args: &mut Args<'_>) -> Option<Query> {
        Named::read(args, false).map(|named| Query(Box::new(named)))
    }
}

impl Ask for Query {
    fn answer(&self, request: &RequestView<'_>, _draw: u64, scratch: &mut Scratch) -> usize {
        let Named { name, test } = &*self.0;
        let Some(all) = request.query() else { return 0 };
        let mut values = query::words(all).filter(|(word, _)| query::means(word, name.as_bytes()));
        let (room, engines) = scratch.value();
        usize::from(match test {
            None => values.next().is_some(),
            Some(test) => values.any(|(_, value)| test.takes(query::decode(value, room), engines)),
        })
    }

    fn covers(&self, other: &Query) -> bool {
        self.0.covers(&other.0, str::eq)
    }

    fn look(&self, request: &RequestView<'_>, _scratch: &mut Scratch) -> Look {
        let all = request.query().unwrap_or_default();
        let words = query::words(all).filter(|(word, _)| query::means(word, self.0.name.as_bytes()));
        let values: Vec<Vec<u8>> =
            words.map(|(_, value)| query::decode(value, &mut Vec::new()).to_vec()).collect();
        let value = (!values.is_empty()).then(|| values.join(&b", "[..]));
        Look::new(format!("query {}", self.0.name), value.as_deref(), self.0.told())
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing;
    use crate::model::scratch::Scratch;
    use crate::semantics::Sketch;
    use serde_json::{Value, json};

    fn takes(args: Value, query: &str) -> bool {
        let sketch = Sketch::new("h", "/").query(query);
        testing::ask("query", args, &sketch, &mut Scratch::new()) == 1
    }

    #[test]
    fn words_are_compared_as_they_are_meant() {
        let word = json!({"name": "c[]", "pattern": "a b+"});
        assert!(takes(word.clone(), "c[]=x&c%5B%5d=a+b%2B") && takes(word.clone(), "c[]=a%20b%2b"));
        assert!(!takes(word.clone(), "c=a+b%2b") && !takes(word, ""));
        let there = json!({"name": "debug"});
        assert!(
            takes(there.clone(), "debug") && takes(there.clone(), "x=1&debug=0") && !takes(there, "debugs")
        );
        assert!(takes(json!({"name": "v", "pattern": "^[0-9]+$", "match": "regex"}), "v=x&v=17"));
    }
}
