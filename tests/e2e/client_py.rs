//! The Python client that operators have: elb.py 0.0.6 from PyPI, unchanged.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::elb::Launch;
use crate::support::etcdctl::etcd;
use crate::support::server::Server;

/// The Python that `tools/setup` has given elb.py to. It lives in cargo's target folder, wherever `CARGO_TARGET_DIR` or
/// a configuration puts that; cargo tells a test of the folder `tmp` in it.
fn python() -> PathBuf {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("python").join("bin/python");
    assert!(made.exists(), "there is no {}: run tools/setup once, it makes it", made.display());
    made
}

#[test]
fn every_method_of_the_client_works_and_so_does_its_sample() {
    let (first, second) = (Server::named("first"), Server::named("second"));
    let etcd = etcd();
    let elbs = [Launch::storing(&etcd).start(), Launch::storing(&etcd).start()];

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/client.py");
    let output = Command::new(python())
        .arg(script)
        .args(elbs.each_ref().map(|elb| elb.address().to_string()))
        .args([&first, &second].map(|server| server.address().to_string()))
        .output()
        .expect("python");

    let (printed, failed) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}{failed}");
    assert_eq!(printed.trim(), "every method did what it says");

    drop(elbs);
    let again = Launch::storing(&etcd).start();
    let answer = again.client().ask("GET / HTTP/1.1\r\nHost: test.local\r\n\r\n");
    assert_eq!(answer.text(), "first", "the sample's domain after a restart");
}
