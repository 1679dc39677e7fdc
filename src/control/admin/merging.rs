//! Patches of rule sets: read what is in force, make the new ones of it, and change it only if it is still so.
//!
//! It owns these steps and how often they are taken anew; never the patching itself ([`merge`]). Next: [`domain`](super::domain)
//! and [`config`](super::config) patch.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::answer::Failure;
use super::write::{Done, apply};
use crate::control::handle::HubHandle;
use crate::control::wish::Wish;
use crate::model::{Edit, merge};

/// How often a patch is made anew of what others changed meanwhile. Each time somebody else got ahead, so somebody does.
const TRIES: usize = 4;

/// Makes the change that `edit` makes of domains that are patched; null takes one away.
pub(super) async fn write(
    hub: &HubHandle,
    wish: &Wish,
    patches: Map<String, Value>,
    edit: impl Fn(Map<String, Value>) -> Edit,
) -> Result<Done, Failure> {
    let patches = Arc::new(patches);
    let mut tries = 0;
    loop {
        tries += 1;
        let names: Vec<String> = patches.keys().cloned().collect();
        let read = move |hub: &mut crate::control::hub::Hub| {
            names.into_iter().map(|name| (name.clone(), hub.domain_text(&name))).collect::<Vec<_>>()
        };
        let basis = hub.ask(read).await?;
        let (given, of) = (Arc::clone(&patches), basis.clone());
        let domains = hub.aside(move || merged(&given, &of)).await?;
        let prepared = hub.prepare(edit(domains)).await??.based_on(basis);
        match apply(hub, wish, prepared).await {
            Err(failure) if failure.is_of_others() && tries < TRIES => {}
            made => return made,
        }
    }
}

/// The new rule sets, of what stood there before.
pub(super) fn merged(
    patches: &Map<String, Value>,
    basis: &[(String, Option<Arc<str>>)],
) -> Map<String, Value> {
    let mut domains = Map::with_capacity(patches.len());
    for ((name, patch), (_, text)) in patches.iter().zip(basis) {
        // It was JSON when it was read.
        let before = text.as_ref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        domains.insert(name.clone(), merge(before, patch.clone()));
    }
    domains
}
