//! This core's reading of the current snapshot: its own regex clones, balancers and pools, made when first used.
//!
//! It owns what a worker keeps about domains and upstreams between requests, never a socket. A new snapshot costs two
//! stores; each upstream is compared when it is next used, or soon after, and carries its counters over. Upstreams are found by the slot
//! that the rule names, here as in the snapshot. Next: `model::route` decides, `balancer` chooses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::balancer::{Affinity, Balancer};
use super::budget::Budget;
use super::draws;
use super::pool::Pool;
use super::terms::Defaults;
use crate::exchange::Terms;
use crate::link::ServerNumbers;
use crate::model::{
    self, Backend, Recorder, Scratch, Server, Silent, Snapshot, Upstream, UpstreamName, UpstreamOptions,
    Verdict,
};
use crate::semantics::RequestView;

/// Upstreams in use that are brought up to date with each snapshot: that takes a few microseconds. More are within a second, or
/// when they are next used.
const AT_ONCE: usize = 1024;

/// One upstream as this worker uses it.
#[derive(Debug)]
pub struct Local {
    /// Who is next, who failed, how many are under way.
    pub balancer: Balancer,
    /// The pool's list of idle connections of each server.
    pub lists: Vec<u32>,
    /// What its exchanges are told.
    pub terms: Arc<Terms>,
    /// They are to be told, as that is not what the policy says, or clients are kept at servers.
    pub asks: bool,
    /// The same with the cookie of each server, made when it is first given to a client.
    kept: Vec<Option<Arc<Terms>>>,
    /// The second tries that its requests may have.
    pub budget: Budget,
    version: u64,
    /// Held so that the slot is no other upstream's while this is here: a lease on a server of it may be out.
    name: Arc<UpstreamName>,
}

/// What the rules say of a request.
#[derive(Debug)]
pub struct Routing<'v> {
    /// The slot of its domain in the snapshot, if it has one.
    pub domain: Option<u32>,
    /// The last rule that was asked, by its number in the rule set.
    pub rule: Option<u16>,
    /// Where it goes.
    pub routed: Routed<'v>,
}

/// Where a request goes.
#[derive(Debug)]
pub enum Routed<'v> {
    /// Nowhere: ELB answers, as this verdict says.
    Answered(Verdict<'v>),
    /// To an upstream.
    Forward {
        /// The slot of the upstream that the rule names, which need not be there.
        upstream: u32,
        /// What the rule says beside it.
        backend: &'v Backend,
        /// The new path, if a rule rewrote it.
        path: Option<&'v [u8]>,
    },
}

/// The view.
#[derive(Debug)]
pub struct View {
    snapshot: Arc<Snapshot>,
    scratch: Scratch,
    /// By slot; made when first used.
    locals: Vec<Option<Box<Local>>>,
    /// The version that was swept last; nothing has gone since.
    swept: u64,
    seed: u64,
    defaults: Defaults,
    /// Of the request that was routed last; that of none as long as no upstream asks.
    affinity: Affinity,
}

