//! Rule type `backend`: the leaf of a rule set, which names an upstream and adds request headers.
//!
//! It owns the reading of `servername` and of the other arguments, all of which are headers; never the choice of a
//! server or the writing of a head. Next: [`snapshot`](super::super::snapshot) finds the upstream,
//! [`http1::rewrite`](crate::http1::rewrite) writes the headers.

use std::sync::Arc;

use serde_json::Value;

use super::args::{Args, Arguments};
use super::contract::Kind;
use super::gzip::Asked;
use super::{fields, gzip};
use crate::model::fault::step;
use crate::model::host;
use crate::model::upstream_name::UpstreamName;
use crate::semantics::syntax::is_token;
use crate::semantics::{ResponseEdits, policy};

/// The argument that says what is changed in the heads of answers.
const EDITS: &str = "response_headers";
/// The argument that says whether answers are compressed.
const GZIP: &str = gzip::NAME;

/// Where a request goes, and what is said to the server besides. Most say nothing, and are small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    slot: u32,
    name: Arc<UpstreamName>,
    more: Option<Box<More>>,
}

/// What few backends have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct More {
    /// The name as written, where that is not in lower case.
    spelling: Option<Box<str>>,
    headers: Vec<(String, Vec<String>)>,
    host: Option<String>,
    edits: Option<Arc<ResponseEdits>>,
}

impl Backend {
    /// The upstream's name, or else `host[:port]`, as written.
    pub fn servername(&self) -> &str {
        let spelling = self.more.as_ref().and_then(|more| more.spelling.as_deref());
        spelling.unwrap_or(self.name.key())
    }

    /// The same, as snapshots know it.
    pub fn name(&self) -> &Arc<UpstreamName> {
        &self.name
    }

    /// Where snapshots have the upstream.
    #[inline]
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// Request headers that replace the client's of that name, whatever its case: one field for each value, so an empty
    /// list only removes. Names are tokens (RFC 9110, section 5.6.2), values hold no control bytes but tabs.
    #[inline]
    pub fn headers(&self) -> &[(String, Vec<String>)] {
        self.more.as_ref().map_or(&[], |more| &more.headers)
    }

    /// What is changed in answers on their way back, and whether they are compressed.
    #[inline]
    pub fn edits(&self) -> Option<&Arc<ResponseEdits>> {
        self.more.as_ref()?.edits.as_ref()
    }

    /// The `Host` that the server sees, in lower case and without port; `None`: as for every request.
    #[inline]
    pub fn host(&self) -> Option<&str> {
        self.more.as_ref()?.host.as_deref()
    }
}

impl Kind for Backend {
    /// All others are headers.
    const ARGUMENTS: Arguments = Arguments { named: &["servername", "host", EDITS, GZIP], others: true };

    fn read(args: &mut Args<'_>) -> Option<Backend> {
        let servername = servername(args);
        let mut headers: Vec<(String, Vec<String>)> = Vec::new();
        let (mut host, mut sound) = (None, true);
        let (given, edits, gzip) = (args.given, response_edits(args), gzip::read(args));
        let is_header = |name: &str| match name {
            "servername" => false,
            EDITS => matches!(edits, Some(None)),
            GZIP => gzip == Some(Asked::Header),
            _ => true,
        };
        for (name, value) in given.iter().filter(|(name, value)| is_header(name) && !value.is_null()) {
            let read = if name.eq_ignore_ascii_case("host") {
                host_seen(value).map(|seen| host = Some(seen))
            } else {
                header(name, value).map(|values| {
                    headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    headers.push((name.clone(), values));
                })
            };
            if let Err(message) = read {
                sound = false;
                let _: Option<()> = args.fault(name, message);
            }
        }
        let values = || headers.iter().flat_map(|(_, values)| values);
        let bytes = headers.iter().map(|(name, values)| name.len() * values.len().max(1)).sum::<usize>()
            + values().map(String::len).sum::<usize>();
        if headers.len() + values().count() > fields::HEADERS || bytes > fields::HEADER_BYTES {
            args.report.fault(
                args.at.clone(),
                format!(
                    "has more than {} headers or {} bytes of them",
                    fields::HEADERS,
                    fields::HEADER_BYTES
                ),
            );
            sound = false;
        }
        let servername = servername?;
        let edits = match (edits?, gzip?.asked()) {
            (None, None) => None,
            (edits, gzip) => Some(Arc::new(ResponseEdits { gzip, ..edits.unwrap_or_default() })),
        };
        let key = servername.to_ascii_lowercase();
        let name = args.parts.name(&key);
        headers.shrink_to_fit();
        let more = More { spelling: (key != servername).then(|| servername.into()), headers, host, edits };
        let more = (more != More::default()).then(|| Box::new(more));
        sound.then(|| Backend { slot: name.slot(), name, more })
    }
}

