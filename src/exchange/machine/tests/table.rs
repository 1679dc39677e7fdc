//! Every event in every phase: the table of transitions, and the test that walks it.

use super::*;

/// Rows are phases, columns events; a cell says which steps the shell is asked for, the status of an answer, and the
/// phase after that. What is said of the server: `+` it is good, `?` doubt, `!` a fault. `-` means that nothing comes of it: bytes and ends are not read then, and
/// answers of the shell come too late.
const TABLE: &str = "
phase   | bytes               | end                | gone       | connected | refused
Head    | route connect Await | close Over         | close Over | -         | -
Route   | -                   | -                  | close Over | -         | -
Connect | Connect             | close Over         | close Over | Await     | drop! connect Connect
Await   | Await               | close Over         | close Over | -         | -
Failover | -                   | -                  | close Over | -         | -
Relay   | Relay               | close Over         | close Over | -         | -
Tunnel  | Tunnel              | shut-server Tunnel | close Over | -         | -
Reply   | -                   | -                  | close Over | -         | -
Linger  | Linger              | close Over         | close Over | -         | -
Over    | -                   | -                  | -          | -         | -

phase   | server bytes                | server end          | server gone         | server deaf | deadline
Head    | -                           | -                   | -                   | -           | shut-client 408 Linger
Route   | -                           | -                   | -                   | -           | close Over
Connect | -                           | -                   | -                   | -           | drop! connect Connect
Await   | drop+ shut-client 200 Linger | drop! connect Await | drop! connect Await | -          | drop shut-client 408 Linger
Failover | -                           | -                   | -                   | -           | close Over
Relay   | drop+ shut-client Linger    | close Over          | close Over          | -           | close Over
Tunnel  | 200 Tunnel                  | shut-client Tunnel  | reset+ Over         | -           | close+ Over
Reply   | -                           | -                   | -                   | -           | close Over
Linger  | -                           | -                   | -                   | -           | close Over
Over    | -                           | -                   | -                   | -           | close Over
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Bytes,
    End,
    Gone,
    Connected,
    Refused,
    ServerBytes,
    ServerEnd,
    ServerGone,
    ServerDeaf,
    Deadline,
}

const EVENTS: [(&str, Event); 10] = [
    ("bytes", Event::Bytes),
    ("end", Event::End),
    ("gone", Event::Gone),
    ("connected", Event::Connected),
    ("refused", Event::Refused),
    ("server bytes", Event::ServerBytes),
    ("server end", Event::ServerEnd),
    ("server gone", Event::ServerGone),
    ("server deaf", Event::ServerDeaf),
    ("deadline", Event::Deadline),
];

/// The name of a phase: its row. A phase without a row fails to compile here, or to be found below.
fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Head => "Head",
        Phase::Route => "Route",
        Phase::Connect => "Connect",
        Phase::Await => "Await",
        Phase::Failover => "Failover",
        Phase::Relay { .. } => "Relay",
        Phase::Tunnel { .. } => "Tunnel",
        Phase::Reply { .. } => "Reply",
        Phase::Linger => "Linger",
        Phase::Over => "Over",
    }
}

const ROWS: [&str; 10] =
    ["Head", "Route", "Connect", "Await", "Failover", "Relay", "Tunnel", "Reply", "Linger", "Over"];

const HALF: &str = "PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc";