impl View {
    /// A view of `snapshot`. Workers with different seeds begin their rounds at different servers.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, seed: u64, defaults: Defaults) -> Self {
        Self {
            snapshot,
            scratch: Scratch::new(),
            locals: Vec::new(),
            swept: 0,
            seed,
            defaults,
            affinity: Affinity::default(),
        }
    }

    /// What is served.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Serves from another snapshot from now on; the old one is returned, to be freed elsewhere.
    #[must_use]
    pub fn swap(&mut self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        self.affinity = Affinity::default();
        std::mem::replace(&mut self.snapshot, snapshot)
    }

    /// Decides where a request goes, the `number`th of this worker, from what the snapshot says and nothing else: it changes
    /// nothing but the room that it searches in, and [`View::affinity`].
    ///
    /// Where its upstream asks for more of a request than the rules do, it is taken `again`: then it lies in registers where none does.
    pub fn route<'r>(
        &mut self,
        request: &RequestView<'_>,
        (number, now): (u64, Instant),
        again: impl FnOnce() -> RequestView<'r>,
    ) -> Routing<'_> {
        let draw = draws::nth(self.seed, number);
        self.scratch.at(now);
        let decision = model::route(&self.snapshot, request, draw, &mut self.scratch, &mut Silent);
        let routed = match decision.verdict {
            Verdict::Forward { backend, path } => {
                let upstream = backend.slot();
                if self.snapshot.looks_at_requests() {
                    self.affinity = affinity(&self.snapshot, upstream, &again());
                }
                Routed::Forward { upstream, backend, path }
            }
            verdict => Routed::Answered(verdict),
        };
        Routing { domain: decision.domain, rule: decision.rule, routed }
    }

    /// The same for a request of which something is seldom so; `recorder` is told of its way.
    #[cold]
    #[inline(never)]
    pub fn route_told<R: Recorder>(
        &mut self,
        request: &RequestView<'_>,
        (number, now): (u64, Instant),
        recorder: &mut R,
    ) -> Routing<'_> {
        let draw = draws::nth(self.seed, number);
        self.scratch.at(now);
        let decision = model::route(&self.snapshot, request, draw, &mut self.scratch, recorder);
        let routed = match decision.verdict {
            Verdict::Forward { backend, path } => {
                let upstream = backend.slot();
                self.affinity = affinity(&self.snapshot, upstream, request);
                Routed::Forward { upstream, backend, path }
            }
            verdict => Routed::Answered(verdict),
        };
        Routing { domain: decision.domain, rule: decision.rule, routed }
    }

    /// The chance of the `number`th request of this worker.
    #[must_use]
    pub fn draw(&self, number: u64) -> u64 {
        draws::nth(self.seed, number)
    }

    /// Where the request that was routed last belongs among the servers of its upstream.
    #[inline(always)]
    #[must_use]
    pub fn affinity(&self) -> Affinity {
        self.affinity
    }

    /// The upstream in a slot as the snapshot has it: made when it is first used, and brought up to date when there is another
    /// snapshot since. Nothing when there is none.
    #[inline(always)]
    pub fn current(&mut self, upstream: u32, pool: &mut Pool) -> Option<&mut Local> {
        match self.locals.get(upstream as usize) {
            Some(Some(local)) if local.version == self.snapshot.version => {}
            _ => self.renew(upstream, pool)?,
        }
        self.local(upstream)
    }

    #[cold]
    fn renew(&mut self, slot: u32, pool: &mut Pool) -> Option<()> {
        let Self { snapshot, locals, seed, defaults, .. } = self;
        let (current, name) = (snapshot.upstream(slot)?, snapshot.upstream_name(slot)?);
        let place = slot as usize;
        if locals.len() <= place {
            locals.resize_with(place + 1, || None);
        }
        match locals.get_mut(place)? {
            Some(local) => local.follow(current, snapshot.version, defaults, pool),
            vacant => {
                *vacant = Some(Box::new(Local::new(current, name, snapshot.version, *seed, defaults, pool)))
            }
        }
        Some(())
    }

    /// An upstream that is in use, as it was when it was used last.
    #[inline]
    pub fn local(&mut self, upstream: u32) -> Option<&mut Local> {
        self.locals.get_mut(upstream as usize)?.as_deref_mut()
    }

    /// Every server of this upstream has failed.
    #[must_use]
    pub fn is_open(&self, upstream: u32) -> bool {
        self.peek(upstream).is_some_and(|local| local.balancer.is_open())
    }

    /// The name of an upstream that is in use.
    #[must_use]
    pub fn name(&self, upstream: u32) -> Option<Arc<UpstreamName>> {
        self.peek(upstream).map(|local| Arc::clone(&local.name))
    }

    /// An upstream that is in use, to be looked at.
    pub(super) fn peek(&self, upstream: u32) -> Option<&Local> {
        self.locals.get(upstream as usize)?.as_deref()
    }

    /// Places taken in all balancers.
    #[must_use]
    pub fn leases(&self) -> u64 {
        self.locals.iter().flatten().map(|local| local.balancer.leases()).sum()
    }

    /// What is different with servers in use since this was asked last.
    pub fn server_news(&self, pool: &mut Pool) -> Vec<ServerNumbers> {
        let mut news = Vec::new();
        for local in self.locals.iter().flatten() {
            let servers = local.balancer.upstream().servers.iter().map(|server| server.id);
            for (server, list) in servers.zip(&local.lists) {
                let numbers = pool.news(*list);
                news.extend(numbers.map(|(active, idle, requests)| ServerNumbers {
                    server,
                    active,
                    idle,
                    requests,
                }));
            }
        }
        news
    }

    /// Searches that were given up, see [`Scratch::searches_given_up`].
    #[must_use]
    pub fn searches_given_up(&self) -> u64 {
        self.scratch.searches_given_up()
    }

    /// As [`View::sweep`], at once, where that is little work: then a server that is removed and added again within a second
    /// is a new one.
    pub fn follow(&mut self, pool: &mut Pool) {
        if self.locals.len() <= AT_ONCE {
            self.settle(pool);
        }
    }

    /// Follows the snapshot in all upstreams that are in use, so that connections to servers that are gone from it are closed;
    /// forgets upstreams that are in no snapshot any more and whose servers nobody holds a lease on: a lease that outlived
    /// them would be taken for one of the upstream that gets the slot next.
    pub fn sweep(&mut self, pool: &mut Pool) {
        // Patterns live as long as anyone holds a snapshot that has them, which may be another worker.
        self.scratch.sweep();
        self.settle(pool);
    }

    fn settle(&mut self, pool: &mut Pool) {
        if self.swept == self.snapshot.version {
            return;
        }
        let mut leased = false;
        for (slot, place) in (0..).zip(&mut self.locals) {
            let Some(local) = place else { continue };
            if let Some(current) = self.snapshot.upstream(slot) {
                local.follow(current, self.snapshot.version, &self.defaults, pool);
                continue;
            }
            if local.balancer.leases() > 0 {
                leased = true;
                let name = local.balancer.upstream().name.clone();
                let options = local.balancer.upstream().options.clone();
                let gone = Arc::new(Upstream { name, servers: Vec::new(), options, implicit: false });
                local.carry(&gone, &self.defaults, pool);
            } else if let Some(local) = place.take() {
                local.lists.into_iter().for_each(|list| pool.drop_list(list));
            }
        }
        if !leased {
            self.swept = self.snapshot.version;
        }
    }
}

