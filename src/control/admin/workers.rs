//! `/__erulb__/workers`: what each worker serves and holds, and all of them together.
//!
//! It owns the shape of the list; workers report once a second, so a number may be as old as `age_ms` says. Next:
//! [`link::Gauges`](crate::link::Gauges) for what is counted.

use axum::extract::State;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use crate::control::handle::HubHandle;
use crate::control::replies::Working;
use crate::link::Gauges;

/// `{"all": {…}, "workers": [{"version", "age_ms", "share": {"accepted", "requests"}, "clients", …, "refused": {reason:
/// count, …}}, …]}`.
pub(super) async fn get(State(hub): State<HubHandle>) -> Answer {
    let workers = hub.ask_now(|hub, now| hub.workers(now)).await?;
    let mut all = Gauges::default();
    workers.iter().for_each(|worker| all += worker.gauges);
    let workers = workers.iter().map(|worker| shown(worker, &all)).collect::<Value>();
    Ok(answer::json(&json!({"all": held(&all), "workers": workers})))
}

/// What is held, by the names that these have elsewhere. Those in brackets are of the last release, and go with the next one:
/// `requests_active` (`exchanges`), `buffer_bytes` (`window_bytes`), `ended` (`refused`), `debug` (its members stood outside).
fn held(gauges: &Gauges) -> Value {
    let mut held = json!(gauges);
    held["requests_active"] = json!(gauges.exchanges);
    held["buffer_bytes"] = json!(gauges.window_bytes);
    held["ended"] = held["refused"].clone();
    held["debug"] = json!({"timers": gauges.timers, "spare_exchanges": gauges.spare_exchanges});
    held
}

fn shown(worker: &Working, all: &Gauges) -> Value {
    let share = json!({
        "accepted": percent(worker.gauges.accepted, all.accepted),
        "requests": percent(worker.gauges.requests, all.requests),
    });
    let mut shown = json!({"version": worker.version, "age_ms": worker.age.as_millis(), "share": share});
    if let (Value::Object(shown), Value::Object(mut gauges)) = (&mut shown, held(&worker.gauges)) {
        shown.append(&mut gauges);
    }
    shown
}

/// How much of all that is, to a tenth of a per cent; nothing as long as there is nothing to share.
fn percent(part: u64, all: u64) -> Option<f64> {
    let tenths = (u128::from(part) * 1000 + u128::from(all) / 2).checked_div(u128::from(all))?;
    u32::try_from(tenths).ok().map(|tenths| f64::from(tenths) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_to_a_tenth_of_a_per_cent() {
        for (part, all, share) in [
            (0, 0, None),
            (0, 5, Some(0.0)),
            (1, 3, Some(33.3)),
            (2, 3, Some(66.7)),
            (u64::MAX, u64::MAX, Some(100.0)),
        ] {
            assert_eq!(percent(part, all), share, "{part} of {all}");
        }
    }
}
