//! `elb`: serve until told to end.
//!
//! It owns what surrounds serving: the limit of open files, the log, the description of the settings, and how a failed
//! start is told. Next: [`serve`] puts the two planes together.

use std::io;
use std::process::ExitCode;

use tracing::{error, info, warn};

use super::inherit::{Refusal, inherit};
use super::say::complain;
use super::{log, serve};
use crate::settings::Settings;
use crate::stats::lost::Lost;

/// Serves by these settings. The exit code is the control plane's once everything has ended.
#[must_use]
pub fn run(settings: Settings) -> ExitCode {
    let log = match log::start(&settings) {
        Ok(log) => log,
        Err(error) => {
            complain(format_args!("cannot start the log: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = run_with_log(settings, log.lost());
    log.finish();
    code
}

fn run_with_log(settings: Settings, lost: Lost) -> ExitCode {
    info!("ELB {}", env!("CARGO_PKG_VERSION"));
    for line in settings.describe() {
        info!("{line}");
    }
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    raise_open_files();
    let inheritance = match inherit(&settings) {
        Ok(inheritance) => inheritance,
        Err(Refusal { code, why }) => {
            error!("{why}");
            return ExitCode::from(code);
        }
    };
    match serve::start(settings, lost, inheritance) {
        Ok(serving) => {
            for address in serving.addresses() {
                info!("listening on {address}");
            }
            serving.wait()
        }
        Err(error) => {
            error!("{}", tell(&error));
            ExitCode::FAILURE
        }
    }
}

/// Each client and each server is an open file, so the process takes all it may have.
pub(super) fn raise_open_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => info!("open files: {limit}"),
        Err(error) => warn!("the limit of open files stays as it is: {error}"),
    }
}

/// A failed start for people: what, why, and what to do about it.
pub(super) fn tell(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "; another process listens there: end it, or choose another port",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need the capability CAP_NET_BIND_SERVICE: grant it, or choose a higher port"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    };
    format!("{error}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_start_says_what_to_do() {
        for (kind, advice) in [
            (io::ErrorKind::AddrInUse, "choose another port"),
            (io::ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE"),
            (io::ErrorKind::AddrNotAvailable, "no such address"),
        ] {
            let told = tell(&io::Error::new(kind, "cannot listen on 0.0.0.0:80: why"));
            assert!(
                told.starts_with("cannot listen on 0.0.0.0:80: why; ") && told.contains(advice),
                "{told}"
            );
        }
    }
}
