//! No two files import each other, by whatever way round: what stands in a circle can only be read, tested and moved as one.
//!
//! A file imports another when its code names something of it: by `use`, or by a path that begins with `crate`, `super` or
//! `self`. What a table of contents re-exports counts for the file that defines it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::Source;

/// Names of modules from the root of the crate on.
type Module = Vec<String>;

/// The files as modules, and what each says.
struct Tree<'a> {
    files: BTreeMap<Module, &'a Source>,
}

/// The shortest circle through each group of files that import each other, as `a.rs → b.rs → a.rs`.
pub(crate) fn circles(sources: &[Source]) -> Vec<String> {
    let tree = Tree { files: sources.iter().map(|source| (module_of(&source.path), source)).collect() };
    let imports: BTreeMap<&str, BTreeSet<String>> = tree
        .files
        .iter()
        .map(|(module, source)| (source.path.as_str(), tree.imports(module, source)))
        .collect();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for &file in imports.keys() {
        if told.contains(file) {
            continue;
        }
        if let Some(way) = way_back(file, &imports) {
            told.extend(way.iter());
            found.push(way.iter().chain([&file]).copied().collect::<Vec<_>>().join(" → "));
        }
    }
    found
}

/// The files on the shortest way from a file through its imports back to it, itself first.
fn way_back<'a>(file: &'a str, imports: &'a BTreeMap<&str, BTreeSet<String>>) -> Option<Vec<&'a str>> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = VecDeque::from([file]);
    while let Some(at) = next.pop_front() {
        for imported in imports.get(at).into_iter().flatten() {
            if imported == file {
                let mut way = vec![at];
                while let Some(before) = way.last().and_then(|last| from.get(last)) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if !from.contains_key(imported.as_str()) {
                from.insert(imported, at);
                next.push_back(imported);
            }
        }
    }
    None
}

fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let names = path.split('/').map(str::to_owned);
    names.filter(|name| !["mod", "lib", "main"].contains(&name.as_str())).collect()
}

impl Tree<'_> {
    /// The files that this one imports, tables of contents and itself left out.
    fn imports(&self, module: &Module, source: &Source) -> BTreeSet<String> {
        let mut found: BTreeSet<String> =
            self.named(module, &source.code).iter().filter_map(|name| self.definer(name, 8)).collect();
        found.remove(&source.path);
        found
    }

    /// All names from the root on that some code of a module says.
    fn named(&self, module: &Module, code: &str) -> Vec<Module> {
        let mut names = Vec::new();
        let boundary = |at: usize| {
            !code[..at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before))
        };
        for prefix in ["crate::", "elb::", "self::", "super::"] {
            for (at, _) in code.match_indices(prefix).filter(|(at, _)| boundary(*at)) {
                let root =
                    if ["self::", "super::"].contains(&prefix) { module.clone() } else { Module::new() };
                expand(
                    &root,
                    code[at..].trim_start_matches("elb::").trim_start_matches("crate::"),
                    &mut names,
                );
            }
        }
        // A module names its own children without a prefix.
        for (at, _) in code.match_indices("use ").filter(|(at, _)| boundary(*at)) {
            let rest = &code[at + 4..];
            let child: Module = module.iter().cloned().chain([super::word(rest)]).collect();
            if self.files.contains_key(&child) {
                expand(module, rest, &mut names);
            }
        }
        names
    }

    /// The file that defines a name, wherever it is re-exported.
    fn definer(&self, name: &[String], depth: u8) -> Option<String> {
        let long = (1..=name.len()).rev().find(|length| self.files.contains_key(&name[..*length]))?;
        let (module, rest) = name.split_at(long);
        let source = self.files.get(module)?;
        if !source.path.ends_with("mod.rs") {
            return Some(source.path.clone());
        }
        let wanted = rest.first()?;
        let re_exports = self.named(&module.to_vec(), &source.code);
        let at =
            re_exports.iter().find(|name| name.last() == Some(wanted) && name.as_slice() != &name[..long])?;
        if depth == 0 { None } else { self.definer(at, depth - 1) }
    }
}

/// Writes out `a::{b, c::d}` as names from the root on; `root` is where it is said.
fn expand(root: &Module, text: &str, names: &mut Vec<Module>) {
    let mut at = root.clone();
    let mut rest = text;
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            for part in parts(group) {
                expand(&at, part, names);
            }
            return;
        }
        let word = super::word(rest);
        match word.as_str() {
            "super" => drop(at.pop()),
            "self" => {}
            "" => break,
            _ => at.push(word.clone()),
        }
        match rest[word.len()..].strip_prefix("::") {
            Some(more) => rest = more,
            None => break,
        }
    }
    names.push(at);
}

/// The parts of a group between its braces, given what follows the first of them.
fn parts(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(group[begin..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(group[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[test]
fn nobody_imports_in_a_circle() {
    let found = circles(&super::sources());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn a_circle_is_seen_however_it_is_spelled() {
    let tree = |files: &[(&str, &str)]| {
        circles(&files.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>())
    };
    let contents = ("data/mod.rs", "mod a;\nmod b;\npub use b::{B, Other};\n");
    for (a, b) in [
        ("use super::b::B;", "use super::a::A;"),
        ("use super::b::{self, B};", "fn f() { crate::data::a::f() }"),
        ("use crate::data::{b::B};", "use super::a;"),
        ("use super::B;", "use crate::data::a::A;"),
    ] {
        let files = [contents, ("data/a.rs", a), ("data/b.rs", b)];
        assert_eq!(tree(&files), ["data/a.rs → data/b.rs → data/a.rs"], "{a} {b}");
    }
    let three = [
        contents,
        ("data/a.rs", "use super::b::B;"),
        ("data/b.rs", "use crate::link::L;"),
        ("link.rs", "use crate::data::a::A;"),
    ];
    assert_eq!(tree(&three), ["data/a.rs → data/b.rs → link.rs → data/a.rs"]);
    let parent = [("data/c.rs", "use self::d::D;\nmod d;"), ("data/c/d.rs", "use super::C;")];
    assert_eq!(tree(&parent), ["data/c.rs → data/c/d.rs → data/c.rs"]);
    for (a, b) in [
        ("use super::b::B;", "// use super::a::A;"),
        ("use super::b::B;", "use std::fmt;\n#[cfg(test)]\nmod tests {\n    use super::super::a::A;\n}\n"),
        ("use super::b::B;", "fn f() -> Self { self::g() }"),
    ] {
        assert_eq!(tree(&[contents, ("data/a.rs", a), ("data/b.rs", b)]), [""; 0], "{a} {b}");
    }
}
