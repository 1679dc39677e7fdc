//! `/__erulb__/stats`: how this ELB does, with the domains, upstreams and servers that are looked for.
//!
//! It owns the words of its query and the choice of names: a search among 100,000 is made aside, and gives as many rows as fit a
//! screen. Next: [`overview`] for
//! all that has no name, [`recent`](crate::control::recent) for what is counted.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Map, Value, json};

use super::answer::{self, Answer, Failure};
use super::overview::{self, rate, times};
use super::servers::word;
use super::times::Moment;
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::control::lately::Sums;
use crate::control::recent::Busy;
use crate::control::replies::Gone;
use crate::control::servers::Shown;
use crate::model::{Condition, Server, ServerId, Snapshot, Upstream};

/// Rows of each list unless the query says otherwise, and at most.
const ROWS: usize = 50;
const MOST_ROWS: usize = 500;
/// Servers that are shown for each upstream that may be, on average.
const SERVERS_EACH: usize = 4;
/// Bytes of a text that is looked for: no name of a host is longer.
const LONGEST: usize = 255;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    /// In lower case; what names hold.
    domains: String,
    upstreams: String,
    sort: Sort,
    limit: usize,
}

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Rate,
    Errors,
    Name,
}

/// What the hub knows at one moment.
struct Known {
    overview: Value,
    seconds: f64,
    snapshot: Arc<Snapshot>,
    domains: Vec<(u32, Sums)>,
    upstreams: Vec<Busy>,
    servers: HashMap<ServerId, Sums>,
}

/// Names that were found, and the rows of those that are shown.
#[derive(Debug, Default)]
struct Found {
    matching: usize,
    rows: Vec<Value>,
}

/// `{…overview, "domains": {"matching", "rows": [{"name", "rate", "errors"}, …]}, "upstreams": {"matching", "rows": [{"name",
/// "rate", "errors", "p50_ms", "p90_ms", "p99_ms", "usable", "servers"}, …]}, "servers": {"matching", "rows": [{"upstream",
/// "server", "address", "state", "since", "until", "reason", "rate", "errors", "active"}, …]}}`.
pub(super) async fn get(State(hub): State<HubHandle>, uri: Uri) -> Answer {
    let asked = Asked::read(&uri)?;
    let known = hub.ask_now(known).await?;
    let limit = asked.limit;
    let choose = move || {
        let domains = domains(&known, &asked);
        let (upstreams, names) = upstreams(&known, &asked);
        (known, domains, upstreams, names)
    };
    let (known, domains, upstreams, names) = tokio::task::spawn_blocking(choose).await.map_err(|_| Gone)?;
    let servers = move |hub: &mut Hub, now| (hub.servers_of(|name| names.contains(name)), now);
    let (shown, measured) = hub.ask_now(servers).await?;
    let moment = Moment { measured, calendar: SystemTime::now() };
    let servers = servers_shown(&known, &shown, limit, &moment);
    let Value::Object(mut told) = known.overview else { return Ok(answer::json(&Map::new())) };
    for (name, Found { matching, rows }) in
        [("domains", domains), ("upstreams", upstreams), ("servers", servers)]
    {
        told.insert(name.to_owned(), json!({"matching": matching, "rows": rows}));
    }
    Ok(answer::json(&told))
}

impl Asked {
    fn read(uri: &Uri) -> Result<Self, Failure> {
        let refuse = |error: String| Failure::new(StatusCode::BAD_REQUEST, error);
        let text = |name: &str| match word(uri, name).unwrap_or_default() {
            long if long.len() > LONGEST => Err(refuse(format!("{name} is longer than {LONGEST} bytes"))),
            text => Ok(text.to_lowercase()),
        };
        let sort = match word(uri, "sort").as_deref() {
            None | Some("rate") => Sort::Rate,
            Some("errors") => Sort::Errors,
            Some("name") => Sort::Name,
            Some(_) => return Err(refuse("sort is rate, errors or name".to_owned())),
        };
        let limit = word(uri, "limit").map_or(Ok(ROWS), |text| text.parse());
        let limit = limit.ok().filter(|limit| (1..=MOST_ROWS).contains(limit));
        let limit = limit.ok_or_else(|| refuse(format!("limit is a number from 1 to {MOST_ROWS}")))?;
        Ok(Self { domains: text("domains")?, upstreams: text("upstreams")?, sort, limit })
    }
}

