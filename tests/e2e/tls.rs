//! TLS in front: which certificate is shown, what is spoken, what servers are told, and what is no session.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::etcd::certificates::Authority;
use crate::support::folder::{Folder, secure};
use crate::support::rules::{self, SITE};
use crate::support::secure::{SecureClient, Trust};
use crate::support::server::{Server, ok};
use crate::support::wait::{self, PATIENCE};
use crate::support::websocket::{ACCEPTED, frame, handshake, payload};

/// An ELB that shows them, and where.
fn serving(folder: &Folder, server: &Server) -> (Elb, SocketAddr) {
    let elb = folder.launch(&rules::site(&[server])).start();
    let address = secure(&elb);
    (elb, address)
}

fn refused(elb: &Elb, reason: &str) -> u64 {
    elb.admin().get("workers")["all"]["ended"].get(reason).and_then(Value::as_u64).unwrap_or_default()
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

#[test]
fn requests_within_a_session_are_served_as_others_and_servers_are_told() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let (elb, address) = serving(&folder, &server);
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let mut client =
            Trust::speaking(&folder.authority, versions).offering(&["h2", "http/1.1"]).connect(address, SITE);
        for _ in 0..3 {
            assert!(client.ask(get(SITE, "/")).ends_with("\r\n\r\na"));
        }
        assert_eq!(client.stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        let head = server.requests().pop().unwrap().head;
        let told =
            ["X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Host"].map(|name| head.get(name).unwrap());
        assert_eq!(told, ["https", "443", SITE]);
    }
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    assert_eq!(server.requests().pop().unwrap().head.get("X-Forwarded-Proto"), Some("http"));
}

#[test]
fn large_bodies_pass_both_ways_and_a_close_cuts_nothing_off() {
    let large: String = "0123456789abcdef".repeat(200_000);
    let body = large.clone();
    let server = Server::start(move |talk| {
        while let Some(request) = talk.request()? {
            let same = request.body == body.as_bytes();
            talk.send(ok(if same { &body } else { "another body" }))?;
        }
        Ok(())
    });
    let folder = Folder::of_site();
    let (_elb, address) = serving(&folder, &server);
    for last in ["", "Connection: close\r\n"] {
        let mut client = folder.trust().connect(address, SITE);
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {SITE}\r\n{last}Content-Length: {}\r\n\r\n{large}",
            large.len()
        );
        let answer = client.ask(request);
        assert!(answer.ends_with(&large), "{} bytes", answer.len());
        if !last.is_empty() {
            assert_eq!(client.stream.read(&mut [0]).unwrap(), 0, "an end that was said, and no cut");
        }
    }
}

#[test]
fn the_name_that_is_asked_for_chooses_the_certificate() {
    let server = Server::named("a");
    let folder = Folder::of(&[("site", &[SITE]), ("wild", &["*.wild.test"]), ("default", &["default.test"])]);
    let (_elb, address) = serving(&folder, &server);
    let trust = folder.trust();
    for (name, is_known) in
        [(SITE, true), ("a.wild.test", true), ("default.test", true), ("other.test", false)]
    {
        let answer = trust.connect(address, name).try_ask(get(SITE, "/"));
        match answer {
            Ok(answer) => {
                assert!(is_known && status(&answer) == if name == SITE { "200" } else { "421" }, "{name}")
            }
            Err(error) => {
                assert!(!is_known && error.to_string().contains("not valid for name"), "{name}: {error}")
            }
        }
    }
}

#[test]
fn a_session_for_one_name_asks_for_no_other() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let (_elb, address) = serving(&folder, &server);
    let mut client = folder.trust().connect(address, SITE);
    for (host, expected) in
        [("SITE.test:8443", "200"), ("site.test.", "200"), ("other.test", "421"), (SITE, "200")]
    {
        assert_eq!(status(&client.ask(get(host, "/"))), expected, "{host}");
    }
    assert!(client.ask(get("other.test", "/")).contains("\r\nX-ELB-Reason: misdirected\r\n"));
}

#[test]
fn sessions_are_taken_up_again_by_any_worker() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let elb = folder.launch(&rules::site(&[&server])).workers(4).start();
    let address = elb.addresses()[1];
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let trust = Trust::speaking(&folder.authority, versions);
        let resumed = |_| {
            let mut client = trust.connect(address, SITE);
            assert_eq!(status(&client.ask(get(SITE, "/"))), "200");
            client.is_resumed()
        };
        let all: Vec<bool> = (0..12).map(resumed).collect();
        assert!(!all[0] && all[1..].iter().all(|is| *is), "{all:?}");
    }
}

