//! The words that the query of a change may hold, and how their values are read.
//!
//! It owns the names and the refusal of every other word: a word that is misspelt must not carry out something else
//! than what was meant. What a word does is its endpoint's affair, and which words an endpoint knows stands in
//! `router`. A `GET` ignores its query, as it always did. Next: [`write`](super::write) asks for the words.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use super::answer::Failure;

/// Unknown words that one refusal names, and characters of each: enough to find them.
const NAMED: usize = 8;
const CHARACTERS: usize = 64;

/// A word; each is on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// The change goes into the store as well.
    Dump,
    /// What was held back is applied.
    Confirm,
    /// Servers whose names have no address are accepted.
    Unresolved,
    /// It is only asked what the change would come to.
    DryRun,
}

impl Word {
    /// The word as it is written.
    const fn name(self) -> &'static str {
        match self {
            Self::Dump => "dump",
            Self::Confirm => "confirm",
            Self::Unresolved => "unresolved",
            Self::DryRun => "dry_run",
        }
    }
}

/// The words that are on in one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Flags(Vec<Word>);

impl Flags {
    /// Is this word on?
    pub(super) fn has(&self, word: Word) -> bool {
        self.0.contains(&word)
    }

    /// Reads a query in which `known` may stand.
    fn read(uri: &Uri, known: &[Word]) -> Result<Self, Failure> {
        let refuse = |error: String| Failure::new(StatusCode::BAD_REQUEST, error).coded("bad-query");
        let (mut seen, mut on, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let [name, value] = [name, value].map(|text| percent_decode_str(text).decode_utf8_lossy());
            let Some(word) = known.iter().find(|word| word.name() == name) else {
                unknown.push(shown(&name));
                continue;
            };
            if seen.contains(word) {
                return Err(refuse(format!("the query word {name} stands there twice; nothing is changed")));
            }
            seen.push(*word);
            match &*value {
                "1" | "true" => on.push(*word),
                "0" | "false" => {}
                other => {
                    return Err(refuse(format!(
                        "the query word {name} has the value {}; 1 or true, 0 or false is expected, and nothing is changed",
                        shown(other)
                    )));
                }
            }
        }
        if unknown.is_empty() {
            return Ok(Self(on));
        }
        let more = unknown.len().saturating_sub(NAMED);
        unknown.truncate(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let known = match known {
            [] => "none is known here".to_owned(),
            known => {
                format!("known here: {}", known.iter().map(|word| word.name()).collect::<Vec<_>>().join(", "))
            }
        };
        let unknown = unknown.join(", ");
        Err(refuse(format!("unknown words in the query: {unknown}{more}; {known}, and nothing is changed")))
    }
}

/// A word of a peer as a message may hold it: quoted, escaped and cut.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(CHARACTERS).collect::<String>())
}

impl<S: Sync> FromRequestParts<S> for Flags {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Reads the query before anything of the request is carried out. `known` are the words of its endpoint.
pub(super) async fn check(known: &'static [Word], mut request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        match Flags::read(request.uri(), known) {
            Ok(flags) => drop(request.extensions_mut().insert(flags)),
            Err(failure) => return failure.into_response(),
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Vec<Word>, String> {
        let uri: Uri = format!("/a{query}").parse().unwrap();
        Flags::read(&uri, &[Word::Dump, Word::Confirm])
            .map(|flags| flags.0)
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_word_is_on_or_off() {
        for on in ["?dump=1", "?dump=true", "?&dump=1&", "?dump=%31", "?d%75mp=1", "?confirm=0&dump=true"] {
            assert_eq!(read(on), Ok(vec![Word::Dump]), "{on}");
        }
        for off in ["", "?", "?&", "?dump=0", "?dump=false&confirm=0"] {
            assert_eq!(read(off), Ok(vec![]), "{off}");
        }
        assert_eq!(read("?confirm=1&dump=1"), Ok(vec![Word::Confirm, Word::Dump]));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (query, named) in [
            ("?dry_run=1", r#"unknown words in the query: "dry_run"; known here: dump, confirm"#),
            ("?dump=1&x&y=2", r#"unknown words in the query: "x", "y"; known here"#),
            ("?Dump=1", r#""Dump""#),
            ("?dump", r#"dump has the value ""; 1 or true, 0 or false is expected"#),
            ("?dump=yes", r#"dump has the value "yes""#),
            ("?dump=11", r#""11""#),
            ("?dump=1&dump=0", "dump stands there twice"),
            ("?%0a%1b=1", r#""\n\u{1b}""#),
        ] {
            let told = read(query).unwrap_err();
            assert!(told.contains(named) && told.ends_with("nothing is changed"), "{query}: {told}");
        }
        let many = format!("?{}", "x=1&".repeat(100));
        assert!(read(&many).unwrap_err().contains(" and 92 more;"));
        assert!(read(&format!("?{}", "y".repeat(5000))).unwrap_err().len() < 200);
    }
}
