//! Only three files know what an exchange holds.

use super::sources;

/// Files that may say what an exchange does with its fields.
const FILES: usize = 3;
const HOME: &str = "exchange/machine";

/// The files in which `impl Exchange` stands, and what is wrong with them; `code` is by path.
fn faults<'a>(sources: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let (mut faults, mut files) = (Vec::new(), Vec::new());
    for (path, code) in sources {
        if code.contains("impl Exchange {") {
            files.push(path);
            if path != format!("{HOME}.rs") && !path.starts_with(&format!("{HOME}/")) {
                faults.push(format!("{path}: its fields are not seen here"));
            }
        }
        if let Some((_, body)) = code.split_once("pub struct Exchange {") {
            let fields = body.split('}').next().unwrap_or_default().lines().map(str::trim);
            let open = fields.filter(|line| line.starts_with("pub"));
            faults.extend(open.map(|field| format!("{path}: {field} is visible outside")));
        }
    }
    if files.len() > FILES {
        faults.push(format!("impl Exchange stands in {} files: {}", files.len(), files.join(", ")));
    }
    faults
}

#[test]
fn what_an_exchange_holds_is_known_to_three_files() {
    let sources = sources();
    let faults = faults(sources.iter().map(|source| (source.path.as_str(), source.code.as_str())));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_fourth_file_a_foreign_one_and_an_open_field_are_seen() {
    let (home, steps) = ("exchange/machine.rs", "exchange/machine/steps.rs");
    let body = "impl Exchange {\n}";
    let own = "pub struct Exchange {\n    phase: Phase,\n}\nimpl Exchange {\n}";
    assert!(faults([(home, own), (steps, body)].into_iter()).is_empty());
    assert_eq!(faults([(home, own), ("exchange/attempt.rs", body)].into_iter()).len(), 1);
    let open = "pub struct Exchange {\n    pub(super) phase: Phase,\n    keep: bool,\n}";
    assert_eq!(faults([(home, open)].into_iter()).len(), 1);
    let four = [(home, own), (steps, body), ("exchange/machine/a.rs", body), ("exchange/machine/b.rs", body)];
    assert_eq!(faults(four.into_iter()).len(), 1);
}
