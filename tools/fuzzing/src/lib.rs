//! The pure rooms of ELB and the bodies of the fuzz targets, so that a target is one line and builds in seconds.
//!
//! That this compiles shows that the rooms are pure: they need nothing of the rest. Next: `tests/fuzz` for what is
//! promised, `fuzz_targets` for libFuzzer's entries, `random.rs` for the driver that needs only Rust.

extern crate self as elb;

#[path = "../../../src/exchange/mod.rs"]
pub mod exchange;
#[path = "../../../src/http1/mod.rs"]
pub mod http1;
#[path = "../../../src/model/mod.rs"]
pub mod model;
#[path = "../../../src/reason.rs"]
pub mod reason;
#[path = "../../../src/semantics/mod.rs"]
pub mod semantics;
#[path = "../../../src/spelling.rs"]
pub mod spelling;
#[path = "../../../src/units.rs"]
pub mod units;
#[path = "../../../src/warning.rs"]
pub mod warning;

#[path = "../../../tests/fuzz/mod.rs"]
pub mod targets;
