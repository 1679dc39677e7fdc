//! JSON in which no member is there twice.
//!
//! It owns that check: JSON readers take the last of two members of one name, and half of what an operator wrote would
//! be gone without a word. Never what the members mean. Next: [`prepare`](super::prepare), [`library`](super::library),
//! the admin API and the file store read with it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::fault::{Fault, step};

/// Reads a text whole.
///
/// # Errors
/// That it is no JSON, or which member is there twice, with a pointer to it.
pub fn read_json(text: &[u8]) -> Result<Value, Fault> {
    let mut place = Place::default();
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = Once(&mut place).deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    read.map_err(|error| match place.twice {
        Some(pointer) => Fault::new(pointer, "is there twice, and only one of the two would count"),
        None => Fault::new("", format!("is not JSON: {error}")),
    })
}

/// Reads one value out of a larger text, under the same rule.
///
/// # Errors
/// Those of the deserializer; and which member is there twice.
pub fn read_member<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Once(&mut Place::default()).deserialize(deserializer)
}

/// What stands there twice: its pointer, from where the reading goes on. It is put together on the way out, as most texts have none.
#[derive(Debug, Default)]
pub(super) struct Place {
    twice: Option<String>,
}

impl Place {
    /// What was found lies below this step.
    fn under(&mut self, step: impl FnOnce() -> String) {
        if let Some(pointer) = &mut self.twice {
            pointer.insert_str(0, &step());
        }
    }
}

/// Reads one value, all that is in it included.
pub(super) struct Once<'p>(pub(super) &'p mut Place);

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            match items.next_element_seed(Once(self.0)) {
                Ok(Some(item)) => list.push(item),
                Ok(None) => return Ok(list.into()),
                Err(error) => {
                    self.0.under(|| format!("/{}", list.len()));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                self.0.twice = Some(step(&name));
                return Err(A::Error::custom(format_args!("{name:?} is there twice")));
            }
            match members.next_value_seed(Once(self.0)) {
                Ok(value) => drop(object.insert(name, value)),
                Err(error) => {
                    self.0.under(|| step(&name));
                    return Err(error);
                }
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_member_that_is_there_twice_is_pointed_at() {
        for (text, pointer) in [
            (r#"{"a": 1, "a": 1}"#, "/a"),
            (r#"{"a": {"b": [0, {"c/d": 1, "c\/d": 2}]}}"#, "/a/b/1/c~1d"),
            (r#"[{}, {"": 1, "": 1}]"#, "/1/"),
        ] {
            assert_eq!(read_json(text.as_bytes()).unwrap_err().pointer, pointer, "{text}");
        }
        assert!(read_json(br#"{"a": {"a": {"a": 1}}, "b": {"a": 1}}"#).is_ok());
        for broken in ["", "{", "1 2", r#"{"a" 1}"#] {
            let fault = read_json(broken.as_bytes()).unwrap_err();
            assert!(fault.pointer.is_empty() && fault.message.starts_with("is not JSON: "), "{fault}");
        }
        let deep = "[".repeat(100_000);
        assert!(read_json(deep.as_bytes()).is_err(), "the nesting is bounded");
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()).prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("\\PC{0,3}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn everything_else_is_read_as_it_is(value in json()) {
            let text = value.to_string();
            prop_assert_eq!(read_json(text.as_bytes()).unwrap().to_string(), text);
        }
    }
}
