//! Variables that look as if they were meant for ELB, and are none of its.
//!
//! It owns what is warned of and what is suggested instead, never a variable's meaning. A value is never repeated.
//! Next: `invocation` knows the variables that there are.

use std::ffi::OsString;

use regex::Regex;

/// What every variable of ELB's own begins with; those that it shares with the first ELB do not.
const PREFIX: &str = "ELB_";
/// What Kubernetes and Docker call the variables by which they tell each container where the services around it are: one that
/// is called `elb`, or `elb-admin`, makes `ELB_SERVICE_HOST`, `ELB_SERVICE_PORT_HTTP`, `ELB_PORT_80_TCP_ADDR`.
const SERVICE: &str = "_SERVICE_HOST$|_SERVICE_PORT|_PORT_[0-9]";
/// Edits that lead from one name to another that may have been meant, for a name of three times as many letters.
const EDITS: usize = 3;

/// A warning for each name that begins as ELB's do and is not in `known`. A known variable may also be asked for by other
/// names: `(other, variable)`.
pub(super) fn warnings(
    names: &[OsString],
    known: &[(String, String)],
    value: &dyn Fn(&str) -> Option<OsString>,
) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names.retain(|name| name.starts_with(PREFIX) && known.iter().all(|(_, variable)| variable != name));
    let service = Regex::new(SERVICE);
    names
        .retain(|name| !service.as_ref().is_ok_and(|service| service.is_match(name)) && !is_url(name, value));
    let warning = |name: &String| match nearest(name, known) {
        Some(meant) => format!("there is no variable {name}, and it does nothing; is {meant} meant?"),
        None => {
            format!(
                "there is no variable {name}, and it does nothing; `elb --help` names those that there are"
            )
        }
    };
    names.iter().map(warning).collect()
}

/// They also make `ELB_PORT=tcp://10.0.0.1:80`, which only its value tells from a slip.
fn is_url(name: &str, value: &dyn Fn(&str) -> Option<OsString>) -> bool {
    name.ends_with("_PORT") && value(name).is_some_and(|value| value.to_string_lossy().contains("://"))
}

/// The known variable that was probably meant.
fn nearest<'a>(name: &str, known: &'a [(String, String)]) -> Option<&'a str> {
    let (edits, meant) = known
        .iter()
        .flat_map(|(other, variable)| [(other, variable), (variable, variable)])
        .map(|(spelling, variable)| (edits(name, spelling), variable))
        .min_by_key(|(edits, _)| *edits)?;
    if edits <= EDITS.min(name.len() / 3) {
        return Some(meant);
    }
    // `ELB_LISTEN_ADDRESS`: the longest that it begins with.
    let begins =
        |variable: &&String| name.strip_prefix(variable.as_str()).is_some_and(|rest| rest.starts_with('_'));
    known
        .iter()
        .map(|(_, variable)| variable)
        .filter(begins)
        .max_by_key(|variable| variable.len())
        .map(String::as_str)
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
    fn what_names_a_service_can_be_read() {
        assert!(Regex::new(SERVICE).is_ok());
    }

    #[test]
    fn edits_are_counted() {
        for (from, to, count) in
            [("", "", 0), ("a", "", 1), ("WORKER", "WORKERS", 1), ("LSITEN", "LISTEN", 1), ("abc", "xyz", 3)]
        {
            assert_eq!((edits(from, to), edits(to, from)), (count, count), "{from} {to}");
        }
    }
}
