//! Layers: which change is in force, by example and for any sequence.

use super::*;
use proptest::prelude::*;

/// Stored without its sign, as a store keeps no order.
impl Layered for i32 {
    fn same_stored(&self, other: &i32) -> bool {
        self.abs() == other.abs()
    }
}

fn good(value: i32) -> Option<Stored<i32>> {
    Some(Stored { value: Some(value), sound: true })
}

fn now(layers: &Layers<i32>) -> (Option<i32>, usize) {
    (layers.effective().get("k").copied(), layers.edits())
}

#[test]
fn the_newest_change_of_a_key_is_in_force() {
    let mut layers = Layers::default();
    assert!(layers.stored("k", good(1), true).0.is_one());
    assert!(layers.put("k", 2).is_one());
    assert_eq!(now(&layers), (Some(2), 1));
    let (change, overridden) = layers.stored("k", good(3), true);
    assert!(change.is_one() && overridden);
    assert_eq!(now(&layers), (Some(3), 0));
    assert!(layers.delete("k").1);
    assert_eq!(now(&layers), (None, 1));
    assert!(layers.stored("k", good(4), true).1, "a deletion gives way as well");
    assert_eq!(now(&layers), (Some(4), 0));
    layers.put("k", 5);
    assert!(layers.stored("k", None, true).1);
    assert_eq!(now(&layers), (None, 0));
}

#[test]
fn what_the_store_says_already_is_no_edit() {
    let mut layers = Layers::default();
    layers.stored("k", good(1), true);
    assert!(!layers.put("k", 1).is_one());
    assert_eq!(now(&layers), (Some(1), 0));
    assert!(layers.put("k", -1).is_one(), "but what the store does not keep is taken over");
    assert_eq!(now(&layers), (Some(-1), 0));
    layers.put("k", 2);
    layers.put("k", 1);
    assert_eq!(now(&layers), (Some(1), 0));
    assert_eq!((layers.delete("x").1, layers.edits()), (false, 0));
}

#[test]
fn a_dump_takes_in_the_edits_it_wrote_and_leaves_newer_ones() {
    let mut layers = Layers::default();
    layers.put("k", -1);
    let (change, overridden) = layers.stored("k", good(1), false);
    assert!(!change.is_one() && !overridden);
    assert_eq!(now(&layers), (Some(-1), 0));
    layers.put("k", 2);
    layers.stored("k", good(3), false);
    assert_eq!(now(&layers), (Some(2), 1));
    layers.delete("k");
    layers.stored("k", None, false);
    assert_eq!(now(&layers), (None, 0));
}

#[test]
fn an_edit_over_a_rejected_key_stays_an_edit_until_it_is_dumped() {
    let mut layers = Layers::default();
    layers.stored("k", Some(Stored { value: Some(1), sound: false }), false);
    assert_eq!(now(&layers), (Some(1), 0));
    assert!(!layers.put("k", 1).is_one());
    assert_eq!(now(&layers), (Some(1), 1));
    layers.stored("b", Some(Stored { value: None, sound: false }), false);
    assert!(layers.delete("b").1, "it is in the store, though not in force");
    assert!(!layers.delete("b").1);
}

proptest! {
    #[test]
    fn what_is_in_force_follows_from_the_layers(
        steps in proptest::collection::vec((0..4u8, 0..3usize, -3..3i32, any::<bool>()), 0..40),
    ) {
        let mut layers = Layers::default();
        for (step, key, value, flag) in steps {
            let key = ["a", "b", "c"][key];
            let before = layers.effective().get(key).copied();
            let change = match step {
                0 => layers.put(key, value),
                1 => layers.delete(key).0,
                2 => layers.stored(key, Some(Stored { value: Some(value), sound: flag }), flag).0,
                _ => layers.stored(key, None, flag).0,
            };
            prop_assert_eq!(change.before, before);
            prop_assert_eq!(change.after, layers.effective().get(key).copied());
            for key in ["a", "b", "c"] {
                let expected = match layers.edit(key) {
                    Some(edit) => edit.copied(),
                    None => layers.store().get(key).and_then(|stored| stored.value),
                };
                prop_assert_eq!(layers.effective().get(key).copied(), expected);
            }
        }
    }
}
