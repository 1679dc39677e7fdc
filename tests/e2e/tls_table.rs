//! What is spoken in TLS, asked of ELB by OpenSSL and a browser: the table of the manual, row by row, and nothing beside it.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::browser::Browser;
use crate::support::elb::Elb;
use crate::support::folder::{Folder, secure};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};

/// An ELB that has certificates of both kinds of keys for the site.
struct Asked {
    _elb: Elb,
    _server: Server,
    _folder: Folder,
    address: SocketAddr,
}

impl Asked {
    fn new() -> Asked {
        let (folder, server) = (Folder::of_site(), Server::named("a"));
        rsa(&folder.path().join("rsa.key"), &folder.path().join("rsa.crt"));
        let elb = folder.launch(&rules::site(&[&server])).start();
        let address = secure(&elb);
        Asked { _elb: elb, _server: server, _folder: folder, address }
    }

    /// What `openssl s_client` tells, which is given this to send.
    fn tells(&self, words: &[&str], input: &str) -> String {
        let address = self.address.to_string();
        let words = [&["s_client", "-servername", SITE, "-connect", &address][..], words].concat();
        openssl(&words, input)
    }

    /// Whether a session comes of it.
    fn speaks(&self, words: &[&str]) -> bool {
        let told = self.tells(words, "");
        let cipher = told.split("Cipher is ").nth(1).unwrap_or("(NONE)");
        !cipher.starts_with("(NONE)")
    }
}

/// A certificate with a key of RSA, which the library of the other tests does not make.
fn rsa(key: &Path, certificate: &Path) {
    let name = format!("subjectAltName=DNS:{SITE}");
    let (key, certificate) = (key.display().to_string(), certificate.display().to_string());
    openssl(
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=tests",
            "-days",
            "90",
            "-addext",
            &name,
            "-keyout",
            &key,
            "-out",
            &certificate,
        ],
        "",
    );
}

fn openssl(words: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl");
    // It may have ended before it read anything.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("its end");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The words in code of a row of the manual's table.
fn row(name: &str) -> BTreeSet<String> {
    let page = include_str!("../../src/manual/tls.md");
    let row = page.lines().find(|line| line.starts_with(&format!("| {name} |"))).expect("a row");
    row.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_suites_are_those_of_the_manual_and_no_others() {
    let asked = Asked::new();
    let all = openssl(&["ciphers", "-v", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], "");
    let known: Vec<&str> = all.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let old = known.iter().filter(|name| !name.starts_with("TLS_"));
    let spoken = |words: &[&str]| asked.speaks(words);
    let of_12: BTreeSet<String> = old
        .filter(|name| spoken(&["-tls1_2", "-cipher", &format!("{name}:@SECLEVEL=0")]))
        .map(|name| (*name).to_owned())
        .collect();
    assert_eq!(of_12, row("suites of TLS 1.2"));
    let new = [
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    ];
    let of_13: BTreeSet<String> = new
        .into_iter()
        .filter(|name| spoken(&["-tls1_3", "-ciphersuites", name]))
        .map(str::to_owned)
        .collect();
    assert_eq!(of_13, row("suites of TLS 1.3"));
}

#[test]
fn versions_groups_and_the_rest_are_those_of_the_manual() {
    let asked = Asked::new();
    let weak = ["-cipher", "ALL:@SECLEVEL=0"];
    for (version, flag) in
        [("TLSv1.3", "-tls1_3"), ("TLSv1.2", "-tls1_2"), ("TLSv1.1", "-tls1_1"), ("TLSv1", "-tls1")]
    {
        let is_spoken = asked.speaks(&[&[flag][..], &weak].concat());
        assert_eq!(is_spoken, row("versions").contains(version), "{version}");
    }
    for group in ["X25519", "P-256", "P-384", "P-521", "X448", "ffdhe2048", "ffdhe4096"] {
        assert_eq!(asked.speaks(&["-tls1_3", "-groups", group]), row("groups").contains(group), "{group}");
    }
    let old = asked.tells(&["-tls1_2", "-alpn", "h2,http/1.1"], "");
    for words in ["Secure Renegotiation IS supported", "Compression: NONE", "ALPN protocol: http/1.1"] {
        assert!(old.contains(words), "{words}: {old}");
    }
    let again = asked.tells(&["-tls1_2"], "R\n");
    assert!(again.contains("RENEGOTIATING"), "{again}");
    assert_eq!(
        again.matches("depth=0").count(),
        old.matches("depth=0").count(),
        "no second handshake: {again}"
    );
    // What asks for the end of the connection waits for its answer, and so for the tickets before it.
    let request = format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n");
    let new = asked.tells(&["-tls1_3", "-ign_eof"], &request);
    assert!(new.contains("Max Early Data: 0") && !new.contains("Early data was accepted"), "{new}");
    assert!(new.contains("TLS session ticket:") && new.contains("\r\n\r\na"), "{new}");
}

#[test]
fn a_session_is_taken_up_again_by_its_ticket() {
    let asked = Asked::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session").display().to_string();
    let first = asked.tells(&["-tls1_2", "-sess_out", &file], "");
    let second = asked.tells(&["-tls1_2", "-sess_in", &file], "");
    assert!(first.contains("New, TLSv1.2") && second.contains("Reused, TLSv1.2"), "{first}\n{second}");
}

#[test]
fn a_browser_shows_a_page_that_came_by_tls() {
    let Some(browser) = Browser::start() else { return };
    let page = "<!doctype html><title>by tls</title><script>fetch('/more').then(r => r.text()).then(t => document.title += t)</script>";
    let server = Server::answering(move |request| {
        if request.head.target() == "/more" {
            return ok(" and more");
        }
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}", page.len())
    });
    let folder = Folder::of(&[("a", &["localhost"])]);
    let upstream = rules::upstream(&[&server], "");
    let document =
        serde_json::json!({"domains": {"localhost": rules::to("up")}, "upstreams": {"up": upstream}});
    let elb = folder.launch(&document).start();
    browser.open(&format!("https://localhost:{}/", secure(&elb).port()));
    browser.until("the page", "return document.title === 'by tls and more'");
    assert_eq!(
        browser
            .run("return [location.protocol, performance.getEntriesByType('navigation')[0].nextHopProtocol]"),
        serde_json::json!(["https:", "http/1.1"])
    );
}
