//! Serves admin connections: those that workers hand over, and those of a listener of its own.
//!
//! It owns sockets and their deadlines; never a path or a decision about who may ask. A client that does not get on
//! loses its connection, and when places are short the slowest does. Next: [`room`](super::room) for the places,
//! [`router`](super::router) answers the requests.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use tracing::{debug, warn};

use super::access::Access;
use super::answer::usual_code;
use super::events::Streams;
use super::peer::Peer;
use super::prefixed::Prefixed;
use super::room::{Permit, Room};
use super::router::{Api, api, metrics_api};
use super::watched::{Stage, Watched, WatchedBody};
use crate::control::handle::HubHandle;
use crate::explain::Explainer;
use crate::link::{Adopted, LAST_SECOND};
use crate::readiness::Readiness;

/// From the first byte of a head to its last.
const HEAD: Duration = Duration::from_secs(5);
/// In each such time a client must have sent, or taken, so many bytes of what is still missing. The same rate as on the data
/// port would let 64 idle clients keep all places for minutes; an operator's script has no reason to pause that long.
const PATIENCE: Duration = Duration::from_secs(10);
const LEAST: u64 = 1024;
/// A whole request and its answer; the largest body comes in it even over a slow line.
const REQUEST: Duration = Duration::from_secs(60);
/// How long, and how much, is read and thrown away after the answer. Closing a socket with unread bytes resets it, and a
/// reset takes the answer away from a client that is still sending what was refused.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 256 << 10;
/// Peers that may not administer and are told so, at a time; the connections of more are closed without an answer.
const STRANGERS: usize = 64;
/// Connections that may wait in the listener's queue.
const BACKLOG: i32 = 1024;
/// The pause after an accept that failed: out of descriptors, most likely, and that passes by itself or not at all.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The answer while the clock shows such a time.
const NO_DATE: &str =
    "the clock of this machine shows a time that no answer can carry: set it, then ask again";

/// Where admin connections are answered, one request each.
pub(in crate::control) struct AdminServer {
    handler: Handler,
    room: Arc<Room>,
    access: Arc<Access>,
    listener: Option<AbortHandle>,
    /// That streams of events end, which otherwise would keep the process.
    closing: watch::Sender<bool>,
}

/// What every connection gets a copy of.
#[derive(Clone)]
struct Handler {
    api: Api,
    head_timeout: Duration,
    patience: Duration,
}

/// Why a connection ends before its answer has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It did not get on.
    Slow,
    /// Its place was given to another.
    Dismissed,
}

impl AdminServer {
    /// A server that answers with this hub's configuration.
    pub(in crate::control) fn new(
        hub: HubHandle,
        access: Access,
        explainer: Explainer,
        readiness: Readiness,
    ) -> Self {
        let access = Arc::new(access);
        let (closing, is_closing) = watch::channel(false);
        let streams = Streams::new(is_closing);
        Self::with(api(hub, Arc::clone(&access), explainer, readiness, streams), access, closing)
    }

    /// A server of metrics alone, for everybody who reaches it.
    pub(in crate::control) fn of_metrics(hub: HubHandle) -> Self {
        Self::with(metrics_api(hub), Arc::new(Access::everybody()), watch::Sender::default())
    }

    fn with(api: Api, access: Arc<Access>, closing: watch::Sender<bool>) -> Self {
        let handler = Handler { api, head_timeout: HEAD, patience: PATIENCE };
        Self { handler, room: Arc::default(), access, listener: None, closing }
    }

    /// May another connection be adopted?
    pub(in crate::control) fn has_room(&self) -> bool {
        self.room.has_room(Instant::now())
    }

    /// Is nothing being answered?
    pub(in crate::control) fn is_idle(&self) -> bool {
        self.room.is_empty()
    }

