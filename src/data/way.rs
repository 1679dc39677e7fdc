//! The way of a request, for a client that asks for it: `X-ELB-Explain: 1` is answered with `X-ELB-Way`.
//!
//! It owns who may know, and the words; never the way itself. Next: [`super::dispatch`] asks, `explain` says more.

use std::net::IpAddr;

use super::ctx::Ctx;
use super::steps::Steps;
use super::view::Local;
use crate::exchange::Way;
use crate::model::{Lookup, Recorder, Step};
use crate::semantics::RequestView;

/// Longest text of the rules that were asked: a client may bound a head at 8 KiB.
const LONGEST: usize = 2048;

/// Fields that a proxy adds: whose peer is one speaks for others, who may not know.
const PROXIES: [&[u8]; 4] = [b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"];

/// Whether the peer of a request may know its way: it may administer, and speaks for itself.
pub(super) fn may_know(request: &RequestView<'_>, peer: IpAddr, ctx: &Ctx) -> bool {
    ctx.admin_allow.holds(peer) && !PROXIES.iter().any(|name| request.field(name).next().is_some())
}

/// Domain and rules, as they are asked.
#[derive(Debug)]
pub(super) struct Told {
    way: String,
    version: u64,
    steps: Steps,
}

impl Recorder for Told {
    const COUNTS: bool = true;

    fn chose(&mut self, rule: u16, successor: usize) {
        self.steps.chose(rule, successor);
    }

    fn domain(&mut self, name: &str, _found: Lookup) {
        self.way = format!("domain={}; rules=", plain(name));
    }

    fn step(&mut self, step: Step<'_>) {
        self.rule(step.rule);
    }

    fn end(&mut self, rule: &str, _kind: &'static str) {
        self.rule(rule);
    }
}

impl Told {
    /// Nothing yet, by this version of the configuration.
    pub(super) fn new(version: u64) -> Self {
        Self { way: String::new(), version, steps: Steps::default() }
    }

    fn rule(&mut self, rule: &str) {
        if self.way.len() < LONGEST {
            let comma = if self.way.ends_with('=') { "" } else { "," };
            self.way.push_str(&format!("{comma}{}", plain(rule)));
        }
    }

    /// What an answer says that comes from no server.
    pub(super) fn line(&self) -> String {
        format!("X-ELB-Way: {}; version={}\r\n", self.text(), self.version)
    }

    /// What is said of a request that goes to a server.
    pub(super) fn way(&self) -> Way {
        Way { rules: format!("{}; version={}", self.text(), self.version), server: String::new() }
    }

    /// The same in numbers.
    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }

    fn text(&self) -> &str {
        if self.way.is_empty() { "domain=" } else { &self.way }
    }
}

/// What is said of the server at that place, the `tries`th that is asked.
pub(super) fn server(local: &Local, at: usize, tries: u32) -> String {
    let upstream = local.balancer.upstream();
    let server = upstream.servers.get(at).map(|server| server.endpoint.to_string()).unwrap_or_default();
    format!("; upstream={}; server={}; tries={tries}", plain(&upstream.name), plain(&server))
}

/// A name as it may stand in a field: what is no visible ASCII is escaped, and so is what separates.
fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'!'..=b'~' if !b";,=%".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_no_field_and_no_part_of_it() {
        assert_eq!(plain("a.b-c:80"), "a.b-c:80");
        assert_eq!(plain("a;b=c\r\n\u{e9}"), "a%3Bb%3Dc%0D%0A%C3%A9");
    }

    #[test]
    fn a_way_of_many_rules_has_an_end() {
        let mut told = Told::new(7);
        told.domain("d", Lookup::Rest);
        (0..1024).for_each(|number| told.end(&format!("rule-number-{number}"), "backend"));
        assert!(told.line().len() < LONGEST + 200, "{}", told.line().len());
        assert!(told.line().starts_with("X-ELB-Way: domain=d; rules=rule-number-0,rule-number-1,"));
        assert_eq!(Told::new(7).line(), "X-ELB-Way: domain=; version=7\r\n");
    }
}
