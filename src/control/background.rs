//! Long work that nobody waits for: writing what is kept on the disk, and packing what is kept in memory.
//!
//! It owns the thread of each such work and its priority; never what the work is. With 100,000 domains such work takes a core for a
//! second, and the answer to a change would wait for it, as for any other thread that wants the same core. A thread that is given back
//! to a pool cannot have its priority raised again, so each work has its own. Next: [`saver`](super::saver) and
//! [`history`](super::history) have such work.

use std::io;
use std::thread;

use tokio::sync::oneshot;

/// How much the thread steps back behind the others (`nice(2)`, from 0 to 19): with this it has a tenth of a core that others want,
/// so that a disk is up to date within seconds even then.
const NICE: i32 = 10;

/// Does this on a thread of lower priority, and says what came of it.
///
/// # Errors
/// The thread cannot be started, or the work has panicked.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, outcome) = oneshot::channel();
    let run = move || {
        // On Linux this is about the calling thread alone. A system that refuses runs the work as it runs any other.
        let _ = rustix::process::nice(NICE);
        // Who has asked may have ended.
        let _ = done.send(work());
    };
    thread::Builder::new().name("elb-background".to_owned()).spawn(run)?;
    outcome.await.map_err(|_| io::Error::other("the work has ended without an outcome"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority() -> i32 {
        rustix::process::getpriority_process(None).unwrap_or(0)
    }

    #[tokio::test]
    async fn the_work_steps_back_and_who_waits_for_it_does_not() {
        let before = priority();
        let within = aside(priority).await.unwrap();
        assert_eq!((within, priority()), ((before + NICE).min(19), before));
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        let outcome = aside(|| panic!("as a test of what is done then")).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }
}
