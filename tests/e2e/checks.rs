//! Active checks: who asks, how often, what is told, and that nobody is asked any more who is taken away.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::load::Load;
use crate::support::rules::{self, SITE};
use crate::support::server::{Conversation, Server, ok};
use crate::support::wait;

/// Often, and quick to judge.
const OFTEN: &str = "check=/healthz check_interval=100ms check_timeout=2s rise=2 fall=2";

/// A server that is asked how it is.
struct Patient {
    server: Server,
    is_well: Arc<AtomicBool>,
    checks: Arc<AtomicUsize>,
}

impl Patient {
    fn named(name: &str) -> Patient {
        Patient::answering(name, |talk| talk.send("HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n"))
    }

    /// One that does this when it is asked while it is ill.
    fn answering(
        name: &str,
        ill: impl Fn(&mut Conversation) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Patient {
        let (is_well, checks) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (well, count, name) = (Arc::clone(&is_well), Arc::clone(&checks), ok(name));
        let server = Server::start(move |talk| {
            while let Some(request) = talk.request()? {
                if request.head.target() != "/healthz" {
                    talk.send(&name)?;
                    continue;
                }
                count.fetch_add(1, Ordering::SeqCst);
                if !well.load(Ordering::SeqCst) {
                    return ill(talk);
                }
                talk.send(ok("well"))?;
            }
            Ok(())
        });
        Patient { server, is_well, checks }
    }

    fn is_well(&self, well: bool) {
        self.is_well.store(well, Ordering::SeqCst);
    }

    fn name(&self) -> String {
        self.server.address().to_string()
    }

    fn until_checked(&self, times: usize) {
        let before = self.checks.load(Ordering::SeqCst);
        wait::until("checks", || (self.checks.load(Ordering::SeqCst) >= before + times).then_some(()));
    }
}

fn document(patients: &[&Patient], options: &str) -> Value {
    let servers: Vec<&Server> = patients.iter().map(|patient| &patient.server).collect();
    let mut document = rules::site(&servers);
    document["upstreams"]["up"]["@options"] = options.into();
    document
}

/// The rows of the servers, in order.
fn rows(elb: &Elb) -> Vec<Value> {
    elb.admin().get("servers").as_array().expect("rows").clone()
}

fn states(elb: &Elb) -> Vec<String> {
    rows(elb).iter().map(|row| row["state"].as_str().expect("a state").to_owned()).collect()
}

/// The row of the server of that name.
fn row(elb: &Elb, server: &str) -> Value {
    rows(elb).into_iter().find(|row| row["server"] == server).expect("its row")
}

fn is(elb: &Elb, patient: &Patient, state: &str) -> Option<()> {
    (row(elb, &patient.name())["state"] == state).then_some(())
}

/// How many lines of the log hold these words.
fn told(elb: &Elb, words: &str) -> usize {
    elb.log().lines().filter(|line| line.contains(words)).count()
}

#[test]
fn a_server_that_fails_its_checks_gets_no_requests_until_it_passes_them_again() {
    let (a, b) = (Patient::named("a"), Patient::named("b"));
    let elb = Launch::serving(&document(&[&a, &b], OFTEN)).start();
    a.until_checked(2);
    assert_eq!(states(&elb), ["up", "up"]);
    b.is_well(false);
    wait::until("b to fail", || is(&elb, &b, "failing"));
    assert!(is(&elb, &a, "up").is_some());
    let mut client = elb.client();
    for _ in 0..20 {
        assert_eq!(client.ask(get(SITE, "/")).text(), "a");
    }
    let row = row(&elb, &b.name());
    assert_eq!((&row["reason"], &row["last_check"]["what"]), (&json!("status 503"), &json!("status 503")));
    assert_eq!((&row["last_check"]["ok"], &row["until"]), (&json!(false), &json!(null)));
    assert!(row["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{row}");

    b.is_well(true);
    wait::until("b to be back", || (states(&elb) == ["up", "up"]).then_some(()));
    let answers: Vec<String> = (0..20).map(|_| client.ask(get(SITE, "/")).text()).collect();
    assert!(answers.contains(&"b".to_owned()));
    let gone = format!("server {} fails its checks (status 503); 1 of 2 servers can be used", b.name());
    let back = format!("server {} is back; 2 of 2 servers can be used", b.name());
    wait::until("a word of each turn", || (told(&elb, &back) == 1).then_some(()));
    assert_eq!(told(&elb, &gone), 1, "{}", elb.log());
    assert_eq!(told(&elb, "WARN"), 1, "{}", elb.log());
}

#[test]
fn when_all_fail_their_checks_all_are_asked_all_the_same() {
    let (a, b) = (Patient::named("a"), Patient::named("b"));
    let elb = Launch::serving(&document(&[&a, &b], OFTEN)).workers(1).start();
    [&a, &b].into_iter().for_each(|patient| patient.is_well(false));
    wait::until("both to fail", || (states(&elb) == ["failing", "failing"]).then_some(()));
    let mut client = elb.client();
    let mut answers: Vec<String> = (0..4).map(|_| client.ask(get(SITE, "/")).text()).collect();
    answers.sort_unstable();
    assert_eq!(answers, ["a", "a", "b", "b"]);
    let open = || elb.admin().get("workers")["all"]["fail_open"].as_u64();
    wait::until("them to be counted", || (open() == Some(4)).then_some(()));
    [&a, &b].into_iter().for_each(|patient| patient.is_well(true));
    wait::until("both to be back", || (states(&elb) == ["up", "up"]).then_some(()));
}

/// One prober for all workers, and a connection of its own for each check.
#[test]
fn checks_are_as_many_with_eight_workers_as_with_one_and_take_no_connection_of_theirs() {
    let a = Patient::named("a");
    let options = "check=/healthz check_interval=1s";
    let elb = Launch::serving(&document(&[&a], options)).workers(8).start();
    a.until_checked(3);
    let (checks, asked) = (a.checks.load(Ordering::SeqCst), a.server.requests());
    assert_eq!(a.server.connections(), checks, "one each");
    assert!(asked.iter().all(|request| request.head.get("Connection") == Some("close")));
    let host = a.name();
    assert!(asked.iter().all(|request| request.head.get("Host") == Some(&host)), "{asked:?}");
    let workers = elb.admin().get("workers");
    assert_eq!((&workers["all"]["server_connections"], &workers["all"]["requests"]), (&json!(0), &json!(0)));
    assert_eq!(rows(&elb)[0]["requests"], 0);
}

#[test]
fn nobody_is_checked_who_is_taken_away_and_what_is_under_way_is_given_up() {
    // It is asked, and does not answer.
    let silent = Patient::answering("silent", |talk| talk.some().map(drop));
    silent.is_well(false);
    let other = Patient::named("other");
    let options = "check=/healthz check_interval=100ms check_timeout=60s";
    let elb = Launch::serving(&document(&[&silent, &other], options)).start();
    // The first check is the only one, and may have come before anybody looks.
    wait::until("a check", || (silent.checks.load(Ordering::SeqCst) > 0).then_some(()));
    let body = json!({"up": {(silent.name()): null}}).to_string();
    assert_eq!(elb.admin().call("PATCH", "upstream", Some(&body)).status(), 200);
    wait::until("the check to be given up", || (silent.server.open_connections() == 0).then_some(()));
    let before = silent.checks.load(Ordering::SeqCst);
    other.until_checked(5);
    assert_eq!(silent.checks.load(Ordering::SeqCst), before);
    let body = json!({"up": {"@options": "check=off"}}).to_string();
    assert_eq!(elb.admin().call("PATCH", "upstream", Some(&body)).status(), 200);
    let connections = wait::until_still("connections", || other.server.connections() as u64);
    assert!(connections > 0);
}

#[test]
fn what_fails_is_told_by_name_whatever_it_is() {
    let hangs_up = Patient::answering("a", |_| Ok(()));
    let mumbles = Patient::answering("b", |talk| talk.send("HTTP/1.1 2000 OK\r\n\r\n"));
    let is_cut = Patient::answering("c", |talk| talk.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"));
    let silent = Patient::answering("d", |talk| talk.some().map(drop));
    let patients = [&hangs_up, &mumbles, &is_cut, &silent];
    patients.iter().for_each(|patient| patient.is_well(false));
    let options = "check=/healthz check_interval=100ms check_timeout=1s fall=1";
    let mut document = document(&patients, options);
    document["upstreams"]["up"]["127.0.0.1:1"] = "".into();
    document["upstreams"]["up"]["unix:/no/such"] = "".into();
    let elb = Launch::serving(&document).start();
    wait::until("all to fail", || states(&elb).iter().all(|state| state == "failing").then_some(()));
    for (server, words) in [
        (hangs_up.name(), "the connection ended before the answer did"),
        (mumbles.name(), "invalid HTTP status"),
        (is_cut.name(), "the connection ended before the answer did"),
        (silent.name(), "no answer within 1s"),
        ("127.0.0.1:1".to_owned(), "connection refused"),
        ("unix:/no/such".to_owned(), "no such socket"),
    ] {
        let row = row(&elb, &server);
        assert!(row["reason"].as_str().is_some_and(|reason| reason.contains(words)), "{words}: {row}");
    }
}

/// The checks of a hundred servers that never answer take the places of each other, and the API and others go on.
#[test]
fn many_servers_that_hang_hold_up_nobody() {
    let (well, silent) = (Patient::named("well"), Patient::answering("a", |talk| talk.some().map(drop)));
    silent.is_well(false);
    let mut document = document(&[&well], OFTEN);
    let port = silent.server.address().port();
    let others: serde_json::Map<String, Value> =
        (2..102).map(|host| (format!("127.0.0.{host}:{port}"), "".into())).collect();
    // Each is another address of loopback, where nobody listens but the first; so each is refused, or hangs.
    document["upstreams"]["many"] = others.into();
    document["upstreams"]["many"][silent.name()] = "".into();
    document["upstreams"]["many"]["@options"] = "check=/healthz check_interval=200ms check_timeout=1s".into();
    let elb = Launch::serving(&document).start();
    wait::until("those to fail", || {
        let states = states(&elb);
        (states.iter().filter(|state| *state == "failing").count() == 101).then_some(())
    });
    well.until_checked(3);
    assert_eq!(elb.client().ask(get(SITE, "/")).text(), "well");
    assert!(told(&elb, "fails its checks") <= 101, "{}", elb.log());
}

/// The process gets no time for longer than a check may take, and the server answers when it has time again.
#[test]
fn a_check_that_is_late_through_our_own_load_is_no_failure_of_the_server() {
    let (asked, is_asked) = mpsc::channel();
    let (go, may_answer) = mpsc::channel();
    let may_answer = Mutex::new(may_answer);
    let server = Server::start(move |talk| {
        while talk.request()?.is_some() {
            // The test may have seen enough.
            let _ = asked.send(());
            let _ = may_answer.lock().expect("one check at a time").recv();
            talk.send(ok("well"))?;
        }
        Ok(())
    });
    // Whatever happens, the server is let go before it is waited for.
    let go = go;
    let mut document = rules::site(&[&server]);
    document["upstreams"]["up"]["@options"] =
        "check=/healthz check_interval=100ms check_timeout=500ms fall=1".into();
    let elb = Launch::serving(&document).start();
    for _ in 0..3 {
        is_asked.recv_timeout(wait::PATIENCE).expect("a check under way");
        elb.signal("STOP");
        std::thread::sleep(Duration::from_millis(800));
        elb.signal("CONT");
        go.send(()).expect("a server that waits");
    }
    is_asked.recv_timeout(wait::PATIENCE).expect("one more check");
    let row = rows(&elb).remove(0);
    assert_eq!((&row["state"], &row["last_check"]["ok"]), (&json!("up"), &json!(true)), "{row}");
    assert!(row["last_check"]["took_ms"].as_u64().is_some_and(|took| took >= 800), "{row}");
    assert_eq!(told(&elb, "fails its checks"), 0, "{}", elb.log());
    drop(go);
}

/// Each of three servers ends as a crash ends it, twice, and comes back.
#[test]
fn servers_that_crash_and_come_back_under_load_cost_no_get() {
    let mut servers: Vec<Option<Server>> = (0..3).map(|_| Some(Server::forgetful("well"))).collect();
    let all: Vec<&Server> = servers.iter().flatten().collect();
    let mut document = rules::site(&all);
    document["upstreams"]["up"]["@options"] = "check=/healthz check_interval=100ms rise=1 fall=1".into();
    let elb = Launch::serving(&document).start();
    let load = Load::start(elb.address(), 4, |client, _| {
        let answer = client.try_ask(&get(SITE, "/"))?;
        if answer.status() == 200 { Ok(()) } else { Err(format!("{} {}", answer.status(), answer.text())) }
    });
    for round in 0..6 {
        let place = servers[round % 3].take().expect("a server").stop();
        let name = place.to_string();
        let is = |state: &str| (row(&elb, &name)["state"] == state).then_some(());
        wait::until("it to fail", || is("failing"));
        load.carry_on(100);
        let answer = ok("well");
        servers[round % 3] = Some(Server::at(place, move |talk| {
            while let Some(head) = talk.head()? {
                talk.body(&head, &mut |_| {})?;
                talk.send(&answer)?;
            }
            Ok(())
        }));
        wait::until("it to be back", || is("up"));
        load.carry_on(100);
    }
    assert!(load.finish() >= 1200);
}