fn known(hub: &mut Hub, now: Instant) -> Known {
    let overview = overview::of(hub, 0, now);
    let snapshot = hub.serves();
    let recent = hub.recent();
    Known {
        overview,
        seconds: recent.window().took.as_secs_f64(),
        snapshot,
        domains: recent.domains(),
        upstreams: recent.upstreams(),
        servers: recent.servers(),
    }
}

/// Whether a name holds a text that is in lower case. Names are ASCII but for a few.
fn holds(name: &str, text: &str) -> bool {
    let (name, text) = (name.as_bytes(), text.as_bytes());
    text.is_empty() || name.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
}

/// Puts those first that are to be shown, and leaves out the rest.
fn first<'n, T>(
    mut rows: Vec<(&'n str, Sums, T)>,
    Asked { sort, limit, .. }: &Asked,
) -> Vec<(&'n str, Sums, T)> {
    let key = |(name, sums, _): &(&'n str, Sums, T)| {
        let (first, second) = match sort {
            Sort::Rate => (sums.requests, sums.errors),
            Sort::Errors => (sums.errors, sums.requests),
            Sort::Name => (0, 0),
        };
        (Reverse((first, second)), *name)
    };
    // Sorting 100,000 names for the sake of fifty would take ten times as long.
    if rows.len() > *limit {
        rows.select_nth_unstable_by_key(limit - 1, key);
        rows.truncate(*limit);
    }
    rows.sort_by_key(key);
    rows
}

fn domains(known: &Known, asked: &Asked) -> Found {
    let busy: HashMap<u32, Sums> = known.domains.iter().copied().collect();
    let slots = 0..u32::try_from(known.snapshot.domain_slots()).unwrap_or(u32::MAX);
    let named = |slot| (known.snapshot.domain_name(slot), busy.get(&slot).copied().unwrap_or_default(), ());
    let rows = slots.map(named).filter(|(name, ..)| !name.is_empty() && holds(name, &asked.domains));
    let rows: Vec<_> = rows.collect();
    let row = |(name, sums, ()): (&str, Sums, ())| json!({"name": name, "rate": rate(sums.requests, known.seconds), "errors": rate(sums.errors, known.seconds)});
    Found { matching: rows.len(), rows: first(rows, asked).into_iter().map(row).collect() }
}

/// The upstreams to be shown, and their names.
fn upstreams(known: &Known, asked: &Asked) -> (Found, HashSet<String>) {
    let busy: HashMap<String, &Busy> =
        known.upstreams.iter().map(|one| (one.name.to_ascii_lowercase(), one)).collect();
    let rows = known.snapshot.specs().filter(|(spec, _)| holds(&spec.name, &asked.upstreams));
    let rows: Vec<_> = rows
        .map(|(spec, upstream)| {
            let busy = busy.get(&spec.name.to_ascii_lowercase()).copied();
            let mut sums = busy.map(|busy| busy.sums).unwrap_or_default();
            let failed = upstream.servers.iter().filter_map(|server| known.servers.get(&server.id));
            sums.errors += failed.map(|sums| sums.errors).sum::<u64>();
            (spec.name.as_str(), sums, (busy, upstream))
        })
        .collect();
    let matching = rows.len();
    let rows = first(rows, asked);
    let names = rows.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let row = |(name, sums, (busy, upstream)): (&str, Sums, (Option<&Busy>, &Arc<Upstream>))| {
        let mut row = times(&busy.map(|busy| busy.times).unwrap_or_default());
        let is_up = |server: &&Server| Condition::of(server, upstream) == Condition::Up;
        row["name"] = json!(name);
        row["rate"] = json!(rate(sums.requests, known.seconds));
        row["errors"] = json!(rate(sums.errors, known.seconds));
        row["usable"] = json!(upstream.servers.iter().filter(is_up).count());
        row["servers"] = json!(upstream.servers.len());
        row["is_host"] = json!(upstream.implicit);
        row
    };
    (Found { matching, rows: rows.into_iter().map(row).collect() }, names)
}

