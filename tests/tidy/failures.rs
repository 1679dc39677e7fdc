//! Each rule of the house, shown to fail on a text that breaks it and to be silent on one that only looks like it.

use super::source::Source;
use super::*;

fn faults(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
    rule(&Source::new(path, text)).len()
}

#[test]
fn an_import_through_a_wall_is_seen_in_every_spelling() {
    for text in [
        "use crate::control::hub;",
        "use crate::{model::Snapshot, control::{hub, run}};",
        "fn f() { crate::control::run() }",
        "use super::super::control::hub;",
    ] {
        assert_eq!(faults(walls, "data/conn.rs", text), 1, "{text}");
    }
    assert_eq!(faults(walls, "exchange/mod.rs", "use super::model;"), 1);
    assert_eq!(faults(walls, "semantics/host.rs", "use crate::http1::error::Refusal;"), 1, "no wire below");
    assert_eq!(faults(walls, "model/host.rs", "use crate::semantics::host;"), 0);
    assert_eq!(faults(walls, "novelty/room.rs", ""), 1, "a room without a plan");
    for text in [
        "use crate::{model::{Snapshot, control}, link};",
        "// use crate::control;",
        "const TEXT: &str = r#\"use \"crate::control\"#;",
        "use super::control;",
        "use other_crate::control;",
        "use crate::data::pool;",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::control::hub;\n}\n",
    ] {
        assert_eq!(faults(walls, "data/conn.rs", text), 0, "{text}");
    }
    assert_eq!(faults(walls, "main.rs", "use elb::{control, data};"), 0);
    assert_eq!(
        faults(walls, "stats.rs", "use crate::model::Snapshot;"),
        1,
        "the ground floor imports nothing"
    );
}

#[test]
fn what_the_compiler_cannot_check_is_seen() {
    for text in ["unsafe { f() }", "unsafe impl Send for A {}", "#[allow(unsafe_code)]"] {
        assert_eq!(faults(unchecked, "data/conn.rs", text), 1, "{text}");
        assert_eq!(faults(unchecked, "memory.rs", text), 0, "{text}");
    }
    assert_eq!(faults(unchecked, "data/conn.rs", "// unsafe { f() }\nlet unsafe_name = 1;"), 0);
}

#[test]
fn a_clock_in_a_pure_file_is_seen() {
    for text in ["let now = Instant::now();", "use std::net::TcpStream;", "std::thread::spawn(f)"] {
        assert_eq!(faults(purity, "http1/head.rs", text), 1, "{text}");
        assert_eq!(faults(purity, "data/balancer/peer.rs", text), 1, "{text}");
        assert_eq!(faults(purity, "data/conn.rs", text), 0, "{text}");
    }
    for text in ["/// Never calls Instant::now().", "fn f(now: Instant) {}", "let operand::Kind = x;"] {
        assert_eq!(faults(purity, "http1/head.rs", text), 0, "{text}");
    }
}

#[test]
fn a_clock_where_the_time_is_told_is_seen() {
    for text in
        ["let now = Instant::now();", "if since.elapsed() > HOUR {}", "x.get_or_insert_with(Instant::now);"]
    {
        assert_eq!(faults(clocks, "control/hub.rs", text), 1, "{text}");
        assert_eq!(faults(clocks, "control/run.rs", text), 0, "{text}");
    }
    for text in ["use std::time::Instant;", "tracing::info!(\"Instant::now\");", "// since.elapsed()"] {
        assert_eq!(faults(clocks, "control/hub.rs", text), 0, "{text}");
    }
}

#[test]
fn a_panic_on_the_way_of_a_request_is_seen() {
    for text in ["x.unwrap();", "x.expect(\"it\");", "panic!(\"no\");", "'\\'' => todo!(),"] {
        assert_eq!(faults(panics, "data/conn.rs", text), 1, "{text}");
        assert_eq!(faults(panics, "main.rs", text), 0, "{text}");
    }
    for text in ["x.unwrap_or(0);", "b\"panic!\"", "expect_continue(x)", "/* x.unwrap() */"] {
        assert_eq!(faults(panics, "data/conn.rs", text), 0, "{text}");
    }
}

#[test]
fn a_print_that_panics_is_seen() {
    for text in ["println!();", "eprintln!(\"it\");", "std::print!(\"it\")"] {
        assert_eq!(faults(prints, "command/run.rs", text), 1, "{text}");
    }
    for text in ["writeln!(out)?;", "// println!", "let told = \"println!\";"] {
        assert_eq!(faults(prints, "command/run.rs", text), 0, "{text}");
    }
}

#[test]
fn a_long_file_and_a_long_function_are_seen() {
    assert_eq!(faults(lengths, "a.rs", &"//\n".repeat(FILE_LINES)), 0);
    assert_eq!(faults(lengths, "a.rs", &"//\n".repeat(FILE_LINES + 1)), 1);
    let function = |head: &str, lines: usize| {
        format!("{head} {{\n{}    }}\n", "        let brace = '{';\n".repeat(lines - 2))
    };
    for head in ["    fn long()", "    pub(super) const fn long<T>(x: T) -> u8"] {
        assert_eq!(faults(lengths, "a.rs", &function(head, FUNCTION_LINES)), 0, "{head}");
        assert_eq!(faults(lengths, "a.rs", &function(head, FUNCTION_LINES + 1)), 1, "{head}");
    }
    let tests = format!("#![doc = \"\"]\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    //\n".repeat(FILE_LINES));
    assert_eq!(faults(lengths, "a.rs", &tests), 0, "unit tests are not counted");
}

#[test]
fn a_definition_in_a_table_of_contents_is_seen() {
    for text in [
        "pub struct Hub;",
        "mod a;\nfn f() {}\n",
        "pub(crate) const A: u8 = 1;",
        "mod a { fn f() {} }",
        "impl A for B {}",
    ] {
        assert!(faults(contents, "data/mod.rs", text) > 0, "{text}");
        assert_eq!(faults(contents, "data/conn.rs", text), 0, "{text}");
    }
    let listing = "//! Rooms.\n\n#[cfg(test)]\nmod a;\npub mod b;\n/// Door.\npub use b::{C, d::{E}};\n\
                   #[doc = include_str!(\"page.md\")]\npub mod page {}\n";
    assert_eq!(faults(contents, "data/mod.rs", listing), 0);
}

#[test]
fn other_house_rules_can_fail_too() {
    assert_eq!(opening("a.rs", "use std::fs;").len(), 1);
    assert_eq!(opening("a.rs", "//! Files.").len(), 0);
    assert_eq!(places("a.md", concat!("see /ho", "me/me/elb and conn.rs", ":12")).len(), 2);
    assert_eq!(places("a.md", "see conn.rs: it pumps").len(), 0);
    let names = ["src", ".ci", "Cargo.toml", "notes.txt"].map(String::from);
    assert_eq!(top_level(&names), ["notes.txt: not one of the entries of the top level"]);
}
