//! Rows of numbers by key, in memory that is taken once: what one worker counts between two reports.
//!
//! It owns finding the row of a key, and what becomes of keys beyond [`ROWS`]: they share one row, so that sums stay true. Next:
//! [`stats`](super), which says what the keys are.

/// Rows of a table. A worker reports before its tables are full, so this bounds memory and not what is told by name.
pub const ROWS: usize = 8192;
/// Rows that a turn of a worker may add: it looks once a turn whether it should report.
const SLACK: usize = 2048;
/// Places for the numbers of rows: so many that few keys meet at one.
const PLACES: usize = 2 * ROWS;

/// Numbers of type `V` by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<V> {
    /// The number of the row, counted from 1; 0 is none. A key whose place is taken is at the next one that is not.
    places: Box<[u16; PLACES]>,
    rows: Vec<(u64, V)>,
    rest: V,
}

/// What was counted, taken out of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows<V> {
    /// By key, each once.
    pub rows: Vec<(u64, V)>,
    /// Of all keys that there was no row for.
    pub rest: V,
}

impl<V: Default + Clone> Default for Table<V> {
    fn default() -> Self {
        // All of it is one piece that is never moved, and costs memory as it is written to.
        Self { places: Box::new([0; PLACES]), rows: Vec::with_capacity(ROWS), rest: V::default() }
    }
}

impl<V: Default + Clone> Table<V> {
    /// The numbers of this key.
    #[inline]
    pub fn at(&mut self, key: u64) -> &mut V {
        let mut place = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize;
        let number = loop {
            place %= PLACES;
            let number = usize::from(self.places[place]);
            if number == 0 {
                break self.add(place, key);
            }
            if self.rows.get(number - 1).is_some_and(|row| row.0 == key) {
                break number;
            }
            place += 1;
        };
        match self.rows.get_mut(number.wrapping_sub(1)) {
            Some((_, numbers)) => numbers,
            None => &mut self.rest,
        }
    }

    /// A row for a key that has none; gives its number, 0 when there is no room.
    #[cold]
    #[inline(never)]
    fn add(&mut self, place: usize, key: u64) -> usize {
        if self.rows.len() >= ROWS {
            return 0;
        }
        self.rows.push((key, V::default()));
        let number = self.rows.len();
        if let (Some(place), Ok(number)) = (self.places.get_mut(place), u16::try_from(number)) {
            *place = number;
        }
        number
    }

    /// Whether one turn more might need more rows than there are.
    #[inline]
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        self.rows.len() > ROWS - SLACK
    }

    /// Hands over what was counted and begins anew.
    pub fn take(&mut self) -> Rows<V> {
        let taken = Rows { rows: self.rows.clone(), rest: std::mem::take(&mut self.rest) };
        if !self.rows.is_empty() {
            self.rows.clear();
            self.places.fill(0);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_beyond_the_bound_share_a_row_and_nothing_is_lost() {
        let mut table: Table<u64> = Table::default();
        let most = ROWS as u64 + 100;
        for key in 0..most {
            *table.at(key << 16) += 1;
            assert_eq!(table.is_nearly_full(), key as usize >= ROWS - SLACK);
        }
        let taken = table.take();
        assert_eq!((taken.rows.len(), taken.rest), (ROWS, 100));
        assert!(taken.rows.iter().all(|row| row.1 == 1));
        *table.at(7) += 1;
        assert_eq!(table.take(), Rows { rows: vec![(7, 1)], rest: 0 });
    }

    proptest! {
        #[test]
        fn a_table_counts_as_a_map_does(keys in prop::collection::vec(prop_oneof![0_u64..40, any::<u64>()], 0..300)) {
            let (mut table, mut map) = (Table::<u64>::default(), BTreeMap::new());
            for key in &keys {
                *table.at(*key) += 1;
                *map.entry(*key).or_insert(0) += 1;
            }
            let taken: BTreeMap<u64, u64> = table.take().rows.into_iter().collect();
            prop_assert_eq!(taken, map);
        }
    }
}
