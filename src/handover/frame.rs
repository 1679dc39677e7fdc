//! Messages of a bounded length over a unix socket, and descriptors beside them.
//!
//! It owns their form (four bytes that say how long, then JSON; descriptors in groups, each with one byte) and the deadline of each
//! wait; never what a message means. What the peer sends is never trusted to be short, whole or sensible. Next: [`say`](super::say)
//! has the messages.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of a message: as much as four of the largest changes that the admin API takes (64 MiB each). A hundred thousand domains
/// with their upstreams take some 60 MiB.
pub(super) const MESSAGE: usize = 256 << 20;
/// Bytes of a message for which there is room before its peer has sent any: a length alone must not take memory.
const FIRST_ROOM: usize = 64 << 10;
/// Descriptors that go with one byte; the kernel takes 253.
const GROUP: usize = 128;
/// Descriptors that may be handed over: 64 addresses for each of 256 workers, which is more than any machine here has cores.
pub(super) const DESCRIPTORS: usize = 16 * 1024;
/// The shortest wait that can be set: zero would be for ever.
const SHORTEST: Duration = Duration::from_millis(1);

/// One end of the conversation.
#[derive(Debug)]
pub(super) struct Wire {
    stream: UnixStream,
    /// Everything is over by then.
    deadline: Instant,
}

impl Wire {
    pub(super) fn new(stream: UnixStream, deadline: Instant) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        Ok(Self { stream, deadline })
    }

    /// There is so much time from now on, if there was less.
    pub(super) fn extend(&mut self, by: Duration) {
        let now = Instant::now();
        self.deadline = self.deadline.max(now.checked_add(by).unwrap_or(now));
    }

    /// Lets no single wait last beyond the deadline.
    fn hurry(&self) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left.max(SHORTEST)))?;
        self.stream.set_write_timeout(Some(left.max(SHORTEST)))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// It is longer than [`MESSAGE`]; the time is over; the peer is gone.
    pub(super) fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        self.write_all(&frame(message)?)
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.hurry()?;
            match (&self.stream).write(bytes) {
                Ok(0) => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next message.
    ///
    /// # Errors
    /// It is too long, or none; the time is over; the peer is gone.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut length = [0; 4];
        let mut there = 0;
        while let Some(room) = length.get_mut(there..).filter(|room| !room.is_empty()) {
            there += read(&self.stream, || self.hurry(), room)?;
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MESSAGE {
            return Err(io::Error::other(format!(
                "the other process announces {length} bytes, and {MESSAGE} may be"
            )));
        }
        let mut bytes = Vec::with_capacity(length.min(FIRST_ROOM));
        let mut piece = vec![0; FIRST_ROOM];
        while bytes.len() < length {
            let wanted = (length - bytes.len()).min(piece.len());
            let room = piece.get_mut(..wanted).unwrap_or_default();
            let count = read(&self.stream, || self.hurry(), room)?;
            bytes.extend_from_slice(room.get(..count).unwrap_or_default());
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| io::Error::other(format!("what the other process says is no message: {error}")))
    }

    /// Sends descriptors; the peer has been told how many.
    ///
    /// # Errors
    /// The time is over; the peer is gone; the kernel has too many descriptors on their way.
    pub(super) fn send_descriptors(&mut self, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        for group in descriptors.chunks(GROUP) {
            self.hurry()?;
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(GROUP))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            if !beside.push(SendAncillaryMessage::ScmRights(group)) {
                return Err(io::Error::other("there is no room for descriptors beside a message"));
            }
            sendmsg(&self.stream, &[IoSlice::new(&[0])], &mut beside, SendFlags::NOSIGNAL)?;
        }
        Ok(())
    }

    /// Receives so many descriptors.
    ///
    /// # Errors
    /// They are more than [`DESCRIPTORS`], or do not come; the time is over; the peer is gone; this process may not open more.
    pub(super) fn receive_descriptors(&mut self, count: usize) -> io::Result<Vec<OwnedFd>> {
        if count > DESCRIPTORS {
            return Err(io::Error::other(format!(
                "the other process has {count} listening sockets, and {DESCRIPTORS} may be handed over"
            )));
        }
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            self.hurry()?;
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(GROUP))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            let flags = RecvFlags::CMSG_CLOEXEC;
            let got = recvmsg(&self.stream, &mut [IoSliceMut::new(&mut byte)], &mut beside, flags)?;
            let before = all.len();
            for message in beside.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    all.extend(descriptors);
                }
            }
            if got.flags.contains(ReturnFlags::CTRUNC) {
                return Err(io::Error::other(
                    "the limit of open files leaves no room for the listening sockets",
                ));
            }
            if got.bytes == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if all.len() == before || all.len() > count {
                return Err(io::Error::other("the other process sends other descriptors than it said"));
            }
        }
        Ok(all)
    }
}

/// A message as it travels.
///
/// # Errors
/// It is longer than [`MESSAGE`].
pub(super) fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    if length > MESSAGE {
        return Err(io::Error::other(format!(
            "what is to be handed over takes {length} bytes, and {MESSAGE} may be"
        )));
    }
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    frame.splice(..4, length);
    Ok(frame)
}

fn read(mut stream: &UnixStream, hurry: impl Fn() -> io::Result<()>, room: &mut [u8]) -> io::Result<usize> {
    loop {
        hurry()?;
        match stream.read(room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
