//! One proxied request and its response, as a machine without sockets, clocks or rules. Pure.

mod course;
mod deadline;
mod drive;
mod facts;
mod finish;
mod heads;
mod interim;
mod machine;
mod orders;
mod outbox;
mod phase;
mod press;
mod preview;
mod request;
mod request_id;
mod response;
mod retry;
mod routing;
mod sift;
mod sizes;
mod tail;
mod terms;
mod windows;

pub use course::Course;
pub use drive::{Shell, advance, drive};
pub use heads::Heads;
pub use machine::Exchange;
pub use phase::{AfterReply, Doubt, Env, Fate, Forward, NoServer, Phase, Policy, Side, Sign, Step};
pub use press::{MOST_PRESSES, Pressed};
pub use preview::Preview;
pub use request_id::{LONGEST_ID, is_id};
pub use routing::Routing;
pub use sizes::{BULK_WINDOW, FIRST_WINDOW, LARGEST_WINDOW, SMALL_WINDOW};
pub use terms::{Terms, Way};
pub use windows::Need;
