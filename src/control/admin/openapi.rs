//! `/__erulb__/openapi.json`: the API itself, described for programs (OpenAPI 3.1).
//!
//! It owns the document beside it and puts the version of this ELB into it. `tests/openapi/document.rs` holds the document against the router and
//! the manual, `tests/e2e/openapi.rs` against what is answered. Next: [`router`](super::router) has the paths.

use std::sync::LazyLock;

use axum::response::Response;

use super::answer::json_text;

/// The document as it is read and written; its version stands there as [`PLACE`].
const WRITTEN: &str = include_str!("openapi.json");
/// What stands in the place of the version, quotes included.
const PLACE: &str = "\"VERSION\"";

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let version = concat!("\"", env!("CARGO_PKG_VERSION"), "\"");
    WRITTEN.trim_end().replacen(PLACE, version, 1)
});

/// The document.
pub(super) async fn get() -> Response {
    json_text(DOCUMENT.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_document_has_the_version_of_this_elb() {
        assert_eq!(WRITTEN.matches(PLACE).count(), 1);
        let document: Value = serde_json::from_str(&DOCUMENT).unwrap();
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
