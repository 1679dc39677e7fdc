//! A server connection: holds every byte that reaches it against what the client said, and answers by a plan.

use crate::chance::Chance;
use crate::request::Request;
use crate::response::{After, Begins, Ends, Plan, Response};
use crate::wire;

/// One connection to a server, from its first byte to its last.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) number: usize,
    /// Bytes that came, of the present request on.
    got: Vec<u8>,
    /// The request that is under way here.
    pub(crate) request: Option<usize>,
    pub(crate) plan: Option<Plan>,
    /// Bytes of the response that were put on their way.
    sent: usize,
    /// Bytes on their way to ELB.
    pub(crate) outbound: Vec<u8>,
    /// It will send nothing more.
    pub(crate) ended: bool,
    pub(crate) reset: bool,
    /// It reads nothing any more.
    pub(crate) deaf: bool,
    /// It reads nothing until then.
    pub(crate) blocked: u64,
    wake: u64,
    paused: bool,
    /// ELB has said that nothing more will come.
    pub(crate) told: bool,
    /// Bytes that came through the tunnel, and those that still go.
    pub(crate) tunnelled: usize,
    tunnel: Option<Vec<u8>>,
}

impl Server {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            got: Vec::new(),
            request: None,
            plan: None,
            sent: 0,
            outbound: Vec::new(),
            ended: false,
            reset: false,
            deaf: false,
            blocked: 0,
            wake: 0,
            paused: false,
            told: false,
            tunnelled: 0,
            tunnel: None,
        }
    }

    /// The connection was lent for this request.
    pub(crate) fn lent(&mut self, request: usize) {
        assert!(self.got.is_empty(), "a connection was used again that was not at rest");
        self.request = Some(request);
        (self.plan, self.sent, self.paused) = (None, 0, false);
    }

    /// Bytes came: each must be the next one of the request. `tunnel` is what the client says behind an upgrade.
    pub(crate) fn receive(&mut self, bytes: &[u8], request: &Request, tunnel: &[u8]) {
        let before = self.got.len();
        self.got.extend(bytes);
        let own = self.got.len().min(request.onward.len());
        if before < own {
            assert_eq!(
                String::from_utf8_lossy(&self.got[before..own]),
                String::from_utf8_lossy(&request.onward[before..own]),
                "a server got something else than the client sent"
            );
        }
        if self.got.len() > own {
            assert!(self.tunnel.is_some(), "bytes behind a request: {:?}", String::from_utf8_lossy(bytes));
            self.tunnelled = self.got.len() - own;
            assert!(tunnel.starts_with(&self.got[own..]), "the tunnel changed what the client said");
        }
        if before < own && own == request.onward.len() && self.is_asked(request) {
            let (first, body, length) = wire::request(&self.got).expect("a whole request");
            assert!(first.starts_with(&format!("{} /r", request.method)), "{first}");
            assert_eq!((body == request.body, length), (true, own), "the body that a second reader finds");
        }
    }

    /// The whole request is here.
    fn is_asked(&self, request: &Request) -> bool {
        self.got.len() >= request.onward.len() && !matches!(request.fault, crate::request::Fault::Body(_))
    }

    fn has_head(&self) -> bool {
        self.got.windows(4).any(|four| four == b"\r\n\r\n")
    }

    /// Whether the plan is to be made now: something came, or nothing is waited for.
    pub(crate) fn wants_plan(&self) -> bool {
        self.plan.is_none() && self.request.is_some()
    }

    /// Sends what the plan says. `response` is the planned one.
    pub(crate) fn act(&mut self, now: u64, request: &Request, response: &mut Response, grain: usize) -> bool {
        let Some(plan) = self.plan.clone() else { return false };
        if now < self.wake || self.ended || self.reset {
            return false;
        }
        let begun = self.sent > 0
            || match plan.begins {
                Begins::Asked => self.is_asked(request),
                Begins::Early => self.has_head(),
                Begins::Unasked => true,
                Begins::Never => false,
            };
        if !begun {
            return false;
        }
        self.deaf |= plan.deaf;
        if !self.paused && self.sent >= plan.pause.0 {
            (self.paused, self.wake) = (true, now + plan.pause.1);
            return true;
        }
        let left = plan.until - self.sent;
        if left > 0 {
            let until_pause = if self.paused { left } else { plan.pause.0 - self.sent };
            let n = left.min(until_pause).min(grain);
            self.outbound.extend(&response.wire[self.sent..self.sent + n]);
            self.sent += n;
            if self.sent >= response.whole && response.ends == Ends::Switched {
                self.tunnel.get_or_insert_with(|| response.body.clone());
            }
            return true;
        }
        if let Some(tunnel) = &mut self.tunnel {
            let n = tunnel.len().min(grain);
            self.outbound.extend(tunnel.drain(..n));
            if n > 0 {
                return true;
            }
            // A tunnel has no end of its own: the server leaves when the client has.
            if !self.told && plan.after == After::Stay {
                return false;
            }
            self.ended = true;
            return true;
        }
        match plan.after {
            After::Stay => return false,
            After::Close => self.ended = true,
            After::Reset => self.reset = true,
        }
        true
    }

    /// When it acts again by itself.
    pub(crate) fn wake(&self, now: u64) -> Option<u64> {
        [self.wake, self.blocked].into_iter().filter(|at| *at > now).min()
    }

    /// ELB means to use the connection again: everything on it must have come to its exact end. Says whether nothing
    /// is behind that on the wire, which a pool would notice.
    pub(crate) fn rests(&mut self, request: &Request, response: &Response) -> bool {
        let whole = self.is_asked(request) && self.got.len() == request.onward.len();
        assert!(whole, "pooled in the middle of a request");
        assert!(response.keeps && response.is_complete(), "pooled before the end of a response");
        assert_eq!(response.given, response.whole, "pooled with bytes behind the response");
        assert!(!request.puzzles(), "pooled after a body that the server may have taken for a request");
        let bodiless = request.method == "HEAD" || matches!(response.status, 204 | 304);
        assert!(!(bodiless && response.promises), "pooled before a body that the server may still send");
        let quiet =
            self.sent == response.wire.len() && self.outbound.is_empty() && !self.ended && !self.reset;
        (self.request, self.plan) = (None, None);
        self.got.clear();
        quiet
    }

    /// What a server makes of a request in fair weather: it answers when it was asked.
    pub(crate) fn plan_fair(&mut self, number: usize, response: &Response, chance: &mut Chance) {
        let after =
            if response.keeps || response.ends == Ends::Switched { After::Stay } else { After::Close };
        self.plan = Some(Plan {
            response: number,
            begins: match response.ends {
                // A switch before the request's body is through is no fault of the server's: the client asked for it.
                Ends::Switched => chance.pick(&[Begins::Asked, Begins::Early]),
                _ => Begins::Asked,
            },
            until: response.wire.len(),
            after,
            pause: (chance.below(response.wire.len() + 1), chance.pick(&[0, 0, 700])),
            deaf: false,
        });
    }

    /// What a server does in foul weather.
    pub(crate) fn plan_foul(&mut self, number: usize, response: &Response, now: u64, chance: &mut Chance) {
        self.plan_fair(number, response, chance);
        let Some(plan) = &mut self.plan else { return };
        plan.begins = chance.pick(&[
            Begins::Asked,
            Begins::Asked,
            Begins::Asked,
            Begins::Asked,
            Begins::Asked,
            Begins::Asked,
            Begins::Early,
            Begins::Early,
            Begins::Unasked,
            Begins::Never,
        ]);
        plan.deaf = plan.begins == Begins::Early && chance.one_in(2);
        if chance.one_in(4) {
            plan.until = chance.below(response.wire.len() + 1);
            plan.after = chance.pick(&[After::Close, After::Close, After::Reset, After::Stay]);
        } else if chance.one_in(8) {
            plan.after = chance.pick(&[After::Close, After::Reset]);
        }
        if chance.one_in(6) {
            plan.pause.1 = chance.pick(&[1000, 29_000, 31_000, 200_000]);
        }
        if chance.one_in(6) {
            self.blocked = now + chance.pick(&[1000, 40_000]);
        }
    }
}
