//! What this machine has run out of; no server is to blame for that.
//!
//! It owns the reading of the kernel's errors, never what follows. Next: [`super::dispatch`] and [`super::watch`].

use std::io;

use crate::reason::Reason;

/// The reason that an error of the kernel stands for, if it is a shortage.
pub(super) fn reason(error: &io::Error) -> Option<Reason> {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => Some(Reason::NoPorts),
        _ => match error.raw_os_error() {
            Some(23 | 24) => Some(Reason::NoDescriptors), // ENFILE, EMFILE
            Some(12 | 105) => Some(Reason::NoMemory),     // ENOMEM, ENOBUFS
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_has_run_out_of_is_no_servers_fault() {
        for (code, expected) in [
            (23, Some(Reason::NoDescriptors)),
            (24, Some(Reason::NoDescriptors)),
            (12, Some(Reason::NoMemory)),
            (105, Some(Reason::NoMemory)),
            (98, Some(Reason::NoPorts)),
            (99, Some(Reason::NoPorts)),
            (111, None), // Refused.
            (113, None), // No route.
        ] {
            assert_eq!(reason(&io::Error::from_raw_os_error(code)), expected, "{code}");
        }
    }
}
