//! The side of the old process: one conversation with the process that wants its place.
//!
//! It owns the order of what is said, on a thread that may wait; what is given and whether it is given is asked of a [`Desk`], and nothing
//! is over before the new one has said so. Next: `control::succession` is the desk.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::carried::Carried;
use super::frame::{DESCRIPTORS, Wire, frame};
use super::say::{Party, Say};
use super::stock::Stock;
use super::trouble::{Told, Trouble};

/// How long the last word of a conversation that failed may take.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Who decides for the old process.
pub trait Desk {
    /// Process `number` wants the place. Gives what it may have.
    ///
    /// # Errors
    /// Why not.
    fn begin(&mut self, number: u32, version: &str) -> Result<Stock, Told>;

    /// It wants what is only in memory; from now on that may not change any more.
    ///
    /// # Errors
    /// Why not.
    fn carry(&mut self) -> Result<Carried, Told>;

    /// Every worker of it serves.
    ///
    /// # Errors
    /// Why that is no matter any more.
    fn ready(&mut self) -> Result<(), Told>;
}

/// How far a conversation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing was given.
    Hello,
    /// It has the sockets, and reads its store.
    Offered,
    /// It has everything, and starts its workers.
    Carried,
    /// It serves, and is not known to have heard the last word.
    Ready,
}

/// Gives the place away over `stream`, until the `deadline`. `name` is that of this process's keys in etcd.
///
/// # Errors
/// How far it came, and why it did not come to its end. This process goes on serving then.
pub fn give(
    stream: UnixStream,
    deadline: Instant,
    name: &str,
    desk: &mut impl Desk,
) -> Result<(), (Step, Trouble)> {
    let broken = |error: io::Error| (Step::Hello, Trouble::of(&error));
    let mut wire = Wire::new(stream, deadline).map_err(broken)?;
    let mut step = Step::Hello;
    talk(&mut wire, name, desk, &mut step).map_err(|trouble| {
        let is_ending = matches!(&trouble, Trouble::Refused(told) if told.is_ending);
        // Who is gone hears nothing. The time may be over, and this is the last word.
        wire.extend(LAST_WORD);
        let _ = wire.send(&Say::Refused { why: trouble.to_string(), is_ending });
        (step, trouble)
    })
}

fn talk(wire: &mut Wire, name: &str, desk: &mut impl Desk, step: &mut Step) -> Result<(), Trouble> {
    let own = Party::this(name);
    let Say::Hello(other) = hear(wire)? else { return Err(unexpected()) };
    if let Some(objection) = own.objection(&other) {
        return Err(Trouble::Refused(Told::stays(objection)));
    }
    let stock = desk.begin(other.process, &other.version).map_err(Trouble::Refused)?;
    let (sockets, descriptors) = stock.offer();
    if descriptors.len() > DESCRIPTORS {
        let count = descriptors.len();
        let why = format!("there are {count} listening sockets, and {DESCRIPTORS} may be handed over");
        return Err(Trouble::Refused(Told::stays(why)));
    }
    say(wire, &Say::Offer { by: own, sockets })?;
    wire.send_descriptors(&descriptors).map_err(|error| Trouble::of(&error))?;
    drop(stock);
    *step = Step::Offered;
    let Say::Carry = hear(wire)? else { return Err(unexpected()) };
    let carried = desk.carry().map_err(Trouble::Refused)?;
    // What is too long is nobody's fault, and said to both.
    wire.send(&Say::Carried(Box::new(carried))).map_err(|error| match Trouble::of(&error) {
        Trouble::Broken(why) => Trouble::Refused(Told::stays(why)),
        gone => gone,
    })?;
    *step = Step::Carried;
    let Say::Ready = hear(wire)? else { return Err(unexpected()) };
    desk.ready().map_err(Trouble::Refused)?;
    say(wire, &Say::Go)?;
    *step = Step::Ready;
    let Say::Mine = hear(wire)? else { return Err(unexpected()) };
    Ok(())
}

/// What somebody is told who is not talked to, whole.
#[must_use]
pub fn refusal(why: &str) -> Vec<u8> {
    frame(&Say::Refused { why: why.to_owned(), is_ending: false }).unwrap_or_default()
}

fn say(wire: &mut Wire, message: &Say) -> Result<(), Trouble> {
    wire.send(message).map_err(|error| Trouble::of(&error))
}

/// What the other one says; its refusal is an end.
fn hear(wire: &mut Wire) -> Result<Say, Trouble> {
    match wire.receive() {
        Ok(Say::Refused { why, .. }) => Err(Trouble::Broken(format!("the new process gives up: {why}"))),
        Ok(said) => Ok(said),
        Err(error) => Err(Trouble::of(&error)),
    }
}

fn unexpected() -> Trouble {
    Trouble::Broken("the new process says what is not its turn to say".to_owned())
}
