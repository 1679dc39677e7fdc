//! One source file as the rules see it: its path, its text, and its code without comments and literals.

/// One file below `src`: its path from there, its text, and its code (without comments, literals and unit tests).
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        // What stands at the foot for tests only: the tests, or helpers that tests of other files share.
        let feet = ["\n#[cfg(test)]\nmod tests {", "\n#[cfg(test)]\npub(super) mod testing {"];
        let foot = feet.iter().find_map(|foot| text.find(foot));
        let text = foot.map_or(text, |foot| &text[..=foot]);
        Source { path: path.to_owned(), text: text.to_owned(), code: code_of(text) }
    }

    /// The top folder or file this belongs to: `data` for `data/conn.rs`, `stats` for `stats.rs`.
    pub(crate) fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    pub(crate) fn is_in(&self, places: &[&str]) -> bool {
        places
            .iter()
            .any(|place| self.path == *place || (place.ends_with('/') && self.path.starts_with(place)))
    }
}

/// The code of `text`, line for line: comments and the insides of string and character literals are gone.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let length = skipped(rest, code.chars().next_back());
        if length > 0 {
            code.extend(rest[..length].chars().filter(|c| *c == '\n'));
            rest = &rest[length..];
        } else {
            code.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    code
}

/// How many bytes a comment or a literal at the start of `rest` takes; 0 when there is none.
fn skipped(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with('"') {
        return closing(rest, '"');
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')).filter(|_| !in_word);
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let opened = rest.len() - raw.len() + hashes + 1;
            return rest[opened..].find(&end).map_or(rest.len(), |at| opened + at + end.len());
        }
    }
    let mut after = rest.chars();
    match (after.next(), after.next(), after.next()) {
        (Some('\''), Some('\\'), _) | (Some('\''), _, Some('\'')) => closing(rest, '\''),
        _ => 0,
    }
}

/// The length of a literal that opens at the start of `rest`, with its closing quote.
fn closing(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if character == quote && !escaped {
            return at + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    rest.len()
}
