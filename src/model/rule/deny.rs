//! Rule type `deny`: the request goes no further.
//!
//! It owns the status, never the answer. Next: [`route`](crate::model::route()) says what follows.

use super::args::{Args, Arguments};
use super::contract::Kind;

/// Statuses whose answers must have a field that only an operator knows (RFC 9110, section 15.5; RFC 7231, section 6.5.15).
const NEEDY: [(u16, &str); 3] = [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate"), (426, "Upgrade")];

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deny {
    status: u16,
}

impl Deny {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        self.status
    }
}

impl Kind for Deny {
    const ARGUMENTS: Arguments = Arguments::only(&["status"]);

    fn read(args: &mut Args<'_>) -> Option<Deny> {
        let status = args.number("status", 400, 599, 403)? as u16;
        match NEEDY.iter().find(|(needy, _)| *needy == status) {
            Some((_, field)) => {
                args.fault("status", format!("needs a {field} field: use respond, which can have one"))
            }
            None => Some(Deny { status }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::rule::kind::testing::read;
    use serde_json::json;

    #[test]
    fn a_refusal_has_a_status_of_a_refusal() {
        assert!(read("deny", json!({})).is_ok() && read("deny", json!({"status": 451})).is_ok());
        for status in [json!(200), json!("403"), json!(600), json!(403.5)] {
            let fault = read("deny", json!({"status": status})).unwrap_err().remove(0);
            assert_eq!(fault.to_string(), "/args/status: must be a whole number from 400 to 599");
        }
        let fault = read("deny", json!({"status": 401})).unwrap_err().remove(0);
        assert_eq!(
            fault.to_string(),
            "/args/status: needs a WWW-Authenticate field: use respond, which can have one"
        );
    }
}
