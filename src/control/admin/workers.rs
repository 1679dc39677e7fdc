//! `/__erulb__/workers`: what each worker serves and holds, and all of them together.
//!
//! It owns the shape of the list; workers report once a second, so a number may be as old as `age_ms` says. Next:
//! `link::Gauges` for what is counted.

use axum::extract::State;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use crate::control::answers::Working;
use crate::control::handle::HubHandle;
use crate::link::Gauges;

/// `{"all": {…}, "workers": [{"version", "age_ms", "clients", "exchanges", …, "refused": {reason: count, …}}, …]}`.
pub(super) async fn get(State(hub): State<HubHandle>) -> Answer {
    let workers = hub.ask(|hub| hub.workers()).await?;
    let mut all = Gauges::default();
    workers.iter().for_each(|worker| all += worker.gauges);
    Ok(answer::json(&json!({"all": all, "workers": workers.iter().map(shown).collect::<Value>()})))
}

fn shown(worker: &Working) -> Value {
    let mut shown = json!({"version": worker.version, "age_ms": worker.age.as_millis()});
    if let (Value::Object(shown), Value::Object(mut gauges)) = (&mut shown, json!(worker.gauges)) {
        shown.append(&mut gauges);
    }
    shown
}
