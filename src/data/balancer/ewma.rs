//! The server that is likely to answer first.
//!
//! It owns what follows from how soon servers answer; how soon, and how many they have to answer, is known of all workers
//! together, in `model::ServerLoad`. Next: [`super::by_chance`] for who is compared.

use std::time::{Duration, Instant};

use super::by_chance::Few;
use super::choice::Choice;
use super::method::Method;
use super::peer::Peer;
use crate::data::draws::Draws;

/// A server that takes so many times as long as the fastest is as good as that one: how long answers take varies, and a server
/// is not to have all requests for a difference that may be chance. Above it, latency counts.
const ALIKE: f64 = 1.5;
/// How long it takes until a latency is believed to be e times shorter, when no answer comes: so a server that was slow gets
/// a request again some seconds later, which shows what is true now.
const FADES: Duration = Duration::from_secs(2);
/// A server that owes an answer for so many times its latency gets no other request: it may have begun to stall.
const STALLED: u64 = 2;
/// What is shorter than this is all the same, of answers and of silence: a pause of this machine would look like one of the
/// server.
const NOISE: Duration = Duration::from_millis(1);
/// A server that may have stalled gets one request in so much time, of all workers': that it was one slow answer, of which
/// others need not wait, shows with the next.
const PROBE: Duration = Duration::from_secs(1);

/// Requests under way times latency, as in Finagle's *peak EWMA* and Google's *Prequal* (NSDI 2024): the lowest of all
/// servers, or of a few by chance where there are many. A server that is silent for longer than is usual gets nothing until it
/// answers, whatever its counts say, for they tell that too late.
#[derive(Debug, Default)]
pub(super) struct Ewma;

impl Method for Ewma {
    fn pick(
        &mut self,
        peers: &[Peer],
        choice: &Choice<'_>,
        draws: &mut Draws,
        eligible: impl Fn(&Peer) -> bool,
    ) -> Option<usize> {
        let now = choice.now;
        let mut few = Few::of(peers, draws, &eligible);
        let mut looks = few.map(peers, |peer| Look::at(peer, now));
        let stalled = || few.iter(peers).zip(&looks).filter(|(_, look)| look.stalled);
        if stalled().next().is_some() {
            let probe =
                stalled().find(|((_, peer), _)| peer.state.load().probe(nanos(PROBE), peer.state.ticks(now)));
            if let Some(((at, _), _)) = probe {
                return Some(at);
            }
            let sound = Few::of(peers, draws, |peer| eligible(peer) && !Look::at(peer, now).stalled);
            if !sound.is_empty() {
                looks = sound.map(peers, |peer| Look::at(peer, now));
                few = sound;
            }
        }
        let known = looks.iter().map(|look| look.latency).filter(|latency| *latency > 0.0);
        let fastest = known.reduce(f64::min);
        let scores = looks.map(|look| look.score(fastest));
        few.least(peers, now, draws, &scores)
    }

    fn times_answers(&self) -> bool {
        true
    }
}

/// What is to be known of a server for a choice.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    /// Requests under way.
    active: f64,
    weight: f64,
    /// Nanoseconds to an answer as far as they are believed; 0 when it has not answered yet.
    latency: f64,
    /// It owes an answer for longer than is usual.
    stalled: bool,
}

impl Look {
    fn at(peer: &Peer, now: Instant) -> Self {
        let (load, ticks) = (peer.state.load(), peer.state.ticks(now));
        let (latency, answered) = load.latency().unwrap_or_default();
        let patience = latency.saturating_mul(STALLED).max(nanos(NOISE));
        let age = ticks.saturating_sub(answered) as f64 / nanos(FADES) as f64;
        // A server that has just answered is the usual one, and an exponential is dear.
        let fades = if age < 0.01 { 1.0 } else { (-age).exp() };
        Self {
            active: f64::from(load.active()),
            weight: peer.weight_at(now) as f64,
            latency: latency as f64 * fades,
            stalled: load.silence(ticks) > patience,
        }
    }

    /// The lowest is chosen. `fastest` is the shortest latency among those who are compared.
    fn score(&self, fastest: Option<f64>) -> f64 {
        let slower = match fastest {
            Some(fastest) if self.latency > 0.0 => {
                (self.latency / (ALIKE * fastest.max(nanos(NOISE) as f64))).max(1.0)
            }
            // One that has not answered yet is asked once, and then it is waited for what it is like.
            Some(_) if self.active > 0.0 => return f64::INFINITY,
            _ => 1.0,
        };
        // As if it had so many under way; one that is no slower than others, and idle, has none.
        ((self.active + 1.0) * slower - 1.0) / self.weight
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
