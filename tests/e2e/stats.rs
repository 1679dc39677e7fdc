//! What one sees at a glance: rates by name, second by second, of what has just happened.

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::Server;
use crate::support::wait;

/// The row of a list that has this member.
fn row<'v>(told: &'v Value, list: &str, member: &str, value: &str) -> Option<&'v Value> {
    told[list]["rows"].as_array()?.iter().find(|row| row[member] == value)
}

fn names(told: &Value, list: &str) -> Vec<String> {
    let rows = told[list]["rows"].as_array().expect("rows");
    rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
}

/// What is told when so many requests were.
fn after(elb: &Elb, requests: u64) -> Value {
    wait::until("the requests to be told", || {
        let told = elb.admin().get("stats");
        (told["total"]["requests"] == requests && told["rate"]["requests"] != 0.0).then_some(told)
    })
}

#[test]
fn rates_are_told_by_domain_upstream_server_and_worker() {
    let (server, gone) = (Server::named("a"), Server::named("gone"));
    let mut document = rules::site(&[&server]);
    document["upstreams"]["lone"] = json!({(gone.stop().to_string()): "", "127.0.0.1:9": "down"});
    document["domains"]["lone.test"] = rules::to("lone");
    let elb = Launch::serving(&document).start();
    let mut client = elb.client();
    for _ in 0..20 {
        assert_eq!(client.ask(get(SITE, "/")).status(), 200);
    }
    assert_eq!(client.ask(get("lone.test", "/")).status(), 502);
    assert_eq!(client.ask(get("nobody.test", "/")).status(), 404);
    let told = after(&elb, 22);
    assert_eq!(told["total"]["errors"], 1);
    let site = row(&told, "domains", "name", SITE).expect("its row");
    assert!(site["rate"].as_f64() > Some(0.0) && site["errors"] == 0.0, "{site}");
    assert!(row(&told, "domains", "name", "lone.test").expect("its row")["errors"].as_f64() > Some(0.0));
    let failed = &told["failed"][0];
    assert_eq!((&failed["status"], &failed["reason"]), (&json!(502), &json!("connect-failed")), "{failed}");
    assert_eq!((&failed["domain"], &failed["upstream"]), (&json!("lone.test"), &json!("lone")), "{failed}");
    assert_eq!(told["failed"].as_array().map(Vec::len), Some(1), "a 404 is its client's doing");
    assert_eq!(told["domains"]["matching"], 2, "what a client asks for is no name");
    let up = row(&told, "upstreams", "name", "up").expect("its row");
    assert!(up["rate"].as_f64() > Some(0.0) && up["p99_ms"].as_f64() > Some(0.0), "{up}");
    assert_eq!((&up["usable"], &up["servers"]), (&json!(1), &json!(1)));
    let lone = row(&told, "upstreams", "name", "lone").expect("its row");
    assert!(lone["errors"].as_f64() > Some(0.0), "{lone}");
    assert_eq!((&lone["usable"], &lone["servers"]), (&json!(1), &json!(2)));
    let own = row(&told, "servers", "upstream", "up").expect("its row");
    assert_eq!((&own["state"], &own["server"]), (&json!("up"), &json!(server.address().to_string())));
    assert!(own["rate"].as_f64() > Some(0.0), "{own}");
    let down = row(&told, "servers", "server", "127.0.0.1:9").expect("its row");
    assert_eq!((&down["state"], &down["rate"]), (&json!("down"), &json!(0.0)));
    assert_eq!(told["servers"]["rows"][0], *down, "who cannot be chosen comes first");
    let rates = told["workers"].as_array().expect("workers").iter().map(|worker| worker["rate"].as_f64());
    assert!(rates.flatten().sum::<f64>() > 0.0, "{told}");
    let reasons = told["reasons"].as_array().expect("reasons");
    let no_domain = reasons.iter().find(|row| row["reason"] == "no-domain").expect("a row");
    assert_eq!(
        (&no_domain["total"], &no_domain["lately"], &no_domain["status"]),
        (&json!(1), &json!(1), &json!(404))
    );
    // Seconds follow each other, and hold what was counted and nothing else.
    let seconds = told["seconds"].as_array().expect("seconds");
    let numbers: Vec<u64> = seconds.iter().filter_map(|second| second["second"].as_u64()).collect();
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1) && numbers.len() <= 60, "{numbers:?}");
    assert!(seconds.iter().any(|second| second["p99_ms"].as_f64() > Some(0.0)), "{seconds:?}");
    // After the window nothing is left of it, but in the sums.
    wait::until("the window to pass", || (elb.admin().get("stats")["rate"]["requests"] == 0.0).then_some(()));
    let told = elb.admin().get("stats");
    assert_eq!((&told["total"]["requests"], &told["rate"]["p99_ms"]), (&json!(22), &Value::Null));
}

#[test]
fn a_search_gives_as_many_rows_as_are_asked_for() {
    let server = Server::named("a");
    let mut document = rules::site(&[&server]);
    for number in 0..300 {
        document["domains"][format!("d{number:03}.test")] = rules::to("up");
    }
    let elb = Launch::serving(&document).start();
    for host in ["d123.test", "d299.test", "d299.test"] {
        assert_eq!(elb.client().ask(get(host, "/")).status(), 200);
    }
    let told = after(&elb, 3);
    assert_eq!((&told["domains"]["matching"], names(&told, "domains").len()), (&json!(301), 50));
    assert_eq!(names(&told, "domains")[..3], ["d299.test", "d123.test", "d000.test"]);
    let told = elb.admin().get("stats?domains=D29&sort=name&limit=3");
    assert_eq!(told["domains"]["matching"], 10);
    assert_eq!(names(&told, "domains"), ["d290.test", "d291.test", "d292.test"]);
    let told = elb.admin().get("stats?upstreams=nothing");
    assert_eq!(
        (&told["upstreams"], &told["servers"]["matching"]),
        (&json!({"matching": 0, "rows": []}), &json!(0))
    );
    elb.admin().delete("domain", &json!(["d299.test"]));
    assert!(names(&elb.admin().get("stats?domains=d29"), "domains").iter().all(|name| name != "d299.test"));
    let refused = elb.admin().call("GET", "stats?sort=age", None);
    assert_eq!(
        (refused.status(), refused.json()["error"].clone()),
        (400, json!("sort is rate, errors or name"))
    );
}
