//! One test in each mode of etcd.
//!
//! It owns how a test that takes a `Mode` becomes three; what the modes are is said in `etcd`.

/// Each of these tests in each mode: `plain::name`, `tls::name`, `auth::name`. They are `async` if that is said first.
#[allow(unused_macros, reason = "support serves more tests than are in one crate")]
macro_rules! in_each_mode {
    (async $($test:ident)*) => {
        mod plain { $(#[tokio::test] async fn $test() { super::$test(super::Mode::Plain).await; })* }
        mod tls { $(#[tokio::test] async fn $test() { super::$test(super::Mode::Tls).await; })* }
        mod auth { $(#[tokio::test] async fn $test() { super::$test(super::Mode::Auth).await; })* }
    };
    ($($test:ident)*) => {
        mod plain { $(#[test] fn $test() { super::$test(super::Mode::Plain); })* }
        mod tls { $(#[test] fn $test() { super::$test(super::Mode::Tls); })* }
        mod auth { $(#[test] fn $test() { super::$test(super::Mode::Auth); })* }
    };
}