/// Servers of the upstreams that are shown: first those that cannot be chosen, which is what one looks for.
fn servers_shown(known: &Known, shown: &[Shown], limit: usize, moment: &Moment) -> Found {
    let sums = |one: &Shown| one.id.and_then(|id| known.servers.get(&id)).copied().unwrap_or_default();
    let mut order: Vec<(&Shown, Sums)> = shown.iter().map(|one| (one, sums(one))).collect();
    order.sort_by_key(|(one, sums)| (one.state == "up", Reverse(sums.requests)));
    let row = |(one, sums): (&Shown, Sums)| {
        json!({
            "upstream": &*one.upstream,
            "server": one.server,
            "address": one.address,
            "state": one.state,
            "since": one.since.and_then(|since| moment.text(since)),
            "until": one.until.and_then(|until| moment.text(until)),
            "reason": one.reason,
            "rate": rate(sums.requests, known.seconds),
            "errors": rate(sums.errors, known.seconds),
            "active": one.active,
        })
    };
    let most = limit.saturating_mul(SERVERS_EACH);
    Found { matching: shown.len(), rows: order.into_iter().take(most).map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Asked, Failure> {
        Asked::read(&format!("/__erulb__/stats{query}").parse().unwrap())
    }

    #[test]
    fn the_words_of_the_query() {
        let usual = Asked { domains: String::new(), upstreams: String::new(), sort: Sort::Rate, limit: ROWS };
        assert_eq!(read("").unwrap(), usual);
        assert_eq!(read("?x=1").unwrap(), usual);
        let asked = read("?domains=Blog%2e&upstreams=UP&sort=name&limit=7").unwrap();
        assert_eq!(
            asked,
            Asked { domains: "blog.".into(), upstreams: "up".into(), sort: Sort::Name, limit: 7 }
        );
        for query in
            ["?limit=0", "?limit=501", "?limit=x", "?sort=age", &format!("?domains={}", "x".repeat(256))]
        {
            assert!(read(query).is_err(), "{query}");
        }
    }

    #[test]
    fn the_first_rows_are_those_of_all() {
        let names: Vec<String> = (0..1000_u64).map(|n| format!("d{n:03}")).collect();
        let rows = || {
            let sums = |n: u64| Sums { requests: n * 7 % 1000, errors: n * 3 % 500 };
            names.iter().zip(0..).map(|(name, n)| (name.as_str(), sums(n), ())).collect::<Vec<_>>()
        };
        for sort in [Sort::Rate, Sort::Errors, Sort::Name] {
            let asked = |limit| Asked { domains: String::new(), upstreams: String::new(), sort, limit };
            let all = first(rows(), &asked(1000));
            assert_eq!(first(rows(), &asked(20)), all[..20], "{sort:?}");
        }
        let all = first(rows(), &Asked { sort: Sort::Errors, ..read("").unwrap() });
        assert!(all.is_sorted_by_key(|row| Reverse(row.1.errors)));
    }

    #[test]
    fn a_name_holds_a_text_in_any_case() {
        for (name, text, held) in
            [("Blog.Test", "g.t", true), ("a", "ab", false), ("a", "", true), ("é.x", "é", true)]
        {
            assert_eq!(holds(name, text), held, "{name} {text}");
        }
    }
}
