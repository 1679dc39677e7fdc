//! What `origin`, `farm`, `relay` and `load` have in common: arguments, sockets, heads, places of a server, and a
//! histogram of latencies.
//!
//! It owns the mechanics that the ends of a measurement need, and nothing of what is measured. It works on one
//! epoll for each thread, without a runtime, so that the tools cost as little as the kernel lets them. Next: the
//! programs in `bin/`.

pub mod args;
pub mod head;
pub mod histogram;
pub mod net;
pub mod service;
