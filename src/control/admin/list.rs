//! A long list in pages, and by a part of the name.
//!
//! It owns the words of its query and the choice of rows; never what a row shows. A list is asked for as before when the query
//! says nothing: all of it. Next: [`domain`](super::domain) and [`upstream`](super::upstream) have such lists.

use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::answer::Failure;
use super::servers::word;

/// Bytes of a text that is looked for: no name of a host is longer.
const LONGEST: usize = 255;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// What a name holds, in lower case.
    filter: String,
    /// The name after which it begins, in lower case.
    after: Option<String>,
    limit: Option<usize>,
}

/// Rows that were chosen, in the order of their names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen<T> {
    pub(super) rows: Vec<T>,
    /// How many there are on all pages.
    total: usize,
    /// The name after which the next page begins.
    next: Option<String>,
}

impl Page {
    /// Reads `filter`, `after` and `limit`.
    pub(super) fn read(uri: &Uri) -> Result<Self, Failure> {
        let refuse = |error: String| Failure::new(StatusCode::BAD_REQUEST, error).coded("bad-query");
        let text = |name: &str| match word(uri, name) {
            Some(long) if long.len() > LONGEST => {
                Err(refuse(format!("{name} is longer than {LONGEST} bytes")))
            }
            text => Ok(text.map(|text| text.to_lowercase())),
        };
        let limit = word(uri, "limit").map(|text| text.parse().ok().filter(|limit| *limit > 0));
        let limit = match limit {
            Some(None) => return Err(refuse("limit is a number from 1 on".to_owned())),
            limit => limit.flatten(),
        };
        Ok(Self { filter: text("filter")?.unwrap_or_default(), after: text("after")?, limit })
    }

    /// Chooses among rows, each with its name, that are in the order of their names without regard to case.
    pub(super) fn choose<T>(&self, mut all: Vec<(String, T)>) -> Chosen<T> {
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.retain(|(name, _)| name.contains(&self.filter));
        let total = all.len();
        let begin = self.after.as_ref().map_or(0, |after| all.partition_point(|(name, _)| name <= after));
        let end = self.limit.map_or(total, |limit| begin.saturating_add(limit).min(total));
        let last = end.checked_sub(1).filter(|_| end < total).and_then(|last| all.get(last));
        let next = last.map(|(name, _)| name.clone());
        all.truncate(end);
        let rows = all.into_iter().skip(begin).map(|(_, row)| row).collect();
        Chosen { rows, total, next }
    }

    /// Says how many there are in all, and where the next page is (RFC 8288).
    pub(super) fn tell<T>(&self, response: &mut Response, path: &str, chosen: &Chosen<T>) {
        if *self == Self::default() {
            return;
        }
        response.headers_mut().insert(HeaderName::from_static("x-elb-total"), chosen.total.into());
        let Some(next) = &chosen.next else { return };
        let mut link = format!("<{path}?after={}", utf8_percent_encode(next, NON_ALPHANUMERIC));
        if !self.filter.is_empty() {
            link += &format!("&filter={}", utf8_percent_encode(&self.filter, NON_ALPHANUMERIC));
        }
        link += &self.limit.map_or_else(String::new, |limit| format!("&limit={limit}"));
        if let Ok(value) = HeaderValue::try_from(link + ">; rel=\"next\"") {
            response.headers_mut().insert(header::LINK, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Page {
        Page::read(&format!("/x?{query}").parse().unwrap()).unwrap()
    }

    #[test]
    fn pages_hold_each_name_once() {
        let all = || ["b.test", "a.test", "c.net", "d.test"].map(|name| (name.to_owned(), name)).to_vec();
        let mut query = "limit=2&filter=TEST".to_owned();
        let first = page(&query).choose(all());
        assert_eq!(
            (&first.rows, first.total, &first.next),
            (&vec!["a.test", "b.test"], 3, &Some("b.test".into()))
        );
        query += "&after=B.test";
        let second = page(&query).choose(all());
        assert_eq!((second.rows, second.total, second.next), (vec!["d.test"], 3, None));
        let whole = page("").choose(all());
        assert_eq!((whole.rows.len(), whole.next), (4, None));
        assert_eq!(page("after=zzz&limit=9").choose(all()).rows, [""; 0]);
    }

    #[test]
    fn a_page_says_where_the_next_one_is() {
        let page = page("limit=1&filter=a%26b");
        let mut response = Response::default();
        let chosen = page.choose(vec![("a&b".to_owned(), ()), ("xa&b".to_owned(), ())]);
        page.tell(&mut response, "/__erulb__/domain", &chosen);
        let link = "</__erulb__/domain?after=a%26b&filter=a%26b&limit=1>; rel=\"next\"";
        assert_eq!(response.headers().get("link").unwrap(), link);
        assert_eq!(response.headers().get("x-elb-total").unwrap(), "2");
        let refused =
            |query: &str| Page::read(&format!("/x?{query}").parse().unwrap()).unwrap_err().to_string();
        assert_eq!(refused("limit=0"), "limit is a number from 1 on");
        assert_eq!(refused("limit=x"), "limit is a number from 1 on");
        assert_eq!(refused(&format!("filter={}", "a".repeat(256))), "filter is longer than 255 bytes");
    }
}
