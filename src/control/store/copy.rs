//! Copies keys to etcd that another store has: only those that are not there, or, if that is meant, are otherwise.
//!
//! It owns the comparison of both and the count of what came of it, never the transactions (`dump`) and never where the keys
//! come from. Next: [`v2`](super::v2) reads them, [`dump`](super::dump) writes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::connection::{Connection, denied};
use super::dump::Course;
use super::keys::{Key, Keys};
use super::merge::{Wish, plan, text};
use super::options::EtcdOptions;
use super::v2::V2;
use crate::model::KeyWrite;

/// What is done about keys that etcd has with another value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// Nothing is written at all.
    pub dry_run: bool,
    /// They are written over.
    pub force: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Keys that were there already, with this value.
    pub there: usize,
    /// Keys to be written, in order, and whether each is there with another value.
    pub planned: Vec<(String, bool)>,
    /// How many of them were written.
    pub written: usize,
    /// Keys that were not, and why.
    pub left: Vec<(String, String)>,
    /// How many more were not, because it was told to end, or could not go on.
    pub cut: usize,
    /// Why it could not go on.
    pub failed: Option<String>,
}

/// Copies. `go_on` is told how many keys of how many have been seen to, before each transaction, and says whether to go on.
///
/// # Errors
/// Why nothing could be compared, for people.
pub async fn copy(
    options: EtcdOptions,
    from: &V2,
    manner: Manner,
    mut go_on: impl FnMut(usize, usize) -> bool,
) -> Result<Copied, String> {
    let options = Arc::new(options);
    let keys = Keys::new(&options.name);
    let range = keys.data();
    let (_, mut connection) = Connection::soon(&options, &range, 0).await?;
    let listing = connection.list(&range, usize::MAX).await?;
    let there: BTreeMap<&[u8], String> =
        listing.keys.iter().map(|pair| (pair.key(), text(pair.value()))).collect();
    let (mut copied, mut writes) = (Copied::default(), Vec::new());
    for wanted in from.changes() {
        let read = there.get(keys.write(&Key::of(&wanted)).as_bytes());
        match read {
            Some(read) if Some(read.as_str()) == wanted.text() => copied.there += 1,
            Some(_) if !manner.force => {
                let why = "v3 has it with another value; --force writes over it".to_owned();
                copied.left.push((wanted.name(), why));
            }
            read => writes.push(KeyWrite { read: read.cloned(), wanted, doubtful: false }),
        }
    }
    let plan = plan(&keys, writes);
    copied.left.extend(plan.refused);
    let planned = |wish: &Wish| (wish.write.wanted.name(), wish.write.read.is_some());
    copied.planned = plan.batches.iter().flatten().map(planned).collect();
    if manner.dry_run {
        return Ok(copied);
    }
    let all = copied.planned.len();
    let mut course = Course::over(connection);
    let ended = course.take(plan.batches, |seen| go_on(seen, all)).await;
    copied.failed =
        ended.err().map(|reason| denied(reason, &options, &format!("write below /{}/", options.name)));
    copied.written = course.written;
    copied.cut = all - course.seen;
    copied.left.extend(course.dumped.refused);
    let changed =
        |key: String| (key, "somebody changed it in v3 meanwhile; look, and run it again".to_owned());
    copied.left.extend(course.dumped.conflicts.iter().map(|change| changed(change.name())));
    Ok(copied)
}
