//! What this process begins with: nothing, or the listening sockets of the process before it, or of its service manager.
//!
//! It owns the order in which these are asked, and what is told when it cannot be; never what is said between two processes. Next:
//! [`serve`](super::serve) uses what was found, [`handover`](crate::handover) is how it comes here.

use std::net::SocketAddr;
use std::time::Instant;

use socket2::Socket;
use tracing::{info, warn};

use crate::control::{Arrival, Estate, NOT_TAKEN, Program};
use crate::data::Bound;
use crate::handover::{Place, Queue, Stock, Trouble, Use, activated, take};
use crate::settings::{ListenOn, Settings};

/// Exit code when the path of the hand-over cannot be used.
const FAILURE: u8 = 1;

/// Why this process does not begin.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The exit code.
    pub(super) code: u8,
    /// For people.
    pub(super) why: String,
}

/// What it begins with.
#[derive(Debug, Default)]
pub(super) struct Inheritance {
    stock: Stock,
    arrival: Option<Arrival>,
    estate: Estate,
}

/// Asks the process before this one, if there is one, and the service manager.
///
/// # Errors
/// The path cannot be used, or the process there does not let go.
pub(super) fn inherit(settings: &Settings) -> Result<Inheritance, Refusal> {
    let (mut stock, odd) = activated();
    odd.iter().for_each(|odd| warn!("{odd}"));
    if !stock.is_empty() {
        info!("{} listening sockets come from the service manager", stock.len());
    }
    let timeout = settings.handover.timeout;
    let place = settings.handover.path.as_deref().map(Place::at);
    let mut estate = Estate { timeout, name: settings.name.clone(), ..Estate::default() };
    let Some(place) = place else { return Ok(Inheritance { stock, arrival: None, estate }) };
    let begun = Instant::now();
    let failure = |why: String| Refusal { code: FAILURE, why };
    let arrival = match take(&place, timeout, &settings.name) {
        Ok(Some((heir, passed))) => {
            let (process, version, sockets) = (heir.process, &heir.version, passed.len());
            info!(process, version, sockets, "taking over from the ELB that serves");
            stock = passed;
            Some(Arrival::new(heir, begun.checked_add(timeout).unwrap_or(begun)))
        }
        Ok(None) => None,
        Err(trouble) if trouble.is_end() => {
            warn!("nothing is taken over, as the process before is ending: {trouble}");
            None
        }
        Err(Trouble::Refused(told)) => {
            let why = format!("the ELB that serves at --handover does not let go: {}", told.why);
            return Err(Refusal { code: NOT_TAKEN, why });
        }
        Err(Trouble::Unusable(why)) => return Err(failure(why)),
        Err(trouble) => {
            let why = format!("the ELB that serves at --handover could not be talked to: {trouble}");
            return Err(Refusal { code: NOT_TAKEN, why });
        }
    };
    if arrival.is_none() {
        estate.claim = Some(place.claim().map_err(|error| failure(error.to_string()))?);
    }
    (estate.place, estate.program) = (Some(place), Some(Program::of_this_process()));
    Ok(Inheritance { stock, arrival, estate })
}

impl Inheritance {
    /// The queues of an address of the data port, if any are there.
    pub(super) fn queues(&mut self, wanted: &ListenOn) -> Vec<Socket> {
        self.stock.take(purpose(wanted), wanted.address)
    }

    /// The socket of another address, if it is there.
    pub(super) fn socket(&mut self, purpose: Use, wanted: SocketAddr) -> Option<Socket> {
        self.stock.take(purpose, wanted).into_iter().next()
    }

    /// Keeps every queue once more, to be handed over in its turn.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(super) fn keep(
        &mut self,
        settings: &Settings,
        bound: Bound,
        others: [(Use, Option<SocketAddr>, Option<&Socket>); 2],
    ) -> std::io::Result<()> {
        if self.estate.place.is_none() {
            return Ok(());
        }
        for (place, socket) in bound.queues {
            let Some(listen) = settings.listen.get(place) else { continue };
            self.estate.stock.add(Queue { purpose: purpose(listen), wanted: listen.address, socket });
        }
        for (purpose, wanted, socket) in others {
            if let (Some(wanted), Some(socket)) = (wanted, socket) {
                self.estate.stock.add(Queue { purpose, wanted, socket: socket.try_clone()? });
            }
        }
        Ok(())
    }

    /// What is left for control. Sockets that nobody wanted are closed: who waits there is reset when nobody else has them.
    pub(super) fn rest(self) -> (Estate, Option<Arrival>) {
        for address in self.stock.left() {
            warn!(
                "nothing listens on {address} any more: the socket was passed to this process, and no flag wants it"
            );
        }
        (self.estate, self.arrival)
    }
}

fn purpose(listen: &ListenOn) -> Use {
    if listen.tls { Use::Tls } else { Use::Data }
}
