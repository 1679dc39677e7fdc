//! Faults as comments in the text of a document, each above the line that its pointer leads to.
//!
//! It owns the comments and where they stand, never what is wrong. A line that begins with `#` is a comment, wherever it is: no line
//! of a JSON text begins so, for a string of JSON has no line break. Next: [`edit`](super::edit) shows them.

/// What marks a fault.
const MARK: &str = "# ELB: ";

/// The text without comments.
pub(super) fn without(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The text, which has no comments, with those faults (pointer, error) in it.
pub(super) fn with(text: &str, faults: &[(String, String)]) -> String {
    let mut marks: Vec<(usize, String)> = faults
        .iter()
        .map(|(pointer, error)| {
            let at = locate(text, pointer);
            let place = if pointer.is_empty() { String::new() } else { format!("{pointer}: ") };
            let error = error.replace(char::is_control, " ");
            (line_of(text, at), format!("{MARK}{place}{error}\n"))
        })
        .collect();
    marks.sort();
    let mut marks = marks.into_iter().peekable();
    let mut out = String::new();
    for (number, line) in text.lines().enumerate() {
        while let Some((_, mark)) = marks.next_if(|(at, _)| *at <= number) {
            out.push_str(&mark);
        }
        out.push_str(line);
        out.push('\n');
    }
    marks.for_each(|(_, mark)| out.push_str(&mark));
    out
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// Where that begins which a pointer (RFC 6901) leads to: the name of a member, or an element. What is not there is found as far as
/// there is something on the way.
fn locate(text: &str, pointer: &str) -> usize {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    reader.blank();
    let mut found = reader.at;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        match reader.enter(&token) {
            Some(at) => found = at,
            None => break,
        }
    }
    found
}

/// A way through a JSON text. It need not be right: whoever reads it past its end, or something else, finds nothing.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace() || byte == b',' || byte == b':') {
            self.at += 1;
        }
    }

    /// Goes to the value of a member, or to an element. Gives where that begins, or its name.
    fn enter(&mut self, token: &str) -> Option<usize> {
        self.blank();
        let is_object = match self.peek()? {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        self.at += 1;
        let mut number = 0usize;
        loop {
            self.blank();
            let begin = self.at;
            if matches!(self.peek()?, b'}' | b']') {
                return None;
            }
            let is_it = if is_object {
                let name = self.string()?;
                self.blank();
                name == token
            } else {
                number += 1;
                token.parse() == Ok(number - 1)
            };
            if is_it {
                return Some(begin);
            }
            self.skip()?;
        }
    }

    /// Goes past a string. Gives what it is.
    fn string(&mut self) -> Option<String> {
        let begin = self.at;
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        while self.peek()? != b'"' {
            self.at += if self.peek()? == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        serde_json::from_slice(self.bytes.get(begin..self.at)?).ok()
    }

    /// Goes past a value.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => self.word(),
            }
            if depth == 0 {
                return Some(());
            }
            self.blank();
        }
    }

    /// Goes past a number or a word.
    fn word(&mut self) {
        while self.peek().is_some_and(|byte| !byte.is_ascii_whitespace() && !b",:{}[]\"".contains(&byte)) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "{\n  \"init\": \"a\",\n  \"rules\": {\n    \"a/b\": {\"x\": [1, {\"y\": \"}\"}]},\n    \"c\": {\n      \"args\": 5\n    }\n  }\n}\n";

    #[test]
    fn a_fault_stands_above_its_line() {
        let line = |pointer: &str| line_of(TEXT, locate(TEXT, pointer));
        for (pointer, at) in [
            ("", 0),
            ("/init", 1),
            ("/rules", 2),
            ("/rules/a~1b", 3),
            ("/rules/a~1b/x/1/y", 3),
            ("/rules/c", 4),
            ("/rules/c/args", 5),
            ("/rules/c/succ", 4),
            ("/rules/none/args", 2),
        ] {
            assert_eq!(line(pointer), at, "{pointer}");
        }
        let marked =
            with(TEXT, &[("/rules/c/args".to_owned(), "is\n5".to_owned()), (String::new(), "no".to_owned())]);
        let lines: Vec<&str> = marked.lines().collect();
        assert_eq!((lines[0], lines[6]), ("# ELB: no", "# ELB: /rules/c/args: is 5"));
        assert_eq!(without(&marked), TEXT);
    }

    proptest! {
        #[test]
        fn whatever_the_text_is_nothing_is_lost(text in "[{}\\[\\]\"\\\\:,a1# \n]{0,60}", pointer in "(/[a1~]{0,2}){0,4}") {
            let text = without(&text);
            let marked = with(&text, &[(pointer, "wrong".to_owned())]);
            prop_assert_eq!(without(&marked), text);
        }
    }
}
