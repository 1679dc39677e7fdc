//! The thread on which rules are read and their patterns checked, so that nobody who serves waits for that.
//!
//! It owns one thread and the order of what it does, never what that is. One and always the same: the allocator keeps
//! memory by thread, so what the patterns before took is there for the next ones, and ten changes of the whole
//! configuration take no more than one. Next: [`handle`](super::handle) and [`ahead`](super::ahead) bring it work.

use std::{io, thread};

use tokio::sync::{mpsc, oneshot};

use super::replies::Gone;

/// Work that may wait; whoever brings more waits with it.
const WAITING: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

/// The way to the thread, which ends with the last of these.
#[derive(Debug, Clone)]
pub(super) struct Reader(mpsc::Sender<Work>);

impl Reader {
    /// Starts the thread.
    ///
    /// # Errors
    /// That the system has no thread left.
    pub(super) fn start() -> io::Result<Reader> {
        let (bring, mut work) = mpsc::channel::<Work>(WAITING);
        thread::Builder::new().name("elb-reader".to_owned()).spawn(move || {
            while let Some(work) = work.blocking_recv() {
                work();
            }
        })?;
        Ok(Reader(bring))
    }

    /// Has this done after all that was brought before, and waits for what comes of it.
    ///
    /// # Errors
    /// That the process is ending.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (reply, done) = oneshot::channel();
        // What nobody waits for any more is no fault: its client hung up.
        let work: Work = Box::new(move || drop(reply.send(work())));
        self.0.send(work).await.map_err(|_| Gone)?;
        done.await.map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_is_done_on_one_thread_in_the_order_in_which_it_was_brought() {
        let reader = Reader::start().unwrap();
        let here = thread::current().id();
        let first = reader.read(|| thread::current().id()).await.unwrap();
        assert_ne!(first, here);
        let (sender, receiver) = std::sync::mpsc::channel();
        let all: Vec<_> = (0..10)
            .map(|number| {
                let (reader, sender) = (reader.clone(), sender.clone());
                async move { reader.read(move || sender.send(number).map(|()| thread::current().id())).await }
            })
            .collect();
        for read in all {
            assert_eq!(read.await.unwrap().unwrap(), first);
        }
        drop(sender);
        assert_eq!(receiver.into_iter().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    }
}
