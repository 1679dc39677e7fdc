//! Serves admin connections: those that workers hand over, and those of a listener of its own.
//!
//! It owns sockets, their deadlines and how many there may be; never a path or a decision about who may ask. Next:
//! `router` answers the requests.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

/// Everything that answers admin requests.
pub(in crate::control) struct Desk {
    api: Api,
    seats: Arc<Semaphore>,
    listener: Option<AbortHandle>,
}

impl Desk {
    /// A desk that answers with this hub's configuration.
    pub(in crate::control) fn new(hub: HubHandle, access: Access) -> Self {
        Self { api: api(hub, access), seats: Arc::new(Semaphore::new(CONNECTIONS)), listener: None }
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
            Ok(stream) => seat_down(self.api.clone(), seat, stream, peer, bytes),
            Err(error) => warn!("an admin connection of {peer} cannot be adopted: {error}"),
        }
    }

    /// Accepts connections of its own until [`Desk::close`].
    pub(in crate::control) fn listen(&mut self, listener: std::net::TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (api, seats) = (self.api.clone(), Arc::clone(&self.seats));
        let accepting = tokio::spawn(async move {
            // The semaphore is never closed, so this loop ends with its task only.
            while let Ok(seat) = Arc::clone(&seats).acquire_owned().await {
                match listener.accept().await {
                    Ok((stream, peer)) => seat_down(api.clone(), seat, stream, peer, Vec::new()),
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

fn seat_down(api: Api, seat: OwnedSemaphorePermit, stream: TcpStream, peer: SocketAddr, bytes: Vec<u8>) {
    tokio::spawn(async move {
        match timeout(REQUEST, converse(api, stream, peer, bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!("admin connection of {peer}: {error}"),
            Err(_) => debug!("admin connection of {peer}: not done within {REQUEST:?}"),
        }
        drop(seat);
    });
}

/// One request and its answer. A second one on the same connection is not taken: the worker that might have had to serve
/// it is out of the game.
async fn converse(api: Api, stream: TcpStream, peer: SocketAddr, bytes: Vec<u8>) -> Result<(), hyper::Error> {
    let answer = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        let request: Request = request.map(Body::new);
        api.clone().oneshot(request)
    });
    let io = TokioIo::new(Prefixed::new(bytes, stream));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(io, answer);
    let stream = connection.without_shutdown().await?.io.into_inner();
    // Whatever goes wrong from here on, the answer is out.
    let _ = timeout(LINGER, linger(stream)).await;
    Ok(())
}

async fn linger(mut stream: Prefixed<TcpStream>) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}
