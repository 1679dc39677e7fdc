//! Variables that look as if they were meant for ELB, and are none of its.
//!
//! It owns what is warned of and what is suggested instead, never a variable's meaning. A value is never repeated.
//! Next: [`invocation`](super::invocation) knows the variables that there are.

use std::ffi::OsString;

use regex::Regex;

use crate::spelling;

/// What every variable of ELB's own begins with; those that it shares with the first ELB do not.
const PREFIX: &str = "ELB_";
/// What Kubernetes and Docker call the variables by which they tell each container where the services around it are: one that
/// is called `elb`, or `elb-admin`, makes `ELB_SERVICE_HOST`, `ELB_SERVICE_PORT_HTTP`, `ELB_PORT_80_TCP_ADDR`.
const SERVICE: &str = "_SERVICE_HOST$|_SERVICE_PORT|_PORT_[0-9]";

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
    let spellings = known.iter().flat_map(|(other, variable)| [(other, variable), (variable, variable)]);
    let meant = spelling::nearest(name, spellings.map(|(spelling, variable)| (spelling.as_str(), variable)));
    if let Some(meant) = meant {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_service_can_be_read() {
        assert!(Regex::new(SERVICE).is_ok());
    }
}
