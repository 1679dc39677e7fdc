//! hyper at both ends, with every byte that it reads kept.
//!
//! It owns the judgement which of hyper's errors mean that bytes were no message, and which that they were cut short.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::thread;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::record::Read;

/// A server of hyper's that answers each request with its number.
pub(crate) struct Reader {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

/// What it read.
#[derive(Default)]
pub(crate) struct Seen {
    /// Whole requests, in the order of their ends.
    pub(crate) requests: Vec<Read>,
    pub(crate) connections: Vec<Connection>,
    /// What it could not read.
    pub(crate) faults: Vec<String>,
}

/// One connection, and what was read on it.
pub(crate) struct Connection {
    pub(crate) wire: Arc<Mutex<Vec<u8>>>,
    /// The requests, as numbers.
    pub(crate) requests: Vec<usize>,
    /// It ended with a target that is not to hyper's taste.
    pub(crate) disliked: bool,
}

impl Reader {
    pub(crate) fn start() -> Reader {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let own = Arc::clone(&seen);
        thread::spawn(move || runtime().block_on(serve(listener, own)));
        Reader { address, seen }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("a reader that did not panic")
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn serve(listener: std::net::TcpListener, seen: Arc<Mutex<Seen>>) {
    listener.set_nonblocking(true).expect("a listener that does not block");
    let listener = TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        let (tap, wire) = Tap::new(stream);
        let number = {
            let mut seen = seen.lock().expect("a lock");
            seen.connections.push(Connection { wire, requests: Vec::new(), disliked: false });
            seen.connections.len() - 1
        };
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, number, Arc::clone(&seen)));
            let mut server = hyper::server::conn::http1::Builder::new();
            server.half_close(true).max_headers(300);
            let Err(error) = server.serve_connection(TokioIo::new(tap), service).await else { return };
            let mut seen = seen.lock().expect("a lock");
            if is_taste(&error) {
                seen.connections[number].disliked = true;
            } else if !is_cut(&error) {
                seen.faults.push(format!("{error:?}"));
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    seen: Arc<Mutex<Seen>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    // An absolute-form target may have no path, which means `/`.
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let slash = if target.starts_with('?') { "/" } else { "" };
    let line = format!("{} {slash}{target}", head.method);
    let body = body.collect().await?.to_bytes().to_vec();
    let mut seen = seen.lock().expect("a lock");
    let number = seen.requests.len();
    seen.requests.push(Read { line, body });
    seen.connections[connection].requests.push(number);
    Ok(Response::new(Full::from(number.to_string())))
}

/// How a response ended for hyper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It was whole; with ELB's own reason if it was ELB's.
    Whole(Read, Option<String>),
    /// The connection ended first.
    Cut,
    /// It was no response.
    Fault(String),
}

/// A connection of hyper's to ask on, and what comes on it.
pub(crate) struct Asker {
    sender: SendRequest<Empty<Bytes>>,
    pub(crate) wire: Arc<Mutex<Vec<u8>>>,
}

impl Asker {
    pub(crate) async fn connect(to: SocketAddr) -> Asker {
        let (tap, wire) = Tap::new(TcpStream::connect(to).await.expect("a connection"));
        let mut client = hyper::client::conn::http1::Builder::new();
        client.max_headers(300).max_buf_size(1 << 20);
        // A proxy must take them out, so without one they must be read.
        client.allow_spaces_after_header_name_in_responses(true);
        let (sender, connection) = client.handshake(TokioIo::new(tap)).await.expect("a client");
        tokio::spawn(connection);
        Asker { sender, wire }
    }

    /// `None` when the connection is closed already.
    pub(crate) async fn ask(&mut self, target: &str) -> Option<Heard> {
        self.sender.ready().await.ok()?;
        let request = Request::get(target).header("host", "site.test").body(Empty::new()).expect("a request");
        Some(self.hear(request).await.unwrap_or_else(|error| {
            if is_cut(&error) { Heard::Cut } else { Heard::Fault(format!("{error:?}")) }
        }))
    }

    async fn hear(&mut self, request: Request<Empty<Bytes>>) -> Result<Heard, hyper::Error> {
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let reason = head.headers.get("x-elb-reason").map(|reason| format!("{reason:?}"));
        Ok(Heard::Whole(Read { line: head.status.as_str().to_owned(), body }, reason))
    }
}

/// Whether the message was cut short, and good as far as it went.
fn is_cut(error: &hyper::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled() || error.is_closed())
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(
                error.kind(),
                ErrorKind::UnexpectedEof
                    | ErrorKind::ConnectionReset
                    | ErrorKind::BrokenPipe
                    | ErrorKind::NotConnected
            );
        }
        cause = error.source();
    }
    false
}

/// Whether hyper refuses a target for bytes that every URI should escape and browsers do not, such as quotes. The target
/// of a request goes out as it came, so that is between client and server; no boundary hangs on it.
fn is_taste(error: &hyper::Error) -> bool {
    format!("{error:?}") == "hyper::Error(Parse(Uri))"
}

/// A stream that keeps what is read from it.
struct Tap {
    stream: TcpStream,
    wire: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn new(stream: TcpStream) -> (Tap, Arc<Mutex<Vec<u8>>>) {
        let wire = Arc::default();
        (Tap { stream, wire: Arc::clone(&wire) }, wire)
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.wire.lock().expect("a lock").extend_from_slice(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
