//! The end of a session: what is said before the socket closes.
//!
//! It owns whether and how that is said, never when: the worker closes. Next: [`super::Secure`] sends it.

use super::Secure;

impl Secure {
    /// Tells the peer that nothing more will be sent.
    #[cold]
    #[inline(never)]
    pub fn shutdown(&mut self) {
        if !self.shuts {
            self.session.send_close_notify();
            self.shuts = true;
            self.flush();
        }
    }

    /// The close that follows will be a reset, so that the peer cannot take it for the end of a body.
    #[cold]
    #[inline(never)]
    pub fn reset_on_close(&mut self) {
        self.resets = true;
        self.socket.reset_on_close();
    }

    /// Says what is to be said before a close. `false` while that waits for room; asked a second time, nothing is waited for.
    #[cold]
    #[inline(never)]
    pub fn leave(&mut self) -> bool {
        // A session that has not begun has nothing to end.
        if !self.begun || self.leaves || self.resets || self.has_failed() {
            return true;
        }
        self.leaves = true;
        if !self.shuts {
            self.session.send_close_notify();
        }
        self.flush();
        self.has_failed() || !self.session.wants_write()
    }

    /// It closes once all has left.
    #[cold]
    #[inline(never)]
    pub fn is_leaving(&self) -> bool {
        self.leaves
    }
}
