//! Check.

use serde_json::Value;

use super::fault::Fault;

/// Every fault.
pub fn check(document: &Value) -> Vec<Fault> {
    check_all(document).0
}

/// Every fault, and every warning.
pub fn check_all(_document: &Value) -> (Vec<Fault>, Vec<String>) {
    (Vec::new(), Vec::new())
}
