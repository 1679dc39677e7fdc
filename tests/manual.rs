//! What the documentation says is held against the source: links, reasons, limits, endpoints.
//!
//! It owns comparisons of texts. `e2e/manual.rs` runs what the pages tell to type, `src/settings/tests.rs` compares the page
//! of settings with the command line.

#![allow(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

use std::collections::BTreeSet;
use std::fs;

#[path = "openapi/document.rs"]
mod openapi;
#[path = "support/pages.rs"]
mod pages;

use elb::http1::limits;
use elb::reason::Reason;
use elb::warning::Code;
use pages::{Page, pages, root};
use serde_json::json;

/// README, the manual, and what else the forge shows.
fn everything() -> Vec<Page> {
    let others = ["tests/README.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"];
    pages().into_iter().chain(others.map(Page::read)).collect()
}

/// Links that lead nowhere.
fn broken_links(page: &Page) -> Vec<String> {
    let fault = |link: &str| format!("{}: {link} leads nowhere", page.path);
    let mut faults = Vec::new();
    for link in page.links().iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
        let (path, heading) = link.split_once('#').unwrap_or((link, ""));
        let place = if path.is_empty() { root().join(&page.path) } else { page.folder().join(path) };
        if !place.exists() {
            faults.push(fault(link));
        } else if !heading.is_empty() {
            let text = fs::read_to_string(&place).unwrap_or_default();
            let there = Page { path: path.to_owned(), text };
            if !there.anchors().iter().any(|anchor| anchor == heading) {
                faults.push(fault(link));
            }
        }
    }
    let named: BTreeSet<String> = page.definitions().into_iter().map(|(name, _)| name).collect();
    let used: BTreeSet<String> = page.references().into_iter().collect();
    faults.extend(used.symmetric_difference(&named).map(|name| fault(&format!("[{name}]"))));
    faults
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let faults: Vec<String> = everything().iter().flat_map(broken_links).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_seen() {
    let broken = |text: &str| {
        broken_links(&Page { path: "src/manual/rules.md".to_owned(), text: text.to_owned() }).len()
    };
    assert_eq!(broken("[a](stores.md), [b](../../README.md#docker), [c](https://example.com/)"), 0);
    assert_eq!(broken("[a](store.md)"), 1, "no such file");
    assert_eq!(broken("[a](../../README.md#dock)"), 1, "no such heading");
    assert_eq!(broken("[a][stores.md]\n\n[stores.md]: stores.md"), 0);
    assert_eq!(broken("[a][stores.md]"), 1, "a name that nothing defines");
    assert_eq!(broken("[stores.md]: stores.md"), 1, "a name that nothing uses");
    assert_eq!(broken("`[a](store.md)`\n\n```text\n[a](store.md)\n```\n"), 0, "code is no link");
}

#[test]
fn a_link_between_pages_leads_to_the_same_page_in_the_documentation_of_the_source() {
    let modules = Page::read("src/manual/links.txt").definitions();
    let mut used = BTreeSet::new();
    for page in pages().into_iter().filter(|page| page.path.starts_with("src/manual/")) {
        let inline: Vec<_> = page
            .text
            .match_indices("](")
            .filter(|(at, _)| {
                page.text[at + 2..]
                    .split(')')
                    .next()
                    .is_some_and(|link| !link.contains("://") && !link.starts_with('#'))
            })
            .collect();
        assert!(inline.is_empty(), "{}: a link to a page needs a name, see src/manual/mod.rs", page.path);
        for (name, there) in page.definitions() {
            assert_eq!(name, there, "{}: a link is called by what it leads to", page.path);
            let module = format!("crate::manual::{}", name.replacen(".md", "", 1));
            assert!(
                modules.contains(&(name.clone(), module.clone())),
                "links.txt lacks [{name}]: {module}, which {} needs",
                page.path
            );
            used.insert(name);
        }
    }
    let unused: Vec<_> = modules.iter().filter(|(name, _)| !used.contains(name)).collect();
    assert!(unused.is_empty(), "links.txt has what no page needs: {unused:?}");
}

#[test]
fn every_page_is_a_module_and_readme_links_it() {
    let contents = fs::read_to_string(root().join("src/manual/mod.rs")).expect("the contents of the manual");
    let readme = Page::read("README.md");
    for page in pages().iter().filter(|page| page.path.starts_with("src/manual/")) {
        let name = page.path.rsplit('/').next().expect("a name");
        let module = name.trim_end_matches(".md");
        let declared = format!("#[doc = include_str!(\"{name}\")]\npub mod {module} {{}}\n");
        assert!(contents.contains(&declared), "{name} is no module");
        assert!(readme.links().contains(&page.path), "README does not link {name}");
        assert!(page.text.starts_with("# "), "{name} has no title");
    }
}

#[test]
fn readme_is_short() {
    let lines = Page::read("README.md").text.lines().count();
    assert!(
        lines <= 160,
        "README has {lines} lines; what is longer than a newcomer's first minutes is the manual's"
    );
}

