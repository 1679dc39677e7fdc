//! The page in a real browser: it loads whole and without a complaint, shows what happens, and can be used by everybody.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::client::{Client, get};
use crate::support::elb::{Elb, Launch};
use crate::support::etcdctl::etcd;
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

/// Keys without a letter, as WebDriver names them.
const TAB: &str = "\u{e004}";
const ESCAPE: &str = "\u{e00c}";
const RIGHT: &str = "\u{e014}";
const LEFT: &str = "\u{e012}";
const DOWN: &str = "\u{e015}";

/// What the page says is live.
const LIVE: &str = "return document.getElementById('state').textContent === 'Live'";

/// The rule set of the README between two servers, and some more domains to look for.
fn document(one: &Server, two: &Server) -> Value {
    let mut document = json!({
        "domains": {SITE: rules::readme("up1", "up2")},
        "upstreams": {"up1": rules::upstream(&[one], ""), "up2": rules::upstream(&[two], "")},
    });
    document["upstreams"]["up2"]["127.0.0.1:9"] = json!("down");
    for number in 0..120 {
        document["domains"][format!("d{number:03}.test")] = rules::to("up1");
    }
    document
}

fn page(elb: &Elb, place: &str) -> String {
    format!("http://{}/__erulb__/ui{place}", elb.address())
}

/// Sends requests to `SITE` for as long as `body` runs.
fn under_load<T>(address: SocketAddr, body: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::connect(address);
            while !is_over.load(Ordering::Relaxed) {
                client.ask(get(SITE, "/"));
                client.ask(get(SITE, "/blog/x").replace("\r\n\r\n", "\r\nUser-Agent: HTTPie/1\r\n\r\n"));
            }
        });
        // The load ends with the test, however that ends.
        struct End<'e>(&'e AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _end = End(&is_over);
        body()
    })
}

/// A row of a table, as text.
fn row(table: &str, name: &str) -> String {
    format!(
        "const row = [...document.querySelectorAll('#{table} tr')].find((row) => row.cells[0].textContent === '{name}'); \
         return row === undefined ? null : [...row.cells].map((cell) => cell.textContent)"
    )
}

#[test]
fn live_traffic_is_shown_without_a_complaint_of_the_browser() {
    let Some(browser) = Browser::start() else { return };
    let (one, two) = (Server::named("one"), Server::named("two"));
    let elb = Launch::serving(&document(&one, &two)).start();
    browser.open(&page(&elb, ""));
    under_load(elb.address(), || {
        browser.until("the stream", LIVE);
        browser.until(
            "requests in the dial",
            "return parseFloat(document.querySelector('#dial-requests .number').textContent) > 0",
        );
        browser.until(
            "a line",
            "return document.querySelector('#dial-requests .line').getAttribute('d').split('L').length > 3",
        );
        browser.until(
            "a latency",
            "return document.querySelector('#dial-p99 .number').textContent.endsWith('s')",
        );
        wait::until("a rate of the domain", || (browser.run(&row("domains", SITE))[1] != "0").then_some(()));
    });
    // The busiest comes first, and the rest are as many as fit.
    let names = browser
        .run("return [...document.querySelectorAll('#domains tbody tr')].map((row) => row.dataset.key)");
    assert_eq!((names.as_array().map(Vec::len), &names[0]), (Some(50), &json!(SITE)));
    let upstream = browser.run(&row("upstreams", "up2"));
    assert_eq!(upstream[1], "1 of 2 usable");
    assert_eq!(browser.run(&row("upstreams", "127.0.0.1:9"))[1], "down");
    assert_eq!(browser.run("return document.querySelectorAll('#workers tbody tr').length"), 2);
    elb.client().ask(get("nobody.test", "/"));
    browser.until(
        "the reason of an error",
        "return document.querySelector('#reasons [data-key=no-domain]') !== null",
    );
    // What is not of the page itself is neither loaded nor run, and text is no markup.
    let loaded = browser.run("return performance.getEntriesByType('resource').map((one) => one.name)");
    let own = format!("http://{}/__erulb__/", elb.address());
    for one in loaded.as_array().expect("a list") {
        assert!(one.as_str().is_some_and(|one| one.starts_with(&own)), "{one}");
    }
    assert_eq!(browser.complaints(), [""; 0]);
    let broken = browser
        .run("try { document.body.innerHTML = '<b>x</b>'; return 'taken' } catch (why) { return why.name }");
    assert_eq!(broken, "TypeError", "the browser takes no text for markup");
}

