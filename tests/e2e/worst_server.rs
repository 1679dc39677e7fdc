//! The server of the worst clients: as many threads as it will have connections, all of them begun before the first comes.
//!
//! Attacks hold its connections, so a normal client's request often needs a new one, and a thread that is begun then would
//! make it wait for milliseconds that are neither ELB's nor the attackers' doing.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::server::ok;
use crate::support::wire::Wire;

/// Connections that it can have at once. Those of clients that have gone last to the end of the slow answer.
const THREADS: usize = 1500;
/// What they need of memory: the largest head stands on the heap.
const STACK: usize = 256 << 10;
/// How long a slow URL takes.
const SLOW: Duration = Duration::from_secs(3);

/// A server that is slow where it is asked to be. Its clients must be gone when it is dropped.
pub(crate) struct WorstServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    /// Requests that were not strict HTTP.
    faults: AtomicUsize,
}

impl WorstServer {
    pub(crate) fn start() -> WorstServer {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").expect("an address"));
        let address = listener.local_addr().expect("a local address");
        let shared = Arc::new(Shared::default());
        let begin = || {
            let (listener, shared) = (Arc::clone(&listener), Arc::clone(&shared));
            thread::Builder::new().stack_size(STACK).spawn(move || shared.serve(&listener))
        };
        let threads = (0..THREADS).map(|_| begin().expect("a thread")).collect();
        WorstServer { address, shared, threads }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Shared {
    fn serve(&self, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept()
            && !self.ending.load(Ordering::SeqCst)
        {
            if talk(stream).is_err_and(|error| error.kind() == ErrorKind::InvalidData) {
                self.faults.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

fn talk(stream: TcpStream) -> io::Result<()> {
    let mut wire = Wire::new(stream)?;
    while let Some(head) = wire.head()? {
        wire.body(head.request_framing().map_err(io::Error::other)?, &mut |_| {})?;
        match head.target() {
            "/slow" => thread::sleep(SLOW), // The slowness that is asked for, not a wait.
            "/hints" => {
                let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(15_000));
                wire.send(hint.repeat(10).as_bytes())?;
                return wire.some(u64::MAX, &mut |_| {}).map(drop);
            }
            _ => {}
        }
        wire.send(ok("a").as_bytes())?;
    }
    Ok(())
}

impl Drop for WorstServer {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        // One for each thread to wake it.
        let wakes: Vec<_> = self.threads.iter().map(|_| TcpStream::connect(self.address)).collect();
        let panicked = self.threads.drain(..).filter_map(|thread| thread.join().err()).count();
        drop(wakes);
        if !thread::panicking() {
            let faults = self.shared.faults.load(Ordering::SeqCst);
            assert_eq!((faults, panicked), (0, 0), "requests that were not strict HTTP, and panics");
        }
    }
}
