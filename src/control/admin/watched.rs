//! A connection that says how far it has come: at which stage its request is, and how many bytes have moved.
//!
//! It owns counting, never a deadline or a decision. Bytes are counted as they pass, and a body that has come to its
//! end says that the request is whole. Next: [`room`](super::room) compares connections by it, [`serve`](super::serve)
//! ends those that do not get on.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::prefixed::Prefixed;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not come whole.
    Reading,
    /// It has, and its answer is being made.
    Answering,
    /// The answer leaves.
    Writing,
    /// It has left; what the client still sends is thrown away.
    Lingering,
}

/// How far a connection has come. It is written on the control thread alone, but what a task of tokio holds must be
/// `Send` and `Sync`, hence the atomics.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stage: AtomicU8,
    moved: AtomicU64,
}

impl Progress {
    /// Where the request stands.
    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Relaxed) {
            0 => Stage::Reading,
            1 => Stage::Answering,
            2 => Stage::Writing,
            _ => Stage::Lingering,
        }
    }

    /// The request stands there from now on.
    pub(super) fn enters(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
    }

    /// Bytes that were read and written so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Relaxed)
    }

    /// So many more have moved.
    pub(super) fn moves(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Relaxed);
    }
}

/// A connection whose bytes are counted, those that came before it too.
#[derive(Debug)]
pub(super) struct Watched<S> {
    pub(super) stream: Prefixed<S>,
    progress: Arc<Progress>,
}

impl<S> Watched<S> {
    /// Counts what passes through `stream`.
    pub(super) fn new(stream: Prefixed<S>, progress: Arc<Progress>) -> Self {
        Self { stream, progress }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        self.progress.moves(into.filled().len().saturating_sub(before));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(self.stream.socket_mut()).poll_write(cx, bytes))?;
        self.progress.moves(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(self.stream.socket_mut()).poll_write_vectored(cx, slices))?;
        self.progress.moves(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.socket().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.socket_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.socket_mut()).poll_shutdown(cx)
    }
}

/// A request's body, which says when it has come whole.
#[derive(Debug)]
pub(super) struct WatchedBody {
    body: Incoming,
    progress: Arc<Progress>,
}

impl WatchedBody {
    /// Watches `body`. One that is empty is whole at once.
    pub(super) fn new(body: Incoming, progress: Arc<Progress>) -> Self {
        let watched = Self { body, progress };
        watched.look();
        watched
    }

    fn look(&self) {
        if self.body.is_end_stream() {
            self.progress.enters(Stage::Answering);
        }
    }
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.progress.enters(Stage::Answering),
            Some(_) => self.look(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