/// The upstream's name: a string, or the object with one key and no value that the first ELB's sample script sends.
fn servername(args: &mut Args<'_>) -> Option<String> {
    let name = match args.given.get("servername") {
        Some(Value::String(name)) => name,
        Some(Value::Object(object)) => match object.iter().next() {
            Some((name, _)) if object.len() == 1 => name,
            _ => return args.fault("servername", "as an object, must have exactly one key"),
        },
        Some(_) => return args.fault("servername", "must be the name of an upstream, or host[:port]"),
        None => {
            args.report.fault(args.at.clone(), "has no servername");
            return None;
        }
    };
    if name.is_empty() {
        return args.fault("servername", "is empty");
    }
    if name.contains('/') {
        return args.fault("servername", "must be a name only: no URL, no path");
    }
    Some(name.clone())
}

fn host_seen(value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or("must be a host name")?;
    host::normal(text).ok_or_else(|| "is not a host name".to_owned())
}

/// The values of one header; none for those that only remove it.
fn header(name: &str, value: &Value) -> Result<Vec<String>, String> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("is not a header name".to_owned());
    }
    if policy::is_ours(name.as_bytes()) {
        return Err("is ELB's own business and cannot be set".to_owned());
    }
    fields::values(value)
}

/// What is changed in answers, if that is what the argument of this name says: an object with `set`, `add` or `remove`. A header
/// that has the name keeps it.
fn response_edits(args: &mut Args<'_>) -> Option<Option<ResponseEdits>> {
    let members = match args.given.get(EDITS) {
        Some(Value::Object(members)) if !members.is_empty() => members,
        _ => return Some(None),
    };
    let (mut dropped, mut added, mut sound) = (Vec::new(), Vec::new(), true);
    for (what, given) in members {
        let pointer = format!("/{EDITS}{}", step(what));
        match what.as_str() {
            "set" | "add" => match fields::of_response(args, &pointer, given) {
                Some(fields) => {
                    if what == "set" {
                        dropped.extend(
                            given
                                .as_object()
                                .into_iter()
                                .flat_map(|given| given.keys().map(|name| name.as_str().into())),
                        );
                    }
                    added.extend(fields);
                }
                None => sound = false,
            },
            "remove" => {
                let names =
                    given.as_array().map(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
                let Some(Some(names)) = names else {
                    args.report.fault(format!("{}{pointer}", args.at), "must be a list of header names");
                    sound = false;
                    continue;
                };
                for (at, name) in names.into_iter().enumerate() {
                    match fields::response_name(name) {
                        Ok(()) => dropped.push(name.into()),
                        Err(message) => {
                            sound = false;
                            args.report.fault(format!("{}{pointer}/{at}", args.at), message);
                        }
                    }
                }
            }
            _ => {
                sound = false;
                args.report.fault(format!("{}{pointer}", args.at), "must be set, add or remove");
            }
        }
    }
    let length = |(name, value): &(Box<str>, Box<str>)| name.len() + value.len();
    let bytes: usize = added.iter().map(length).sum();
    if dropped.len().max(added.len()) > fields::HEADERS || bytes > fields::HEADER_BYTES {
        let message =
            format!("has more than {} headers or {} bytes of them", fields::HEADERS, fields::HEADER_BYTES);
        args.report.fault(format!("{}/{EDITS}", args.at), message);
        sound = false;
    }
    sound.then(|| Some(ResponseEdits { dropped: dropped.into(), added: added.into(), gzip: None }))
}

#[cfg(test)]
mod tests;
