//! The house rules as a test: who may import whom, what is pure, how long a file and a function may be.
//!
//! Each rule is a function from a [`Source`] to the faults in it: `tidy/failures.rs` shows that it fails on a text that
//! breaks it, and the tests here hold it against the whole tree. It reads text, not syntax: rustfmt has laid the code
//! out, so a function ends at the first brace in the column where it began.

#![allow(clippy::expect_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/exchange.rs"]
mod exchange;
#[path = "tidy/failures.rs"]
mod failures;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/walls.rs"]
mod walls;

use source::Source;
use walls::WALLS;

/// Lines a source file may have, and a function; unit tests are not counted.
const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
/// Lines a file of tests may have.
const TEST_LINES: usize = 500;

/// Folders and files that compute from their arguments alone.
const PURE: &[&str] = &[
    "semantics/",
    "model/",
    "http1/",
    "exchange/",
    "reason.rs",
    "spelling.rs",
    "units.rs",
    "stats.rs",
    "stats/",
    "settings.rs",
    "access_log/entry.rs",
    "access_log/format/",
    "data/note.rs",
    "data/steps.rs",
    "data/balancer/",
    "data/draws.rs",
    "data/buffers.rs",
    "data/prelude.rs",
    "data/timers.rs",
    "data/token.rs",
    "control/checks/order.rs",
    "control/checks/schedule.rs",
    "control/checks/tally.rs",
    "control/held.rs",
    "control/lately.rs",
    "control/recent.rs",
    "control/removals.rs",
    "control/shortages.rs",
    "control/store/document.rs",
    "control/store/keys.rs",
    "control/store/merge.rs",
    "control/store/options.rs",
    "control/store/v2.rs",
    "control/store/watch.rs",
    "control/admin/answer.rs",
    "control/admin/names.rs",
    "control/admin/query.rs",
];

/// What gives impurity away: clocks, sockets, threads, channels, logs, chance, and the crates that bring them.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "thread::",
    "thread_local!",
    "mpsc",
    "crossbeam_channel",
    "mio::",
    "tokio::",
    "socket2::",
    "tracing::",
    "println!",
    "eprintln!",
    "rand::",
    "std::process",
];

/// Files that own channels or write the log, and are told what time it is: a test plays hours of theirs in no time.
const TOLD_THE_TIME: &[&str] = &[
    "control/ahead.rs",
    "control/alarms.rs",
    "control/replies.rs",
    "control/dumps.rs",
    "control/workers.rs",
    "control/hub.rs",
    "control/store_guard.rs",
    "control/outages.rs",
    "control/health.rs",
    "control/servers.rs",
    "control/hub/reports.rs",
    "control/rejections.rs",
    "control/resolve.rs",
    "control/admin/access.rs",
    "control/admin/room.rs",
];
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", ".elapsed("];

/// Code that meets other people's bytes and words answers with an error, never with a panic.
const NO_PANIC: &[&str] = &["semantics/", "http1/", "exchange/", "data/", "model/", "control/"];
const PANICS: &[&str] =
    &[".unwrap()", ".unwrap_err()", ".expect(", "panic!", "todo!", "unimplemented!", "unreachable!"];

/// The one file that may hold code that the compiler cannot check.
const UNCHECKED: &str = "memory.rs";
/// These panic when the terminal is gone, the pipe closed or the disk full.
const PRINTS: &[&str] = &["print!", "println!", "eprint!", "eprintln!", "dbg!"];

/// What may stand at the top of the repository, besides dot-files and what git ignores.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "benches",
    "tests",
    "tools",
    "README.md",
    "Dockerfile",
    "LICENSE",
    "target",
];

// ------------------------------------------------------------------------------------------------------- the rules

/// Imports through a wall, whether by `use`, by a path in the code, or by climbing with `super`.
fn walls(source: &Source) -> Vec<String> {
    let room = source.room();
    let Some((_, allowed)) = WALLS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}: a room that the plan of the house does not name", source.path)];
    };
    let depth = source.path.matches('/').count() + usize::from(!source.path.ends_with("mod.rs"));
    let mut faults = Vec::new();
    for imported in imports(&source.code, depth) {
        if imported != room && !allowed.contains(&imported.as_str()) {
            faults.push(format!("{}: {room} may not import {imported}", source.path));
        }
    }
    faults
}

