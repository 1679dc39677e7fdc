//! A socket, in the words in which rustls reads and writes.
//!
//! It owns that translation and nothing else. Next: [`super::Secure`] lends its socket.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use crate::data::socket::{Flow, Socket};

/// The socket, in the words of rustls.
pub(super) struct Wire<'a>(pub(super) &'a mut Socket);

impl Wire<'_> {
    fn came_to(flow: Flow) -> io::Result<usize> {
        match flow {
            Flow::Moved(n) => Ok(n),
            Flow::Ended => Ok(0),
            Flow::Blocked => Err(ErrorKind::WouldBlock.into()),
            Flow::Failed => Err(ErrorKind::ConnectionReset.into()),
        }
    }
}

impl Read for Wire<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Self::came_to(self.0.read(room))
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::came_to(self.0.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::came_to(self.0.write_places(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
