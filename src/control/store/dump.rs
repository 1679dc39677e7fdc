//! Writes wanted contents to etcd: read, compare, commit in guarded transactions.
//!
//! It owns the course of one dump and its deadline, never the comparison itself (`diff`) and never the watch: a dump
//! has a connection of its own, so neither waits for the other. Next: `diff` says what is written and in which order.

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_client::KeyValue;

use super::connection::{Commit, Connection};
use super::diff::{Present, plan};
use super::keys::Keys;
use super::options::EtcdOptions;
use crate::model::Contents;

/// How long a dump may take in all.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);

/// Makes etcd hold exactly `wanted` and gives the revision at which it does. Endpoints are tried in turn, beginning
/// with the one whose number is `first`.
///
/// # Errors
/// What went wrong, for people. Whatever was written by then is a beginning, and the next dump goes on from there.
pub(super) async fn dump(options: &EtcdOptions, first: usize, wanted: &Contents) -> Result<i64, String> {
    let attempt = tokio::time::timeout(DEADLINE, over_endpoints(options, first, wanted));
    attempt.await.unwrap_or_else(|_| {
        Err(format!("no end within {} ms; a part may be written, run it again", DEADLINE.as_millis()))
    })
}

async fn over_endpoints(options: &EtcdOptions, first: usize, wanted: &Contents) -> Result<i64, String> {
    let count = options.endpoints.len().max(1);
    // One dead member must not use up the time of all.
    let share = DEADLINE / u32::try_from(count).unwrap_or(u32::MAX);
    let mut error = String::from("no endpoint is known");
    for endpoint in options.endpoints.iter().cycle().skip(first % count).take(count) {
        match tokio::time::timeout(share, read(options, endpoint)).await {
            Ok(Ok((connection, present, revision))) => {
                return write(options, connection, &present, revision, wanted).await;
            }
            Ok(Err(reason)) => error = format!("{endpoint}: {reason}"),
            Err(_) => error = format!("{endpoint}: no answer in {} ms", share.as_millis()),
        }
    }
    Err(error)
}

type Store = BTreeMap<String, Present>;

async fn read(options: &EtcdOptions, endpoint: &str) -> Result<(Connection, Store, i64), String> {
    let mut connection = Connection::open(endpoint, options).await?;
    let listing = connection.list(Keys::new(&options.name).prefix()).await?;
    let present = listing.keys.into_iter().filter_map(present).collect();
    Ok((connection, present, listing.revision))
}

/// Keys that are no text are nobody's data, and so not touched.
fn present(pair: KeyValue) -> Option<(String, Present)> {
    let revision = pair.mod_revision();
    let (key, value) = pair.into_key_value();
    Some((String::from_utf8(key).ok()?, Present { value, revision }))
}

async fn write(
    options: &EtcdOptions,
    mut connection: Connection,
    present: &Store,
    read_at: i64,
    wanted: &Contents,
) -> Result<i64, String> {
    let batches = plan(&Keys::new(&options.name), present, wanted)?;
    let (mut revision, count) = (read_at, batches.len());
    for (number, batch) in batches.iter().enumerate() {
        let written = || format!("{number} of {count} transactions were written");
        match connection.commit(batch).await {
            Ok(Commit::Done(at)) => revision = at,
            Ok(Commit::Conflict) => {
                let keys = batch.first().map_or("", |operation| &operation.key);
                return Err(format!("a key was changed meanwhile ({keys} or one after it); {}", written()));
            }
            Err(reason) => return Err(format!("{reason}; {}", written())),
        }
    }
    Ok(revision)
}
