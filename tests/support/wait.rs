//! Waiting: a probe is asked again until it answers or the deadline passes.
//!
//! It owns the only sleep of the tests, between two questions. A test never sleeps in the hope that something has
//! happened meanwhile; it names what it waits for, and that name is in the failure.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once, on a machine that is busy with other tests. It is less than the minute of
/// most timeouts that ELB has by itself, so that none of them passes for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// Asks `probe` until it gives something. Panics with `what` after [`PATIENCE`].
#[track_caller]
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `number` has stood still for a fifth of a second: whoever moves it is held back, or very slow.
///
/// A number that is judged still too early makes the test that asks weaker, never red.
#[track_caller]
pub(crate) fn until_still(what: &str, mut number: impl FnMut() -> u64) -> u64 {
    let (mut last, mut since) = (number(), Instant::now());
    until(what, || {
        let now = number();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (since.elapsed() > Duration::from_millis(200)).then_some(last)
    })
}
