//! `/__erulb__/ui`: one page that shows how this ELB does, in a browser, and changes nothing.
//!
//! It owns the document and what a browser may do with it: nothing from elsewhere is loaded, nothing is asked but this API, and text
//! never becomes markup, which the browser itself sees to. The page holds no numbers and no names, so it is served without the token
//! to who may reach the API: an address that is typed into a browser carries none. It asks for the token, and sends it with each call.
//! Next: `ui/` has its parts, [`stats`](super::stats), [`events`](super::events), [`graph`](super::graph) and [`fleet`](super::fleet) what it shows.

use std::hash::{BuildHasher, RandomState};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::Failure;

/// What stands in the body of the document.
const BODY: &str = include_str!("ui/page.html");
const STYLE: &str = include_str!("ui/page.css");
/// In an order in which nothing is used before it is there.
const SCRIPT: &str = concat!(
    include_str!("ui/base.js"),
    include_str!("ui/dials.js"),
    include_str!("ui/layout.js"),
    include_str!("ui/rules.js"),
    include_str!("ui/tables.js"),
    include_str!("ui/explain.js"),
    include_str!("ui/fleet.js"),
    include_str!("ui/main.js"),
);

/// The document, with a policy by which only its own style and script are taken.
pub(super) async fn get() -> Response {
    let nonce = nonce();
    let Ok(policy) = HeaderValue::try_from(policy(&nonce)) else {
        return Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the policy of the page is no header")
            .into_response();
    };
    let fixed = |text| HeaderValue::from_static(text);
    let headers = [
        (header::CONTENT_TYPE, fixed("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (header::X_FRAME_OPTIONS, fixed("DENY")),
        (header::REFERRER_POLICY, fixed("no-referrer")),
        (header::CACHE_CONTROL, fixed("no-store")),
    ];
    (headers, document(&nonce)).into_response()
}

/// Other browsers' pages cannot frame it, and a script that slipped in would have no nonce. The image is the empty icon: without one a
/// browser asks the site for `/favicon.ico`, which would be a request of ELB's making.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; connect-src 'self'; img-src data:; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

fn document(nonce: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>ELB</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style nonce=\"{nonce}\">\n{STYLE}</style>\n</head>\n<body>\n{BODY}\
         <script nonce=\"{nonce}\">\n\"use strict\";\n(() => {{\n{SCRIPT}}})();\n</script>\n</body>\n</html>\n"
    )
}

/// 128 bits that nobody can foresee: a keyed hash, whose keys come from the system.
fn nonce() -> String {
    let half = || RandomState::new().hash_one("nonce");
    format!("{:016x}{:016x}", half(), half())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_document_needs_more_than_the_policy_gives() {
        for (part, words) in [
            (
                SCRIPT,
                &[
                    "</script",
                    "innerHTML",
                    "outerHTML",
                    "insertAdjacentHTML",
                    "document.write",
                    "eval(",
                    "Storage",
                    "cookie",
                ][..],
            ),
            (STYLE, &["</style", "url(", "@import", "@font-face"]),
            (
                BODY,
                &[
                    "<script",
                    "<style",
                    " style=",
                    " onclick=",
                    " onload=",
                    "<img",
                    "<iframe",
                    "src=",
                    "href=\"http",
                ],
            ),
        ] {
            for word in words {
                assert!(!part.contains(word), "{word}");
            }
        }
        let elsewhere = [SCRIPT, STYLE, BODY].concat().replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("://"), "all of it is here");
    }

    #[test]
    fn each_document_has_a_nonce_of_its_own() {
        let (one, other) = (nonce(), nonce());
        assert!(one != other && one.len() == 32);
        assert_eq!(document(&one).matches(&format!("nonce=\"{one}\"")).count(), 2);
        assert!(policy(&one).contains(&format!("script-src 'nonce-{one}'")));
    }

    #[test]
    fn every_element_that_the_script_names_is_in_the_document() {
        let names = SCRIPT.split("$(\"").skip(1).filter_map(|rest| rest.split_once("\")"));
        for (name, _) in names.filter(|(name, _)| !name.contains('"')) {
            assert!(BODY.contains(&format!("id=\"{name}\"")), "{name}");
        }
    }
}
