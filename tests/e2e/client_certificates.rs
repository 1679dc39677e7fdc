//! Certificates of clients: who is let in, what servers are told, and who may not say it.

use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::certificates::{Authority, Signed};
use crate::support::rules::{self, SITE};
use crate::support::secure::Trust;
use crate::support::server::Server;
use crate::support::wait;

/// An authority for servers and one for clients, and a folder for their files.
struct House {
    authority: Authority,
    clients: Authority,
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> House {
        let (authority, clients) = (Authority::new("tests"), Authority::new("clients"));
        let house = House { authority, clients, folder: tempfile::tempdir().unwrap() };
        let Signed { certificate, key } = house.authority.sign(&[SITE]);
        house.file("site.crt", &certificate);
        house.file("site.key", &key);
        house.file("clients.pem", &house.clients.pem);
        house
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn launch(&self, document: &Value) -> Launch {
        Launch::serving(document)
            .flag(&format!("--tls-dir={}", self.folder.path().display()))
            .flag(&format!("--tls-client-ca={}", self.folder.path().join("clients.pem").display()))
            .listener("--listen-tls=127.0.0.1:0")
    }

    fn trust(&self) -> Trust {
        Trust::of(&self.authority)
    }
}

fn secure(elb: &Elb) -> SocketAddr {
    elb.addresses()[1]
}

/// What is told of a certificate (RFC 9440, section 2.1).
fn told(signed: &Signed) -> String {
    let certificate = CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap();
    format!(":{}:", STANDARD.encode(certificate))
}

/// The fields of a kind that a server got last.
fn seen(server: &Server) -> Vec<(String, String)> {
    let head = server.requests().pop().unwrap().head;
    let is_kind = |name: &str| name.to_lowercase().replace('_', "-").starts_with("client-cert");
    head.fields.into_iter().filter(|(name, _)| is_kind(name)).collect()
}

fn refused(elb: &Elb) -> u64 {
    let ended = elb.admin().get("workers")["all"]["ended"].clone();
    ended.get("tls-handshake-failed").and_then(Value::as_u64).unwrap_or_default()
}

const FORGED: &str =
    "Client-Cert: :AAAA:\r\nclient-cert-chain: :BBBB:\r\nClient_Cert: :CCCC:\r\nX-Other: 1\r\n";

fn forged(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: client-cert\r\n{FORGED}\r\n")
}

#[test]
fn a_server_is_told_of_the_certificate_that_was_checked_and_of_no_other() {
    let (server, house) = (Server::named("a"), House::new());
    let elb = house.launch(&rules::site(&[&server])).start();
    let signed = house.clients.sign(&["client.test"]);
    let expected = [("Client-Cert".to_owned(), told(&signed))];
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let trust = Trust::speaking(&house.authority, versions).showing(&signed);
        let mut resumed = Vec::new();
        for _ in 0..3 {
            let mut client = trust.connect(secure(&elb), SITE);
            for request in [get(SITE, "/"), forged(SITE)] {
                assert!(client.ask(request).ends_with("a"));
                assert_eq!(seen(&server), expected);
            }
            resumed.push(client.is_resumed());
        }
        assert_eq!(resumed, [false, true, true], "a session that is taken up again is the same client's");
    }
    // In the clear nobody has shown anything.
    let answer = elb.client().ask(forged(SITE));
    assert_eq!((answer.text().as_str(), seen(&server)), ("a", Vec::new()));
}

#[test]
fn who_shows_none_or_another_gets_no_session_or_is_nobody() {
    let (server, house) = (Server::named("a"), House::new());
    let stranger = Authority::new("another").sign(&["client.test"]);
    let strict = house.launch(&rules::site(&[&server])).start();
    for (count, trust) in [(1, house.trust()), (2, house.trust().showing(&stranger))] {
        assert!(trust.connect(secure(&strict), SITE).try_ask(get(SITE, "/")).is_err());
        wait::until("the count", || (refused(&strict) == count).then_some(()));
    }
    assert_eq!(server.requests().len(), 0);

    let open = house.launch(&rules::site(&[&server])).flag("--tls-client-cert=accept").start();
    let mut nobody = house.trust().connect(secure(&open), SITE);
    assert!(nobody.ask(forged(SITE)).ends_with("a"));
    assert_eq!(seen(&server), []);
    let signed = house.clients.sign(&["client.test"]);
    assert!(house.trust().showing(&signed).connect(secure(&open), SITE).ask(get(SITE, "/")).ends_with("a"));
    assert_eq!(seen(&server), [("Client-Cert".to_owned(), told(&signed))]);
    let mut stranger = house.trust().showing(&stranger).connect(secure(&open), SITE);
    assert!(stranger.try_ask(get(SITE, "/")).is_err(), "a wrong one is worse than none");
}

#[test]
fn a_proxy_that_is_trusted_says_who_its_client_is_and_a_rule_has_the_last_word() {
    let (server, house) = (Server::named("a"), House::new());
    let document = json!({
        "domains": {
            SITE: rules::to("up"),
            "rule.test": {"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "up", "Client-Cert": "of the rule"}}}}
        },
        "upstreams": {"up": {server.address().to_string(): ""}}
    });
    let elb = house.launch(&document).flag("--trusted-proxies=127.0.0.1").start();
    let signed = house.clients.sign(&["proxy.test"]);
    let said = [("Client-Cert", ":AAAA:"), ("Client-Cert-Chain", ":BBBB:")];
    let said = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut proxy = house.trust().showing(&signed).connect(secure(&elb), SITE);
    assert!(proxy.ask(forged(SITE)).ends_with("a"));
    assert_eq!(seen(&server), said);
    assert!(proxy.ask(get(SITE, "/")).ends_with("a"));
    assert_eq!(seen(&server), [], "its own certificate is not its client's");
    assert_eq!(elb.client().ask(forged(SITE)).text(), "a");
    assert_eq!(seen(&server), said);
    assert_eq!(elb.client().ask(forged("rule.test")).text(), "a");
    assert_eq!(seen(&server).last(), Some(&("Client-Cert".to_owned(), "of the rule".to_owned())));
    assert_eq!(seen(&server).iter().filter(|(name, _)| name == "Client-Cert").count(), 1);
}

#[test]
fn whom_one_trusts_may_change_and_nobody_comes_in_by_an_old_ticket() {
    let (server, house) = (Server::named("a"), House::new());
    let elb = house.launch(&rules::site(&[&server])).start();
    let old = house.trust().showing(&house.clients.sign(&["client.test"]));
    let ask = |trust: &Trust| trust.connect(secure(&elb), SITE).try_ask(get(SITE, "/")).is_ok();
    assert!(ask(&old) && ask(&old));
    house.file("clients.pem", "no certificate");
    wait::until("the fault", || elb.log().contains("clients.pem is not PEM").then_some(()));
    assert!(ask(&old), "what was read before holds on");
    let next = Authority::new("the next clients");
    house.file("clients.pem", &next.pem);
    let new = house.trust().showing(&next.sign(&["client.test"]));
    wait::until("the next authority", || ask(&new).then_some(()));
    assert!(!ask(&old));
}
