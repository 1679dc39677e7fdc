//! A change as it would be made now: what stands there already is taken into account, and nothing is done yet.
//!
//! It owns the checks that need a state, what a change would make different, and the carrying out; never the reading of what was
//! given (that is `prepare`). Asking costs no more than doing, so a trial is the change itself without its last step. Next:
//! [`state`](super::state) has what is there, `control::hub` asks and carries out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::{Change, Named, Outcome, Prepared, UpstreamChange};
use super::check;
use super::fault::{Fault, Faults, Report, step};
use super::host;
use super::implicit;
use super::ledger::{Differences, Touch};
use super::ruleset::RuleSet;
use super::state::State;
use super::upstream::UpstreamSpec;
use crate::warning::{Code, Warning};

/// A change that can be made.
#[derive(Debug, Default)]
pub struct Plan {
    domains: Vec<(String, Option<Arc<RuleSet>>)>,
    upstreams: Vec<Planned>,
    warnings: Vec<Warning>,
}

#[derive(Debug)]
struct Planned {
    name: String,
    /// What it becomes; nothing for one that goes.
    spec: Option<UpstreamSpec>,
    /// The parts that a patch names.
    parts: Option<Vec<String>>,
}

/// What a change would take away, and of how much.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// Names of domains.
    pub domains: Vec<Arc<str>>,
    /// Upstream, as it is spelled, and server.
    pub servers: Vec<(String, String)>,
    /// How many upstreams go whole.
    pub upstreams: usize,
}

impl State {
    /// What a change that was prepared with [`State::library`] comes to.
    ///
    /// # Errors
    /// A domain is in force under another spelling of its name; a patch names an upstream that is not in force, or would
    /// leave it without servers.
    pub fn plan(&self, prepared: Prepared) -> Result<Plan, Faults> {
        let Prepared { mut change, warnings, .. } = prepared;
        let mut report = Report { warnings, ..Report::default() };
        if change.is_whole {
            self.take_the_rest_away(&mut change);
        }
        self.find_twins(&change, &mut report);
        let (of_domains, of_upstreams) = (change.of_domains(), change.of_upstreams());
        let domains = change.domains;
        let mut upstreams = Vec::with_capacity(change.upstreams.len());
        for change in change.upstreams {
            match self.complete(change, &mut report.warnings) {
                Ok(planned) => upstreams.push(planned),
                Err(fault) => {
                    report.faults.push(Fault { pointer: of_upstreams.to_owned() + &fault.pointer, ..fault })
                }
            }
        }
        let mut plan = Plan { domains, upstreams, warnings: Vec::new() };
        self.warn(&plan, of_domains, of_upstreams, &mut report);
        plan.warnings = std::mem::take(&mut report.warnings);
        report.all().map_or(Ok(plan), Err)
    }

    /// Whether the rule sets that a change was made from are in force.
    pub fn is_based_on_what_is(&self, prepared: &Prepared) -> bool {
        prepared.basis.iter().all(|(name, text)| self.domain(name) == text.as_ref())
    }

    /// Makes a change.
    pub fn carry_out(&mut self, plan: Plan) -> Outcome {
        let Plan { domains, upstreams, warnings } = plan;
        let mut outcome = Outcome { warnings, ..Outcome::default() };
        let (gone, put): (Vec<_>, Vec<_>) = domains.into_iter().partition(|(_, rules)| rules.is_none());
        for (name, _) in gone {
            let (changed, found) = self.domains.delete(&name);
            outcome.changed |= changed;
            outcome.found.push((name, found));
        }
        for (name, rules) in put {
            outcome.changed |= rules.is_some_and(|rules| self.domains.put(&name, rules));
        }
        for Planned { name, spec, .. } in upstreams {
            match spec {
                Some(spec) => outcome.changed |= self.upstreams.put(spec),
                None => {
                    let (changed, found) = self.upstreams.delete(&name);
                    outcome.changed |= changed;
                    outcome.found.push((name, found));
                }
            }
        }
        self.settle();
        outcome
    }

    /// The keys that a change is about: those that it writes, and those that are known and that it takes away.
    pub fn named(&self, plan: &Plan) -> Named {
        let mut named = Named::default();
        named.domains.extend(plan.domains.iter().map(|(domain, _)| domain.clone()));
        for Planned { name, spec, parts } in &plan.upstreams {
            let key = name.to_ascii_lowercase();
            let servers = match (parts, spec) {
                (Some(parts), _) => parts.iter().cloned().collect(),
                (None, spec) => {
                    let mut servers = self.upstreams.known_servers(&key);
                    servers
                        .extend(spec.iter().flat_map(|spec| spec.parts()).map(|(name, _)| name.to_owned()));
                    servers
                }
            };
            let spelling = spec.as_ref().map_or(name, |spec| &spec.name);
            named.upstreams.insert(key, (spelling.clone(), servers));
        }
        named
    }

    fn take_the_rest_away(&self, change: &mut Change) {
        let named: BTreeSet<&str> = change.domains.iter().map(|(name, _)| &**name).collect();
        let rest = self.domains.layers().effective().keys().filter(|name| !named.contains(&***name));
        let rest: Vec<_> = rest.map(|name| (name.to_string(), None)).collect();
        change.domains.extend(rest);
        let named: BTreeSet<String> =
            change.upstreams.iter().map(|one| one.name().to_ascii_lowercase()).collect();
        let all = self.upstreams.layers().effective().iter();
        let rest = all.filter(|(key, _)| !named.contains(&***key)).map(|(_, spec)| spec.name.clone());
        change.upstreams.extend(rest.map(UpstreamChange::Delete));
    }

