//! Scripted servers: a thread a connection, each playing the same script, every request remembered.
//!
//! It owns listeners on ports of the kernel's choice, and what arrived there byte for byte. A script that panics, or
//! meets bytes that are not strict HTTP, fails the test that owns the server. Next: `wire` reads what ELB sends.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::message::{Head, Message};
use super::wait;
use super::wire::Wire;

/// A server that can be asked afterwards what it saw. Dropping it ends it at once, as a crash would.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Message>,
    /// `None` for one that has ended, or is to be reset, which a second handle would prevent.
    sockets: Vec<Option<TcpStream>>,
    talking: Vec<JoinHandle<()>>,
    faults: Vec<String>,
}

/// One connection, as its script sees it.
pub(crate) struct Conversation {
    /// 0 for the first connection that the server accepted.
    pub(crate) number: usize,
    wire: Wire,
    shared: Arc<Shared>,
    crashes: bool,
}

impl Server {
    /// A server that plays `script` on every connection and closes it when the script ends.
    pub(crate) fn start(
        script: impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        Server::at(([127, 0, 0, 1], 0).into(), script)
    }

    /// The same at a given address, to come back where another server was.
    pub(crate) fn at(
        address: SocketAddr,
        script: impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = wait::until("the address to be free", || TcpListener::bind(address).ok());
        let address = listener.local_addr().expect("a local address");
        let shared = Arc::new(Shared::default());
        let (own, script) = (Arc::clone(&shared), Arc::new(script));
        let listening = thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if own.ending.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                own.talk(number, stream, Arc::clone(&script));
            }
        });
        Server { address, shared, listening: Some(listening) }
    }

    /// A server that gives every request the answer that `answer` makes of it, on connections that stay open.
    pub(crate) fn answering<A: AsRef<[u8]>>(
        answer: impl Fn(&Message) -> A + Send + Sync + 'static,
    ) -> Server {
        Server::start(keep_answering(answer))
    }

    /// A server that answers everything with its name.
    pub(crate) fn named(name: &str) -> Server {
        let answer = ok(name);
        Server::answering(move |_| answer.clone())
    }

    /// The same, but it remembers nothing: for a load of more requests than should be kept.
    pub(crate) fn forgetful(name: &str) -> Server {
        let answer = ok(name);
        Server::start(move |talk| {
            while let Some(head) = talk.head()? {
                talk.body(&head, &mut |_| {})?;
                talk.send(&answer)?;
            }
            Ok(())
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far that were read to their end, in order of their ends.
    pub(crate) fn requests(&self) -> Vec<Message> {
        self.shared.seen().requests.clone()
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.seen().sockets.len()
    }

    /// How many of them are open still.
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.seen().sockets.iter().flatten().count()
    }

    /// The only request; anything else is a fault.
    #[track_caller]
    pub(crate) fn request(&self) -> Message {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "requests at the server: {requests:?}");
        requests.remove(0)
    }

    /// Closes every open connection, as a server does that finds them idle for too long.
    pub(crate) fn hang_up(&self) {
        for socket in self.shared.seen().sockets.iter().flatten() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Ends the server, and gives its address for another to take.
    pub(crate) fn stop(self) -> SocketAddr {
        self.address
    }
}

/// The script of a server that answers for as long as it is asked.
pub(crate) fn keep_answering<A: AsRef<[u8]>>(
    answer: impl Fn(&Message) -> A + Send + Sync + 'static,
) -> impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static {
    move |talk| {
        while let Some(request) = talk.request()? {
            talk.send(answer(&request))?;
        }
        Ok(())
    }
}

/// A plain 200 with this text.
pub(crate) fn ok(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn talk<S>(self: &Arc<Shared>, number: usize, stream: TcpStream, script: Arc<S>)
    where
        S: Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static,
    {
        let shared = Arc::clone(self);
        let (Ok(copy), Ok(wire)) = (stream.try_clone(), Wire::new(stream)) else { return };
        self.seen().sockets.push(Some(copy));
        let talking = thread::spawn(move || {
            let mut talk = Conversation { number, wire, shared, crashes: false };
            match script(&mut talk) {
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    talk.shared.seen().faults.push(format!("connection {number}: {error}"));
                }
                _ => {}
            }
            if !talk.crashes {
                let _ = talk.wire.stream().shutdown(Shutdown::Both);
            }
            talk.shared.seen().sockets[number] = None;
        });
        self.seen().reap();
        self.seen().talking.push(talking);
    }
}

impl Seen {
    /// Lets go of the threads that have ended, so that a server can have more connections than there may be threads.
    fn reap(&mut self) {
        let (ended, talking) =
            std::mem::take(&mut self.talking).into_iter().partition(JoinHandle::is_finished);
        self.talking = talking;
        for talk in ended as Vec<JoinHandle<()>> {
            if talk.join().is_err() {
                self.faults.push("a script panicked".to_owned());
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
        self.hang_up();
        let talking = std::mem::take(&mut self.shared.seen().talking);
        let panicked = talking.into_iter().filter_map(|talk| talk.join().err()).count();
        if !thread::panicking() {
            let faults = self.shared.seen().faults.join("\n");
            assert!(
                faults.is_empty() && panicked == 0,
                "a scripted server met what it should not:\n{faults}"
            );
        }
    }
}

impl Conversation {
    /// The next whole request; `None` when the peer closed instead of asking again.
    pub(crate) fn request(&mut self) -> io::Result<Option<Message>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let framing = head.request_framing().map_err(io::Error::other)?;
        let request = self.wire.message(head, framing)?;
        self.shared.seen().requests.push(request.clone());
        Ok(Some(request))
    }

    /// The next head alone; its body is read with [`Conversation::body`].
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        self.wire.head()
    }

    /// The body of a head that was just read, piece by piece.
    pub(crate) fn body(&mut self, head: &Head, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let framing = head.request_framing().map_err(io::Error::other)?;
        self.wire.body(framing, sink).map(drop)
    }

    /// Exactly this many bytes, whatever they are.
    pub(crate) fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        self.wire.exactly(length as u64, &mut |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Some bytes; none when the peer has finished.
    pub(crate) fn some(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.wire.some(u64::MAX, &mut |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.send(bytes.as_ref())
    }

    /// How long reading may take from now on.
    pub(crate) fn hurry(&mut self, patience: Duration) -> io::Result<()> {
        self.wire.stream().set_read_timeout(Some(patience.max(Duration::from_millis(1))))
    }

    /// Keeps this end's kernel buffers small: in the world they are another machine's, here they are of the same stock.
    pub(crate) fn narrow(&self) -> io::Result<()> {
        socket2::SockRef::from(self.wire.stream()).set_send_buffer_size(16 << 10)
    }

    /// Says that nothing more will be sent; reading goes on.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.wire.finish()
    }

    /// The connection will end as in a crash: with a reset, as soon as the script is over.
    pub(crate) fn crash(&mut self) -> io::Result<()> {
        socket2::SockRef::from(self.wire.stream()).set_linger(Some(Duration::ZERO))?;
        self.shared.seen().sockets[self.number] = None;
        self.crashes = true;
        Ok(())
    }
}
