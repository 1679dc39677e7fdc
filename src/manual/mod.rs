//! The manual: what an operator needs, one page a module.
//!
//! Each page is a Markdown file beside this one, and reads as well there. A link between two pages therefore leads to two
//! places: to a file when the file is read, to a module here. A page names its links by file and heading, such as
//! `[dumps][stores.md#dumps]`, and says at its foot which file that is; `links.txt`, which comes first here, says which
//! module it is, and of two definitions of a link Markdown takes the first. `tests/manual.rs` holds
//! the two together, and `tests/e2e/manual.rs` runs what the pages tell to type.

#[doc = include_str!("links.txt")]
#[doc = include_str!("rules.md")]
pub mod rules {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("upstreams.md")]
pub mod upstreams {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("admin_api.md")]
pub mod admin_api {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("stores.md")]
pub mod stores {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("settings.md")]
pub mod settings {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("operating.md")]
pub mod operating {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("runbook.md")]
pub mod runbook {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("seeing.md")]
pub mod seeing {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("security.md")]
pub mod security {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("tls.md")]
pub mod tls {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("migrating.md")]
pub mod migrating {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("coming_from.md")]
pub mod coming_from {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("out_of_scope.md")]
pub mod out_of_scope {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("changes.md")]
pub mod changes {}
