//! The names of a change, looked up before the change is made: what is misspelt takes the place of nothing that works.
//!
//! It owns that wait and its bound, and the words for a name without an address; never the lookup. Whoever puts
//! something waits for his own names alone. Next: [`lookups`](super::lookups) asks the system, the hub takes what was
//! found with the change.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::handle::HubHandle;
use super::lookups::{Answer, Lane, Stage};
use super::replies::Gone;
use super::resolve::Addresses;
use crate::model::{Fault, Prepared, Wanted};
use crate::warning::{Code, Warning};

/// How long a change waits for the addresses of names that it brings. With the wait for the workers it stays below the two
/// seconds after which the Python client gives up …
const WAIT: Duration = Duration::from_millis(800);
/// … plus this for each name, because so many are looked up at a time and no more …
const EACH: Duration = Duration::from_millis(2);
/// … up to this.
const LONGEST: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Addresses that were not known before.
    pub(super) addresses: Addresses,
    /// Names without any that are accepted all the same.
    pub(super) warnings: Vec<Warning>,
}

/// How long a change waits that brings so many names.
fn within(names: usize) -> Duration {
    let each = EACH.saturating_mul(u32::try_from(names).unwrap_or(u32::MAX));
    WAIT.saturating_add(each).min(LONGEST)
}

impl HubHandle {
    /// Looks up what the change names and nobody knows yet. With `unresolved`, servers without an address are accepted; so
    /// are hosts that rules name, because their upstreams may come later.
    ///
    /// # Errors
    /// The first server whose name has no address; or that the process is ending.
    pub(super) async fn look_up(
        &self,
        prepared: &Prepared,
        unresolved: bool,
    ) -> Result<Result<Found, Fault>, Gone> {
        let wanted = prepared.wanted();
        if wanted.is_empty() {
            return Ok(Ok(Found::default()));
        }
        let unknown = self.ask(move |hub| hub.unknown(wanted)).await?;
        let within = within(unknown.len());
        let deadline = Instant::now() + within;
        let begin = |one: Wanted| {
            let stage = self.lookups().look_up(&one.host, Lane::New);
            (one, stage)
        };
        let under_way: Vec<_> = unknown.into_iter().map(begin).collect();
        let mut found = Found::default();
        for (one, mut stage) in under_way {
            let ended = timeout_at(deadline, stage.wait_for(|stage| matches!(stage, Stage::Ended(_)))).await;
            let answer: Answer = match ended.as_ref().map(|ended| ended.as_deref()) {
                Ok(Ok(Stage::Ended(answer))) => answer.clone(),
                _ => Err(format!("no answer within {within:?}").into()),
            };
            let Wanted { host, pointer, servername } = one;
            match answer {
                Ok(addresses) => drop(found.addresses.insert(host, addresses)),
                Err(why) if servername.is_some() || unresolved => {
                    let message = format!("{host} has no address ({why}): no requests until it has one");
                    found.warnings.push(Warning::new(Code::NoAddress, pointer, message));
                }
                Err(why) => {
                    let message = format!("{host} has no address ({why}); ?unresolved=1 accepts it without");
                    return Ok(Err(Fault::new(pointer, message)));
                }
            }
        }
        Ok(Ok(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_waits_longer_the_more_names_it_brings_up_to_a_bound() {
        let waits = [0, 1, 100, 4_600, 100_000, usize::MAX].map(|names| within(names).as_millis());
        assert_eq!(waits, [800, 802, 1_000, 10_000, 10_000, 10_000]);
    }
}
