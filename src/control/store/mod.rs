//! Where the configuration lives: what every store must do, and the stores there are.

mod certificates;
mod connection;
mod copy;
mod document;
mod dump;
mod etcd;
mod file;
mod keys;
mod lease;
mod mail;
mod merge;
mod nodes;
mod options;
mod port;
mod seen;
mod tls;
mod v2;
mod watch;

pub use certificates::{AT_ONCE, CertificatesWritten, write_certificates};
pub use copy::{Copied, Manner, copy};
pub use etcd::start as start_etcd;
pub use file::start as start_file;
pub use mail::{CertificateMail, CertificateNews, StoredChange, StoredText};
pub use nodes::{NodeKeeper, NodeReader, Standing};
pub use options::{EtcdOptions, endpoints};
pub use port::{COMMANDS, Dumped, EVENTS, StoreCommand, StoreEvent, StoreHandle};
pub use seen::Seen;
pub use v2::V2;
pub use watch::Pulse;