/// The rooms that `code` names: what follows `crate::`, `elb::`, or as many `super::` as the file is deep.
fn imports(code: &str, depth: usize) -> Vec<String> {
    let root = "super::".repeat(depth);
    let mut found = Vec::new();
    for prefix in ["crate::", "elb::", root.as_str()] {
        for (at, _) in code.match_indices(prefix) {
            if code[..at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before)) {
                continue;
            }
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(heads_of_group(group)),
                None => found.push(word(rest)),
            }
        }
    }
    found.retain(|name| WALLS.iter().any(|(room, _)| room == name));
    found
}

/// The first words of `{a::b, c::{d, e}, f}`, given what follows the brace.
fn heads_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut item, mut heads) = (0, String::new(), Vec::new());
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(word(std::mem::take(&mut item).trim())),
            _ if depth == 0 => item.push(character),
            _ => {}
        }
    }
    heads.push(word(item.trim()));
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Words that a pure file may not contain.
fn purity(source: &Source) -> Vec<String> {
    if source.is_in(PURE) { words(source, IMPURE, "is pure and may not say") } else { Vec::new() }
}

/// Clocks in a file that is told the time.
fn clocks(source: &Source) -> Vec<String> {
    if source.is_in(TOLD_THE_TIME) {
        words(source, CLOCKS, "is told what time it is and may not say")
    } else {
        Vec::new()
    }
}

/// Panics outside unit tests.
fn panics(source: &Source) -> Vec<String> {
    if source.is_in(NO_PANIC) {
        words(source, PANICS, "answers with errors and may not say")
    } else {
        Vec::new()
    }
}

/// Prints outside unit tests. The log never fails, and `command` says the rest by writes whose outcome it looks at.
fn prints(source: &Source) -> Vec<String> {
    words(source, PRINTS, "must not fail with the stream that it writes to, and may not say")
}

/// What the compiler cannot check, outside of the one file that says why.
fn unchecked(source: &Source) -> Vec<String> {
    if source.path == UNCHECKED {
        return Vec::new();
    }
    words(
        source,
        &["unsafe {", "unsafe fn", "unsafe impl", "unsafe_code"],
        "must be checked, and may not say",
    )
}

fn words(source: &Source, forbidden: &[&str], complaint: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in source.code.lines().enumerate() {
        for word in forbidden {
            let stands_alone = |at: usize| {
                let before = line[..at].chars().next_back();
                !word.starts_with(char::is_alphanumeric)
                    || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            };
            if line.match_indices(word).any(|(at, _)| stands_alone(at)) {
                faults.push(format!("{}:{}: {complaint} {word}", source.path, number + 1));
            }
        }
    }
    faults
}

/// Files and functions that are too long.
fn lengths(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.text.trim_end().lines().count();
    if lines > FILE_LINES {
        faults.push(format!("{}: {lines} lines, {FILE_LINES} are allowed", source.path));
    }
    let code: Vec<&str> = source.code.lines().collect();
    for (start, line) in code.iter().enumerate().filter(|(_, line)| begins_function(line)) {
        let indent = line.len() - line.trim_start().len();
        let closes =
            |l: &&str| l.len() > indent && l[indent..].starts_with('}') && l[..indent].trim().is_empty();
        let length = 1 + code[start..].iter().position(closes).unwrap_or_default();
        if length > FUNCTION_LINES && !line.trim_end().ends_with(';') {
            let name = word(line.split("fn ").nth(1).unwrap_or_default());
            faults.push(format!("{}: {name} has {length} lines, {FUNCTION_LINES} are allowed", source.path));
        }
    }
    faults
}

fn begins_function(line: &str) -> bool {
    line.split_once("fn ").is_some_and(|(before, after)| {
        let qualifiers = ["pub", "const", "async", "unsafe", "extern"];
        before
            .split_whitespace()
            .all(|word| qualifiers.iter().any(|q| word.starts_with(q)) || word.ends_with(')'))
            && after.starts_with(|c: char| c.is_alphabetic() || c == '_')
    })
}

