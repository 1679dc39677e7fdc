//! Where a request would go by a configuration that is not served, beside where it goes.
//!
//! It owns the comparison and a bounded table of what came of it, never a clock, and it counts nothing that a rule counts.
//! Next: `data::shadow` compares, `control::shadow` adds up what all workers found.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use super::recorder::Silent;
use super::route::{Verdict, route};
use super::scratch::Scratch;
use super::snapshot::Snapshot;
use super::upstream_name::UpstreamName;
use crate::reason::Reason;
use crate::semantics::{RequestView, reserved};

/// Ways that a table holds, from one place to another: more than a person reads. What has no room is counted as one.
pub const WAYS: usize = 256;
/// Requests that are shown of each.
pub const EXAMPLES: usize = 3;
/// Bytes of a text of one that are kept.
const LONGEST: usize = 256;

/// Where a request ends, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// At an upstream, by its slot.
    Upstream(u32),
    /// At one that is not there.
    Missing(u32),
    Redirect(u16),
    Respond(u16),
    /// ELB refuses it, with this status.
    Refused(Reason, u16),
}

/// What is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Difference {
    /// Where the request ends.
    Destination,
    /// The path that the same upstream sees.
    Path,
    /// Fields that it sees, or that are changed in its answer.
    Fields,
    /// The page of a rule, or where a redirect leads.
    Answer,
}

impl Difference {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Path => "path",
            Self::Fields => "fields",
            Self::Answer => "answer",
        }
    }
}

/// A request, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Its method.
    pub method: Box<str>,
    /// Its host.
    pub host: Box<str>,
    /// Its path, as rules see it, without query.
    pub path: Box<str>,
}

/// Requests of which the same is different.
#[derive(Debug)]
pub struct OneWay {
    /// Where they went.
    pub from: String,
    /// Where they would have gone.
    pub to: String,
    /// What is different.
    pub difference: Difference,
    /// How many there were.
    pub requests: u64,
    /// The first of them.
    pub examples: Vec<Example>,
    /// Held so that the slots by which the way is found are no others' meanwhile.
    _names: [Option<Arc<UpstreamName>>; 2],
}

/// What was compared.
#[derive(Debug, Default)]
pub struct Tally {
    /// All requests.
    pub requests: u64,
    /// Those that go to the same place.
    pub same: u64,
    /// Those of them that would be sent or answered otherwise there.
    pub otherwise: u64,
    /// Those that would go elsewhere.
    pub elsewhere: u64,
    /// Those, elsewhere or otherwise, that there was no room for among the ways.
    pub other: u64,
    ways: HashMap<(Place, Place, Difference), OneWay>,
}

/// What a candidate says of a request; `None` where its rules are those that are served. To be asked before the request is routed:
/// then a limit says what it is about to say, and nothing is counted for it.
pub fn foresee<'c>(
    candidate: &'c Snapshot,
    live: &Snapshot,
    request: &RequestView<'_>,
    (draw, now): (u64, Instant),
    scratch: &'c mut Scratch,
) -> Option<Verdict<'c>> {
    let would = candidate.domain(request, &mut scratch.host).map(|(_, rules)| rules);
    let does = live.domain(request, &mut scratch.host).map(|(_, rules)| rules);
    let is_same = match (would, does) {
        (Some(would), Some(does)) => std::ptr::eq(would, does),
        (would, does) => would.is_none() && does.is_none(),
    };
    if is_same {
        return None;
    }
    scratch.look_at(now);
    Some(route(candidate, request, draw, scratch, &mut Silent).verdict)
}