/// An exchange in the phase of this row. Where a body may be under way, half of it has come.
fn standing(row: &str) -> Play {
    let mut play = Play::new();
    match row {
        "Head" => play.client("GET /p HTTP/1.1\r\nHo"),
        "Route" => {
            play.silent = true;
            play.client(HALF)
        }
        "Connect" => {
            play.hold = true;
            play.client(HALF)
        }
        "Await" => play.client(HALF),
        "Failover" => {
            play.client(HALF).silent = true;
            play.server("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        }
        "Relay" => play.client(HALF).server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        "Tunnel" => play
            .client("GET /p HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
            .server("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"),
        "Reply" => {
            (play.deny, play.deaf) = (Some(Reason::NoDomain), true);
            play.client(HALF)
        }
        "Linger" => play.client("bad\r\n"),
        "Over" => play.client(GET).server(OK),
        row => panic!("no way leads to {row}"),
    };
    assert_eq!(name(play.exchange.phase()), row);
    play.client_saw();
    play.log.clear();
    play
}

/// What comes of the event, in the words of the table.
fn outcome(play: &mut Play, event: Event) -> String {
    let before = play.exchange.phase();
    let env = play.env.clone();
    let (client, server) = (play.exchange.wants(Side::Client), play.exchange.wants(Side::Server));
    play.silent = false;
    match event {
        Event::Bytes if !client => return "-".to_owned(),
        Event::End if !client => return "-".to_owned(),
        Event::ServerBytes | Event::ServerEnd | Event::ServerGone if !server => return "-".to_owned(),
        Event::Bytes => drop(play.client("st: h\r\n\r\n")),
        Event::End => play.exchange.ended(Side::Client),
        Event::Gone => play.exchange.failed(Side::Client),
        Event::Connected => play.exchange.connected(&env, false),
        Event::Refused => play.exchange.refused(&env, NoServer::Failed),
        Event::ServerBytes => drop(play.server(OK)),
        Event::ServerEnd => play.exchange.ended(Side::Server),
        Event::ServerGone => play.exchange.failed(Side::Server),
        Event::ServerDeaf => play.exchange.write_closed(Side::Server),
        Event::Deadline => drop(play.time_passes()),
    }
    if !matches!(event, Event::Bytes | Event::ServerBytes) && play.log.is_empty() {
        play.turn();
        if play.log.is_empty() && play.exchange.phase() == before {
            return "-".to_owned();
        }
    }
    let mut words: Vec<String> = play.log.iter().map(|step| word(*step)).collect();
    if let Some(status) = play.client_saw().strip_prefix("HTTP/1.1 ").and_then(|text| text.get(..3)) {
        words.push(status.to_owned());
    }
    words.push(name(play.exchange.phase()).to_owned());
    words.join(" ")
}

fn word(step: Step) -> String {
    let blame = |sign: Sign| match sign {
        Sign::Nothing => "",
        Sign::Good => "+",
        Sign::Doubt(_) => "?",
        Sign::Fault(_) => "!",
    };
    match step {
        Step::Wait => "wait".to_owned(),
        Step::Route => "route".to_owned(),
        Step::Connect { same } => if same { "again" } else { "connect" }.to_owned(),
        Step::Failover => "others".to_owned(),
        Step::Drop { sign } => format!("drop{}", blame(sign)),
        Step::Shutdown(Side::Client) => "shut-client".to_owned(),
        Step::Shutdown(Side::Server) => "shut-server".to_owned(),
        Step::Finished(_) => "finished".to_owned(),
        Step::Close { reset, sign } => {
            format!("{}{}", if reset { "reset" } else { "close" }, blame(sign))
        }
    }
}

/// The cells of [`TABLE`], as (row, column, cell).
fn cells() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut cells = Vec::new();
    let mut columns: Vec<&str> = Vec::new();
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split('|').map(str::trim).collect();
        if words[0] == "phase" {
            columns = words;
        } else {
            cells.extend(columns.iter().zip(&words).skip(1).map(|(column, cell)| (words[0], *column, *cell)));
        }
    }
    cells
}

#[test]
fn every_event_in_every_phase() {
    let cells = cells();
    assert_eq!(cells.len(), ROWS.len() * EVENTS.len());
    for row in ROWS {
        for (column, event) in EVENTS {
            let cell = cells.iter().find(|cell| (cell.0, cell.1) == (row, column)).expect("a cell");
            assert_eq!(outcome(&mut standing(row), event), cell.2, "{row}, {column}");
        }
    }
}

#[test]
fn a_drain_lets_the_exchange_finish_and_closes_after_it() {
    for row in ["Head", "Connect", "Await"] {
        let mut play = standing(row);
        (play.env.draining, play.hold) = (true, false);
        if row == "Connect" {
            let env = play.env.clone();
            play.exchange.connected(&env, false);
        }
        play.turn().client(if row == "Head" { "st: h\r\n\r\n" } else { "defghij" });
        let text = play.server(OK).client_saw();
        assert_eq!(text, OK.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1), "{row}");
        assert_eq!(
            play.last(),
            Step::Finished(Fate { keep_client: false, keep_server: true, sign: Sign::Good }),
            "{row}"
        );
    }
}
