//! The certificates that clients are shown: where they come from, who tells workers of them, and how they are changed by the API.

mod clients;
mod desk;
mod folder;
mod keeper;
mod places;
mod remembered;
mod stored;

pub(super) use desk::{Checked, Desk, Trouble};
pub(super) use keeper::begin;
pub(super) use places::Places;
