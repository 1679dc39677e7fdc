//! Every endpoint through the whole router, with a control loop behind it whose workers obey.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::control::lookups::Lookups;
use crate::control::resolve::Resolver;
use crate::control::store::{StoreCommand, StoreEvent};
use crate::control::tests::{Rig, SOON, Told, ask, names, no_names, stored};
use crate::link::Gauges;
use crate::model::Contents;

/// The example of the first ELB's documentation.
const DOMAIN: &str = r#"{"localhost": {"init": "r1", "rules": {
    "r1": {"type": "path", "args": {"fail": "r3", "pattern": "^\\/blog\\/(\\S+)$", "regex": true, "rewrite": false, "succ": "r2"}},
    "r2": {"type": "backend", "args": {"servername": "upstream1"}},
    "r3": {"type": "backend", "args": {"servername": "upstream2"}}}}}"#;
const UPSTREAM: &str = r#"{"up1": {"127.0.0.1:8088": "", "127.0.0.1:8089": "weight=10 max_fails=2 down"}}"#;

fn is_ok(told: &Told) {
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    match told.json().get("warnings") {
        None => assert_eq!(told.text, "{\"msg\":\"OK\"}\n"),
        Some(warnings) => {
            assert!(warnings.as_array().is_some_and(|warnings| !warnings.is_empty()), "{}", told.text);
            assert_eq!(told.json(), json!({"msg": "OK", "warnings": warnings}));
        }
    }
    assert_eq!(told.header("content-type"), "application/json");
}

fn is_failure(told: &Told, status: u16, pointer: Option<&str>) {
    assert_eq!(told.status.as_u16(), status, "{}", told.text);
    let body = told.json();
    assert!(!body["error"].as_str().unwrap().is_empty());
    assert_eq!(body["pointer"].as_str(), pointer, "{}", told.text);
    assert_eq!(told.header("content-type"), "application/json");
}

