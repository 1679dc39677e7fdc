//! The access log and request ids: what a line says, and that nothing about it costs a request.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::wait;

/// The lines of a log of JSON, once there are so many.
fn lines(path: &Path, count: usize) -> Vec<Value> {
    wait::until("so many lines", || {
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole: Vec<&str> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
        (whole.len() >= count).then(|| {
            whole
                .iter()
                .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
                .collect()
        })
    })
}

fn logged(launch: Launch, folder: &Path) -> (Elb, std::path::PathBuf) {
    let path = folder.join("access.log");
    (launch.flag(&format!("--access-log={}", path.display())).start(), path)
}

#[test]
fn a_line_says_what_became_of_a_request() {
    let (server, gone) = (Server::named("a"), Server::named("gone"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut document = rules::site(&[&server]);
    let gone = gone.stop().to_string();
    document["upstreams"]["lone"] = json!({(&gone): ""});
    document["domains"]["lone.test"] = rules::to("lone");
    document["domains"]["two.test"] = json!({"init": "first", "rules": {
        "first": {"type": "path", "args": {"pattern": "/x", "succ": "second", "fail": "end"}},
        "second": {"type": "ua", "args": {"pattern": "none", "succ": "end", "fail": "end"}},
        "end": {"type": "backend", "args": {"servername": "up"}}}});
    let (elb, path) = logged(Launch::serving(&document), folder.path());
    let request = "GET /x?y=1 HTTP/1.1\r\nHost: two.test:80\r\nUser-Agent: \"evil\"\r\n\
        Referer: http://a/\r\ntraceparent: 00-1-2-01\r\n\r\n";
    assert_eq!(elb.client().ask(request).status(), 200);
    assert_eq!(elb.client().ask(get("lone.test", "/")).status(), 502);
    assert_eq!(elb.client().ask(get("nobody.test", "/n")).status(), 404);
    elb.client().ask("GET\r\n\r\n");
    let all = lines(&path, 4);
    let of = |member: &str, value: Value| {
        all.iter()
            .find(|line| line[member] == value)
            .unwrap_or_else(|| panic!("{member}={value} in {all:#?}"))
    };
    let line = of("domain", "two.test".into());
    for (member, value) in [
        ("client", json!("127.0.0.1")),
        ("method", json!("GET")),
        ("host", json!("two.test:80")),
        ("path", json!("/x?y=1")),
        ("rules", json!(["first", "second", "end"])),
        ("upstream", json!("up")),
        ("server", json!(server.address().to_string())),
        ("tries", json!(1)),
        ("status", json!(200)),
        ("reason", Value::Null),
        ("version", json!(1)),
        ("id", Value::Null),
        ("traceparent", json!("00-1-2-01")),
        ("user_agent", json!("\"evil\"")),
    ] {
        assert_eq!(line[member], value, "{member} in {line:#}");
    }
    assert!(line["total_ms"].as_f64() >= line["server_ms"].as_f64(), "{line:#}");
    assert!(line["bytes_in"].as_u64() > Some(100) && line["bytes_out"].as_u64() > Some(30), "{line:#}");
    let line = of("domain", "lone.test".into());
    assert_eq!((&line["status"], &line["reason"]), (&json!(502), &json!("connect-failed")));
    assert_eq!((&line["server"], &line["connect_ms"]), (&json!(gone), &Value::Null));
    let line = of("host", "nobody.test".into());
    assert_eq!(
        (&line["domain"], &line["rules"], &line["reason"]),
        (&Value::Null, &json!([]), &json!("no-domain"))
    );
    let line = of("method", Value::Null);
    assert_eq!((&line["status"], &line["client"]), (&json!(400), &json!("127.0.0.1")));
    assert_eq!((&line["version"], &line["path"]), (&json!(0), &Value::Null));
}

#[test]
fn what_is_asked_of_elb_itself_is_neither_counted_nor_logged() {
    let server = Server::named("a");
    let folder = tempfile::tempdir().expect("a folder");
    let launch = Launch::serving(&rules::site(&[&server])).flag("--admin-allow=192.0.2.0/24");
    let (elb, path) = logged(launch.flag("--metrics-listen=127.0.0.1:0"), folder.path());
    for (path, status) in [
        ("/__erulb__/live", 200),
        ("/__erulb__/ready", 200),
        ("/__erulb__/domain", 403),
        ("/x/../__erulb__/domain", 404),
    ] {
        assert_eq!(elb.client().ask(get("127.0.0.1", path)).status(), status, "{path}");
    }
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "a");
    assert_eq!(lines(&path, 1)[0]["host"], SITE);
    let told = elb.log();
    let told = told.lines().find_map(|line| line.split_once("metrics listens on ")).expect("a line").1;
    let address = told.trim().parse().expect("an address");
    let counted = || {
        let text = Client::connect(address).ask(get("metrics.test", "/metrics")).text();
        text.lines()
            .filter(|line| line.starts_with("elb_requests_total{"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let rows = wait::until("the request to be counted", || Some(counted()).filter(|rows| !rows.is_empty()));
    assert_eq!(rows, [format!("elb_requests_total{{domain=\"{SITE}\",code=\"200\"}} 1.0")]);
}

#[test]
fn the_file_is_opened_again_when_it_was_moved_and_only_what_is_wanted_is_logged() {
    let server = Server::answering(|request| {
        if request.head.target() == "/bad" { ok("x").replace("200 OK", "500 Bad") } else { ok("x") }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let launch = Launch::serving(&rules::site(&[&server]))
        .flag("--access-log-only=errors,slow=1h")
        .flag("--access-log-format=combined")
        .flag("--retries=1");
    let (elb, path) = logged(launch, folder.path());
    let count = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    assert_eq!(elb.client().ask(get(SITE, "/good")).status(), 200);
    assert_eq!(elb.client().ask(get(SITE, "/bad")).status(), 500);
    wait::until("its line", || (count(&path) == 1).then_some(()));
    let line = fs::read_to_string(&path).expect("a log");
    assert!(line.starts_with("127.0.0.1 - - [") && line.contains("\"GET /bad HTTP/1.1\" 500 "), "{line}");
    let moved = folder.path().join("access.log.1");
    fs::rename(&path, &moved).expect("moved");
    elb.signal("USR1");
    wait::until("the new file", || path.exists().then_some(()));
    assert_eq!(elb.client().ask(get(SITE, "/bad")).status(), 500);
    wait::until("its line", || (count(&path) == 1).then_some(()));
    assert_eq!(count(&moved), 1);
}

#[test]
fn a_log_that_nobody_reads_costs_lines_and_no_request() {
    let server = Server::named("a");
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("access.log");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    // 4 MiB of buffers, then the FIFO's own: further ones are lost.
    let long = format!("/{}", "x".repeat(2000));
    let (elb, _) = logged(Launch::serving(&rules::site(&[&server])).workers(1), folder.path());
    let mut client = elb.client();
    let lost = || {
        let text = elb.admin().call("GET", "metrics", None).text();
        let line = text.lines().find_map(|line| line.strip_prefix("elb_access_log_lost_lines_total "));
        line.and_then(|count| count.parse::<f64>().ok()).expect("a number")
    };
    let mut asked = 0;
    while lost() == 0.0 {
        for _ in 0..200 {
            assert_eq!(client.ask(get(SITE, &long)).text(), "a");
            asked += 1;
        }
        assert!(asked < 20_000, "no line is lost");
    }
}

#[test]
fn a_full_disk_costs_lines_and_no_request() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).flag("--access-log=/dev/full").start();
    let mut client = elb.client();
    (0..10).for_each(|_| assert_eq!(client.ask(get(SITE, "/")).text(), "a"));
    wait::until("the loss to be told", || {
        let text = elb.admin().call("GET", "metrics", None).text();
        text.contains("elb_access_log_lost_lines_total 10.0").then_some(())
    });
}

#[test]
fn a_socket_gets_the_lines_and_the_last_ones_before_the_end() {
    let server = Server::named("a");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let flag = format!("--access-log=unix:{}", path.display());
    let mut elb =
        Launch::serving(&rules::site(&[&server])).flag(&flag).flag("--access-log-format=eru").start();
    assert_eq!(elb.client().ask(get(SITE, "/p?a")).text(), "a");
    elb.signal("TERM");
    assert!(elb.exit().success());
    let mut text = String::new();
    listener.accept().expect("ELB").0.read_to_string(&mut text).expect("a line");
    let end = format!("\"-\" \"/p\" \"a\" {} 200\n", server.address());
    assert!(text.starts_with(&format!("{SITE} 127.0.0.1 [")) && text.ends_with(&end), "{text}");
}

#[test]
fn a_place_that_cannot_be_opened_ends_the_start() {
    let mut elb = Launch::serving(&json!({"domains": {}, "upstreams": {}}))
        .flag("--access-log=/nowhere/access.log")
        .spawn();
    assert!(!elb.exit().success());
    let (_, log) = wait::until("all that it said", || elb.said_all());
    assert!(log.contains("cannot open the access log /nowhere/access.log"), "{log}");
}

#[test]
fn each_request_has_an_id_and_that_of_a_trusted_proxy_stays() {
    let server = Server::answering(|request| ok(request.head.get("x-request-id").unwrap_or("none")));
    let folder = tempfile::tempdir().expect("a folder");
    let document = rules::site(&[&server]);
    let (elb, path) = logged(Launch::serving(&document).flag("--request-id"), folder.path());
    let own = "GET / HTTP/1.1\r\nHost: site.test\r\nX-Request-Id: forged\r\nX_Request_Id: as well\r\n\r\n";
    let (one, two) = (elb.client().ask(own).text(), elb.client().ask(get(SITE, "/")).text());
    let is_id = |id: &str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_id(&one) && is_id(&two) && one != two, "{one} {two}");
    let refused = elb.client().ask(get("nobody.test", "/"));
    let id = refused.head.get("x-request-id").expect("an id").to_owned();
    assert!(is_id(&id));
    let all = lines(&path, 3);
    for id in [one, two, id] {
        assert!(all.iter().any(|line| line["id"] == id.as_str()), "{id} in {all:#?}");
    }
    let (elb, path) = logged(
        Launch::serving(&document).flag("--request-id").flag("--trusted-proxies=127.0.0.0/8"),
        &folder.path().join("."),
    );
    let speaks = "GET / HTTP/1.1\r\nHost: site.test\r\nX-Forwarded-For: 192.0.2.9\r\nX-Request-Id: from-the-edge\r\n\r\n";
    assert_eq!(elb.client().ask(speaks).text(), "from-the-edge");
    let bad = speaks.replace("from-the-edge", "two words");
    assert!(is_id(&elb.client().ask(bad).text()));
    let line = lines(&path, 5).into_iter().find(|line| line["id"] == "from-the-edge").expect("a line");
    assert_eq!(line["client"], "192.0.2.9");
    let plain = Launch::serving(&document).start();
    assert_eq!(plain.client().ask(own).text(), "forged", "without the flag it is a field as others are");
}

#[test]
fn a_request_that_its_client_gave_up_has_a_line() {
    // It answers nothing, ever.
    let server = Server::start(|talk| {
        while talk.request()?.is_some() {}
        Ok(())
    });
    let folder = tempfile::tempdir().expect("a folder");
    let (elb, path) = logged(Launch::serving(&rules::site(&[&server])), folder.path());
    let mut client = elb.client();
    client.send(get(SITE, "/slow"));
    wait::until("the server to be asked", || (!server.requests().is_empty()).then_some(()));
    client.reset();
    let line = lines(&path, 1).remove(0);
    assert_eq!(
        (&line["status"], &line["path"], &line["server_ms"]),
        (&json!(499), &json!("/slow"), &Value::Null)
    );
}