#[test]
fn every_fence_says_what_it_is() {
    // What says nothing is Rust to rustdoc.
    for page in everything() {
        for fence in page.fences() {
            assert!(!fence.words.is_empty(), "{}: the fence at {} has no language", page.path, fence.line);
        }
    }
}

/// The page whose table tells of every reason.
const REASONS_PAGE: &str = "src/manual/operating.md";

#[test]
fn the_page_has_every_reason_with_its_status_and_no_other() {
    let rows = Page::read(REASONS_PAGE).rows("reasons");
    let told: BTreeSet<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let known: BTreeSet<&str> = Reason::ALL.map(Reason::word).into();
    assert_eq!(known.difference(&told).collect::<Vec<_>>(), [&""; 0], "reasons that the page lacks");
    assert_eq!(told.difference(&known).collect::<Vec<_>>(), [&""; 0], "reasons that there are not");
    assert_eq!(rows.len(), known.len(), "each reason has one row");
    for reason in Reason::ALL {
        let row = rows.iter().find(|row| row[0].trim_matches('`') == reason.word()).expect("a row");
        // "408; cut" is an answer, and a cut where it comes too late; "cut" is never an answer.
        let status = row[1].split(';').next().and_then(|first| first.trim().parse().ok());
        assert_eq!(status, reason.status(), "{reason}: the status of the page, and that of the source");
    }
}

#[test]
fn the_page_has_every_code_of_a_warning_with_its_meaning() {
    let rows = Page::read("src/manual/admin_api.md").rows("warnings");
    let told: Vec<(&str, &str)> =
        rows.iter().map(|row| (row[0].trim_matches('`'), row[1].as_str())).collect();
    let known: Vec<(&str, &str)> = Code::ALL.map(|code| (code.word(), code.meaning())).into();
    assert_eq!(told, known);
}

/// A number of bytes as the pages have it.
fn bytes(count: usize) -> String {
    match count {
        count if count.is_multiple_of(1 << 10) => format!("{} KiB", count >> 10),
        count => count.to_string(),
    }
}

#[test]
fn limits_that_are_no_setting_are_as_the_source_has_them() {
    let rows = Page::read("src/manual/operating.md").rows("limits");
    let seconds = |time: std::time::Duration| format!("{} s", time.as_secs());
    for (limit, numbers) in [
        ("request line", vec![bytes(limits::REQUEST_LINE)]),
        ("fields of a head", vec![bytes(limits::HEADER_FIELDS)]),
        ("members of `Connection`", vec![bytes(limits::CONNECTION_OPTIONS)]),
        ("`Upgrade`, `Transfer-Encoding`", vec![bytes(limits::SHORT_LIST)]),
        ("response head", vec![bytes(limits::RESPONSE_HEAD)]),
        ("empty lines", vec![bytes(limits::LEADING_EMPTY_LINES)]),
        ("chunk-size lines", vec![bytes(limits::CHUNK_LINE), bytes(limits::CHUNK_EXCESS)]),
        ("digits of a length", vec![bytes(limits::LENGTH_DIGITS), bytes(limits::CHUNK_DIGITS)]),
        ("trailers in all", vec![bytes(limits::TRAILERS)]),
        ("trailers that pass", vec![bytes(limits::TRAILER_FIELDS)]),
        (
            "interim responses |",
            vec![limits::INTERIM_RESPONSES.to_string(), format!("{} KiB", limits::INTERIM_BYTES >> 10)],
        ),
        ("interim responses that wait", vec![bytes(limits::INTERIM_BACKLOG)]),
        ("what is thrown away", vec![seconds(limits::LINGER_TIMEOUT), seconds(limits::LINGER_TIME)]),
    ] {
        let row = rows.iter().find(|row| format!("{} |", row[0]).starts_with(limit)).expect(limit);
        for number in numbers {
            let said: Vec<&str> = row[1].split([',', ';']).map(str::trim).collect();
            assert!(
                said.iter().any(|said| said.starts_with(&number)),
                "{limit}: {number} is not in {said:?}"
            );
        }
    }
}

/// A default of the page of settings in the words of the page of limits: of a `SIZE`, `64k` is 64 KiB; of a `TIME`, `60s` is
/// 60 s.
fn in_words(default: &str, takes: &str) -> String {
    let (number, unit) = default.split_at(default.len() - default.trim_start_matches(char::is_numeric).len());
    match (takes, unit) {
        _ if default == "0" => "any".to_owned(),
        ("SIZE", unit) => format!("{number} {}iB", unit.to_ascii_uppercase()),
        ("TIME", unit) => format!("{number} {unit}"),
        _ => default.to_owned(),
    }
}