/// Where a request belongs among the servers of an upstream.
#[cold]
#[inline(never)]
fn affinity(snapshot: &Snapshot, upstream: u32, request: &RequestView<'_>) -> Affinity {
    let options = snapshot.upstream(upstream).map(|upstream| &upstream.options);
    let options = options.filter(|options| options.looks_at_requests());
    options.map(|options| Affinity::of(options, request)).unwrap_or_default()
}

impl Local {
    fn new(
        upstream: &Arc<Upstream>,
        name: &Arc<UpstreamName>,
        version: u64,
        seed: u64,
        defaults: &Defaults,
        pool: &mut Pool,
    ) -> Local {
        let options = &upstream.options;
        Local {
            balancer: Balancer::new(upstream, seed),
            lists: upstream.servers.iter().map(|server| new_list(options, server, defaults, pool)).collect(),
            terms: Arc::new(defaults.terms(options)),
            asks: defaults.are_not(options),
            kept: Vec::new(),
            budget: Budget::new(defaults.allowance(options)),
            version,
            name: Arc::clone(name),
        }
    }

    /// What an exchange with the server in that place is told, whose client said the `id` of the server that it is kept at, if it
    /// did.
    pub(super) fn terms_at(&mut self, at: usize, id: u64) -> Arc<Terms> {
        let Some(cookie) = self.balancer.cookie(at, id) else { return Arc::clone(&self.terms) };
        if self.kept.len() <= at {
            self.kept.resize(at + 1, None);
        }
        let with_cookie = || Arc::new(Terms { cookie: Some(cookie.into()), ..Terms::clone(&self.terms) });
        match self.kept.get_mut(at) {
            Some(kept) => Arc::clone(kept.get_or_insert_with(with_cookie)),
            None => with_cookie(),
        }
    }

    /// Is what the snapshot of this version says.
    fn follow(&mut self, current: &Arc<Upstream>, version: u64, defaults: &Defaults, pool: &mut Pool) {
        if !Arc::ptr_eq(current, self.balancer.upstream()) {
            self.terms = Arc::new(defaults.terms(&current.options));
            self.asks = defaults.are_not(&current.options);
            self.kept.clear();
            self.budget.allow(defaults.allowance(&current.options));
            self.carry(current, defaults, pool);
        }
        self.version = version;
    }