    /// Serves a connection that a worker handed over.
    pub(in crate::control) fn adopt(&self, adopted: Adopted) {
        let Adopted { stream, peer, bytes } = adopted;
        let Some(permit) = self.room.enter(Instant::now()) else {
            return warn!("an admin connection of {peer} is dropped: too many requests are being answered");
        };
        match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            Ok(stream) => self.handler.clone().serve(permit, Prefixed::new(bytes, stream), peer),
            Err(error) => warn!("an admin connection of {peer} cannot be adopted: {error}"),
        }
    }

    /// Accepts connections of its own until [`AdminServer::close`]. The listener need only be bound.
    pub(in crate::control) fn listen(&mut self, listener: std::net::TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        socket2::SockRef::from(&listener).listen(BACKLOG)?;
        let listener = TcpListener::from_std(listener)?;
        let (handler, room, access) =
            (self.handler.clone(), Arc::clone(&self.room), Arc::clone(&self.access));
        let strangers = Arc::new(Semaphore::new(STRANGERS));
        let accepting = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    // A peer that may not administer never gets a place.
                    Ok((stream, peer)) => match access.admits(peer.ip()) {
                        Ok(()) => {
                            let permit = enter(&room).await;
                            handler.clone().serve(permit, Prefixed::new(Vec::new(), stream), peer);
                            // It is looked at before the next one comes: only then is a whole request known for one.
                            yield_now().await;
                        }
                        Err(why) => {
                            access.tell(Some(peer.ip()), &why, Instant::now());
                            let Ok(permit) = Arc::clone(&strangers).try_acquire_owned() else { continue };
                            tokio::spawn(async move {
                                refuse(stream, &why).await;
                                drop(permit);
                            });
                        }
                    },
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

    /// This process ends when all is done: calls are answered until then at the address of this machine alone that is given, as that from
    /// before may be another process's by now. Streams of events end.
    ///
    /// # Errors
    /// There is no such address. Calls are not answered then.
    pub(in crate::control) fn withdraw(&mut self) -> io::Result<SocketAddr> {
        self.close();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        self.listen(listener)?;
        Ok(address)
    }

    /// Accepts no more; what runs goes on, but for streams, which end.
    pub(in crate::control) fn close(&mut self) {
        self.closing.send_replace(true);
        if let Some(listener) = self.listener.take() {
            listener.abort();
        }
    }
}

/// Waits for a place.
async fn enter(room: &Arc<Room>) -> Permit {
    loop {
        match room.enter(Instant::now()) {
            Some(permit) => return permit,
            None => room.left().await,
        }
    }
}

