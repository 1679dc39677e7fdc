//! When ports or the queue of a listener are used up. Each test runs once more in a network of its own, where few are
//! enough; without leave to make one (`unshare`) it is skipped.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use serde_json::json;

use crate::support::client::{Client, get};
use crate::support::elb::Launch;
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, ok};
use crate::support::skip::skipped;
use crate::support::wait;

/// Runs a test that is marked as ignored in a network with these settings of the kernel.
fn alone_in_a_network(test: &str, settings: &[(&str, &str)]) {
    let set = settings.iter().map(|(file, value)| format!(" && echo '{value}' > /proc/sys/net/{file}"));
    let prepare = format!("ip link set lo up{}", set.collect::<String>());
    let run = |script: &str| {
        let this = std::env::current_exe().expect("the path of the tests");
        Command::new("unshare").args(["-rn", "sh", "-c", script]).arg(this).output()
    };
    if !run(&prepare).is_ok_and(|output| output.status.success()) {
        return skipped(test, "no network of its own can be made here (`unshare -rn`)");
    }
    let script = format!("{prepare} && exec \"$0\" --exact {test} --ignored --nocapture");
    let output = run(&script).expect("the test");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn without_a_port_for_a_server_the_client_is_told_and_no_server_is_blamed() {
    // What was closed is to leave its port at once.
    let few = [("ipv4/ip_local_port_range", "40000 40015"), ("ipv4/tcp_max_tw_buckets", "0")];
    alone_in_a_network("ports::with_few_ports", &few);
}

#[test]
#[ignore = "runs in a network with few ports"]
fn with_few_ports() {
    let hold = Arc::new(AtomicBool::new(true));
    let held = Arc::clone(&hold);
    let server = Server::answering(move |request| {
        if request.head.target() == "/held" {
            wait::until("leave to answer", || (!held.load(Ordering::SeqCst)).then_some(()));
        }
        ok("a")
    });
    let document = json!({
        "domains": {SITE: rules::to("up")},
        "upstreams": {"up": rules::upstream(&[&server], "max_fails=1 fail_timeout=1h")},
    });
    let elb = Launch::serving(&document).workers(1).listener("--listen=127.0.0.1:0").start();
    // A port serves once for each address that is connected to, so as many can be held here as there are for the server.
    let mut crowd = Vec::new();
    while let Ok(mut client) = Client::try_connect(elb.addresses()[0]) {
        client.send(get(SITE, "/held"));
        crowd.push(client);
    }
    wait::until("all to be held", || (server.connections() == crowd.len()).then_some(()));
    let mut other = Client::connect(elb.addresses()[1]);
    for _ in 0..3 {
        let answer = other.ask(get(SITE, "/"));
        assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (503, Some("no-ports")));
        assert_eq!(answer.head.get("Retry-After"), Some("1"));
    }

    hold.store(false, Ordering::SeqCst);
    for client in &mut crowd {
        assert_eq!(client.response().status(), 200);
    }
    assert_eq!(other.ask(get(SITE, "/")).text(), "a");
}

#[test]
fn whoever_finds_the_queue_full_is_served_later() {
    alone_in_a_network("ports::with_a_short_queue", &[("core/somaxconn", "4")]);
}

#[test]
#[ignore = "runs in a network with short queues"]
fn with_a_short_queue() {
    let server = Server::named("a");
    let elb = Launch::serving(&rules::site(&[&server])).workers(1).flag("--max-connections=2").start();
    let address = elb.address();
    let all = Arc::new(Barrier::new(40));
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let all = Arc::clone(&all);
            thread::spawn(move || {
                all.wait();
                let mut client = Client::connect(address);
                client.ask(format!("GET / HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n")).text()
            })
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().expect("an answer"), "a");
    }
}
