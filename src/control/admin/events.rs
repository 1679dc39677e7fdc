//! `/__erulb__/events`: the overview each second, as server-sent events (HTML, section 9.2).
//!
//! It owns how many streams there are and when one ends. A stream is an answer that takes its time: its connection has a place as
//! every other has and gives it up to one that gets on faster (see [`room`](super::room)), a client that reads nothing loses it, and
//! it ends by itself before a request would be too old. A client asks again then, and says which second it had last. Next:
//! [`overview`] for what is told.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::answer::Failure;
use super::overview;
use crate::control::handle::HubHandle;

/// Streams at a time: every one is a question to the hub each second, and a place of the API that others may want.
const STREAMS: usize = 8;
/// From one event to the next.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a stream is: less than a whole request may take.
const LONG: Duration = Duration::from_secs(50);
/// How long a client waits until it asks again.
const AGAIN: Duration = Duration::from_secs(1);

/// Who has a stream, and whether they all end.
#[derive(Debug, Clone)]
pub(in crate::control) struct Streams {
    places: Arc<Semaphore>,
    closing: watch::Receiver<bool>,
}

/// One stream.
struct Stream {
    hub: HubHandle,
    /// The first second that its client has not been told of.
    next: u32,
    pulse: Interval,
    until: Instant,
    closing: watch::Receiver<bool>,
    /// There is nothing more to say.
    is_over: bool,
    /// Its place.
    _permit: OwnedSemaphorePermit,
}

impl Streams {
    /// None yet. `closing` says that all are to end.
    pub(in crate::control) fn new(closing: watch::Receiver<bool>) -> Self {
        Self { places: Arc::new(Semaphore::new(STREAMS)), closing }
    }
}

/// Events `overview`, each with the number of its last second as `id`, and at the end one `end` with why.
pub(super) async fn get(
    State(hub): State<HubHandle>,
    Extension(streams): Extension<Streams>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Streams { places, closing } = streams;
    let permit = places.try_acquire_owned().map_err(|_| {
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{STREAMS} clients get events already: GET stats has the same, once"),
        )
    })?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<u32>().ok());
    let mut pulse = interval(PERIOD);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stream = Stream {
        hub,
        next: last.map_or(0, |last| last.saturating_add(1)),
        pulse,
        until: Instant::now() + LONG,
        closing,
        is_over: false,
        _permit: permit,
    };
    let events = unfold(stream, |stream| async { stream.event().await });
    Ok(Sse::new(events).into_response())
}

impl Stream {
    async fn event(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if self.is_over {
            return None;
        }
        let why = tokio::select! {
            biased;
            // An error is that the API is gone.
            _ = self.closing.wait_for(|closing| *closing) => Some("ELB accepts no calls any more"),
            _ = self.pulse.tick() => (Instant::now() >= self.until).then_some("ask again"),
        };
        let event = match why {
            Some(why) => self.end(why),
            None => self.overview().await,
        };
        Some((Ok(event), self))
    }

    async fn overview(&mut self) -> Event {
        let next = self.next;
        let Ok(overview) = self.hub.ask_now(move |hub, now| overview::of(hub, next, now)).await else {
            return self.end("ELB is stopping");
        };
        let last = overview["seconds"].as_array().and_then(|seconds| seconds.last()?["second"].as_u64());
        let event = Event::default().event("overview").retry(AGAIN).data(overview.to_string());
        match last.and_then(|last| u32::try_from(last).ok()) {
            Some(last) => {
                self.next = last.saturating_add(1);
                event.id(last.to_string())
            }
            None => event,
        }
    }

    fn end(&mut self, why: &str) -> Event {
        self.is_over = true;
        Event::default().event("end").data(Value::to_string(&json!({"why": why})))
    }
}
