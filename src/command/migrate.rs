//! `elb migrate-v2`: copies the keys that etcd's v2 API has of an ELB to where the v3 API finds them.
//!
//! It owns the report, the line of progress, the exit code, and that Ctrl-C ends it between two transactions; never what is a
//! key or how it is written. Next: `control::store` reads, compares and writes.

use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::api;
use super::say::{complain, print};
use crate::control::store::{Copied, EtcdOptions, Manner, V2, copy};
use crate::settings::Migration;

/// The exit code when it cannot be read, or not be written.
const CANNOT: u8 = 2;

/// Copies. The exit code is 0 if v3 has all that v2 has, 1 if something is left, 2 if it cannot be done; if nothing is to be
/// written, what it would be.
#[must_use]
pub fn migrate(migration: &Migration) -> ExitCode {
    let Migration { from, name, .. } = migration;
    let found = api::get(&format!("{from}/v2/keys/{name}?recursive=true&sorted=true"))
        .and_then(|(status, answer)| V2::read(status, &answer, name));
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            complain(format_args!("{from}: {why}"));
            return ExitCode::from(CANNOT);
        }
    };
    let copied = match write(migration, &found) {
        Ok(copied) => copied,
        Err(why) => {
            complain(format_args!("etcd cannot be read: {why}"));
            return ExitCode::from(CANNOT);
        }
    };
    let printed = print(&report(migration, &found, &copied));
    if let Some(why) = &copied.failed {
        complain(format_args!("etcd cannot be written: {why}"));
        return ExitCode::from(CANNOT);
    }
    if left(&found, &copied) > 0 { ExitCode::FAILURE } else { printed }
}

fn write(migration: &Migration, found: &V2) -> Result<Copied, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the system has no room for it: {error}"))?;
    let Migration { to, name, dry_run, force, .. } = migration;
    let manner = Manner { dry_run: *dry_run, force: *force };
    runtime.block_on(async {
        let told_to_end = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&told_to_end);
        tokio::spawn(async move {
            // Without it the signal ends the process as it always does, which is clean as well: a transaction is whole.
            if tokio::signal::ctrl_c().await.is_ok() {
                flag.store(true, Ordering::Relaxed);
            }
        });
        let is_shown = io::stderr().is_terminal();
        let go_on = |seen: usize, all: usize| {
            if is_shown {
                // Whoever has gone from the terminal misses nothing.
                let _ = write!(io::stderr(), "\r\u{1b}[K{seen} of {all} keys");
            }
            !told_to_end.load(Ordering::Relaxed)
        };
        let copied = copy(EtcdOptions::set(to, name), found, manner, go_on).await;
        if is_shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
        copied
    })
}

/// Keys of v2 that v3 does not have as they are there.
fn left(found: &V2, copied: &Copied) -> usize {
    found.left.len() + copied.left.len() + copied.cut
}

/// One line for each key that is left or would be written, and the sum.
fn report(migration: &Migration, found: &V2, copied: &Copied) -> String {
    let mut lines = Vec::new();
    if migration.dry_run {
        lines.extend(copied.planned.iter().map(|(key, is_over)| match is_over {
            true => format!("would be written over: {}", plain(key)),
            false => format!("would be written: {}", plain(key)),
        }));
    }
    let named = found.left.iter().chain(&copied.left);
    lines.extend(named.map(|(key, why)| format!("left: {}: {}", plain(key), plain(why))));
    let left = left(found, copied);
    let (count, done) = match migration.dry_run {
        true => (copied.planned.len(), "would be written"),
        false => (copied.written, "written"),
    };
    let others = match found.others {
        0 => String::new(),
        others => format!("; beside them {} of others", keys(others)),
    };
    lines.push(format!(
        "{} of v2: {count} {done}, {} there already, {left} left{others}",
        keys(found.count()),
        copied.there
    ));
    if copied.cut > 0 && copied.failed.is_none() {
        lines.push(format!("told to end before {} of them; it can be run again", copied.cut));
    }
    lines.join("\n") + "\n"
}

fn keys(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

/// What somebody wrote is shown as it is but for what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
