//! `/__erulb__/domain`: rule sets by domain, all of them or one.
//!
//! It owns the shapes of the answers, on which the Python client relies where it knows them; the hub owns what happens. Next:
//! [`write`](mod@super::write) for what every change has in common.

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde_json::Map;

use super::answer::{self, Answer, Failure, json_text};
use super::body::{Json, Text};
use super::item;
use super::list::Page;
use super::merging;
use super::write::{apply, done, write};
use crate::control::handle::HubHandle;
use crate::control::hub::Hub;
use crate::control::wish::{Subject, Wish};
use crate::model::Edit;

/// All domains: `{domain: rule set}`, as they were given; or a page of them.
pub(super) async fn get(State(hub): State<HubHandle>, uri: Uri) -> Answer {
    let page = Page::read(&uri)?;
    let (all, tag) = hub.ask(|hub| (hub.domain_texts(), hub.tag(&Subject::All))).await?;
    let choose = move || {
        let rows = all.into_iter().map(|(name, text)| (name.to_lowercase(), (name, text)));
        let chosen = page.choose(rows.collect());
        let text = answer::object(chosen.rows.iter().map(|(name, text)| (&**name, &**text)));
        let mut response = json_text(text);
        page.tell(&mut response, uri.path(), &chosen);
        answer::tag(&mut response, tag);
        response
    };
    Ok(hub.aside(choose).await?)
}

/// Adds domains, or replaces their rule sets whole.
pub(super) async fn put(State(hub): State<HubHandle>, wish: Wish, body: Text) -> Answer {
    let prepared = match hub.prepare_domains(body.0.clone()).await? {
        Some(prepared) => prepared?,
        None => hub.prepare(Edit::PutDomains(body.json().await?.object()?)).await??,
    };
    let made = apply(&hub, &wish, prepared).await?;
    done(&hub, made).await
}

/// Patches rule sets (RFC 7396); null takes a domain away.
pub(super) async fn patch(State(hub): State<HubHandle>, wish: Wish, body: Json) -> Answer {
    let given = body.object()?;
    let made = merging::write(&hub, &wish, given, Edit::PatchDomains).await?;
    done(&hub, made).await
}

/// Deletes the domains in a list of names; a name that is not there is no fault.
pub(super) async fn delete(State(hub): State<HubHandle>, wish: Wish, body: Json) -> Answer {
    let made = write(&hub, &wish, Edit::DeleteDomains(body.names()?)).await?;
    done(&hub, made).await
}

/// One rule set, as it was given.
pub(super) async fn get_one(State(hub): State<HubHandle>, Path(name): Path<String>) -> Answer {
    let subject = Subject::Domain(name.clone());
    let ask = move |hub: &mut Hub| Some((hub.domain_text(&name)?, hub.tag(&subject)));
    let Some((text, tag)) = hub.ask(ask).await? else { return Err(no_such()) };
    let mut response = json_text(text.to_string());
    answer::tag(&mut response, tag);
    Ok(response)
}

/// Adds one domain, or replaces its rule set whole.
pub(super) async fn put_one(
    State(hub): State<HubHandle>,
    wish: Wish,
    Path(name): Path<String>,
    Json(rules): Json,
) -> Answer {
    let edit = Edit::PutDomains(Map::from_iter([(name.clone(), rules)]));
    let made = write(&hub, &wish.about(Subject::Domain(name.clone())), edit).await;
    done(&hub, item::seen_from(&[&name], made)?).await
}

/// Patches the rule set of one domain (RFC 7396).
pub(super) async fn patch_one(
    State(hub): State<HubHandle>,
    wish: Wish,
    Path(name): Path<String>,
    body: Json,
) -> Answer {
    let patch = Map::from_iter([(name.clone(), body.object()?.into())]);
    let subject = Subject::Domain(name.clone());
    item::must_be_there(&hub, &subject, no_such).await?;
    let made = merging::write(&hub, &wish.about(subject), patch, Edit::PatchDomains).await;
    done(&hub, item::seen_from(&[&name], made)?).await
}

/// Deletes one domain.
pub(super) async fn delete_one(State(hub): State<HubHandle>, wish: Wish, Path(name): Path<String>) -> Answer {
    let subject = Subject::Domain(name.clone());
    item::must_be_there(&hub, &subject, no_such).await?;
    let made = write(&hub, &wish.about(subject), Edit::DeleteDomains(vec![name])).await?;
    done(&hub, made).await
}

fn no_such() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "there is no such domain").coded("no-such-domain")
}