/// Tells a peer why it is refused, without reading its request.
async fn refuse(mut stream: TcpStream, why: &str) {
    let words = words(StatusCode::FORBIDDEN, why);
    let said = async {
        stream.write_all(&words).await?;
        stream.shutdown().await?;
        let mut rest = stream.take(LINGER_BYTES);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // A peer that is gone is no fault.
    let _ = timeout(LINGER, said).await;
}

/// A whole answer for those whose request was not, or will not be, understood.
fn words(status: StatusCode, why: &str) -> Vec<u8> {
    let body = serde_json::json!({"error": why, "code": usual_code(status)}).to_string() + "\n";
    let (now, length) = (SystemTime::now(), body.len());
    // Who has no clock sends no date (RFC 9110, section 6.6.1).
    let date = match is_datable(now) {
        true => format!("Date: {}\r\n", httpdate::fmt_http_date(now)),
        false => String::new(),
    };
    format!(
        "HTTP/1.1 {status}\r\n{date}Content-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

impl Handler {
    /// Serves a connection to its end, on a task that keeps its place.
    fn serve(self, permit: Permit, mut stream: Prefixed<TcpStream>, peer: SocketAddr) {
        tokio::spawn(async move {
            if !is_datable(SystemTime::now()) {
                // A client that is gone is no fault.
                let _ = timeout(
                    LINGER,
                    stream.socket_mut().write_all(&words(StatusCode::SERVICE_UNAVAILABLE, NO_DATE)),
                )
                .await;
                return;
            }
            if let Err(error) = self.answer(&permit, stream, peer).await {
                debug!("admin connection of {peer}: {error}");
            }
            drop(permit);
        });
    }

    /// Answers one request. A second one on the same connection is not read: it may be one to be proxied, and the worker
    /// that proxies has given the connection away.
    async fn answer(
        self,
        permit: &Permit,
        stream: Prefixed<TcpStream>,
        peer: SocketAddr,
    ) -> Result<(), String> {
        let progress = Arc::clone(&permit.progress);
        let answer = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(Peer(peer.ip()));
            let request = request.map(|body| Body::new(WatchedBody::new(body, Arc::clone(&progress))));
            let (api, progress) = (self.api.clone(), Arc::clone(&progress));
            async move {
                let response = api.oneshot(request).await;
                progress.enters(Stage::Writing);
                response
            }
        });
        let mut io = TokioIo::new(Watched::new(stream, Arc::clone(&progress)));
        let ended = {
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.head_timeout)
                .keep_alive(false)
                // A client that has said everything may still listen.
                .half_close(true)
                .serve_connection(&mut io, answer);
            tokio::select! {
                done = serving => done.map_err(|error| (error.is_timeout().then_some(Why::Slow), error.to_string())),
                why = self.overdue(permit) => Err((Some(why), format!("{why:?} at {:?}", progress.stage()))),
            }
        };
        let Watched { stream, .. } = io.into_inner();
        match ended {
            // The answer is out and the writing side shut: a fault from here on changes nothing for the client.
            Ok(()) => {
                progress.enters(Stage::Lingering);
                let mut rest = stream.take(LINGER_BYTES);
                let mut sink = tokio::io::sink();
                tokio::select! {
                    _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut sink)) => {}
                    () = permit.dismissed() => {}
                }
                Ok(())
            }
            Err((why, error)) => {
                // Who has said nothing has asked nothing, and would take the words for the answer to what it asks next.
                if let Some(why) = why
                    && progress.stage() == Stage::Reading
                    && progress.moved() > 0
                {
                    // A socket that took nothing yet takes so few bytes at once. It is not waited for, neither for room nor
                    // for the runtime's word that there is some: others need the place now.
                    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                    let _ = send(stream.socket(), &why.words(), flags);
                }
                Err(error)
            }
        }
    }

    /// Waits until the connection must end: it does not get on, or another needs its place more.
    async fn overdue(&self, permit: &Permit) -> Why {
        let slow = async {
            let whole = Instant::now() + REQUEST;
            let mut before = (Stage::Reading, 0);
            while Instant::now() < whole {
                sleep(self.patience).await;
                let now = (permit.progress.stage(), permit.progress.moved());
                if gets_on(before, now) {
                    before = now;
                } else {
                    break;
                }
            }
        };
        tokio::select! {
            () = slow => Why::Slow,
            () = permit.dismissed() => Why::Dismissed,
        }
    }
}

/// Whether enough has happened between two looks. While ELB makes the answer, the client has nothing to do.
fn gets_on(before: (Stage, u64), now: (Stage, u64)) -> bool {
    now.0 != before.0 || now.0 == Stage::Answering || now.1.saturating_sub(before.1) >= LEAST
}

impl Why {
    /// What its client is told.
    fn words(self) -> Vec<u8> {
        match self {
            Self::Slow => words(
                StatusCode::REQUEST_TIMEOUT,
                "the request has not come whole: its head must be there within 5 seconds, and 1 KiB of its body every 10",
            ),
            Self::Dismissed => words(
                StatusCode::REQUEST_TIMEOUT,
                "the request has not come whole, and others need its place: all places of the admin API are taken, and \
                 the slowest goes first",
            ),
        }
    }
}

/// Can hyper write this time? It dates what it sends.
fn is_datable(now: SystemTime) -> bool {
    now.duration_since(UNIX_EPOCH).is_ok_and(|since| since <= LAST_SECOND)
}

#[cfg(test)]
mod tests;