#[test]
fn a_new_certificate_is_shown_to_who_comes_and_nobody_is_cut_off() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let (elb, address) = serving(&folder, &server);
    let mut before = folder.trust().connect(address, SITE);
    assert_eq!(status(&before.ask(get(SITE, "/"))), "200");
    let old = before.shown();
    folder.put("site", &folder.authority.sign(&[SITE, "more.test"]));
    wait::until("the new certificate", || {
        let mut client = folder.trust().connect(address, SITE);
        assert_eq!(status(&client.ask(get(SITE, "/"))), "200");
        (client.shown() != old).then_some(())
    });
    assert_eq!(status(&before.ask(get(SITE, "/"))), "200");
    // What cannot be used changes nothing.
    std::fs::write(folder.path().join("broken.crt"), "no certificate").unwrap();
    wait::until("it to be told", || elb.log().contains("those from before are shown on").then_some(()));
    assert_eq!(status(&folder.trust().connect(address, "more.test").ask(get("more.test", "/"))), "404");
}

#[test]
fn what_is_no_session_is_closed_and_counted_and_nobody_else_notices() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let elb = folder.launch(&rules::site(&[&server])).flag("--client-header-timeout=300ms").start();
    let address = elb.addresses()[1];
    let mut well = folder.trust().connect(address, SITE);
    assert_eq!(status(&well.ask(get(SITE, "/"))), "200");
    let giant = [&b"\x16\x03\x01\x40\x00\x01\x00\xff\xff"[..], &[0; 70_000]].concat();
    for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x00\x05hello", &giant] {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be closed already.
        let _ = client.write_all(said);
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        assert!(rest.is_empty() || rest[0] == 0x15, "an alert, or nothing: {rest:?}");
    }
    assert!(
        folder.trust().offering(&["h2"]).connect(address, SITE).try_ask(get(SITE, "/")).is_err(),
        "no protocol"
    );
    wait::until("them to be counted", || (refused(&elb, "tls-handshake-failed") == 4).then_some(()));
    let mut slow = TcpStream::connect(address).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    slow.write_all(b"\x16\x03\x01").unwrap();
    slow.read_to_end(&mut Vec::new()).unwrap();
    wait::until("it to be counted", || (refused(&elb, "tls-handshake-timeout") == 1).then_some(()));
    assert_eq!(status(&folder.trust().connect(address, SITE).ask(get(SITE, "/"))), "200");
}

#[test]
fn a_header_of_the_proxy_protocol_comes_before_the_session() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let elb = Launch::serving(&rules::site(&[&server]))
        .flag(&folder.flag())
        .flag("--trusted-proxies=127.0.0.1")
        .listener("--listen-tls=127.0.0.1:0,proxy=require")
        .start();
    let address = elb.addresses()[1];
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(b"PROXY TCP4 203.0.113.9 192.0.2.2 56324 443\r\n").unwrap();
    assert_eq!(status(&folder.trust().begin(socket, SITE).ask(get(SITE, "/"))), "200");
    let head = server.requests().pop().unwrap().head;
    assert_eq!([head.get("X-Real-IP"), head.get("X-Forwarded-Proto")], [Some("203.0.113.9"), Some("https")]);
    assert!(folder.trust().connect(address, SITE).try_ask(get(SITE, "/")).is_err());
    wait::until("it to be counted", || (refused(&elb, "bad-proxy-header") == 1).then_some(()));
}

#[test]
fn the_admin_api_is_not_within_a_session_and_health_is() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let (_elb, address) = serving(&folder, &server);
    let mut client = folder.trust().connect(address, SITE);
    assert_eq!(status(&client.ask(get(SITE, "/__erulb__/ready"))), "200");
    let answer = folder.trust().connect(address, SITE).ask(get(SITE, "/__erulb__/domain"));
    assert!(status(&answer) == "404" && answer.contains("--admin-listen"), "{answer}");
}

#[test]
fn a_drain_lets_sessions_end_in_order() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let (elb, address) = serving(&folder, &server);
    let mut client = folder.trust().connect(address, SITE);
    assert_eq!(status(&client.ask(get(SITE, "/"))), "200");
    elb.signal("TERM");
    assert_eq!(client.stream.read(&mut [0]).unwrap(), 0, "it was told that this is all");
}

