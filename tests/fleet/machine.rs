//! A server of the fleet: how it is at each moment of a run, which the seed decides before the run begins.

use crate::chance::Chance;

/// How a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Well,
    /// Its process is gone: connections are reset and refused.
    Refuses,
    /// Its machine is gone: nothing comes back, not even a refusal.
    Hangs,
    /// It takes requests and says nothing.
    Stalls,
    /// It resets the connection when it has read a request.
    Resets,
    /// It answers 500.
    Fails,
    /// What it says is no HTTP.
    Babbles,
    /// Its bodies end in the middle.
    Cuts,
}

const ILLNESSES: [Condition; 7] = [
    Condition::Refuses,
    Condition::Hangs,
    Condition::Stalls,
    Condition::Resets,
    Condition::Fails,
    Condition::Babbles,
    Condition::Cuts,
];

/// A server.
#[derive(Debug)]
pub(crate) struct Machine {
    /// From when it is how, the first at 0.
    pub(crate) phases: Vec<(u64, Condition)>,
    /// It closes idle connections, now and then just as a request arrives.
    pub(crate) is_hasty: bool,
    /// Milliseconds that a good answer takes at least.
    pub(crate) pace: u64,
    /// Its last good answer, as far as a balancer was told.
    pub(crate) last_good: Option<u64>,
    /// The last time that a failure was counted against it, or may have been.
    pub(crate) last_blame: u64,
    /// The last time that a request ended there and nothing was to be said about the server.
    pub(crate) last_vain: u64,
    /// It was put aside although it was well: it had answered nobody for long when it was asked for what is broken, and no other
    /// server could be.
    pub(crate) is_wronged: bool,
    /// The last time that a request went there.
    pub(crate) picked: u64,
}

impl Machine {
    /// One that is never ill.
    pub(crate) fn well(pace: u64) -> Self {
        Self {
            phases: vec![(0, Condition::Well)],
            is_hasty: false,
            pace,
            last_good: None,
            last_blame: 0,
            last_vain: 0,
            is_wronged: false,
            picked: 0,
        }
    }

    /// One that is ill from time to time, and well from `end` on. `cuts` says whether its bodies may break off, and its
    /// answers be no HTTP: no balancer can save such a request.
    pub(crate) fn frail(pace: u64, end: u64, cuts: bool, chance: &mut Chance) -> Self {
        let mut machine = Self::well(pace);
        let flaps = chance.one_in(3);
        let illnesses = if cuts { &ILLNESSES[..] } else { &ILLNESSES[..5] };
        let mut at = chance.below(2000) as u64;
        while at < end {
            let illness = if flaps { Condition::Refuses } else { chance.pick(illnesses) };
            let (ill, well) = match flaps {
                true => (chance.between(50, 400), chance.between(50, 800)),
                false => (chance.between(200, 4000), chance.between(300, 4000)),
            };
            machine.phases.push((at, illness));
            at = (at + ill as u64).min(end);
            machine.phases.push((at, Condition::Well));
            at += well as u64;
        }
        machine
    }

    /// How it is at that time.
    pub(crate) fn at(&self, now: u64) -> Condition {
        self.phases.iter().rev().find(|(from, _)| *from <= now).map_or(Condition::Well, |(_, how)| *how)
    }

    /// Whether it was well all the time, the two moments included.
    pub(crate) fn is_well_from(&self, from: u64, to: u64) -> bool {
        self.phases.iter().enumerate().all(|(at, (begin, how))| {
            let end = self.phases.get(at + 1).map_or(u64::MAX, |(next, _)| *next);
            *how == Condition::Well || *begin > to || end < from
        })
    }

    /// Whether its process has ended since then, so that a connection of that time is dead.
    pub(crate) fn has_crashed_since(&self, from: u64, now: u64) -> bool {
        self.phases.iter().any(|(at, how)| *how == Condition::Refuses && (from..=now).contains(at))
    }

    /// Since when it is well, if it is.
    pub(crate) fn well_since(&self, now: u64) -> Option<u64> {
        let last = self.phases.iter().rev().find(|(from, _)| *from <= now)?;
        (last.1 == Condition::Well).then_some(last.0)
    }
}
