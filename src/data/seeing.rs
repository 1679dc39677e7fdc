//! Which requests a worker looks at closely, and where what it sees goes.
//!
//! It owns that choice. Next: [`super::aside`] looks, [`super::record`] logs.

use super::ids::Ids;
use crate::access_log::batch::AccessLog;
use crate::settings::Settings;

/// One request of so many is looked at closely where none has to be, so that it is known how they spread over the rules. It is
/// a power of two.
const SAMPLE: u64 = 16;

/// What one worker has for it.
#[derive(Debug)]
pub struct Seeing {
    /// The bits of a request's number that are all 0 if it is looked at closely.
    sample: u64,
    /// The same as long as nobody asks for more.
    usual: u64,
    /// Where requests that are over are logged, if they are.
    pub log: Option<AccessLog>,
    /// Ids of requests, if they have any.
    pub ids: Option<Ids>,
}

impl Seeing {
    /// Every request is looked at where something is done for each: it is logged, or given an id, or may speak for another.
    #[must_use]
    pub fn new(settings: &Settings, log: Option<AccessLog>) -> Self {
        let ids = settings.seeing.request_id.then(Ids::default);
        let each = log.is_some() || ids.is_some() || !settings.trusted_proxies.is_empty();
        let usual = if each { 0 } else { SAMPLE - 1 };
        Self { sample: usual, usual, log, ids }
    }

    /// From now on, requests in whose number the bits of `mask` are 0 are looked at besides.
    pub fn look_besides(&mut self, mask: u64) {
        self.sample = self.usual & mask;
    }

    /// Nobody asks for more any longer.
    pub fn look_as_usual(&mut self) {
        self.sample = self.usual;
    }

    /// Whether the request of this number would be looked at if nobody asked for more: what is counted of those is a sample, and
    /// stays one.
    #[must_use]
    pub fn is_usual(&self, number: u64) -> bool {
        number & self.usual == 0
    }

    /// Whether the request of this number is looked at closely.
    #[inline(always)]
    #[must_use]
    pub fn is_close(&self, number: u64) -> bool {
        number & self.sample == 0
    }
}
