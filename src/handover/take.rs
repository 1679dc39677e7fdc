//! The side of the new process: what it gets from the old one, step by step.
//!
//! It owns the order of these steps; each of them waits, so each is for a thread that may. Next: `command::inherit` begins,
//! `control::arrival` ends it.

use std::io;
use std::time::{Duration, Instant};

use super::carried::Carried;
use super::frame::Wire;
use super::place::Place;
use super::say::{Party, Say};
use super::stock::Stock;
use super::trouble::{Told, Trouble};

/// A process that is about to take the place of another.
#[derive(Debug)]
pub struct Heir {
    wire: Wire,
    place: Place,
    /// The number of the old process, as it knows itself.
    pub process: u32,
    /// Its version of ELB.
    pub version: String,
}

/// Asks the process that has the place for its sockets; nothing if nobody has it. All of it must be over `within` that time.
///
/// # Errors
/// The place is none, or the old process does not let go.
pub fn take(place: &Place, within: Duration, name: &str) -> Result<Option<(Heir, Stock)>, Trouble> {
    let broken = |error: &io::Error| Trouble::Broken(error.to_string());
    let knocked = place.knock().map_err(|error| Trouble::Unusable(error.to_string()))?;
    let Some(stream) = knocked else { return Ok(None) };
    let now = Instant::now();
    let deadline = now.checked_add(within).unwrap_or(now);
    let mut wire = Wire::new(stream, deadline).map_err(|error| broken(&error))?;
    let begun = begin(&mut wire, name).map_err(|trouble| checked(trouble, place))?;
    let (by, stock) = begun;
    let place = place.clone();
    Ok(Some((Heir { wire, place, process: by.process, version: by.version }, stock)))
}

fn begin(wire: &mut Wire, name: &str) -> Result<(Party, Stock), Trouble> {
    let own = Party::this(name);
    say(wire, &Say::Hello(own.clone()))?;
    let Say::Offer { by, sockets } = hear(wire)? else { return Err(unexpected()) };
    if let Some(objection) = own.objection(&by) {
        let _ = wire.send(&Say::Refused { why: objection.clone(), is_ending: false });
        return Err(Trouble::Refused(Told::stays(objection)));
    }
    let count = sockets.iter().map(|one| one.queues).fold(0, usize::saturating_add);
    let descriptors = wire.receive_descriptors(count).map_err(|error| Trouble::of(&error))?;
    Ok((by, Stock::of(&sockets, descriptors)))
}

/// A connection that ends without a word is that of a process that has ended, unless somebody still answers at the place: two that both
/// take themselves for the one that serves would each lose the other's changes.
fn checked(trouble: Trouble, place: &Place) -> Trouble {
    match trouble {
        Trouble::Gone if !matches!(place.knock(), Ok(None)) => {
            Trouble::Refused(Told::stays("the other process has closed the connection, and is still there"))
        }
        other => other,
    }
}

impl Heir {
    /// Gets what is only in the memory of the old process, which takes no change from then on.
    ///
    /// # Errors
    /// It is gone, or does not let go.
    pub fn carry(&mut self) -> Result<Carried, Trouble> {
        let heard = say(&mut self.wire, &Say::Carry).and_then(|()| hear(&mut self.wire));
        match heard.map_err(|trouble| checked(trouble, &self.place))? {
            Say::Carried(carried) => Ok(*carried),
            _ => Err(unexpected()),
        }
    }

    /// Every worker serves. When this returns, the old process drains.
    ///
    /// # Errors
    /// It is gone, or does not let go.
    pub fn ready(mut self) -> Result<(), Trouble> {
        let heard = say(&mut self.wire, &Say::Ready).and_then(|()| hear(&mut self.wire));
        let Say::Go = heard.map_err(|trouble| checked(trouble, &self.place))? else {
            return Err(unexpected());
        };
        // Whoever does not hear this goes on serving, unless it has ended.
        say(&mut self.wire, &Say::Mine).map_err(|trouble| checked(trouble, &self.place)).or_else(|trouble| {
            match trouble {
                Trouble::Gone => Ok(()),
                trouble => Err(trouble),
            }
        })
    }

    /// Says why it does not come to that.
    pub fn give_up(mut self, why: &str) {
        let _ = self.wire.send(&Say::Refused { why: why.to_owned(), is_ending: false });
    }
}

fn say(wire: &mut Wire, message: &Say) -> Result<(), Trouble> {
    wire.send(message).map_err(|error| Trouble::of(&error))
}

fn hear(wire: &mut Wire) -> Result<Say, Trouble> {
    match wire.receive() {
        Ok(Say::Refused { why, is_ending }) => Err(Trouble::Refused(Told { why, is_ending })),
        Ok(said) => Ok(said),
        Err(error) => Err(Trouble::of(&error)),
    }
}

fn unexpected() -> Trouble {
    Trouble::Broken("the old process says what is not its turn to say".to_owned())
}
