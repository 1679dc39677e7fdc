//! What is known of a request when it is over, and who is told.
//!
//! It owns the record and the list of those who see it, never a connection. Whoever wants numbers or lines of requests
//! reads a record: one line in `RequestRecord::tell`. It is put together only if somebody does. Next: [`super::settle`]
//! makes one of each request.

use std::time::Instant;

use super::conn::Dispatch;
use super::ctx::Ctx;
use crate::exchange::{Course, Exchange};
use crate::model::ServerId;
use crate::reason::Reason;
use crate::stats::Stats;

/// The status of a request whose client went away before there was one, as in nginx.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// One request that is over.
#[derive(Debug, Clone, Copy)]
pub struct RequestRecord {
    /// The slot of its domain in the snapshot.
    pub domain: Option<u32>,
    /// The last rule that was asked, by its number in the rule set of the domain.
    pub rule: Option<u16>,
    /// The slot of the upstream that it was sent to.
    pub upstream: Option<u32>,
    /// The server that it was given to last.
    pub server: Option<ServerId>,
    /// Servers tried.
    pub tries: u32,
    /// The status that the client got; 499 when it went away before there was one.
    pub status: u16,
    /// Why ELB refused it, answered it or cut it.
    pub reason: Option<Reason>,
    /// Its times and bytes.
    pub course: Course,
    /// Its head was whole.
    pub routed: Instant,
    /// It was over.
    pub ended: Instant,
}

impl RequestRecord {
    fn new(exchange: &Exchange, dispatch: &Dispatch, reason: Option<Reason>, now: Instant) -> Self {
        Self {
            domain: dispatch.domain,
            rule: dispatch.rule,
            upstream: dispatch.upstream,
            server: dispatch.tried.last(),
            tries: exchange.tries(),
            status: match exchange.status() {
                0 => CLIENT_CLOSED_REQUEST,
                status => status,
            },
            reason,
            course: exchange.course(),
            routed: dispatch.routed,
            ended: now,
        }
    }

    /// Tells everybody who wants to know of requests.
    fn tell(&self, stats: &mut Stats) {
        self.count(stats);
    }

    /// One line of numbers for a request that reached an upstream.
    fn count(&self, stats: &mut Stats) {
        let (Some(domain), Some(_)) = (self.domain, self.upstream) else { return };
        let cost = self.ended.saturating_duration_since(self.routed).as_millis();
        stats.record(domain, self.status, u32::try_from(cost).unwrap_or(u32::MAX));
    }
}

/// Records a request that is over, once. One of which only the beginning came, and which nobody answered, is none.
#[inline(always)]
pub(super) fn record(exchange: &mut Exchange, dispatch: &mut Dispatch, ctx: &mut Ctx) {
    let reason = exchange.take_reason();
    if let Some(reason) = reason {
        ctx.refused.count(reason);
    }
    if let Some(stats) = &mut ctx.stats
        && (dispatch.upstream.is_some() || reason.is_some() || exchange.status() != 0)
        && std::mem::take(&mut dispatch.unrecorded)
    {
        RequestRecord::new(exchange, dispatch, reason, ctx.env.now).tell(stats);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_request_that_reached_an_upstream_is_one_line_of_numbers_and_no_other_is() {
        let begun = Instant::now();
        let record = RequestRecord {
            domain: Some(1),
            rule: Some(0),
            upstream: Some(0),
            server: None,
            tries: 1,
            status: 200,
            reason: None,
            course: Course { begun, connected: None, answered: None, received: 30, sent: 40 },
            routed: begun + Duration::from_millis(5),
            ended: begun + Duration::from_millis(12),
        };
        let mut stats = Stats::new(2);
        record.tell(&mut stats);
        RequestRecord { status: CLIENT_CLOSED_REQUEST, ..record }.tell(&mut stats);
        RequestRecord { upstream: None, status: 403, ..record }.tell(&mut stats);
        RequestRecord { domain: None, status: 404, ..record }.tell(&mut stats);
        let counted: Vec<_> = stats.iter().collect();
        let [(1, domain)] = counted[..] else { panic!("{counted:?}") };
        assert_eq!((domain.total, domain.status.get(200), domain.status.get(499)), (2, 1, 1));
        assert_eq!(domain.cost.get(7), 2, "from when it was routed");
    }
}
