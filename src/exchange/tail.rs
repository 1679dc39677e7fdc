//! What ELB itself puts behind the bytes of a body, and how much of it has left.
//!
//! It owns the last bytes of a framing that is not passed on as it came, in two bytes of its own. Next: [`super::response`]
//! sends it last.

/// The end of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The body's own bytes are all.
    Own,
    /// The last chunk, where there was none before it.
    OnlyChunk,
    /// The end of a chunk, and the last one.
    LastChunk,
}

impl End {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Own => b"",
            Self::OnlyChunk => b"0\r\n\r\n",
            Self::LastChunk => b"\r\n0\r\n\r\n",
        }
    }
}

/// An end and how much of it has left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    end: End,
    sent: u8,
}

impl Tail {
    /// Nothing of it has left.
    pub(super) fn new(end: End) -> Self {
        Self { end, sent: 0 }
    }

    /// What is to leave.
    pub(super) fn left(self) -> &'static [u8] {
        self.end.bytes().get(usize::from(self.sent)..).unwrap_or_default()
    }

    /// Nothing of it is to leave.
    pub(super) fn is_sent(self) -> bool {
        self.is_none() || self.left().is_empty()
    }

    /// So many bytes have left.
    #[allow(clippy::cast_possible_truncation)] // Never more than there are.
    pub(super) fn sent(&mut self, n: usize) {
        debug_assert!(n <= self.left().len(), "sent twice");
        self.sent += n as u8;
    }

    /// There is none.
    pub(super) fn is_none(self) -> bool {
        self.end == End::Own
    }
}