    /// Follows a new definition: a server that stays keeps its counters and its idle connections.
    /// Where connections begin in another way, none of those that there are is used again.
    fn carry(&mut self, current: &Arc<Upstream>, defaults: &Defaults, pool: &mut Pool) {
        let known = self.balancer.upstream();
        if known.options.opening != current.options.opening {
            self.lists.drain(..).for_each(|list| pool.drop_list(list));
        }
        let former = known.servers.iter().map(|server| server.id);
        let mut former: HashMap<_, _> = former.zip(self.lists.drain(..)).collect();
        let most = current.options.keepalive;
        for server in &current.servers {
            let kept = former.remove(&server.id);
            if let Some(list) = kept {
                pool.keep_most(list, most);
            }
            self.lists.push(kept.unwrap_or_else(|| new_list(&current.options, server, defaults, pool)));
        }
        former.into_values().for_each(|list| pool.drop_list(list));
        self.balancer.carry(current);
    }
}

/// A list for the connections to a server of an upstream with these options.
fn new_list(options: &UpstreamOptions, server: &Server, defaults: &Defaults, pool: &mut Pool) -> u32 {
    let list = pool.add_list(options.keepalive);
    pool.open_with(list, defaults.opening(options, server));
    list
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::{Value, json};

    use super::super::balancer::{Choice, Tried};
    use super::*;
    use crate::exchange::{Policy, Sign};
    use crate::model::{Edit, State};
    use crate::semantics::Sketch;
    use crate::tls::Trust;

    /// A view, the state that it is of, and a pool beside it.
    struct Scene {
        state: State,
        view: View,
        pool: Pool,
    }

    impl Scene {
        fn new() -> Self {
            let defaults = Defaults::new(&Policy::for_tests(), 20, 1, Trust::nobody().toward().unwrap());
            let view = View::new(Arc::new(Snapshot::empty()), 0, defaults);
            Self { state: State::new(), view, pool: Pool::new(8, std::time::Duration::from_secs(1)) }
        }

        fn change(&mut self, edits: impl IntoIterator<Item = Edit>) {
            for edit in edits {
                self.state.edit(edit).unwrap();
            }
            let snapshot = self.state.snapshot(self.view.snapshot().version + 1);
            drop(self.view.swap(Arc::new(snapshot)));
            self.view.sweep(&mut self.pool);
        }

        fn route(&mut self, host: &str) -> Option<u32> {
            let sketch = Sketch::new(host, "/");
            let Routed::Forward { upstream, .. } =
                self.view.route(&sketch.view(), (0, Instant::now()), || sketch.view()).routed
            else {
                return None;
            };
            self.view.current(upstream, &mut self.pool).map(|_| upstream)
        }
    }

    fn upstream(name: &str, server: &str) -> Edit {
        let Value::Object(given) = json!({name: {server: ""}}) else { panic!("an object") };
        Edit::PutUpstreams(given)
    }

    fn domain(name: &str, upstream: &str) -> Edit {
        let Value::Object(given) = json!({name: {"init": "r", "rules": {
            "r": {"type": "backend", "args": {"servername": upstream}}}}})
        else {
            panic!("an object")
        };
        Edit::PutDomains(given)
    }

    /// Both begin to number their servers at 1: were the slot used again, the lease would be the other upstream's, and
    /// the connection that comes back with it would serve the other's requests.
    #[test]
    fn an_upstream_that_is_gone_keeps_its_slot_while_a_lease_is_out() {
        let mut scene = Scene::new();
        scene.change([upstream("up", "10.0.0.1"), domain("a.test", "up")]);
        let slot = scene.route("a.test").unwrap();
        let tried = Tried::new();
        let choice = Choice { tried: &tried, now: Instant::now(), affinity: &Affinity::default() };
        let (_, lease) = scene.view.local(slot).unwrap().balancer.pick(&choice).unwrap();
        scene.change([upstream("up", "10.0.0.2")]);
        assert_eq!(scene.route("a.test"), Some(slot), "the same upstream, with another server");
        let (name, gone) = ("a.test".to_owned(), "up".to_owned());
        scene.change([Edit::DeleteDomains(vec![name]), Edit::DeleteUpstreams(vec![gone])]);

        scene.change([upstream("next", "10.0.0.3"), domain("b.test", "next")]);
        assert_ne!(scene.route("b.test").unwrap(), slot);
        let local = scene.view.local(slot).expect("the one that the lease is of");
        assert_eq!(local.balancer.index_of(&lease), None);
        local.balancer.done(lease, Sign::Nothing, Instant::now(), Instant::now());
        assert_eq!(scene.view.leases(), 0);
        scene.change([]);
        assert!(scene.view.local(slot).is_none(), "nobody needs it any more");
    }
}