    /// Domains that would be there twice; one that goes makes room for the other.
    fn find_twins(&self, change: &Change, report: &mut Report) {
        let gone: BTreeSet<&str> =
            change.domains.iter().filter(|(_, rules)| rules.is_none()).map(|(name, _)| &**name).collect();
        for (name, _) in change.domains.iter().filter(|(_, rules)| rules.is_some()) {
            let twin = self.domains.twin(name).filter(|twin| !gone.contains(twin));
            if let Some(twin) = twin.filter(|_| !report.is_full()) {
                report.fault(change.of_domains().to_owned() + &step(name), host::same_domain(twin));
            }
        }
    }

    fn complete(&self, change: UpstreamChange, warnings: &mut Vec<Warning>) -> Result<Planned, Fault> {
        Ok(match change {
            UpstreamChange::Put(spec) => Planned { name: spec.name.clone(), spec: Some(spec), parts: None },
            UpstreamChange::Delete(name) => Planned { name, spec: None, parts: None },
            UpstreamChange::Patch(patch) => {
                let name = patch.name.clone();
                let parts = patch.parts.iter().map(|(part, _)| part.clone()).collect();
                Planned { name, spec: Some(self.upstreams.complete(patch, warnings)?), parts: Some(parts) }
            }
        })
    }

    /// Tells of names that rules would have and no upstream would.
    fn warn(&self, plan: &Plan, of_domains: &str, of_upstreams: &str, report: &mut Report) {
        let key = |planned: &Planned| planned.name.to_ascii_lowercase();
        let (gone, put): (Vec<_>, Vec<_>) = plan.upstreams.iter().partition(|planned| planned.spec.is_none());
        let (gone_keys, put): (BTreeSet<_>, BTreeSet<_>) =
            (gone.iter().map(|one| key(one)).collect(), put.into_iter().map(key).collect());
        let is_known = |key: &str| put.contains(key) || (self.has_upstream(key) && !gone_keys.contains(key));
        let mut inner = Report::default();
        let brought = || plan.domains.iter().filter_map(|(name, rules)| Some((name, rules.as_ref()?)));
        check::servernames(brought(), is_known, &mut inner);
        for mut warning in inner.warnings {
            warning.pointer.insert_str(0, of_domains);
            report.warnings.push(warning);
        }
        for (at, planned) in gone.iter().enumerate() {
            let key = key(planned);
            let is_upstream = self.has_upstream(&key) && implicit::target(&planned.name).is_none();
            if is_upstream && !put.contains(&key) && self.stays_named(&key, plan) {
                let name = &planned.name;
                let message = format!("rules still name the upstream {name}: 502 until it is there again");
                let pointer = match of_upstreams {
                    "" => format!("/{at}"),
                    of_upstreams => format!("{of_upstreams}{}", step(name)),
                };
                report.warn(Code::StillNamed, pointer, message);
            }
        }
    }

    /// Whether rules name this upstream when the change is made.
    fn stays_named(&self, key: &str, plan: &Plan) -> bool {
        if self.domains.servernames().spelling(key).is_some() && plan.domains.is_empty() {
            return true;
        }
        let names = |rules: &RuleSet| rules.backends().any(|backend| backend.name().key() == key);
        if plan.domains.iter().any(|(_, rules)| rules.as_ref().is_some_and(|rules| names(rules))) {
            return true;
        }
        if self.domains.servernames().spelling(key).is_none() {
            return false;
        }
        let touched: BTreeSet<&str> = plan.domains.iter().map(|(name, _)| &**name).collect();
        let mut others = self.domains.layers().effective().iter();
        others.any(|(name, rules)| !touched.contains(&**name) && names(rules))
    }
}

impl Plan {
    /// What it would make different of what is in force.
    pub fn differences(&self, state: &State) -> Differences {
        let mut differences = Differences::default();
        for (name, rules) in &self.domains {
            let before = state.domains.layers().effective().get(&**name);
            if before != rules.as_ref() {
                let text = |rules: &Arc<RuleSet>| Arc::clone(rules.text());
                let name: Arc<str> = (&**name).into();
                let touch = Touch {
                    name: Arc::clone(&name),
                    before: before.map(text),
                    after: rules.as_ref().map(text),
                };
                differences.domains.add(name, touch);
            }
        }
        for Planned { name, spec, .. } in &self.upstreams {
            let key = name.to_ascii_lowercase();
            let before = state.upstreams.layers().effective().get(&*key);
            if before.map(|spec| &**spec) != spec.as_ref() {
                let spelling = spec.as_ref().or(before.map(|spec| &**spec)).map_or(name, |spec| &spec.name);
                let touch = Touch {
                    name: (&**spelling).into(),
                    before: before.map(|spec| spec.text()),
                    after: spec.as_ref().map(UpstreamSpec::text),
                };
                differences.upstreams.add(key.into(), touch);
            }
        }
        differences
    }

    /// What it would take away of what is in force.
    pub fn removal(&self, state: &State) -> Removal {
        let mut removal = Removal::default();
        for (name, _) in self.domains.iter().filter(|(_, rules)| rules.is_none()) {
            let found = state.domains.layers().effective().get_key_value(&**name);
            removal.domains.extend(found.map(|(name, _)| Arc::clone(name)));
        }
        for Planned { name, spec, .. } in &self.upstreams {
            let Some(before) = state.upstreams.layers().effective().get(&*name.to_ascii_lowercase()) else {
                continue;
            };
            removal.upstreams += usize::from(spec.is_none());
            let stays = |server: &str| {
                spec.as_ref().is_some_and(|spec| spec.servers.iter().any(|one| one.name == server))
            };
            let gone = before.servers.iter().filter(|server| !stays(&server.name));
            removal.servers.extend(gone.map(|server| (before.name.clone(), server.name.clone())));
        }
        removal
    }

    /// What the operator should know.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}
