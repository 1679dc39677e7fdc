//! The documentation as tests read it: pages, their fences, headings, links and tables.
//!
//! It owns the reading of Markdown, as far as our pages use it; never a judgement of what stands there.

#![allow(dead_code, clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// One page: its place from the root of the repository, and its text.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A block between two lines of three backticks.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    /// What stands behind the opening backticks: the language first.
    pub(crate) words: Vec<String>,
    pub(crate) text: String,
    /// The line of the page at which it opens, from 1, for people.
    pub(crate) line: usize,
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README and every page of the manual, in the order of their names.
pub(crate) fn pages() -> Vec<Page> {
    let folder = fs::read_dir(root().join("src/manual")).expect("the manual");
    let names = folder.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut paths: Vec<String> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("src/manual/{name}")).collect();
    paths.push("README.md".to_owned());
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

impl Fence {
    pub(crate) fn is(&self, language: &str) -> bool {
        self.words.first().is_some_and(|first| first == language)
    }

    pub(crate) fn says(&self, word: &str) -> bool {
        self.words.iter().skip(1).any(|said| said == word)
    }
}

impl Page {
    pub(crate) fn read(path: &str) -> Page {
        Page { path: path.to_owned(), text: fs::read_to_string(root().join(path)).expect(path) }
    }

    /// The folder that its links start from.
    pub(crate) fn folder(&self) -> PathBuf {
        root().join(&self.path).parent().expect("a folder").to_owned()
    }

    pub(crate) fn fences(&self) -> Vec<Fence> {
        let (mut fences, mut open): (Vec<Fence>, Option<Fence>) = (Vec::new(), None);
        for (line, text) in (1..).zip(self.text.lines()) {
            match (text.strip_prefix("```"), open.as_mut()) {
                (Some(_), Some(_)) => fences.extend(open.take()),
                (Some(info), None) => {
                    let words = info.split_whitespace().map(str::to_owned).collect();
                    open = Some(Fence { words, text: String::new(), line });
                }
                (None, Some(fence)) => fence.text += &format!("{text}\n"),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.path);
        fences
    }

    /// The text without fences.
    pub(crate) fn prose(&self) -> String {
        let mut fenced = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                prose += line;
                prose.push('\n');
            }
        }
        prose
    }

    /// What follows `#` in a link to each heading, as the forge and rustdoc make it.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }

    /// Where its links lead, as they are written: `[text](there)`, and `[name]: there` at its foot.
    pub(crate) fn links(&self) -> Vec<String> {
        let prose = without_code(&self.prose());
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        inline.map(str::to_owned).chain(self.definitions().into_iter().map(|(_, there)| there)).collect()
    }

    /// The names that its links have: of each `[text][name]` the second part.
    pub(crate) fn references(&self) -> Vec<String> {
        let prose = without_code(&self.prose());
        prose.split("][").skip(1).filter_map(|rest| rest.split(']').next()).map(str::to_owned).collect()
    }

    /// `[name]: there`, with the name first.
    pub(crate) fn definitions(&self) -> Vec<(String, String)> {
        let prose = self.prose();
        let lines = prose.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
        lines.map(|(name, there)| (name.to_owned(), there.to_owned())).collect()
    }

    /// The rows of the tables under the heading with this anchor, head and rule left out, each as its cells.
    pub(crate) fn rows(&self, under: &str) -> Vec<Vec<String>> {
        let prose = self.prose();
        let is_heading = |line: &&str| line.starts_with('#');
        let section = prose
            .lines()
            .skip_while(|line| !(is_heading(line) && anchor(line.trim_start_matches('#').trim()) == under))
            .skip(1)
            .take_while(|line| !is_heading(line));
        let (mut rows, mut in_table) = (Vec::new(), false);
        for line in section {
            if !line.starts_with('|') {
                in_table = false;
            } else if line.starts_with("|--") {
                in_table = true;
            } else if in_table {
                rows.push(cells(line));
            }
        }
        assert!(!rows.is_empty(), "{}: no table under {under}", self.path);
        rows
    }
}

/// The cells of a row. A bar behind a backslash is text.
fn cells(row: &str) -> Vec<String> {
    let inside = row.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\0");
    inside.split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// A heading as the end of a link: letters, digits, `-` and `_` in lower case, blanks as `-`.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The text without what stands between two backticks.
fn without_code(text: &str) -> String {
    text.lines().map(|line| line.split('`').step_by(2).collect::<String>() + "\n").collect()
}
