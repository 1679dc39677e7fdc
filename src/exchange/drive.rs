//! Lets an exchange take its steps, and a shell do what they ask for.
//!
//! It owns the loop and nothing else. Every shell is driven by it: the workers', and those of tests, fuzzing and benches. Next:
//! [`super::machine`] says what is next, `data::dispatch` is the shell of a worker.

use std::ops::ControlFlow;

use super::heads::Heads;
use super::machine::Exchange;
use super::phase::{Env, Fate, Side, Sign, Step};
use super::routing::Routing;

/// Who does for an exchange what it cannot do itself. Each call is one [`Step`].
pub trait Shell {
    /// Why the steps of this exchange end.
    type End;

    /// The time, the policy and the state of the process.
    fn env(&self) -> &Env;

    /// Say where a request goes: reply, forward, or end the exchange here and take the connection over. Dropping the question
    /// leaves it open: the exchange waits for ever.
    ///
    /// # Errors
    /// `Break` when the connection is taken over.
    fn route(&mut self, routing: Routing<'_>) -> ControlFlow<Self::End>;

    /// Close the server connection, if there is one, then lend or make one and say [`Exchange::connected`] or
    /// [`Exchange::refused`], now or later. With `same` the last server is wanted again, on a fresh connection.
    fn connect(&mut self, exchange: &mut Exchange, same: bool);

    /// Whether an untried server is left; nothing if that is not known, and the exchange waits for ever.
    fn has_other(&mut self) -> Option<bool>;

    /// Close the server connection; `sign` is what that says about the server.
    fn drop_server(&mut self, sign: Sign);

    /// Tell this side that nothing more will be sent to it.
    fn shutdown(&mut self, side: Side);

    /// The exchange is over, and `fate` says who may be used again. `Continue` when the shell has called
    /// [`Exchange::restart`] for the next request.
    ///
    /// # Errors
    /// `Break` when no other request follows at once.
    fn finished(&mut self, exchange: &mut Exchange, fate: Fate) -> ControlFlow<Self::End>;

    /// Close both connections. `reset` makes the cut visible to a client that would take a close for the end; `sign` is what
    /// it says about the server.
    fn close(&mut self, exchange: &mut Exchange, reset: bool, sign: Sign) -> Self::End;
}

/// Takes steps until the exchange waits, and says whether there was any, or until the shell ends it.
///
/// # Errors
/// `Break` with the shell's reason.
pub fn drive<S: Shell>(
    exchange: &mut Exchange,
    heads: &mut Heads,
    shell: &mut S,
) -> ControlFlow<S::End, bool> {
    let mut stepped = false;
    while exchange.has_work() {
        stepped |= advance(exchange, heads, shell)?;
    }
    ControlFlow::Continue(stepped)
}

/// Takes one step, or two where a request is routed and its server wanted; says whether there was any. For shells that come back
/// while [`Exchange::has_work`]. It has no loop on purpose: around one the compiler computes two dozen addresses before each
/// request, of which few are used.
///
/// # Errors
/// `Break` with the shell's reason.
#[inline(always)]
pub fn advance<S: Shell>(
    exchange: &mut Exchange,
    heads: &mut Heads,
    shell: &mut S,
) -> ControlFlow<S::End, bool> {
    let mut step = exchange.step(shell.env(), heads);
    if step == Step::Route {
        shell.route(Routing::new(exchange, heads))?;
        step = exchange.next_order();
    } else if step == Step::Wait {
        return ControlFlow::Continue(false);
    }
    match step {
        Step::Wait | Step::Route => {}
        Step::Connect { same } => shell.connect(exchange, same),
        Step::Finished(fate) => shell.finished(exchange, fate)?,
        Step::Failover => {
            if let Some(other) = shell.has_other() {
                exchange.failover(shell.env(), heads, other);
            }
        }
        Step::Drop { sign } => shell.drop_server(sign),
        Step::Shutdown(side) => shell.shutdown(side),
        Step::Close { reset, sign } => return ControlFlow::Break(shell.close(exchange, reset, sign)),
    }
    ControlFlow::Continue(true)
}
