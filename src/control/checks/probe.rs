//! One check: a connection of its own, perhaps a request, and what came of it in a few words.
//!
//! It owns that conversation and its bounds, never when it begins or what it means for the server. Next:
//! [`prober`](super::prober) has several of them under way.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::order::{Finding, Order, Question};
use crate::model::Endpoint;
use crate::tls::Toward;

/// What the head of an answer may have: what a server says to a check is short.
const HEAD: usize = 64 << 10;
const FIELDS: usize = 100;
/// Bytes of a body after which the rest is not waited for.
const BODY: usize = 64 << 10;
/// Into so many parts the time of a check is cut. One that this thread was late for costs no more than itself.
const PARTS: u32 = 20;
/// What is said of a server that hangs up.
const ENDED: &str = "the connection ended before the answer did";
/// Characters of what is told of a failure.
const CHARACTERS: usize = 200;

/// Makes a check.
pub(super) async fn probe(order: Order, toward: &Toward) -> Finding {
    let begun = Instant::now();
    let within = order.within;
    let said = match patiently(within, attempt(&order, toward)).await {
        Some(said) => said,
        None => Err(format!("no answer within {within:?}")),
    };
    let (ok, what) = match said {
        Ok(what) => (true, what),
        Err(what) => (false, what),
    };
    Finding { took: begun.elapsed(), what: what.chars().take(CHARACTERS).collect(), ok }
}

/// Waits for so long, and looks again before it gives up. While this thread does something else, or is not given a core, a
/// server may have answered long ago: a part of the time that passes late counts as if it had been on time.
async fn patiently<T>(within: Duration, attempt: impl Future<Output = T>) -> Option<T> {
    let mut attempt = pin!(attempt);
    for _ in 0..PARTS {
        if let Ok(done) = timeout(within / PARTS, attempt.as_mut()).await {
            return Some(done);
        }
    }
    None
}

/// What the server did: as was hoped for, or not.
async fn attempt(order: &Order, toward: &Toward) -> Result<String, String> {
    match &order.endpoint {
        Endpoint::Inet(address) => {
            let stream = TcpStream::connect(address).await.map_err(|error| words(&error))?;
            opened(stream, order, toward).await
        }
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(&**path).await.map_err(|error| words(&error))?;
            opened(stream, order, toward).await
        }
    }
}

/// Says what comes before a request, and asks.
async fn opened<S>(mut stream: S, order: &Order, toward: &Toward) -> Result<String, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let question = order.question.as_ref();
    if let Some(version) = order.opening.proxy {
        stream.write_all(&version.header(None)).await.map_err(|error| words(&error))?;
    }
    let Some((name, verify)) = &order.opening.tls else { return converse(stream, question).await };
    let name =
        ServerName::try_from(name.to_string()).map_err(|_| format!("TLS: nobody can vouch for {name}"))?;
    let connector = TlsConnector::from(Arc::clone(toward.config(*verify)));
    let session = connector.connect(name, stream).await.map_err(|error| format!("TLS: {}", words(&error)))?;
    converse(session, question).await
}

async fn converse<S>(stream: S, question: Option<&Question>) -> Result<String, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(question) = question else { return Ok("connected".to_owned()) };
    let request = Request::get(&*question.target)
        .header(HOST, &*question.host)
        .header(USER_AGENT, concat!("elb/", env!("CARGO_PKG_VERSION"), " (check)"))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let mut client = http1::Builder::new();
    client.max_buf_size(HEAD).max_headers(FIELDS);
    let (mut sender, connection) =
        client.handshake(TokioIo::new(stream)).await.map_err(|error| told(&error))?;
    // It ends with this function, whatever becomes of it.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| told(&error))?;
    let (low, high) = question.status;
    let status = response.status().as_u16();
    if !(low..=high).contains(&status) {
        return Err(format!("status {status}"));
    }
    read(response).await?;
    Ok(format!("status {status}"))
}

/// Waits for the end of a body, or until there is enough of it.
async fn read(response: Response<Incoming>) -> Result<(), String> {
    let (mut body, mut bytes) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        bytes += frame.map_err(|error| told(&error))?.data_ref().map_or(0, Bytes::len);
        if bytes > BODY {
            break;
        }
    }
    Ok(())
}

/// What hyper says of an exchange, and why.
fn told(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error);
    match cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
        Some(error) => words(error),
        None if error.is_incomplete_message() => ENDED.to_owned(),
        None => cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
    }
}

/// What the kernel says, without its numbers.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::UnexpectedEof => ENDED.to_owned(),
        io::ErrorKind::NotFound => "no such socket".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
