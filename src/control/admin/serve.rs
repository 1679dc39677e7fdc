//! Serves admin connections: those that workers hand over, and those of a listener of its own.
//!
//! It owns sockets, their deadlines and how many there may be; never a path or a decision about who may ask. Next:
//! `router` answers the requests.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use tracing::{debug, warn};

use super::access::Access;
use super::prefixed::Prefixed;
use super::router::{Api, Peer, api};
use crate::control::handle::HubHandle;
use crate::link::Adopted;

/// Admin connections at a time; the others wait in front of the door.
const CONNECTIONS: usize = 64;
/// From the first byte of a head to its last.
const HEAD: Duration = Duration::from_secs(5);
/// A whole request and its answer; the largest body comes in it even over a slow line.
const REQUEST: Duration = Duration::from_secs(60);
/// How long, and how much, is read and thrown away after the answer. Closing a socket with unread bytes resets it, and a
/// reset takes the answer away from a client that is still sending what was refused.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 256 << 10;
/// The pause after an accept that failed: out of descriptors, most likely, and that passes by itself or not at all.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where admin connections are answered, one request each.
pub(in crate::control) struct Desk {
    clerk: Clerk,
    seats: Arc<Semaphore>,
    listener: Option<AbortHandle>,
}

/// What every connection gets a copy of.
#[derive(Clone)]
struct Clerk {
    api: Api,
    head_timeout: Duration,
}

impl Desk {
    /// A desk that answers with this hub's configuration.
    pub(in crate::control) fn new(hub: HubHandle, access: Access) -> Self {
        let clerk = Clerk { api: api(hub, access), head_timeout: HEAD };
        Self { clerk, seats: Arc::new(Semaphore::new(CONNECTIONS)), listener: None }
    }

    /// May another connection be adopted?
    pub(in crate::control) fn has_room(&self) -> bool {
        self.seats.available_permits() > 0
    }

    /// Is nothing being answered?
    pub(in crate::control) fn is_idle(&self) -> bool {
        self.seats.available_permits() == CONNECTIONS
    }

    /// Serves a connection that a worker handed over.
    pub(in crate::control) fn adopt(&self, adopted: Adopted) {
        let Adopted { stream, peer, bytes } = adopted;
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            return warn!("an admin connection of {peer} is dropped: {CONNECTIONS} are open");
        };
        match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            Ok(stream) => self.clerk.clone().serve(seat, Prefixed::new(bytes, stream), peer),
            Err(error) => warn!("an admin connection of {peer} cannot be adopted: {error}"),
        }
    }

    /// Accepts connections of its own until [`Desk::close`].
    pub(in crate::control) fn listen(&mut self, listener: std::net::TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (clerk, seats) = (self.clerk.clone(), Arc::clone(&self.seats));
        let accepting = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        // The semaphore is never closed, so this waits for a seat and nothing else.
                        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
                        clerk.clone().serve(seat, Prefixed::new(Vec::new(), stream), peer);
                    }
                    Err(error) => {
                        warn!("the admin listener cannot accept: {error}");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        self.listener = Some(accepting.abort_handle());
        Ok(())
    }

    /// Accepts no more; what runs goes on.
    pub(in crate::control) fn close(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
        }
    }
}

impl Clerk {
    /// Serves a connection to its end, on a task that keeps its seat.
    fn serve(self, seat: OwnedSemaphorePermit, stream: Prefixed<TcpStream>, peer: SocketAddr) {
        tokio::spawn(async move {
            match timeout(REQUEST, self.answer(stream, peer)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!("admin connection of {peer}: {error}"),
                Err(_) => debug!("admin connection of {peer}: not done within {REQUEST:?}"),
            }
            drop(seat);
        });
    }

    /// Answers one request. A second one on the same connection is not taken: its path may be a proxied one, and the
    /// worker that would know is out of the game.
    async fn answer(self, stream: Prefixed<TcpStream>, peer: SocketAddr) -> Result<(), hyper::Error> {
        let answer = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(Peer(peer.ip()));
            self.api.clone().oneshot(request.map(Body::new))
        });
        let mut io = TokioIo::new(stream);
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            .keep_alive(false)
            // A client that has said everything may still listen.
            .half_close(true)
            .serve_connection(&mut io, answer)
            .await?;
        // The answer is out and the writing side shut; whatever goes wrong from here on is the client's affair.
        let mut rest = io.into_inner().take(LINGER_BYTES);
        let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
