//! Where the configuration lives: what every store must do, and the stores there are.

mod port;

pub use port::{COMMANDS, EVENTS, StoreCommand, StoreEvent, StoreHandle};
