//! What the operating system asks of the process, as orders.
//!
//! It owns the meaning of signals: the first request to end is polite, the second is not, and those that other servers
//! know and ELB has no use for do nothing. It never acts on one. Next: [`run`](super::run) carries the orders out.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::info;

/// "File size limit exceeded": a log that is a file may grow to `ulimit -f`. The number is that of Linux on all but MIPS.
const SIGXFSZ: i32 = 25;
/// Orders that may wait for the control loop.
const ORDERS: usize = 4;

/// What the operator wants of the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Stop accepting, finish what runs within the drain timeout, and exit.
    Drain,
    /// Close everything and exit now.
    Stop,
    /// Read the store again.
    Resync,
    /// Open the file of the access log again.
    Reopen,
    /// Start this program anew, to take the place of this process.
    Upgrade,
}

/// The wishes to end that were received so far; any two of them mean "now".
#[derive(Debug, Default)]
struct Endings {
    asked: bool,
}

impl Endings {
    fn next(&mut self) -> Order {
        if std::mem::replace(&mut self.asked, true) { Order::Stop } else { Order::Drain }
    }
}

/// Takes over SIGTERM, SIGQUIT and SIGINT (end), SIGHUP (read the store again), SIGUSR1 (open the
/// access log again), SIGUSR2 (start the next one), and what would end the process by itself though it is meant otherwise:
/// SIGXFSZ. SIGPIPE is ignored by Rust's start of every program.
///
/// Must be called inside a tokio runtime, which then delivers the orders.
///
/// # Errors
/// The kernel refused a handler.
pub(super) fn listen() -> io::Result<mpsc::Receiver<Order>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut reopen = signal(SignalKind::user_defined1())?;
    let mut upgrade = signal(SignalKind::user_defined2())?;
    let mut too_long = signal(SignalKind::from_raw(SIGXFSZ))?;
    let (give, orders) = mpsc::channel(ORDERS);
    tokio::spawn(async move {
        let mut endings = Endings::default();
        loop {
            let (name, order) = tokio::select! {
                Some(()) = terminate.recv() => ("SIGTERM", endings.next()),
                Some(()) = quit.recv() => ("SIGQUIT", endings.next()),
                Some(()) = interrupt.recv() => ("SIGINT", endings.next()),
                Some(()) = hangup.recv() => ("SIGHUP", Order::Resync),
                Some(()) = reopen.recv() => ("SIGUSR1", Order::Reopen),
                Some(()) = upgrade.recv() => ("SIGUSR2", Order::Upgrade),
                // The write that brought it fails, and who wrote says so.
                Some(()) = too_long.recv() => continue,
                else => return,
            };
            info!("{name}: {}", order.meaning());
            if give.send(order).await.is_err() {
                return;
            }
        }
    });
    Ok(orders)
}

impl Order {
    fn meaning(self) -> &'static str {
        match self {
            Self::Drain => "draining; a second signal stops at once",
            Self::Stop => "stopping at once",
            Self::Resync => "reading the store again",
            Self::Reopen => "opening the access log again",
            Self::Upgrade => "the next ELB is to take over",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_wish_to_end_is_an_order_to_stop() {
        let mut endings = Endings::default();
        assert_eq!(endings.next(), Order::Drain);
        assert_eq!(endings.next(), Order::Stop);
        assert_eq!(endings.next(), Order::Stop);
    }
}
