//! What the API shows of servers, and what the log says when one goes and is back.

use serde_json::{Value, json};

use super::admin::refused;
use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::rules::{self, SITE};
use crate::support::server::{Server, keep_answering, ok};
use crate::support::wait;

fn rows(elb: &Elb, query: &str) -> Vec<Value> {
    elb.admin().get(&format!("servers{query}")).as_array().expect("rows").clone()
}

fn row(elb: &Elb, server: &Server) -> Value {
    of(&rows(elb, ""), &server.address().to_string())
}

fn of(rows: &[Value], server: &str) -> Value {
    rows.iter().find(|row| row["server"] == server).expect("its row").clone()
}

#[test]
fn each_server_shows_how_it_does_and_what_workers_do_with_it() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let mut document = rules::site(&[&a, &b]);
    document["upstreams"]["up"][b.address().to_string()] = "drain".into();
    document["upstreams"]["Other"] = json!({"127.0.0.1:9": "down", "127.0.0.1:10": ""});
    let elb = Launch::serving(&document).start();
    for _ in 0..10 {
        elb.client().ask(get(SITE, "/"));
    }
    let counted = |rows: &[Value]| rows.iter().map(|row| row["requests"].as_u64().unwrap_or(0)).sum::<u64>();
    wait::until("what workers say each second", || (counted(&rows(&elb, "")) == 10).then_some(()));
    let all = rows(&elb, "");
    let names: Vec<&str> = all.iter().map(|row| row["upstream"].as_str().expect("a name")).collect();
    assert_eq!(names, ["Other", "Other", "up", "up"]);
    let shown = of(&all, &a.address().to_string());
    let idle = shown["idle_connections"].as_u64().expect("a number");
    assert!((1..=2).contains(&idle), "one of each worker that was asked: {shown}");
    let expected = json!({
        "upstream": "up", "server": a.address().to_string(), "address": a.address().to_string(), "state": "up",
        "since": null, "until": null, "reason": null, "active": 0, "requests": 10, "statuses": {"200": 10}, "failures": 0,
        "last_check": null, "idle_connections": idle});
    assert_eq!(shown, expected);
    for (server, state) in
        [("127.0.0.1:9", "down"), ("127.0.0.1:10", "up"), (&b.address().to_string(), "draining")]
    {
        assert_eq!(of(&all, server)["state"], state, "{server}");
    }

    assert_eq!(rows(&elb, "?upstream=other"), all[..2]);
    refused(&elb.admin().call("GET", "servers?upstream=none", None), 404);
    refused(&elb.admin().call("PUT", "servers", Some("{}")), 405);
}

#[test]
fn a_server_that_is_put_aside_is_told_of_once_and_so_is_its_return() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let mut document = rules::site(&[&a, &b]);
    let name = b.address().to_string();
    document["upstreams"]["up"][&name] = "fail_timeout=1s".into();
    let elb = Launch::serving(&document).start();
    let place = b.stop();
    let ask = || elb.client().ask(get(SITE, "/")).status();
    let gone = format!(
        r#"upstream "up": server {name} is put aside after 1 failure (connect-failed); 1 of 2 servers can be used"#
    );
    wait::until("a word of it", || {
        assert_eq!(ask(), 200, "the other one answers");
        elb.log().contains(&gone).then_some(())
    });
    let shown = of(&rows(&elb, ""), &name);
    assert_eq!(
        (&shown["state"], &shown["reason"], &shown["failures"]),
        (&json!("aside"), &json!("1 failure (connect-failed)"), &json!(1))
    );
    assert!(shown["since"].is_string() && shown["until"].is_string(), "{shown}");

    let answer = ok("b");
    let back_again = Server::at(place, keep_answering(move |_| answer.clone()));
    let back = format!(r#"upstream "up": server {name} is back; 2 of 2 servers can be used"#);
    wait::until("a word of its return", || {
        ask();
        elb.log().contains(&back).then_some(())
    });
    assert_eq!(row(&elb, &back_again)["state"], "up");
    for words in [&gone, &back] {
        assert_eq!(elb.log().matches(words.as_str()).count(), 1, "{}", elb.log());
    }
}

#[test]
fn a_name_without_an_address_is_unresolved() {
    let elb = Launch::serving(&json!({"domains": {SITE: rules::to("up")}})).start();
    let upstream = json!({"up": {"no.invalid:81": "", "127.0.0.1:9": ""}});
    elb.admin().put("upstream?unresolved=1", &upstream);
    let rows = rows(&elb, "?upstream=up");
    let shown = rows.iter().find(|row| row["server"] == "no.invalid:81").expect("a row");
    assert_eq!((&shown["state"], &shown["address"]), (&json!("unresolved"), &json!(null)));
    assert_eq!(shown["reason"], "its name has no address");
}

#[test]
fn a_listing_keeps_its_shape_and_shows_options_and_state_when_it_is_asked_to() {
    let a = Server::named("a");
    let mut document = rules::site(&[&a]);
    document["upstreams"]["up"]["@options"] = "check=tcp".into();
    let elb = Launch::serving(&document).start();
    let plain = elb.admin().get("upstream");
    assert_eq!(plain["up"][0]["name"], a.address().to_string());
    assert_eq!(plain["up"].as_array().map(Vec::len), Some(1));
    let detailed = elb.admin().get("upstream?detail=1");
    let up = &detailed["up"];
    assert!(up["options"].as_str().is_some_and(|options| options.contains("check=tcp")), "{up}");
    let mut server = up["servers"][0].clone();
    let addresses =
        server.as_object_mut().and_then(|server| server.remove("addresses")).expect("its addresses");
    assert_eq!(server, plain["up"][0]);
    assert_eq!(
        (&addresses[0]["state"], &addresses[0]["address"]),
        (&json!("up"), &json!(a.address().to_string()))
    );
}