impl Tally {
    /// One more request: it `goes` by what is served, and `would` go so by the candidate, or the same rules say so.
    pub fn count(
        &mut self,
        (live, candidate): (&Snapshot, &Snapshot),
        goes: &Verdict<'_>,
        would: Option<&Verdict<'_>>,
        request: &RequestView<'_>,
    ) {
        self.requests += 1;
        let (from, to) = (Place::of(goes, live), Place::of(would.unwrap_or(goes), candidate));
        let difference = match would {
            _ if from != to => Difference::Destination,
            None => return self.same += 1,
            Some(would) => match differs(goes, would) {
                None => return self.same += 1,
                Some(difference) => difference,
            },
        };
        if difference == Difference::Destination {
            self.elsewhere += 1;
        } else {
            (self.same, self.otherwise) = (self.same + 1, self.otherwise + 1);
        }
        let is_full = self.ways.len() >= WAYS;
        let way = match self.ways.entry((from, to, difference)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => return self.other += 1,
            Entry::Vacant(room) => {
                let (of, at) = (goes, would.unwrap_or(goes));
                let (from, to) = (from.text(of), to.text(at));
                let names = [name(of), name(at)];
                room.insert(OneWay { from, to, difference, requests: 0, examples: Vec::new(), _names: names })
            }
        };
        way.requests += 1;
        if way.examples.len() < EXAMPLES {
            way.examples.push(Example::of(request));
        }
    }

    /// What is different, in no order.
    pub fn into_ways(self) -> impl Iterator<Item = OneWay> {
        self.ways.into_values()
    }
}

impl Place {
    fn of(verdict: &Verdict<'_>, snapshot: &Snapshot) -> Self {
        let refused = |reason: Reason| Self::Refused(reason, reason.status().unwrap_or_default());
        match verdict {
            Verdict::Denied { reason } => refused(*reason),
            Verdict::Refused { reason, status, .. } => Self::Refused(*reason, *status),
            Verdict::Respond { is_known: true, .. } => Self::Respond(304),
            Verdict::Respond { page, .. } => Self::Respond(page.status()),
            Verdict::Redirect { code, .. } => Self::Redirect(*code),
            Verdict::Forward { path: Some(path), .. } if reserved::is_under(path) => {
                refused(Reason::ReservedPath)
            }
            Verdict::Forward { backend, .. } => match snapshot.upstream(backend.slot()) {
                Some(_) => Self::Upstream(backend.slot()),
                None => Self::Missing(backend.slot()),
            },
        }
    }

    fn text(self, verdict: &Verdict<'_>) -> String {
        let name = name(verdict);
        let name = name.as_ref().map_or("", |name| name.key());
        match self {
            Self::Upstream(_) => format!("upstream {name}"),
            Self::Missing(_) => format!("{} {name}", Self::Refused(Reason::NoUpstream, 502).text(verdict)),
            Self::Redirect(code) => format!("redirect {code}"),
            Self::Respond(status) => format!("respond {status}"),
            Self::Refused(reason, status) => format!("{status} {}", reason.word()),
        }
    }
}

/// The upstream that a rule names.
fn name(verdict: &Verdict<'_>) -> Option<Arc<UpstreamName>> {
    match verdict {
        Verdict::Forward { backend, .. } => Some(Arc::clone(backend.name())),
        _ => None,
    }
}

/// What is different about two requests that end at the same place.
fn differs(goes: &Verdict<'_>, would: &Verdict<'_>) -> Option<Difference> {
    match (goes, would) {
        (Verdict::Forward { backend: goes, path: from }, Verdict::Forward { backend: would, path: to }) => {
            let are_alike = goes.host() == would.host()
                && goes.headers() == would.headers()
                && goes.edits() == would.edits();
            match (from == to, are_alike) {
                (false, _) => Some(Difference::Path),
                (true, false) => Some(Difference::Fields),
                (true, true) => None,
            }
        }
        (Verdict::Redirect { to: goes, .. }, Verdict::Redirect { to: would, .. }) => {
            (goes != would).then_some(Difference::Answer)
        }
        (Verdict::Respond { page: goes, .. }, Verdict::Respond { page: would, .. }) => {
            (goes != would).then_some(Difference::Answer)
        }
        _ => None,
    }
}

impl Example {
    fn of(request: &RequestView<'_>) -> Self {
        let text = |bytes: &[u8]| {
            let kept = bytes.get(..LONGEST).unwrap_or(bytes);
            String::from_utf8_lossy(kept).into()
        };
        Self { method: text(request.method()), host: text(request.host), path: text(request.path) }
    }
}

#[cfg(test)]
mod tests;