#[test]
fn rules_are_drawn_and_the_way_of_an_explained_request_is_lit() {
    let Some(browser) = Browser::start() else { return };
    let (one, two) = (Server::named("one"), Server::named("two"));
    let elb = Launch::serving(&document(&one, &two)).start();
    browser.open(&page(&elb, ""));
    browser.press("/");
    browser.press(SITE);
    browser.until(
        "its row",
        &format!("return document.querySelector('#domains [data-key=\"{SITE}\"]') !== null"),
    );
    browser.run(&format!("document.querySelector('#domains [data-key=\"{SITE}\"] button').click()"));
    browser.until("the picture", "return document.querySelectorAll('#graph [data-rule]').length === 4");
    let links = browser.run(
        "return [...document.querySelectorAll('#graph [data-from]')].map((link) => \
         [link.dataset.from, link.querySelector('text').textContent, link.dataset.to].join(' ')).sort()",
    );
    assert_eq!(links, json!(["r1 fail r3", "r1 succ r4", "r4 fail r3", "r4 succ r2"]));
    // No box stands on another one.
    let boxes = browser.run(
        "return [...document.querySelectorAll('#graph .box')].map((box) => box.getBoundingClientRect()).map((box) => \
         [box.left, box.top, box.right, box.bottom])",
    );
    let boxes: Vec<[f64; 4]> = serde_json::from_value(boxes).expect("boxes");
    for (number, a) in boxes.iter().enumerate() {
        for b in &boxes[..number] {
            assert!(a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1], "{boxes:?}");
        }
    }
    let lit = "return [...document.querySelectorAll('#graph .lit')].map((one) => one.dataset.rule ?? one.dataset.from + one.dataset.to).sort()";
    browser.run(
        "document.getElementById('x-path').value = '/blog/hello'; document.getElementById('x-headers').value = 'User-Agent: HTTPie/1'; \
         document.querySelector('#explain [type=submit]').click()",
    );
    let told =
        browser.until("the explanation", "return document.querySelector('#told .verdict')?.textContent");
    assert_eq!(told, format!("Domain {SITE} (as received) → upstream up1"));
    assert_eq!(browser.run(lit), json!(["r1", "r1r4", "r2", "r4", "r4r2"]));
    // A change is followed: the picture is that of the new rules, and the question has a new answer.
    elb.admin().put(
        "domain",
        &json!({SITE: {"init": "<b>", "rules": {
        "<b>": {"type": "path", "args": {"pattern": "/blog", "succ": "new"}},
        "new": {"type": "backend", "args": {"servername": "up2"}}}}}),
    );
    browser.until("the new picture", "return document.querySelector('#graph [data-rule=new]') !== null");
    assert_eq!(
        browser.run("return document.querySelector('#graph .title').textContent"),
        "<b>",
        "a name is text"
    );
    browser.until(
        "the new answer",
        "return document.querySelector('#told .verdict').textContent.endsWith('up2')",
    );
    assert_eq!(browser.run(lit), json!(["<b>", "<b>new", "new"]));
    elb.admin().delete("domain", &json!([SITE]));
    browser.until("the end of the picture", "return document.querySelector('#graph svg') === null");
    // The console tells of the one answer that was no 200: the domain is gone.
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|one| one.contains("graph?domain=")), "{complaints:?}");
}

#[test]
fn the_page_asks_for_the_token_and_keeps_it_in_memory_alone() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::named("one");
    let elb = Launch::serving(&rules::site(&[&server])).variable("ELB_ADMIN_TOKEN", "s3cret").start();
    let answer = elb.client().ask(get("127.0.0.1", "/__erulb__/ui"));
    assert_eq!((answer.status(), answer.text().contains("s3cret")), (200, false));
    for path in ["stats", "events", "graph?domain=site.test", "ui/"] {
        let answer = elb.client().ask(get("127.0.0.1", &format!("/__erulb__/{path}")));
        assert_eq!(answer.status(), 401, "{path}");
    }
    browser.open(&page(&elb, ""));
    let ask = "return !document.getElementById('ask').hidden && document.activeElement.id === 'ask-token'";
    browser.until("the question", ask);
    for (token, shows) in [("wrong", ask), ("s3cret", LIVE)] {
        browser.press(token);
        browser.press("\u{e007}");
        browser.until(token, shows);
    }
    browser.until("a row", "return document.querySelector('#domains tbody tr') !== null");
    let kept = browser.run("return [localStorage.length, sessionStorage.length, document.cookie, location.href.includes('s3cret')]");
    assert_eq!(kept, json!([0, 0, "", false]));
    browser.open(&page(&elb, "#process"));
    browser.run("location.reload()");
    browser.until("the question once more", ask);
    let refused = Launch::serving(&rules::site(&[&server])).flag("--admin-allow=192.0.2.0/24").start();
    assert_eq!(refused.client().ask(get("127.0.0.1", "/__erulb__/ui")).status(), 403);
}