#[test]
fn a_folder_that_cannot_be_used_ends_the_start_and_says_why() {
    let authority = Authority::new("tests");
    let (one, other) = (authority.sign(&[SITE]), authority.sign(&[SITE]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let put = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    let run = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_elb"));
        let given = format!("--tls-dir={}", path.display());
        command.args(["--store=file:none.json", "--listen=127.0.0.1:0", "--listen-tls=127.0.0.1:0"]);
        command.args(flags.iter().copied().chain(std::iter::once(&*given).filter(|_| flags.is_empty())));
        let output = command.current_dir(path).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let fails = |flags: &[&str], code: i32, told: &str| {
        let (ended, log) = run(flags);
        assert!(ended == Some(code) && log.contains(told), "{ended:?}: {log}");
    };
    fails(&["--tls-dir=missing"], 78, "certificates in missing cannot be used: No such file");
    fails(&[], 78, "there is no certificate");
    put("a.crt", &one.certificate);
    fails(&[], 78, "a.key: No such file");
    put("a.key", &other.key);
    fails(&[], 78, "does not fit the certificate in");
    fails(&["--listen-tls=127.0.0.1:0,tls"], 2, "invalid value 'tls' for '--listen-tls");
}

/// Other programs than ours: what they take is what users have.
#[test]
fn curl_openssl_and_python_are_served() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let (_elb, address) = serving(&folder, &server);
    let (ca, port) = (folder.ca(), address.port());
    let said = |program: &str, words: &[&str], input: &str| {
        let mut child = Command::new(program)
            .args(words)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let (to, url) = (format!("{SITE}:{port}:127.0.0.1"), format!("https://{SITE}:{port}/"));
    for version in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
        let mut words = vec!["-sS", "--noproxy", "*", "--cacert", &ca, "--resolve", &to, &url, &url];
        words.extend(version);
        let told = said("curl", &words, "");
        assert_eq!(told, "aa", "{version:?}");
    }
    let connect = address.to_string();
    let request = format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n");
    let words = [
        "s_client",
        "-quiet",
        "-verify_return_error",
        "-CAfile",
        &ca,
        "-servername",
        SITE,
        "-connect",
        &connect,
    ];
    let told = said("openssl", &words, &request);
    assert!(told.contains("HTTP/1.1 200") && told.contains("\r\n\r\na"), "{told}");
    for (version, is_spoken) in [("-tls1_3", true), ("-tls1_2", true), ("-tls1_1", false)] {
        let told = said(
            "openssl",
            &["s_client", "-CAfile", &ca, "-servername", SITE, "-connect", &connect, version],
            "",
        );
        assert_eq!(
            told.contains("Verify return code: 0 (ok)") && !told.contains("Cipher is (NONE)"),
            is_spoken,
            "{version}: {told}"
        );
    }
    let program = format!(
        "import http.client, ssl, socket\n\
         c = ssl.create_default_context(cafile={ca:?})\n\
         s = c.wrap_socket(socket.create_connection(('127.0.0.1', {port})), server_hostname='{SITE}')\n\
         s.sendall({request:?}.encode())\n\
         b = b''\n\
         while d := s.recv(4096): b += d\n\
         print(s.version(), b.decode().splitlines()[0], b[-1:].decode())"
    );
    assert_eq!(said("python3", &["-c", &program], "").trim(), "TLSv1.3 HTTP/1.1 200 OK a");
    assert!(Path::new(&ca).exists());
}

#[test]
fn a_websocket_passes_within_a_session_and_each_direction_ends_by_itself() {
    let server = Server::start(|talk| {
        if talk.request()?.is_none() {
            return Ok(());
        }
        talk.send(ACCEPTED)?;
        while let Ok(message) = payload(|length| talk.bytes(length)) {
            talk.send(frame(&message, false))?;
        }
        talk.send(frame(b"farewell", false))
    });
    let folder = Folder::of_site();
    let (_elb, address) = serving(&folder, &server);
    let mut client = folder.trust().connect(address, SITE);
    let exactly = |client: &mut SecureClient, length: usize| {
        let mut bytes = vec![0; length];
        client.stream.read_exact(&mut bytes).map(|()| bytes)
    };
    client.stream.write_all(handshake(SITE).as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(exactly(&mut client, 1).unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    for length in [0, 1, 125, 16_384, 70_000] {
        let message = vec![b'm'; length];
        client.stream.write_all(&frame(&message, true)).unwrap();
        assert!(payload(|length| exactly(&mut client, length)).unwrap() == message, "{length} bytes");
    }
    client.stream.conn.send_close_notify();
    client.stream.flush().unwrap();
    assert_eq!(payload(|length| exactly(&mut client, length)).unwrap(), b"farewell");
    assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_certificate_that_ends_soon_is_an_alarm_until_a_newer_one_is_shown() {
    let (server, folder) = (Server::named("a"), Folder::of(&[]));
    folder.put("site", &folder.authority.sign_until(&["*.site.test"], 2020));
    let (elb, _) = serving(&folder, &server);
    let alarm = |elb: &Elb, code: &str| {
        let status = elb.admin().get("status");
        let alarms = status["alarms"].as_array().unwrap().clone();
        alarms.into_iter().find(|alarm| alarm["code"] == code)
    };
    let ended = wait::until("an alarm", || alarm(&elb, "certificates-expire"));
    assert_eq!(ended["message"], "the certificate for *.site.test has ended: clients refuse it");
    let certificates = elb.admin().get("status")["certificates"].clone();
    assert_eq!(
        (&certificates["count"], &certificates["soonest"], &certificates["until"]),
        (&1.into(), &"*.site.test".into(), &"2020-12-31T00:00:00.000Z".into())
    );
    let metrics = elb.client().ask(get(&elb.address().to_string(), "/__erulb__/metrics"));
    assert!(metrics.text().contains("\nelb_certificate_expiry_seconds 1609372800"), "{}", metrics.text());

    std::fs::write(folder.path().join("site.key"), "no key").unwrap();
    let unusable = wait::until("another", || alarm(&elb, "certificates-unusable"));
    assert!(unusable["message"].as_str().unwrap().contains("site.key"), "{unusable}");
    folder.put("site", &folder.authority.sign(&["*.site.test"]));
    wait::until("their end", || {
        let standing = ["certificates-expire", "certificates-unusable"].map(|code| alarm(&elb, code));
        (standing == [None, None]).then_some(())
    });
    for words in ["cannot be used", "has ended"] {
        let told = elb.log().lines().filter(|line| line.contains(words)).count();
        assert_eq!(told, 1, "{words}: {}", elb.log());
    }
}

#[test]
fn requests_in_the_clear_are_sent_to_https_and_nothing_else_is() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let launch = |port: &str| {
        folder
            .launch(&rules::site(&[&server]))
            .flag("--trusted-proxies=127.0.0.9")
            .flag(&format!("--tls-redirect={port}"))
    };
    let elb = launch("443").start();
    let mut client = elb.client();
    for (request, status, to) in [
        (get("Site.Test:8080", "/a/../b?c=%20d"), 301, "https://site.test/a/../b?c=%20d"),
        (
            format!("POST /form HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 2\r\n\r\nhi"),
            308,
            "https://site.test/form",
        ),
        (format!("GET http://{SITE}/x HTTP/1.1\r\nHost: {SITE}\r\n\r\n"), 301, "https://site.test/x"),
        (get("unknown.test", "/"), 301, "https://unknown.test/"),
    ] {
        let answer = client.ask(&request);
        assert_eq!((answer.status(), answer.head.get("Location")), (status, Some(to)), "{request}");
    }
    assert_eq!(server.requests().len(), 0);
    let live = client.ask(get(SITE, "/__erulb__/live"));
    assert_eq!(live.status(), 200, "what is ELB's own is no traffic");
    let secure = elb.addresses()[1];
    assert!(folder.trust().connect(secure, SITE).ask(get(SITE, "/")).ends_with("\r\n\r\na"));

    let mut proxy = Client::connect_from("127.0.0.9".parse().unwrap(), elb.address());
    let said = |proto: &str| format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nX-Forwarded-Proto: {proto}\r\n\r\n");
    assert_eq!(proxy.ask(said("https")).text(), "a", "it came by TLS as far as the proxy");
    assert_eq!(proxy.ask(said("http")).status(), 301);
    assert_eq!(client.ask(said("https")).status(), 301, "anybody can say so");

    let other = launch("8443").start();
    let answer = other.client().ask(get(SITE, "/"));
    assert_eq!(answer.head.get("Location"), Some("https://site.test:8443/"));
}

#[test]
fn what_an_authority_says_of_a_certificate_is_stapled_and_follows_its_file() {
    let (server, folder) = (Server::named("a"), Folder::of_site());
    let staple = folder.path().join("site.ocsp");
    std::fs::write(&staple, b"0\x03\x0a\x01\x00").unwrap();
    let (_elb, address) = serving(&folder, &server);
    let stapled = || folder.trust().stapled(address, SITE);
    assert_eq!(stapled(), b"0\x03\x0a\x01\x00");
    std::fs::write(&staple, b"0\x03\x0a\x01\x01").unwrap();
    wait::until("the new one", || (stapled() == b"0\x03\x0a\x01\x01").then_some(()));
    std::fs::remove_file(&staple).unwrap();
    wait::until("none", || stapled().is_empty().then_some(()));
}
