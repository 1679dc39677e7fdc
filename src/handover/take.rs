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
    let own = Party::this(name);
    say(&mut wire, &Say::Hello(own.clone()))?;
    let Say::Offer { by, sockets } = hear(&mut wire)? else { return Err(unexpected()) };
    if let Some(objection) = own.objection(&by) {
        let _ = wire.send(&Say::Refused { why: objection.clone(), is_ending: false });
        return Err(Trouble::Refused(Told::stays(objection)));
    }
    let count = sockets.iter().map(|one| one.queues).fold(0, usize::saturating_add);
    let descriptors = wire.receive_descriptors(count).map_err(|error| Trouble::of(&error))?;
    let stock = Stock::of(&sockets, descriptors);
    Ok(Some((Heir { wire, process: by.process, version: by.version }, stock)))
}

impl Heir {
    /// Gets what is only in the memory of the old process, which takes no change from then on.
    ///
    /// # Errors
    /// It is gone, or does not let go.
    pub fn carry(&mut self) -> Result<Carried, Trouble> {
        say(&mut self.wire, &Say::Carry)?;
        match hear(&mut self.wire)? {
            Say::Carried(carried) => Ok(*carried),
            _ => Err(unexpected()),
        }
    }

    /// Every worker serves. When this returns, the old process drains.
    ///
    /// # Errors
    /// It is gone, or does not let go.
    pub fn ready(mut self) -> Result<(), Trouble> {
        say(&mut self.wire, &Say::Ready)?;
        let Say::Go = hear(&mut self.wire)? else { return Err(unexpected()) };
        // Whoever does not hear this goes on serving; so does nobody who has ended.
        match say(&mut self.wire, &Say::Mine) {
            Err(Trouble::Gone) | Ok(()) => Ok(()),
            Err(trouble) => Err(trouble),
        }
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
