//! The end of the control thread: what is still sent and written, and what is said of what was cut.
//!
//! It owns how long that may take, never when it begins. Next: [`run`](super::run) decides that.

use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

use super::run::{Control, Ended, Phase};
use super::succession::Heired;

/// How long the last statistics and the state file may take.
const LAST: Duration = Duration::from_secs(1);

impl Control {
    /// Sends and writes what is left, but waits for no network and no disk for long.
    pub(super) async fn end(mut self) -> Ended {
        self.tell_cut();
        self.save();
        let lost = self.hub.status().unsaved;
        if lost > 0 && self.heired.is_none() {
            warn!("{lost} unsaved changes end with this process: they were never dumped");
        }
        let (statsd, saver, history) = (self.statsd.take(), self.saver.take(), self.history);
        let rest = async {
            if let Some(statsd) = statsd {
                statsd.finish().await;
            }
            if let Some(saver) = saver {
                saver.finish().await;
            }
            history.finish().await;
        };
        let teller = self.teller.take();
        let leave = async {
            if let Some(teller) = teller {
                teller.leave().await;
            }
        };
        // Side by side: an etcd that does not answer takes no time from the disk.
        let (kept, left) = tokio::join!(timeout(LAST, rest), timeout(LAST, leave));
        if kept.is_err() {
            warn!("the last statistics or the state file could not be written in time");
        }
        if left.is_err() {
            warn!("this node could not be taken out of the fleet in time; it is gone when its lease ends");
        }
        // Where the one that took over has crashed, nobody does.
        match self.heired.filter(|_| self.code == 0) {
            Some(Heired { process, .. }) => info!("drained and stopped; process {process} serves"),
            None => info!("stopped"),
        }
        Ended { cut: self.cut, code: self.code }
    }

    /// One line for all that was cut off, and why: whoever stopped the process may want to give it more time.
    fn tell_cut(&self) {
        let mut what = Vec::new();
        let mut add = |count: usize, one: &str| match count {
            0 => {}
            1 => what.push(format!("1 {one}")),
            _ => what.push(format!("{count} {one}s")),
        };
        add(self.cut.requests, "request");
        add(self.cut.tunnels, "upgraded connection");
        add(usize::from(!self.admin.is_idle()), "client of the admin API");
        add(self.hub.running(), "worker that has not ended");
        if what.is_empty() {
            return;
        }
        let why = match self.phase {
            Phase::Stopping { why: Some(why), .. } => why.to_owned(),
            _ => format!("not done within the drain timeout of {:?}", self.drain_timeout),
        };
        warn!("cut off: {}; {why}", what.join(", "));
    }
}
