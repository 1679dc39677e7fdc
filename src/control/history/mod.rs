//! The last versions of the configuration, in memory and on this machine's disk.

mod entry;
mod file;
mod line;
mod versions;

pub(super) use entry::{Entry, Glance, who};
pub(super) use file::{Former, HistoryFile, HistorySaver};
pub(super) use versions::{History, Overlay, WayBack, Which};