/// A `mod.rs` is a table of contents: documentation, modules, re-exports. A module without contents is a page of the manual.
fn contents(source: &Source) -> Vec<String> {
    if !source.path.ends_with("mod.rs") && source.path != "lib.rs" {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let code = source.code.replace(" {}", ";");
    for statement in code.split_inclusive(&[';', ']']) {
        let statement = statement.trim();
        let words = statement.trim_start_matches("pub(crate)").trim_start_matches("pub(super)").trim_start();
        let words = words.strip_prefix("pub ").unwrap_or(words);
        let lists = ["mod ", "use ", "#[", "#!["].iter().any(|start| words.starts_with(start));
        let in_place = statement.is_empty() || lists && statement.ends_with([';', ']']);
        if !in_place {
            let first = statement.lines().next().unwrap_or_default();
            faults.push(format!("{}: a table of contents defines nothing, but says {first}", source.path));
        }
    }
    faults
}

/// A file says first what it owns, what it never does, and where to look next.
fn opening(path: &str, text: &str) -> Vec<String> {
    if text.starts_with("//! ") { Vec::new() } else { vec![format!("{path}: does not open with //!")] }
}

/// Paths of somebody's machine, and references to line numbers, which are wrong after the next edit.
fn places(path: &str, text: &str) -> Vec<String> {
    let homes = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];
    let mut faults: Vec<String> = homes
        .iter()
        .filter(|home| text.contains(*home))
        .map(|home| format!("{path}: names a place on somebody's machine, {home}"))
        .collect();
    let line_number = |(at, _): (usize, &str)| text[at + 4..].starts_with(|c: char| c.is_ascii_digit());
    if text.match_indices(".rs:").any(line_number) {
        faults.push(format!("{path}: refers to a line by its number"));
    }
    faults
}

/// Entries of the top folder that have no business there.
fn top_level(entries: &[String]) -> Vec<String> {
    let stray = entries.iter().filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str()));
    stray.map(|name| format!("{name}: not one of the entries of the top level")).collect()
}

// --------------------------------------------------------------------------------------------------- the tree is tidy

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder`, as (path from there, text); what is not text is left out.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("__pycache__") {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let name = path.strip_prefix(folder).expect("a path below the folder");
                found.push((name.to_string_lossy().into_owned(), text));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let is_test = |path: &str| path.ends_with("tests.rs") || path.contains("tests/");
    let rust =
        files(&root().join("src")).into_iter().filter(|(path, _)| path.ends_with(".rs") && !is_test(path));
    let sources: Vec<Source> = rust.map(|(path, text)| Source::new(&path, &text)).collect();
    assert!(sources.len() > 8, "the sources are not where they were");
    sources
}

#[track_caller]
fn hold(rule: fn(&Source) -> Vec<String>) {
    let faults: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn walls_stand() {
    hold(walls);
}

#[test]
fn pure_rooms_are_pure() {
    hold(purity);
}

#[test]
fn who_is_told_the_time_reads_no_clock() {
    hold(clocks);
}

#[test]
fn nothing_panics_on_what_a_peer_sent() {
    hold(panics);
}

#[test]
fn one_file_has_what_the_compiler_cannot_check() {
    hold(unchecked);
}

#[test]
fn nothing_panics_on_a_stream_that_cannot_be_written() {
    hold(prints);
}

#[test]
fn files_and_functions_fit_on_a_screen() {
    hold(lengths);
}

#[test]
fn tables_of_contents_define_nothing() {
    hold(contents);
}

#[test]
fn files_open_with_their_purpose_and_name_no_machine() {
    let mut faults = Vec::new();
    for folder in ["src", "tests", "benches", "tools", ".github"] {
        for (path, text) in files(&root().join(folder)) {
            let path = format!("{folder}/{path}");
            if path.ends_with(".rs") {
                faults.extend(opening(&path, &text));
            }
            if folder == "tests" && text.lines().count() > TEST_LINES {
                faults.push(format!("{path}: more than {TEST_LINES} lines"));
            }
            faults.extend(places(&path, &text));
        }
    }
    for name in TOP {
        faults.extend(fs::read_to_string(root().join(name)).iter().flat_map(|text| places(name, text)));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_tests_that_the_readme_of_tests_names_are_there() {
    let text = fs::read_to_string(root().join("tests/README.md")).expect("tests/README.md");
    let named: Vec<(&str, &str)> =
        text.split('`').skip(1).step_by(2).filter_map(|word| word.split_once("::")).collect();
    assert!(named.len() > 80, "only {} tests are named", named.len());
    let missing = named.into_iter().filter(|(file, test)| {
        let places = [format!("tests/{file}.rs"), format!("src/{file}.rs"), format!("src/{file}/tests.rs")];
        let texts = places.iter().filter_map(|place| fs::read_to_string(root().join(place)).ok());
        !texts.collect::<String>().contains(&format!("fn {test}("))
    });
    assert_eq!(missing.collect::<Vec<_>>(), []);
}

#[test]
fn the_top_level_is_the_agreed_one() {
    let entries = fs::read_dir(root()).expect("the repository");
    let names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into()).collect();
    assert_eq!(top_level(&names), [""; 0]);
}
