//! What endpoints of one domain, upstream or server have in common.
//!
//! It owns the way back from the pointers of a collection to those of one item, and the answer for one that is not there. Next:
//! [`domain`](super::domain), [`upstream_item`](super::upstream_item).

use super::answer::Failure;
use super::write::Done;
use crate::control::handle::HubHandle;
use crate::control::wish::Subject;

/// What became of a change whose body is what stands under these names in a collection: pointers lead into the body.
pub(super) fn seen_from(names: &[&str], made: Result<Done, Failure>) -> Result<Done, Failure> {
    let escaped = names.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")));
    let prefix: String = escaped.collect();
    let place = |pointer: &str| pointer.strip_prefix(&*prefix).unwrap_or(pointer).to_owned();
    match made {
        Err(failure) => Err(failure.placed(place)),
        Ok(mut done) => {
            for warning in done.warnings() {
                warning.pointer = place(&warning.pointer);
            }
            Ok(done)
        }
    }
}

/// Refuses what is asked of something that is not there.
pub(super) async fn must_be_there(
    hub: &HubHandle,
    subject: &Subject,
    otherwise: fn() -> Failure,
) -> Result<(), Failure> {
    let subject = subject.clone();
    match hub.ask(move |hub| hub.tag(&subject)).await? {
        Some(_) => Ok(()),
        None => Err(otherwise()),
    }
}
