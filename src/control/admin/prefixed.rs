//! A tokio stream whose first reads come from bytes that somebody else already took from the socket.
//!
//! It owns the order (those bytes, then the socket), never what they mean; whoever writes takes the socket. Next:
//! [`serve`](super::serve) puts a connection that a worker handed over into one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// A stream and the bytes that come before everything it still holds.
#[derive(Debug)]
pub(super) struct Prefixed<S> {
    prefix: Vec<u8>,
    /// How much of `prefix` was read; the vector is freed when this reaches its end.
    read: usize,
    stream: S,
}

impl<S> Prefixed<S> {
    /// A stream that reads `prefix` first. It may be empty.
    pub(super) fn new(prefix: Vec<u8>, stream: S) -> Self {
        Self { prefix, read: 0, stream }
    }

    /// The stream itself, for what is written past everything that waits.
    pub(super) fn socket(&self) -> &S {
        &self.stream
    }

    /// The stream itself, to write to.
    pub(super) fn socket_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.prefix.get(self.read..).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let (now, later) = left.split_at(left.len().min(into.remaining()));
        into.put_slice(now);
        if later.is_empty() {
            self.prefix = Vec::new();
            self.read = 0;
        } else {
            self.read += now.len();
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    const MESSAGE: &[u8] = b"PUT /__erulb__/dump HTTP/1.1\r\nHost: a\r\n\r\n";

    /// Reads with a window of `step` bytes until the end of input.
    async fn read_in_steps(mut stream: Prefixed<&[u8]>, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut window = vec![0; step];
        loop {
            let n = stream.read(&mut window).await.unwrap();
            if n == 0 {
                return all;
            }
            all.extend_from_slice(&window[..n]);
        }
    }

    #[tokio::test]
    async fn every_split_and_every_window_reads_the_same() {
        for split in 0..=MESSAGE.len() {
            let (prefix, rest) = MESSAGE.split_at(split);
            for step in [1, 2, 7, MESSAGE.len(), 100] {
                let stream = Prefixed::new(prefix.to_vec(), rest);
                assert_eq!(read_in_steps(stream, step).await, MESSAGE, "split {split}, window {step}");
            }
        }
    }
}
