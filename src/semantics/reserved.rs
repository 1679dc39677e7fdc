//! Paths that are ELB's own: `/__erulb__/` and everything under it.
//!
//! It owns which spellings are that place and which only lead there, never what stands there or who may ask. A path that
//! leads there is nobody's else, so that a mistyped call of the API never reaches a server, with its token in the head.
//! Next: `exchange::Exchange::reserved` asks for a request, `data::door` answers it.

/// Where everything begins that is ELB's own.
const PREFIX: &[u8] = b"/__erulb__/";

/// Whose a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// A site's.
    No,
    /// ELB's own, and spelt as it is spelt.
    Exact,
    /// Another spelling that leads there, or the place itself without what stands in it.
    Misspelt,
}

/// Whether a path that is as plain as it looks may be ELB's own. Nearly every one shows in its second byte that it is a
/// site's.
#[inline]
#[must_use]
pub fn may_be(plain: &[u8]) -> bool {
    plain.get(1) == PREFIX.get(1)
}

/// Whose the path of a request is: `received` is its target as it came, `resolved` the path as rules see it.
#[must_use]
pub fn judge(received: &[u8], resolved: &[u8]) -> Reserved {
    match (received.starts_with(PREFIX), resolved.starts_with(PREFIX)) {
        (true, true) => Reserved::Exact,
        _ if is_under(resolved) || is_under(received) => Reserved::Misspelt,
        _ => Reserved::No,
    }
}

/// Whether a path is ELB's own or leads there: the first segment decides, with what some servers cut off behind a `;`.
#[inline]
#[must_use]
pub fn is_under(path: &[u8]) -> bool {
    let name = &PREFIX[..PREFIX.len() - 1];
    path.strip_prefix(name).is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b'?' | b';')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::path::normalize;

    fn judged(target: &str) -> Reserved {
        let path = target.strip_prefix("http://a").unwrap_or(target).split('?').next().unwrap();
        judge(target.as_bytes(), normalize(path.as_bytes(), &mut Vec::new()).unwrap())
    }

    #[test]
    fn only_the_spelling_itself_is_the_place() {
        for own in [
            "/__erulb__/domain",
            "/__erulb__/",
            "/__erulb__/domain/a.test?x",
            "/__erulb__/%64ump",
            "/__erulb__//x",
        ] {
            assert_eq!(judged(own), Reserved::Exact, "{own}");
        }
    }

    #[test]
    fn every_other_spelling_leads_there_and_is_nobody_elses() {
        for other in [
            "/__erulb__",
            "/__erulb__?x",
            "/__erulb__;x/domain",
            "//__erulb__/domain",
            "/./__erulb__/domain",
            "/x/../__erulb__/domain",
            "/x/%2e%2e/__erulb__/domain",
            "/%5f_erulb__/domain",
            "/%5F%5Ferulb__/domain",
            "/__erulb__%2fdomain",
            "/__erul%62__/domain",
            "/__erulb__%3bx/domain",
            "/%2f__erulb__/domain",
            // Whoever does not resolve dots takes it for the place.
            "/__erulb__/../x",
            "http://a/__erulb__/domain",
            "http://a/x/../__erulb__/domain",
        ] {
            assert_eq!(judged(other), Reserved::Misspelt, "{other}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_a_sites() {
        for path in [
            "/",
            "/__ERULB__/domain",
            "/__erulb__x/domain",
            "/x/__erulb__/domain",
            "/__erulb",
            "/%255f_erulb__/x",
        ] {
            assert_eq!(judged(path), Reserved::No, "{path}");
        }
    }
}
