//! Which word was probably meant by one that there is not.
//!
//! It owns the distance between two words and how far is too far, never a list of words. Next: `settings::unknown` asks
//! for variables, `model::rule` for the arguments of rules.

/// Edits that lead from one word to another that may have been meant, for a word of three times as many letters.
const EDITS: usize = 3;
/// Longest word that is compared, in bytes: nobody misspells a name into one that is longer.
const LONGEST: usize = 128;

/// What stands beside the word that was probably meant: the one that takes the fewest edits, if they are few.
pub fn nearest<'a, T>(word: &str, known: impl IntoIterator<Item = (&'a str, T)>) -> Option<T> {
    if word.len() > LONGEST {
        return None;
    }
    let known = known.into_iter().map(|(other, meant)| (edits(word, other), meant));
    let (edits, meant) = known.min_by_key(|(edits, _)| *edits)?;
    (edits <= EDITS.min(word.len() / 3)).then_some(meant)
}

/// Letters to insert, to leave out, to replace or to swap with their neighbour until the first is the second.
fn edits(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    // Rows of the table of distances between beginnings: the one before the last, the last, and the one that is made.
    let (mut older, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=to.len()).collect());
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other);
            let mut least = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other {
                least = least.min(older[column - 1] + 1);
            }
            current.push(least);
        }
        older = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (from, to, count) in
            [("", "", 0), ("a", "", 1), ("WORKER", "WORKERS", 1), ("LSITEN", "LISTEN", 1), ("abc", "xyz", 3)]
        {
            assert_eq!((edits(from, to), edits(to, from)), (count, count), "{from} {to}");
        }
    }

    #[test]
    fn a_slip_is_mended_and_another_word_is_not() {
        let nearest = |word: &str| nearest(word, ["pattern", "succ", "fail"].map(|known| (known, known)));
        assert_eq!(nearest("patern"), Some("pattern"));
        assert_eq!(nearest("suc"), Some("succ"));
        assert_eq!(nearest("fial"), Some("fail"));
        for other in ["", "x", "next", "regex", &"succ".repeat(100)] {
            assert_eq!(nearest(other), None, "{other}");
        }
    }
}
