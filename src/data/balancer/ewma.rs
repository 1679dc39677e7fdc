//! The server that is likely to answer first.
//!
//! It owns what follows from how soon servers answer; how soon, and how many they have to answer, is known of all workers
//! together, in `model::ServerLoad`. Next: `by_chance` for who is compared.

use std::time::Duration;

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
/// It owes it for so long at least. Below it, a pause of this machine would look like one of the server.
const LEAST_SILENCE: Duration = Duration::from_millis(1);
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
        let few = Few::of(peers, draws, &eligible);
        let is_stalled = |peer: &Peer| {
            let (load, ticks) = (peer.state.load(), peer.state.ticks(now));
            let silence = load.silence(ticks);
            silence > 0 && silence > patience(load.latency().map(|(latency, _)| latency))
        };
        let mut sound = few.only(peers, |peer| !is_stalled(peer));
        if sound.is_empty() {
            // Of those drawn: where there are more, somebody else may do well.
            sound = Few::of(peers, draws, |peer| eligible(peer) && !is_stalled(peer));
        }
        let probe = few.iter(peers).find(|(_, peer)| {
            is_stalled(peer) && peer.state.load().probe(nanos(PROBE), peer.state.ticks(now))
        });
        if let Some((at, _)) = probe {
            return Some(at);
        }
        let few = if sound.is_empty() { few } else { sound };
        let latency = |peer: &Peer| faded(peer, peer.state.ticks(now));
        let best = few.iter(peers).filter_map(|(_, peer)| latency(peer)).reduce(f64::min);
        few.least(peers, now, draws, |peer| {
            let active = f64::from(peer.state.load().active());
            let slower = match (latency(peer), best) {
                (Some(latency), Some(best)) => (latency / (ALIKE * best)).max(1.0),
                // One that has not answered yet is asked once, and then it is waited for what it is like.
                (None, Some(_)) if active > 0.0 => return f64::INFINITY,
                _ => 1.0,
            };
            // As if it had so many under way; one that is no slower than others, and idle, has none.
            ((active + 1.0) * slower - 1.0) / peer.weight_at(now) as f64
        })
    }

    fn times_answers(&self) -> bool {
        true
    }
}

/// For how many nanoseconds a server may be silent.
fn patience(latency: Option<u64>) -> u64 {
    latency.map_or(0, |latency| latency.saturating_mul(STALLED)).max(nanos(LEAST_SILENCE))
}

/// The latency in nanoseconds as far as it is believed at these ticks.
fn faded(peer: &Peer, now: u64) -> Option<f64> {
    let (latency, answered) = peer.state.load().latency()?;
    let age = now.saturating_sub(answered) as f64 / FADES.as_nanos() as f64;
    Some(latency as f64 * (-age).exp())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
