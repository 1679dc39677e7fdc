//! What is known of a request when it is over, and who is told.
//!
//! It owns the record and the list of those who see it, never a connection. Whoever wants numbers or lines of requests
//! reads a record: one line in `tell`. Next: [`super::settle`]
//! makes one of each request.

use std::time::Instant;

use super::conn::Dispatch;
use super::ctx::Ctx;
use crate::access_log::entry::{Entry, NEVER, Numbers, Text};
use crate::exchange::{Course, Exchange};
use crate::model::ServerId;
use crate::reason::Reason;
use crate::stats::failures::Failure;
use crate::stats::{self, Counted};

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
    #[inline(always)]
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

    /// Whether something went wrong that is not its client's doing: an error, an answer that was cut, a client that was gone first.
    #[inline]
    fn has_failed(&self) -> bool {
        self.status >= CLIENT_CLOSED_REQUEST || self.reason.is_some() && self.status < 300
    }

    /// What is told of it then.
    #[cold]
    fn failure(&self) -> Failure {
        let Counted { domain, upstream, server, status, .. } = self.counted();
        let took = self.ended.saturating_duration_since(self.course.begun);
        Failure { domain, upstream, server, status, reason: self.reason, ended: self.ended, took }
    }

    /// What the access log shows of it in numbers.
    fn numbers(&self, is_old: bool, version: u64) -> Numbers {
        let Course { begun, connected, answered, received, sent } = self.course;
        let span = |from: Instant, to: Instant| {
            let micros = to.saturating_duration_since(from).as_micros();
            u32::try_from(micros).unwrap_or(NEVER - 1).min(NEVER - 1)
        };
        Numbers {
            ended: 0,
            received,
            sent,
            version,
            total: span(begun, self.ended),
            // One that was never routed took all its time to come.
            head: if version == 0 { span(begun, self.ended) } else { span(begun, self.routed) },
            connect: connected.map_or(NEVER, |connected| span(self.routed, connected)),
            server: connected.zip(answered).map_or(NEVER, |(connected, answered)| span(connected, answered)),
            status: self.status,
            tries: u8::try_from(self.tries).unwrap_or(u8::MAX),
            is_old,
        }
    }

    /// What is counted of it.
    #[inline(always)]
    fn counted(&self) -> Counted {
        let Course { begun, connected, answered, received, sent } = self.course;
        Counted {
            domain: self.domain.unwrap_or(stats::NONE),
            upstream: self.upstream,
            server: self.server.map_or(0, ServerId::number),
            status: self.status,
            received,
            sent,
            begun,
            routed: self.routed,
            connected,
            answered,
            ended: self.ended,
        }
    }
}

/// Records a request that is over, once. One of which only the beginning came, and which nobody answered, is none.
#[inline(always)]
pub(super) fn record(exchange: &mut Exchange, dispatch: &mut Dispatch, ctx: &mut Ctx) {
    let reason = exchange.take_reason();
    if let Some(reason) = reason {
        ctx.refused.count(reason);
    }
    if (dispatch.upstream.is_some() || reason.is_some() || exchange.status() != 0)
        && std::mem::take(&mut dispatch.unrecorded)
    {
        tell(exchange, dispatch, reason, ctx);
    }
}

/// Tells everybody who wants to know of requests. It is no part of what it is called by, where all registers are in use.
#[inline(never)]
fn tell(exchange: &Exchange, dispatch: &Dispatch, reason: Option<Reason>, ctx: &mut Ctx) {
    let record = RequestRecord::new(exchange, dispatch, reason, ctx.env.now);
    ctx.stats.record(&record.counted());
    if record.has_failed() {
        ctx.stats.fail(record.failure());
    }
    if ctx.seeing.log.is_some() {
        log(&record, exchange, dispatch, ctx);
    }
}

/// Puts it into the access log, if it is one that is logged.
#[cold]
#[inline(never)]
fn log(record: &RequestRecord, exchange: &Exchange, dispatch: &Dispatch, ctx: &mut Ctx) {
    let (Some(log), Some(note)) = (&mut ctx.seeing.log, &dispatch.note) else { return };
    let numbers = record.numbers(exchange.is_old(), note.version());
    let is_error = record.status >= CLIENT_CLOSED_REQUEST || record.reason.is_some();
    if !log.wants(is_error, numbers.total) {
        return;
    }
    let mut texts = note.texts();
    let local = record.upstream.and_then(|upstream| ctx.view.peek(upstream));
    let servers = local.map_or(&[][..], |local| &local.balancer.upstream().servers);
    let server = servers.iter().find(|server| Some(server.id) == record.server);
    for (text, value) in [
        (Text::Client, note.client()),
        (Text::Id, exchange.id()),
        (Text::Server, server.map_or(&[][..], |server| server.spec.name.as_bytes())),
        (Text::Reason, record.reason.map_or(&[][..], |reason| reason.word().as_bytes())),
    ] {
        if let Some(place) = texts.get_mut(text as usize) {
            *place = value;
        }
    }
    log.push(&Entry { numbers, texts }, record.ended);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_there_is_counted_as_that() {
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
        let counted = record.counted();
        assert_eq!((counted.domain, counted.server, counted.status), (1, 0, 200));
        let counted = RequestRecord { domain: None, server: ServerId::of(7), ..record }.counted();
        assert_eq!((counted.domain, counted.server), (stats::NONE, 7));
    }
}
