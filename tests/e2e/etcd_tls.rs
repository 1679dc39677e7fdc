//! TLS to etcd as an operator sets it up: files that are wrong, files that are renewed, whom the system trusts.

use std::process::Command;

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::certificates::Authority;
use crate::support::etcd::{Etcd, Mode};
use crate::support::etcdctl::etcd_in;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

fn fill(etcd: &Etcd, server: &Server) {
    etcd.put(&format!("/ELB/rules/{SITE}"), &rules::to("up").to_string());
    etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "");
}

/// The exit code of an ELB that does not start, and what it complains of.
fn refused(flags: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_elb")).args(flags).output().expect("the command elb");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn files_that_cannot_be_used_end_the_start_with_their_name() {
    let etcd = etcd_in(Mode::Tls);
    let flag = |name: &str, file: &str| format!("--etcd-{name}={}", etcd.path(file).display());
    etcd.file("words.pem", "no PEM\n");
    std::fs::write(etcd.path("der.pem"), [0x30, 0x82, 0xff]).expect("a file");
    etcd.certify("other", &Authority::new("another").sign(&["elb.test"]));
    let address = format!("--etcd={}", etcd.endpoint());
    for (flags, code, why) in [
        (vec![flag("ca", "missing.pem")], 78, "error: cannot read "),
        (vec![flag("ca", "words.pem")], 78, "words.pem is not PEM, or holds no certificate"),
        (vec![flag("ca", "der.pem")], 78, "der.pem is not PEM: it is no text"),
        (
            vec![flag("cert", "client.pem"), flag("key", "other.key")],
            78,
            "other.key does not fit the certificate in ",
        ),
        (vec![flag("cert", "client.pem")], 2, "a certificate needs its key"),
        (vec![flag("key", "client.key")], 2, "a key its certificate"),
    ] {
        let flags: Vec<&str> =
            [address.as_str()].into_iter().chain(flags.iter().map(String::as_str)).collect();
        let (ended, told) = refused(&flags);
        assert!(ended == Some(code) && told.contains(why), "{flags:?}: {ended:?} {told}");
    }
}

/// How often the log has these words.
fn told(elb: &Elb, words: &str) -> usize {
    elb.log().matches(words).count()
}

#[test]
fn a_certificate_that_runs_out_is_one_line_and_the_renewed_one_is_used_without_a_restart() {
    let (mut etcd, server) = (etcd_in(Mode::Tls), Server::named("a"));
    fill(&etcd, &server);
    let authority = etcd.authority.take().expect("an authority");
    let elb = Launch::storing(&etcd).flag("--node-ttl=2s").start();
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    let state =
        format!("trusting {}, with {}", etcd.path("ca.pem").display(), etcd.path("client.pem").display());
    assert_eq!(told(&elb, &state), 1, "{}", elb.log());

    etcd.certify("server", &authority.sign_until(&["127.0.0.1"], 2020));
    etcd.stop();
    // Health is asked for in the clear, so it starts whoever trusts it.
    etcd.restart();
    wait::until("the warning", || (told(&elb, "its certificate has expired") > 0).then_some(()));
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a", "what was read serves on");
    assert_eq!(elb.admin().call("PUT", "resync", Some("")).status(), 503);
    assert_eq!(elb.admin().call("PUT", "resync", Some("")).status(), 503);
    let of_store =
        elb.log().lines().filter(|line| line.contains("expired") && line.contains("store")).count();
    assert!(of_store <= 1, "{}", elb.log());

    etcd.certify("server", &authority.sign(&["127.0.0.1"]));
    etcd.certify("client", &authority.sign(&["renewed.test"]));
    etcd.put("/ELB/rules/new.test", &rules::to("up").to_string());
    let mut client = elb.client();
    wait::until("the change", || (client.ask(get("new.test", "/")).text() == "a").then_some(()));
}

#[test]
fn without_a_file_the_system_says_who_is_trusted() {
    let (etcd, server) = (etcd_in(Mode::Auth), Server::named("a"));
    fill(&etcd, &server);
    let flags = etcd.flags();
    let rest = flags.iter().filter(|flag| !flag.starts_with("--etcd-ca="));
    let launch = rest.fold(Launch::storing_at(&etcd.endpoint()), |launch, flag| launch.flag(flag));
    // The variable by which OpenSSL is told as well.
    let elb = launch.variable("SSL_CERT_FILE", &etcd.path("ca.pem").display().to_string()).start();
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
}

#[test]
fn what_does_nothing_without_tls_is_warned_of() {
    let (plain, tls) = (etcd_in(Mode::Plain), etcd_in(Mode::Tls));
    let launch = tls.flags().iter().fold(Launch::storing(&plain), |launch, flag| launch.flag(flag));
    let elb = launch.start();
    for flag in ["--etcd-ca", "--etcd-cert and --etcd-key"] {
        let words = format!("no endpoint of etcd begins with https://, so {flag} does nothing");
        wait::until("the warning", || (told(&elb, &words) == 1).then_some(()));
    }
}
