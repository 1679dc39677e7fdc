//! Patterns that are no more than a text.
//!
//! It owns the question which text that is, and what to advise. Next: [`matcher`](super::matcher) warns with it.

/// What to write instead of a regex that is a literal; `None` when it is more, or when nothing else asks the same.
pub(super) fn advice(pattern: &str) -> Option<String> {
    let (from_begin, rest) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let (text, to_end) = text(rest)?;
    match (from_begin, to_end) {
        (true, true) => {
            Some(format!("is a literal: \"match\": \"exact\" with {text:?} asks the same for less"))
        }
        (true, false) => {
            Some(format!("is a literal: \"match\": \"prefix\" with {text:?} asks the same for less"))
        }
        // Nothing but a pattern finds a text anywhere, but paths are hardly meant so.
        (false, _) if text.starts_with('/') => Some(format!(
            "is a literal that is looked for anywhere: if the path begins so, \"match\": \"prefix\" with {text:?} says that \
             for less"
        )),
        (false, _) => None,
    }
}

/// The text that a pattern is, and whether it must end there; `None` when it is empty, or more than a text.
fn text(pattern: &str) -> Option<(String, bool)> {
    let (mut text, mut characters) = (String::new(), pattern.chars());
    while let Some(c) = characters.next() {
        match c {
            '$' if characters.as_str().is_empty() => return (!text.is_empty()).then_some((text, true)),
            // A letter or a digit behind it would mean something.
            '\\' => text.push(characters.next().filter(char::is_ascii_punctuation)?),
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' => return None,
            plain => text.push(plain),
        }
    }
    (!text.is_empty()).then_some((text, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_from_a_pattern() {
        for (pattern, form, text) in [
            ("^/api", "prefix", "/api"),
            ("^/api$", "exact", "/api"),
            (r"^/a\.b\/c$", "exact", "/a.b/c"),
            ("/api", "if the path begins so", "/api"),
            ("^beta", "prefix", "beta"),
        ] {
            let told = advice(pattern).unwrap_or_else(|| panic!("{pattern}"));
            assert!(told.contains(form) && told.contains(&format!("{text:?}")), "{pattern}: {told}");
        }
        for pattern in [
            "", "^", "$", "^$", "beta", r"\.php", "^/a.b", r"^\d", "^/(a)", "^a|b", "a*", "(?i)x", "^/a$b",
            r"^/a\",
        ] {
            assert_eq!(advice(pattern), None, "{pattern}");
        }
    }
}