#[test]
fn all_of_it_can_be_reached_by_keys() {
    let Some(browser) = Browser::start() else { return };
    let (one, two) = (Server::named("one"), Server::named("two"));
    let elb = Launch::serving(&document(&one, &two)).start();
    browser.open(&page(&elb, ""));
    browser.until("the rows", "return document.querySelectorAll('#domains tbody tr').length === 50");
    let focus = "return document.activeElement.id || document.activeElement.textContent";
    browser.press(TAB);
    assert_eq!(browser.run(focus), "Skip to content");
    browser.press("/");
    assert_eq!(browser.run(focus), "find-domains");
    browser.press("d117");
    browser.until(
        "what is looked for",
        "return document.getElementById('count-domains').textContent.startsWith('1 domain with')",
    );
    browser.until("its row alone", "return document.querySelectorAll('#domains tbody tr').length === 1");
    browser.press(DOWN);
    assert_eq!(browser.run(focus), "d117.test");
    browser.press("\u{e007}");
    browser.until("its picture", "return document.querySelectorAll('#graph [data-rule]').length === 1");
    assert_eq!(browser.run("return location.hash"), "#domains/d117.test");
    browser.press("/");
    browser.press(ESCAPE);
    browser.until("all rows", "return document.querySelectorAll('#domains tbody tr').length === 50");
    browser.run("document.getElementById('tab-domains').focus()");
    for (key, tab) in [
        (RIGHT, "tab-upstreams"),
        (RIGHT, "tab-errors"),
        (LEFT, "tab-upstreams"),
        (LEFT, "tab-domains"),
        (LEFT, "tab-process"),
    ] {
        browser.press(key);
        assert_eq!(browser.run(focus), tab);
        let open = browser.run("return [...document.querySelectorAll('[role=tabpanel]')].filter((one) => !one.hidden).map((one) => one.id)");
        assert_eq!(open, json!([tab.replace("tab-", "view-")]));
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_fleet_is_shown_with_who_lags_and_why() {
    let Some(browser) = Browser::start() else { return };
    let (etcd, server) = (etcd(), Server::named("one"));
    etcd.put("/ELB/rules/site.test", &rules::to("up").to_string());
    etcd.put(&format!("/ELB/upstreams/up/{}", server.address()), "");
    let launch = |id: &str| Launch::storing(&etcd).flag(&format!("--node-id={id}")).start();
    let (one, two) = (launch("one"), launch("two"));
    browser.open(&page(&one, "#fleet"));
    browser.until(
        "both",
        "return document.getElementById('fleet-state').textContent.startsWith('2 nodes, all on ')",
    );
    two.admin().put("upstream", &json!({"mine": {"127.0.0.1:9": ""}}));
    browser.until(
        "who lags",
        "return document.getElementById('fleet-state').textContent.startsWith('1 of 2 nodes lag behind ')",
    );
    let lags = browser.run(&row("fleet", "two"));
    assert!(lags[1].as_str().is_some_and(|why| why.contains("1 unsaved edit")), "{lags}");
    two.admin().dump();
    browser.until(
        "both again",
        "return document.getElementById('fleet-state').textContent.startsWith('2 nodes, all on ')",
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Text whose contrast with what is behind it is below what WCAG 2 asks for at level AA, and what has no name.
const FAULTS: &str = include_str!("../support/page_faults.js");

#[test]
fn it_can_be_read_in_light_and_dark_on_a_phone_and_by_a_screen_reader() {
    let Some(browser) = Browser::start() else { return };
    let (one, two) = (Server::named("one"), Server::named("two"));
    let mut document = document(&one, &two);
    document["domains"]["lone.test"] = rules::to("lone");
    let gone = Server::named("gone").stop().to_string();
    document["upstreams"]["lone"] = json!({gone: "", "127.0.0.1:9": "drain"});
    let elb = Launch::serving(&document).start();
    elb.client().ask(get("lone.test", "/"));
    browser.open(&page(&elb, &format!("#domains/{SITE}")));
    browser.until("the stream", LIVE);
    browser.until("the picture", "return document.querySelector('#graph svg') !== null");
    browser.run("document.getElementById('x-path').value = '/'; document.querySelector('#explain [type=submit]').click()");
    browser.until("the explanation", "return document.querySelector('#told .verdict') !== null");
    // Nothing moves while it is looked at.
    let still = json!({"name": "prefers-reduced-motion", "value": "reduce"});
    for scheme in ["light", "dark"] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}, still]});
        browser.chromium("Emulation.setEmulatedMedia", &features);
        for width in [1400, 360] {
            browser.resize(width, 900);
            for tab in ["domains", "upstreams", "errors", "fleet", "process"] {
                browser.run(&format!("document.getElementById('tab-{tab}').click()"));
                assert_eq!(browser.run(FAULTS), json!([]), "{scheme}, {width} pixels, {tab}");
            }
        }
        let moving = browser.run("return document.getAnimations().length");
        assert_eq!(moving, 0, "{scheme}");
    }
    // The button goes before the system.
    let shown = "return getComputedStyle(document.documentElement).backgroundColor";
    let dark = browser.run(shown);
    browser.run("document.getElementById('theme').click()");
    let light = browser.run(shown);
    browser.run("document.getElementById('theme').click()");
    assert_ne!(light, dark);
    assert_eq!(browser.run(shown), dark);
    assert_eq!(browser.complaints(), [""; 0]);
}
