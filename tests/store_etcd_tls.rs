//! What stands between ELB and an etcd with TLS and users: who is not trusted, what is not accepted, who may only read.
//!
//! Every wait is for an event and has a deadline. What etcd does in each of its modes is in `store_etcd`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/watcher.rs"]
mod watcher;

use elb::control::store::{EtcdOptions, StoreCommand};
use elb::model::KeyWrite;
use etcd_client::Permission;

use etcd::certificates::Authority;
use etcd::{Etcd, Mode};
use watcher::{Watcher, logged, options, rule};

/// Why the store cannot be read with these options.
async fn refusal(options: EtcdOptions) -> String {
    Watcher::start(options).down().await
}

#[tokio::test]
async fn who_is_not_trusted_or_not_accepted_is_said_with_the_file() {
    let Some(etcd) = Etcd::start_in(Mode::Tls) else { return };
    let other = Authority::new("another authority");
    etcd.file("other.pem", &other.pem);
    etcd.certify("stranger", &other.sign(&["elb.test"]));
    let address = etcd.endpoint();
    let with = |change: &dyn Fn(&mut EtcdOptions)| {
        let mut changed = options(&etcd);
        change(&mut changed);
        changed
    };
    let own = |name: &str| Some((etcd.path(&format!("{name}.pem")), etcd.path(&format!("{name}.key"))));
    let path = |name: &str| etcd.path(name).display().to_string();
    for (options, words) in [
        (
            with(&|options| options.certificates.ca = Some(etcd.path("other.pem"))),
            ["its certificate is not trusted: none of ", &path("other.pem")],
        ),
        (
            with(&|options| options.certificates.ca = None),
            ["its certificate is not trusted: nobody whom this system trusts has signed it", "--etcd-ca"],
        ),
        (
            with(&|options| options.certificates.own = None),
            ["to be shown a certificate", "--etcd-cert and --etcd-key"],
        ),
        (
            with(&|options| options.certificates.own = own("stranger")),
            ["not accept the certificate in", &path("stranger.pem")],
        ),
        (with(&|options| options.certificates.own = own("missing")), ["cannot read", &path("missing.pem")]),
        (
            with(&|options| options.endpoints = vec![address.replace("https", "http")]),
            ["the connection ended as soon as it was made (", "); is https:// meant?"],
        ),
    ] {
        let told = refusal(options).await;
        let found = words.iter().all(|word| told.contains(word));
        assert!(found && told.starts_with("http"), "{told}\ninstead of\n{words:?}");
    }
    assert!(!logged().contains("BEGIN"), "no key in the log");
}

#[tokio::test]
async fn a_certificate_for_another_name_or_another_time_is_said() {
    let Some(etcd) = Etcd::start_in(Mode::Auth) else { return };
    let authority = etcd.authority.as_ref().unwrap();
    // etcd reads its certificate anew for each connection.
    etcd.certify("server", &authority.sign(&["etcd.test", "10.0.0.1"]));
    let told = refusal(options(&etcd)).await;
    let why = "the name does not match: its certificate is for DnsName(\"etcd.test\"), IpAddress(10.0.0.1), not for 127.0.0.1";
    assert!(told.ends_with(why), "{told}");
    etcd.certify("server", &authority.sign_until(&["127.0.0.1"], 2020));
    let told = refusal(options(&etcd)).await;
    assert!(told.ends_with("its certificate has expired"), "{told}");
}

#[tokio::test]
async fn an_etcd_in_the_clear_is_told_from_one_with_tls() {
    let Some(etcd) = Etcd::start() else { return };
    let mut wrong = options(&etcd);
    wrong.endpoints = vec![etcd.endpoint().replace("http", "https")];
    // etcd closes without having read all of the hello, so the kernel may reset the connection before what etcd said is read.
    let mut told = String::new();
    for _ in 0..50 {
        told = refusal(wrong.clone()).await;
        if !told.contains("ended as soon as it was made") {
            break;
        }
    }
    assert!(told.ends_with("it does not speak TLS; is http:// meant?"), "{told}");
}