#[test]
fn limits_that_are_settings_have_the_defaults_of_the_page_of_settings() {
    let settings = fs::read_to_string(root().join("src/manual/settings.md")).expect("the page");
    let mut compared = 0;
    for row in Page::read("src/manual/operating.md").rows("limits") {
        let flag = row[2].trim_matches('`');
        if flag.is_empty() {
            continue;
        }
        let named = |line: &&str| line.starts_with(&format!("| `{flag}` |"));
        let cells = settings.lines().find(named).expect(flag).split('|');
        let cells: Vec<&str> = cells.map(|cell| cell.trim().trim_matches('`')).collect();
        let default = in_words(cells[3], cells[2]);
        assert!(row[1].starts_with(&default), "{flag}: {default} there, {} here", row[1]);
        compared += 1;
    }
    assert!(compared > 15, "only {compared} settings are limits");
}

/// `DryRun` as it is written: `dry_run`.
fn snake(name: &str) -> String {
    let part = |c: char| if c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.to_string() };
    name.chars().map(part).collect::<String>().trim_start_matches('_').to_owned()
}

#[test]
fn the_page_of_the_api_has_every_endpoint_and_word_and_no_other() {
    let router = fs::read_to_string(root().join("src/control/admin/router.rs")).expect("the router");
    let known = |text: &str| -> BTreeSet<String> {
        let rest = text.split("/__erulb__/").skip(1);
        let is_part = |c: &char| c.is_ascii_lowercase() || "/{}".contains(*c);
        let words = rest.map(|rest| rest.chars().take_while(is_part).collect::<String>());
        words.filter(|word| !word.is_empty()).collect()
    };
    let rows = Page::read("src/manual/admin_api.md").rows("calls");
    let told: BTreeSet<String> = rows.iter().flat_map(|row| known(&row[0])).collect();
    assert_eq!(told, known(&router));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('`', "")).collect();
        // `.route("/__erulb__/domain", only("GET, PUT, DELETE", &[Dump], …`
        let route = router.split(&format!("\"{}\"", cells[0])).nth(1).expect("its route");
        let methods = route.split('"').nth(1).expect("its methods");
        let words = route.split("&[").nth(1).and_then(|rest| rest.split(']').next()).expect("its words");
        let words: Vec<String> = words.split_whitespace().map(snake).collect();
        assert_eq!((&*cells[1], cells[2].replace(' ', "")), (methods, words.concat()), "{}", cells[0]);
    }
}

#[test]
fn the_page_of_rules_has_every_type_and_no_other() {
    let unknown = json!({"domains": {"a": {"init": "r", "rules": {"r": {"type": "none", "args": {}}}}}, "upstreams": {}});
    let (faults, _) = elb::model::check_all(&unknown);
    let known = faults.first().map(|fault| fault.message.clone()).expect("a fault");
    let rows = Page::read("src/manual/rules.md").rows("rule-sets");
    let told: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let (last, first) = told.split_last().expect("types");
    assert_eq!(known, format!("must be {} or {last}", first.join(", ")));
}

#[test]
fn parameters_of_servers_that_the_page_has_are_taken() {
    for row in Page::read("src/manual/upstreams.md").rows("servers") {
        let parameter = row[0].trim_matches('`').replace("=N", "=2").replace("=TIME", "=1h30m");
        let document = json!({"domains": {}, "upstreams": {"up": {"a.local": parameter, "b.local": ""}}});
        let (faults, warnings) = elb::model::check_all(&document);
        assert!(faults.is_empty() && warnings.is_empty(), "{parameter}: {faults:?} {warnings:?}");
    }
}

/// An option that is not known is answered with all that are.
#[test]
fn the_page_has_every_option_of_an_upstream_and_no_other() {
    let fault = elb::model::UpstreamOptions::parse("x").expect_err("no option");
    let known: BTreeSet<&str> = fault.split("there is ").last().expect("a list").split(", ").collect();
    let rows = Page::read("src/manual/upstreams.md").rows("options-of-an-upstream");
    let told: BTreeSet<&str> =
        rows.iter().map(|row| row[0].trim_matches('`').split('=').next().expect("a name")).collect();
    assert_eq!(told, known);
    assert_eq!(rows.len(), known.len(), "each option has one row");
    let rows = Page::read("src/manual/upstreams.md").rows("methods");
    let told: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(told, elb::model::BalancingMethod::WORDS);
}

#[test]
fn samples_are_json_and_rule_sets_among_them_can_be_served() {
    let mut sets = 0;
    for page in pages() {
        for fence in page.fences().iter().filter(|fence| fence.is("json")) {
            let place = format!("{}, line {}", page.path, fence.line);
            let sample: serde_json::Value = serde_json::from_str(&fence.text).expect(&place);
            if sample["init"].is_string() {
                let upstreams = json!({"up1": {"a.local": ""}, "up2": {"b.local": ""}});
                let document = json!({"domains": {"a.local": sample}, "upstreams": upstreams});
                assert_eq!(elb::model::check_all(&document), (Vec::new(), Vec::new()), "{place}");
                sets += 1;
            }
        }
    }
    assert!(sets > 1, "only {sets} rule sets are shown");
}