#[tokio::test]
async fn domains_come_back_as_they_went_in() {
    let rig = Rig::obedient();
    assert_eq!(rig.ask("GET", "/__erulb__/domain", "").await.text, "{}\n");
    is_ok(&rig.ask("PUT", "/__erulb__/domain", DOMAIN).await);
    let told = rig.ask("GET", "/__erulb__/domain", "").await;
    assert_eq!(told.json(), serde_json::from_str::<Value>(DOMAIN).unwrap());
    assert_eq!((told.header("x-elb-version"), told.header("x-elb-unsaved")), ("2", "1"));
    assert_eq!(told.header("x-elb-applied"), "2/2");
    is_ok(&rig.ask("DELETE", "/__erulb__/domain", r#"["localhost", "127.0.0.1"]"#).await);
    assert_eq!(rig.ask("GET", "/__erulb__/domain", "").await.text, "{}\n");
}

#[tokio::test]
async fn upstreams_are_shown_as_the_client_knows_them() {
    let rig = Rig::obedient();
    assert_eq!(rig.ask("GET", "/__erulb__/upstream", "").await.text, "{}\n");
    is_ok(&rig.ask("PUT", "/__erulb__/upstream", UPSTREAM).await);
    let told = rig.ask("GET", "/__erulb__/upstream", "").await;
    let expected = json!({"up1": [
        {"addr": "127.0.0.1:8088", "name": "127.0.0.1:8088", "weight": 1, "max_fails": 1, "fail_timeout": 10},
        {"addr": "127.0.0.1:8089", "name": "127.0.0.1:8089", "weight": 10, "max_fails": 2, "fail_timeout": 10, "down": true},
    ]});
    assert_eq!(told.json(), expected);
    let told = rig.ask("DELETE", "/__erulb__/upstream", r#"["up1", "up2", "up1"]"#).await;
    assert_eq!(told.text, "{\"up1\":true,\"up2\":404}\n");
}

#[tokio::test]
async fn a_name_shows_what_it_leads_to() {
    let mut rig = Rig::new(
        1,
        names(|name| match name {
            "one.test:80" => Ok(vec!["10.0.0.1:80".parse().unwrap()]),
            "two.test:81" => Ok(vec!["10.0.0.3:81".parse().unwrap(), "10.0.0.2:81".parse().unwrap()]),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }),
    );
    rig.workers.drain(..).for_each(|worker| drop(worker.obeys()));
    let body = r#"{"up": {"one.test": "max_conns=5", "two.test:81": "backup", "none.test": ""}}"#;
    let told = rig.ask("PUT", "/__erulb__/upstream", body).await;
    is_failure(&told, 400, Some("/up/none.test"));
    assert!(
        told.json()["error"].as_str().unwrap().starts_with("none.test:80 has no address ("),
        "{}",
        told.text
    );
    assert_eq!(rig.ask("GET", "/__erulb__/upstream", "").await.text, "{}\n", "nothing is applied");
    let told = rig.ask("PUT", "/__erulb__/upstream?unresolved=1", body).await;
    is_ok(&told);
    let warning = told.json()["warnings"][0].clone();
    assert_eq!((&warning["code"], &warning["pointer"]), (&json!("no-address"), &json!("/up/none.test")));
    assert!(warning["message"].as_str().unwrap().starts_with("none.test:80 has no address"), "{warning}");
    let servers = rig.ask("GET", "/__erulb__/upstream", "").await.json()["up"].clone();
    assert_eq!((&servers[0]["addr"], &servers[0]["max_conns"]), (&json!("10.0.0.1:80"), &json!(5)));
    assert_eq!(
        (&servers[1]["addr"], &servers[1]["backup"]),
        (&json!(["10.0.0.2:81", "10.0.0.3:81"]), &json!(true))
    );
    assert_eq!(servers[2]["addr"], json!([]));
}

/// Lookups of names that begin with `silent` never end.
fn half_silent() -> Resolver {
    Resolver::new(Lookups::new(std::sync::Arc::new(|name| {
        Box::pin(async move {
            if name.starts_with("silent") {
                std::future::pending::<()>().await;
            }
            Ok(vec!["10.0.0.1:80".parse().unwrap()])
        })
    })))
}

#[tokio::test]
async fn a_put_waits_for_its_own_names_alone_and_not_for_ever() {
    let mut rig = Rig::new(1, half_silent());
    rig.workers.drain(..).for_each(|worker| drop(worker.obeys()));
    let api = rig.api.clone();
    let silent = tokio::spawn(async move {
        ask(&api, "PUT", "/__erulb__/upstream", r#"{"a": {"silent.test": ""}}"#).await
    });
    while rig.hub.lookups().under_way() == 0 {
        sleep(std::time::Duration::from_millis(1)).await;
    }
    is_ok(&rig.ask("PUT", "/__erulb__/upstream", r#"{"b": {"well.test": ""}}"#).await);
    is_ok(&rig.ask("PUT", "/__erulb__/upstream", r#"{"c": {"127.0.0.1:1": ""}}"#).await);
    assert!(!silent.is_finished(), "those who came later are served first");
    let told = silent.await.unwrap();
    is_failure(&told, 400, Some("/a/silent.test"));
    assert!(told.json()["error"].as_str().unwrap().contains("no answer within"), "{}", told.text);
    let upstreams = rig.ask("GET", "/__erulb__/upstream", "").await.json();
    assert_eq!(upstreams["b"][0]["addr"], "10.0.0.1:80");
    assert_eq!(upstreams.get("a"), None);
}

#[tokio::test]
async fn rules_may_name_hosts_and_upstreams_that_are_not_there_yet() {
    let mut rig = Rig::new(1, no_names());
    rig.workers.drain(..).for_each(|worker| drop(worker.obeys()));
    let rules = |name: &str| {
        json!({"a": {"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": name}}}}})
            .to_string()
    };
    for (name, words) in
        [("web", "there is no upstream web: 502"), ("web.test", "web.test:80 has no address")]
    {
        let told = rig.ask("PUT", "/__erulb__/domain", rules(name)).await;
        is_ok(&told);
        let warning = told.json()["warnings"][0].clone();
        assert!(warning["message"].as_str().unwrap().starts_with(words), "{warning}");
        assert_eq!(warning["pointer"], "/a/rules/r/args/servername");
    }
    is_ok(&rig.ask("PUT", "/__erulb__/domain", rules("web")).await);
    let put = rig.ask("PUT", "/__erulb__/upstream", r#"{"Web": {"127.0.0.1:1": ""}}"#).await;
    assert_eq!(put.json().get("warnings"), None, "{}", put.text);
    let told = rig.ask("DELETE", "/__erulb__/upstream", r#"["web"]"#).await;
    assert!(
        told.header("x-elb-warning").starts_with("/0: rules still name the upstream web: 502"),
        "{told:?}"
    );
}

#[tokio::test]
async fn refused_bodies_name_the_place_and_change_nothing() {
    let rig = Rig::obedient();
    let rows = [
        ("PUT", "domain", "", Some("")),
        ("PUT", "domain", " \n", Some("")),
        ("PUT", "domain", "[]", Some("")),
        ("PUT", "domain", "5", Some("")),
        ("PUT", "domain", "{}{}", Some("")),
        ("PUT", "domain", "\u{feff}{}", Some("")),
        ("PUT", "domain", "{\"a\":", Some("")),
        ("PUT", "domain", r#"{"a": 5}"#, Some("/a")),
        ("PUT", "upstream", "null", Some("")),
        (
            "PUT",
            "upstream",
            r#"{"up": {"127.0.0.1:1": "weight=0"}, "ok": {"127.0.0.1:2": ""}}"#,
            Some("/up/127.0.0.1:1"),
        ),
        ("DELETE", "domain", "", Some("")),
        ("DELETE", "domain", r#"{"a": 1}"#, Some("")),
        ("DELETE", "domain", r#"["a", 5]"#, Some("/1")),
        ("DELETE", "upstream", r#""up""#, Some("")),
        ("DELETE", "upstream", r#"{"up": 1}"#, Some("")),
    ];
    for (method, word, body, pointer) in rows {
        let told = rig.ask(method, &format!("/__erulb__/{word}"), body).await;
        is_failure(&told, 400, pointer);
        assert_eq!(told.header("x-elb-version"), "1", "{method} {word} {body}");
    }
    let deep = "[".repeat(100_000);
    is_failure(&rig.ask("PUT", "/__erulb__/domain", deep).await, 400, Some(""));
    assert_eq!(rig.ask("GET", "/__erulb__/upstream", "").await.text, "{}\n");
}

#[tokio::test]
async fn a_word_that_nobody_knows_changes_nothing_and_a_get_ignores_it() {
    let rig = Rig::obedient();
    rig.load(stored(&["a"])).await;
    for (method, path, body, named) in [
        ("PUT", "domain?dryrun=1", DOMAIN, "\"dryrun\""),
        ("PUT", "upstream?dump=1&dryrun=1", UPSTREAM, "\"dryrun\""),
        ("PUT", "domain?dump=yes", DOMAIN, "\"yes\""),
        ("PUT", "domain?unresolved=1", DOMAIN, "\"unresolved\""),
        ("DELETE", "domain?force", r#"["a"]"#, "\"force\""),
        ("DELETE", "upstream?x=1", r#"["up"]"#, "\"x\""),
        ("PUT", "dump?dump=1", "", "\"dump\""),
        ("PUT", "resync?Confirm=1", "", "\"Confirm\""),
    ] {
        let told = rig.ask(method, &format!("/__erulb__/{path}"), body).await;
        is_failure(&told, 400, None);
        assert!(told.json()["error"].as_str().unwrap().contains(named), "{path}: {}", told.text);
        assert_eq!((told.header("x-elb-version"), told.header("x-elb-unsaved")), ("2", "0"), "{path}");
    }
    for path in ["domain?dry_run=1", "upstream?dump=yes", "workers?x", "rejected?confirm=1"] {
        assert_eq!(rig.ask("GET", &format!("/__erulb__/{path}"), "").await.status, StatusCode::OK, "{path}");
    }
    is_failure(&rig.ask("POST", "/__erulb__/domain?x", "").await, 405, None);
}

#[tokio::test]
async fn an_answer_stays_small_whatever_a_change_warns_of() {
    let rig = Rig::obedient();
    let to = json!({"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "absent"}}}});
    let many: serde_json::Map<_, _> = (0..2000).map(|n| (format!("{n}.test"), to.clone())).collect();
    let told = rig.ask("PUT", "/__erulb__/domain", Value::from(many).to_string()).await;
    is_ok(&told);
    let warnings = told.json()["warnings"].as_array().unwrap().clone();
    assert_eq!(warnings[0]["code"], "unknown-upstream");
    assert_eq!(warnings[32], json!({"code": "more", "pointer": "", "message": "and 1968 more warnings"}));
    assert!(warnings.len() <= 34, "an alarm may stand behind them: {warnings:?}");
    assert!(told.text.len() < 16 << 10);
}

#[tokio::test]
async fn other_methods_are_405_with_allow_and_other_words_404() {
    let rig = Rig::obedient();
    for (word, allowed) in [("domain", "GET, PUT, PATCH, DELETE"), ("upstream", "GET, PUT, PATCH, DELETE")] {
        for method in ["POST", "OPTIONS"] {
            let told = rig.ask(method, &format!("/__erulb__/{word}"), "").await;
            is_failure(&told, 405, None);
            assert_eq!(told.header("allow"), allowed);
        }
        assert_eq!(rig.ask("HEAD", &format!("/__erulb__/{word}"), "").await.status, 405);
    }
    for (word, method, allow) in [
        ("dump", "GET", "PUT"),
        ("dump", "DELETE", "PUT"),
        ("rejected", "PUT", "GET"),
        ("resync", "GET", "PUT"),
    ] {
        let told = rig.ask(method, &format!("/__erulb__/{word}"), "").await;
        is_failure(&told, 405, None);
        assert_eq!(told.header("allow"), allow);
    }
    for path in
        ["/__erulb__/Domain", "/__erulb__/x", "/__erulb__", "/", "/__erulb__/domain/a", "/__erulb__/domain/"]
    {
        is_failure(&rig.ask("GET", path, "").await, 404, None);
    }
}

#[tokio::test]
async fn only_the_spelling_itself_is_an_endpoint_and_any_query_of_a_get_is_answered() {
    let rig = Rig::obedient();
    assert_eq!(rig.ask("GET", "/__erulb__/domain?a=b&%", "").await.text, "{}\n");
    for path in [
        "//__erulb__/domain",
        "/__erulb__//domain",
        "/x/../__erulb__/domain",
        "/__erulb__/%64omain",
        "/%5f_erulb__/domain",
        "/__erulb__/domain;x",
        "/__erulb__/upstream/up1",
        "http://host/__erulb__/domain",
    ] {
        is_failure(&rig.ask("GET", path, "").await, 404, None);
    }
}

#[tokio::test]
async fn too_large_a_body_is_413_before_and_after_it_was_read() {
    let rig = Rig::obedient();
    let large = vec![b' '; super::body::LIMIT + 1];
    is_failure(&rig.ask("PUT", "/__erulb__/domain", large.clone()).await, 413, None);
    let unsized_body = Body::new(http_body_util::BodyExt::boxed(Unsized(Some(large.into()))));
    is_failure(&rig.ask("PUT", "/__erulb__/domain", unsized_body).await, 413, None);
}

/// A body that does not say how long it is.
struct Unsized(Option<axum::body::Bytes>);

impl axum::body::HttpBody for Unsized {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(hyper::body::Frame::data(bytes))))
    }
}

#[tokio::test]
async fn who_may_not_administer_gets_403_and_nothing_else() {
    use tower::ServiceExt;
    let rig = Rig::obedient();
    for path in ["/__erulb__/domain", "/__erulb__/x"] {
        let request = axum::extract::Request::get(path).body(Body::empty()).unwrap();
        let told = rig.api.clone().oneshot(request).await.unwrap();
        assert_eq!(told.status(), StatusCode::FORBIDDEN);
        assert!(!told.headers().contains_key("x-elb-version"));
    }
}

async fn dump_with(rig: &mut Rig, path: &str, body: &'static str, outcome: Result<i64, String>) -> Told {
    let (api, path) = (rig.api.clone(), path.to_owned());
    let asking = tokio::spawn(async move { ask(&api, "PUT", &path, body).await });
    let writes = rig.told_to_dump().await;
    match outcome {
        Ok(revision) => rig.wrote(&writes, revision).await,
        Err(reason) => rig.dumped(Err(reason)).await,
    }
    asking.await.unwrap()
}

#[tokio::test]
async fn a_dump_says_ok_only_when_it_is_stored() {
    let mut rig = Rig::obedient();
    is_ok(&rig.ask("PUT", "/__erulb__/upstream", UPSTREAM).await);
    let told = rig.ask("PUT", "/__erulb__/dump", "").await;
    is_failure(&told, 503, None);
    assert_eq!(told.header("retry-after"), "1");
    rig.load(Contents::default()).await;
    is_failure(&dump_with(&mut rig, "/__erulb__/dump", "", Err("etcd is down".to_owned())).await, 503, None);
    let told = dump_with(&mut rig, "/__erulb__/dump", "", Ok(7)).await;
    is_ok(&told);
    assert_eq!((told.header("x-elb-revision"), told.header("x-elb-unsaved")), ("7", "0"));
}

#[tokio::test]
async fn a_write_may_dump_at_once() {
    let mut rig = Rig::obedient();
    rig.load(Contents::default()).await;
    let told = dump_with(&mut rig, "/__erulb__/upstream?dump=1", UPSTREAM, Ok(7)).await;
    is_ok(&told);
    assert_eq!((told.header("x-elb-revision"), told.header("x-elb-unsaved")), ("7", "0"));
    let told = dump_with(&mut rig, "/__erulb__/domain?dump=1", DOMAIN, Err("no".to_owned())).await;
    is_failure(&told, 503, None);
    assert!(told.json()["error"].as_str().unwrap().starts_with("the change is served, but"));
    assert_eq!((told.header("x-elb-version"), told.header("x-elb-unsaved")), ("3", "1"));
}

#[tokio::test]
async fn a_store_that_is_silent_is_504_within_the_clients_patience() {
    let rig = Rig::obedient();
    rig.load(Contents::default()).await;
    is_ok(&rig.ask("PUT", "/__erulb__/upstream", UPSTREAM).await);
    is_failure(&rig.ask("PUT", "/__erulb__/dump", "").await, 504, None);
    // The client gives up after two seconds, and an answer needs some time to reach it.
    const { assert!(super::write::STORE.as_millis() <= 1800) };
}

#[tokio::test]
async fn a_worker_that_is_silent_is_told_with_the_ok() {
    let rig = Rig::new(1, no_names());
    let told = rig.ask("PUT", "/__erulb__/upstream", UPSTREAM).await;
    is_ok(&told);
    let warning = told.json()["warnings"][0]["message"].as_str().unwrap().to_owned();
    assert!(warning.starts_with("0 of 1 workers serve version 2 so far"), "{warning}");
    assert_eq!((told.header("x-elb-version"), told.header("x-elb-applied")), ("2", "0/1"));
}

#[tokio::test]
async fn what_the_store_holds_broken_is_listed() {
    let rig = Rig::obedient();
    assert_eq!(rig.ask("GET", "/__erulb__/rejected", "").await.text, "{\"rejected\":[]}\n");
    let mut contents = stored(&["a"]);
    contents.rules.insert("b".to_owned(), "{".to_owned());
    rig.load(contents).await;
    let told = rig.ask("GET", "/__erulb__/rejected", "").await.json();
    assert_eq!(
        (&told["rejected"][0]["key"], &told["rejected"][0]["serving"]),
        (&json!("rules/b"), &json!("nothing"))
    );
}

#[tokio::test]
async fn what_workers_hold_is_shown_for_each_and_for_all() {
    let rig = Rig::new(2, no_names());
    let told = rig.ask("GET", "/__erulb__/workers", "").await.json();
    assert_eq!((&told["workers"][1]["version"], &told["workers"][1]["clients"]), (&json!(1), &json!(0)));
    assert_eq!(told["workers"][1]["share"], json!({"accepted": null, "requests": null}));
    for (worker, accepted) in rig.workers.iter().zip([1, 3]) {
        let gauges = Gauges {
            clients: 3,
            server_connections: 2,
            timers: 5,
            accepted,
            requests: 8,
            ..Gauges::default()
        };
        worker.holds(gauges).await;
    }
    let told = timeout(SOON, async {
        loop {
            let told = rig.ask("GET", "/__erulb__/workers", "").await.json();
            if told["all"]["clients"] == 6 {
                return told;
            }
        }
    });
    let told = told.await.unwrap();
    assert_eq!((&told["all"]["timers"], &told["all"]["requests_at_servers"]), (&json!(10), &json!(0)));
    assert_eq!(told["workers"][0]["server_connections"], 2);
    assert_eq!(told["workers"][1]["share"], json!({"accepted": 75.0, "requests": 50.0}));
    assert!(told["workers"][0]["age_ms"].is_u64());
}

#[tokio::test]
async fn a_resync_answers_with_what_came_of_it() {
    let mut rig = Rig::obedient();
    rig.load(stored(&["a", "b", "c"])).await;
    let (api, held) = (rig.api.clone(), Contents::default());
    let asking = tokio::spawn(async move { ask(&api, "PUT", "/__erulb__/resync", "").await });
    assert!(matches!(timeout(SOON, rig.commands.recv()).await.unwrap(), Some(StoreCommand::Resync)));
    rig.store.send(StoreEvent::Loaded { contents: held, revision: 2 }).await.unwrap();
    let told = asking.await.unwrap();
    is_failure(&told, 409, None);
    assert!(told.header("x-elb-warning").contains("held back until PUT /__erulb__/resync?confirm=1"));
    assert_eq!(rig.ask("GET", "/__erulb__/domain", "").await.json().as_object().unwrap().len(), 3);
    is_ok(&rig.ask("PUT", "/__erulb__/resync?confirm=1", "").await);
    assert_eq!(rig.ask("GET", "/__erulb__/domain", "").await.text, "{}\n");
    assert!(rig.commands.try_recv().is_err(), "nobody asks the store again");
}

#[tokio::test]
async fn a_resync_says_why_the_store_cannot_be_read() {
    let mut rig = Rig::obedient();
    rig.load(stored(&["a", "b", "c"])).await;
    for reason in ["authentication failed", "elb.json: EOF at line 1"] {
        let api = rig.api.clone();
        let asking = tokio::spawn(async move { ask(&api, "PUT", "/__erulb__/resync", "").await });
        assert!(matches!(timeout(SOON, rig.commands.recv()).await.unwrap(), Some(StoreCommand::Resync)));
        rig.store.send(StoreEvent::Down { reason: reason.to_owned() }).await.unwrap();
        let told = asking.await.unwrap();
        is_failure(&told, 503, None);
        assert_eq!(told.json()["error"], format!("the store cannot be read: {reason}"));
    }
}

#[tokio::test]
async fn a_store_that_is_down_shows_in_every_answer() {
    let rig = Rig::obedient();
    rig.load(stored(&["a"])).await;
    rig.lost("connection refused").await;
    let told = rig.ask("GET", "/__erulb__/domain", "").await;
    assert_eq!(
        told.header("x-elb-warning"),
        "the store is down (connection refused); serving what it held last [store-down]"
    );
}
