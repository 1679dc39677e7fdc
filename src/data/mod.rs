//! The data plane: one pinned thread a core, each with its own listener, connections, pools and view of the rules.

pub mod accept;
mod aside;
pub mod balancer;
pub mod budget;
pub mod buffers;
pub mod clients;
pub mod conn;
mod cores;
pub mod ctx;
pub mod demand;
pub mod dispatch;
mod door;
mod drain;
pub mod draws;
pub mod gauges;
pub mod ids;
pub mod listen;
pub mod note;
mod opening;
mod outages;
pub mod peer_text;
pub mod places;
pub mod pool;
pub mod prelude;
pub mod pump;
pub mod record;
mod relief;
mod room;
mod rounds;
mod scheme;
pub mod secure;
pub mod seeing;
mod settle;
pub mod shadow;
mod shadowing;
mod shares;
mod shortage;
pub mod socket;
mod spawn;
mod steps;
pub mod terms;
pub mod timers;
pub mod token;
pub mod transport;
pub mod turn;
pub mod view;
mod watch;
mod way;
pub mod worker;

#[cfg(test)]
mod tests;

pub use clients::Clients;
pub use cores::available_cores;
pub use listen::{Bound, Listeners, bind_admin};
pub use spawn::{bind, spawn};