/// Certificates are renewed while ELB runs, by another authority even; the next connection is made with the new ones.
#[tokio::test]
async fn renewed_certificates_are_used_by_the_next_connection() {
    let Some(mut etcd) = Etcd::start_in(Mode::Tls) else { return };
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    let next = Authority::new("the next authority");
    etcd.stop();
    watcher.down().await;
    etcd.certify("server", &next.sign(&["127.0.0.1"]));
    etcd.certify("client", &next.sign(&["elb.test"]));
    let gone = etcd.path("gone.pem");
    std::fs::rename(etcd.path("ca.pem"), &gone).unwrap();
    for _ in 0..2 {
        watcher.handle.commands.send(StoreCommand::Resync).await.unwrap();
        let told = watcher.down().await;
        assert!(told.contains("ca.pem: No such file"), "{told}");
    }
    assert_eq!(logged().matches("cannot be reached").count(), 1, "{}", logged());
    etcd.file("ca.pem", &next.pem);
    etcd.restart();
    watcher.loaded().await;
    etcd.client().await.put("/ELB/rules/a.com", "{}", None).await.unwrap();
    assert_eq!(watcher.changed().await.0, [rule("a.com", Some("{}"))]);
}

/// The one thing that a user who may only read cannot do is to dump, and the answer says so in plain words.
#[tokio::test]
async fn who_may_only_read_is_told_at_a_dump() {
    let Some(etcd) = Etcd::start_in(Mode::Auth) else { return };
    let mut root = etcd.client().await;
    root.put("/ELB/rules/a.com", "{}", None).await.unwrap();
    root.role_add("reader").await.unwrap();
    let all = Permission::read("/ELB/rules/").with_range_end("/ELB/upstreams0");
    root.role_grant_permission("reader", all).await.unwrap();
    root.user_add("reader", "pw", None).await.unwrap();
    root.user_grant_role("reader", "reader").await.unwrap();
    let mut reads = options(&etcd);
    reads.login = Some(("reader".into(), "pw".into()));
    let mut watcher = Watcher::start(reads);
    watcher.loaded().await;
    let wanted = rule("a.com", Some("[]"));
    let error = watcher.write(vec![KeyWrite { read: Some("{}".into()), wanted, doubtful: false }]).await;
    assert_eq!(
        error.unwrap_err(),
        "the user reader may not write below /ELB/ in etcd (permission denied); 0 of 1 keys were seen to"
    );
    root.put("/ELB/rules/a.com", "1", None).await.unwrap();
    watcher.until_rule("a.com", Some("1")).await;

    // Rights for both prefixes leave out what lies between, and are none for the range of both.
    root.role_revoke_permission(
        "reader",
        "/ELB/rules/",
        Some(etcd_client::RoleRevokePermissionOptions::new().with_range_end("/ELB/upstreams0")),
    )
    .await
    .unwrap();
    for prefix in ["/ELB/rules/", "/ELB/upstreams/"] {
        root.role_grant_permission("reader", Permission::read(prefix).with_prefix()).await.unwrap();
    }
    let mut reads = options(&etcd);
    reads.login = Some(("reader".into(), "pw".into()));
    let told = refusal(reads).await;
    let why = "the user reader may not read /ELB/rules/ to /ELB/upstreams0 in etcd (permission denied)";
    assert!(told.ends_with(why), "{told}");

    let mut nobody = options(&etcd);
    nobody.login = None;
    let told = refusal(nobody).await;
    assert!(told.ends_with("etcd wants a user: --etcd-user (user name is empty)"), "{told}");
}

/// An etcd with users that asks for certificates takes the name in the certificate for the user.
#[tokio::test]
async fn the_certificate_may_say_who_one_is() {
    let Some(etcd) = Etcd::start_in(Mode::Tls) else { return };
    let mut root = etcd.client().await;
    root.put("/ELB/rules/a.com", "{}", None).await.unwrap();
    root.user_add("root", "r", None).await.unwrap();
    root.user_grant_role("root", "root").await.unwrap();
    root.role_add("reader").await.unwrap();
    let all = Permission::read("/ELB/rules/").with_range_end("/ELB/upstreams0");
    root.role_grant_permission("reader", all).await.unwrap();
    root.user_add("elb.test", "unused", None).await.unwrap();
    root.user_grant_role("elb.test", "reader").await.unwrap();
    root.auth_enable().await.unwrap();
    let mut watcher = Watcher::start(options(&etcd));
    watcher.loaded().await;
    let write = KeyWrite { read: None, wanted: rule("b.com", Some("{}")), doubtful: false };
    let told = watcher.write(vec![write]).await.unwrap_err();
    let why = format!(
        "the user whom the certificate in {} names may not write below /ELB/ in etcd",
        etcd.path("client.pem").display()
    );
    assert!(told.starts_with(&why), "{told}");
}
