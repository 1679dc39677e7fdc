//! `/__erulb__/config`: all that is served as one document, and changes of it that are made whole or not at all.
//!
//! It owns the form at the top of the document, which is that of the file and of `elb check`; what is inside is the model's to
//! judge. Next: [`write`](mod@super::write) for what every change has in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use serde_json::{Map, Value};

use super::answer::{self, Answer, Failure, json_text};
use super::body::{Json, Text};
use super::write::{apply, done};
use super::{history, merging};
use crate::control::handle::HubHandle;
use crate::control::history::{Overlay, WayBack};
use crate::control::hub::Hub;
use crate::control::wish::{Subject, Wish};
use crate::model::{Edit, Mode, UpstreamSpec};

/// `{"domains": {name: rule set}, "upstreams": {name: {server: parameters}}}`; as it was at a version, if the query names one.
pub(super) async fn get(State(hub): State<HubHandle>, uri: Uri) -> Answer {
    let which = history::which(&uri)?;
    let ask = move |hub: &mut Hub| {
        let way = match which {
            Some(which) => Some(hub.back_to(&which)?),
            None => None,
        };
        Some((hub.domain_texts(), hub.specs(), way, hub.tag(&Subject::All)))
    };
    let (domains, specs, way, tag) = hub.ask(ask).await?.ok_or_else(history::unknown)?;
    let tag = tag.filter(|_| way.is_none());
    let write = move || document(domains, &specs, way.map(WayBack::overlay).unwrap_or_default());
    let mut response = json_text(hub.aside(write).await?);
    answer::tag(&mut response, tag);
    Ok(response)
}

/// What is served, with what stood there at another time in its place.
fn document(domains: Vec<(Arc<str>, Arc<str>)>, specs: &[Arc<UpstreamSpec>], before: Overlay) -> String {
    let mut domains: BTreeMap<_, _> = domains.into_iter().map(|(name, text)| (name, Some(text))).collect();
    domains.extend(before.domains);
    let there = domains.iter().filter_map(|(name, text)| Some((&**name, &**text.as_ref()?)));
    let mut text = String::from("{\"domains\":");
    text += &answer::object(there);
    let one = |spec: &Arc<UpstreamSpec>| {
        (spec.name.to_ascii_lowercase(), (spec.name.as_str().into(), Some(spec.document().into())))
    };
    let mut upstreams: BTreeMap<String, (Arc<str>, Option<Value>)> = specs.iter().map(one).collect();
    upstreams.extend(before.upstreams.into_iter().map(|(key, (name, text))| {
        let value = text.is_some().then(|| history::value(text));
        (key, (name, value))
    }));
    let upstreams = upstreams.into_values().filter_map(|(name, value)| Some((name.to_string(), value?)));
    text += ",\"upstreams\":";
    text += &Value::Object(upstreams.collect()).to_string();
    text.push('}');
    text
}

/// Replaces all of it: what the document does not name goes.
pub(super) async fn put(State(hub): State<HubHandle>, wish: Wish, body: Text) -> Answer {
    let prepared = match hub.prepare_document(body.0.clone()).await? {
        Some(prepared) => prepared?,
        None => hub.prepare(whole(body.json().await?)?).await??,
    };
    let made = apply(&hub, &wish, prepared).await?;
    done(&hub, made).await
}

fn whole(body: Json) -> Result<Edit, Failure> {
    let given = body.object()?;
    for member in ["domains", "upstreams"] {
        if !given.contains_key(member) {
            let error = format!("has no {member}; PUT replaces all of it, PATCH changes what it names");
            return Err(Failure::body("", error));
        }
    }
    let (domains, upstreams) = parts(given)?;
    Ok(Edit::Document { domains, upstreams, mode: Mode::Whole })
}

/// Patches it (RFC 7396): what it names is patched or, with null, taken away; the rest stays.
pub(super) async fn patch(State(hub): State<HubHandle>, wish: Wish, body: Json) -> Answer {
    let (domains, upstreams) = parts(body.object()?)?;
    let edit = |domains| Edit::Document { domains, upstreams: upstreams.clone(), mode: Mode::Merge };
    let made = merging::write(&hub, &wish, domains, edit).await?;
    done(&hub, made).await
}

pub(super) type Members = Map<String, Value>;

/// The two members of a document; one that is not there is empty.
pub(super) fn parts(given: Members) -> Result<(Members, Members), Failure> {
    let (mut domains, mut upstreams) = (Map::new(), Map::new());
    for (name, value) in given {
        let place = match name.as_str() {
            "domains" => &mut domains,
            "upstreams" => &mut upstreams,
            _ => return Err(Failure::body(format!("/{name}"), "is neither domains nor upstreams")),
        };
        let Value::Object(members) = value else {
            return Err(Failure::body(format!("/{name}"), "must be an object"));
        };
        *place = members;
    }
    Ok((domains, upstreams))
}
