//! Where Perl's patterns and those of the `regex` crate part.
//!
//! It owns reading a pattern's text as syntax, never compiling it. A text that both read, but differently, is worse than
//! one that is refused: it would match something else than it did before. Next: `pattern` chooses an engine by this.

use regex_syntax::ast::{self, Ast, ClassSet, ClassSetItem, ErrorKind, Span, Visitor};

/// How a text reads.
pub(crate) enum Reading {
    /// Both mean the same by it.
    Same,
    /// Only a backtracking engine takes it for what Perl means.
    PerlOnly,
    /// Neither can read it: what is wrong, and where.
    Broken(String),
    /// Both can read it, and mean different things.
    Ambiguous(String),
}

/// Reads a pattern as the `regex` crate would, and looks for what Perl means otherwise.
pub(crate) fn read(text: &str) -> Reading {
    if let Some(reading) = escapes(text) {
        return reading;
    }
    match ast::parse::Parser::new().parse(text) {
        Ok(tree) => match ast::visit(&tree, Differences) {
            Ok(()) => Reading::Same,
            Err(reading) => reading,
        },
        Err(error) => match error.kind() {
            ErrorKind::UnsupportedLookAround | ErrorKind::UnsupportedBackreference => Reading::PerlOnly,
            // `\Z`, `(?>a)`, and `{id}`, which Perl takes as it stands.
            ErrorKind::EscapeUnrecognized
            | ErrorKind::FlagUnrecognized
            | ErrorKind::RepetitionCountDecimalEmpty
            | ErrorKind::RepetitionCountUnclosed => Reading::PerlOnly,
            kind => Reading::Broken(at(&kind.to_string(), error.span().start.offset)),
        },
    }
}

/// Escapes that every engine here reads, and none as Perl does.
fn escapes(text: &str) -> Option<Reading> {
    let mut bytes = text.bytes().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        if byte != b'\\' {
            continue;
        }
        let advice = match bytes.next()?.1 {
            b'<' | b'>' => "write < and > without a backslash, or \\b for a word's edge",
            b'h' | b'H' => "write [ \\t] or [^ \\t] for \\h and \\H",
            _ => continue,
        };
        return Some(Reading::Ambiguous(at(advice, offset)));
    }
    None
}

fn at(message: &str, offset: usize) -> String {
    format!("{message} (at byte {offset})")
}

/// Stops at the first construct that Perl means differently.
struct Differences;

impl Visitor for Differences {
    type Output = ();
    type Err = Reading;

    fn finish(self) -> Result<(), Reading> {
        Ok(())
    }

    fn visit_pre(&mut self, tree: &Ast) -> Result<(), Reading> {
        match tree {
            // `a++` repeats the repetition here, and is possessive there.
            Ast::Repetition(outer) if matches!(*outer.ast, Ast::Repetition(_)) => Err(Reading::PerlOnly),
            Ast::ClassBracketed(class) => match &class.kind {
                ClassSet::BinaryOp(operation) => Err(in_class(&operation.span)),
                ClassSet::Item(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Reading> {
        match item {
            ClassSetItem::Bracketed(class) => Err(in_class(&class.span)),
            _ => Ok(()),
        }
    }
}

fn in_class(span: &Span) -> Reading {
    Reading::Ambiguous(at("inside [...] put a backslash before [, &&, -- and ~~", span.start.offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_read_the_same_passes() {
        for text in
            ["", r"\\h", r"^\/a\/(\S+)$", "[[:alpha:]]+", "(?i)x+?", r"[\[a]", "(a+)+", "a-b", "[a-z-]"]
        {
            assert!(matches!(read(text), Reading::Same), "{text}");
        }
    }

    #[test]
    fn what_they_read_differently_does_not() {
        for text in ["a++", "a*+b", "a{2}+", r"(?=x)", r"(a)\1", r"a\Z", "^/{id}$", "(?>a)"] {
            assert!(matches!(read(text), Reading::PerlOnly), "{text}");
        }
        for text in [r"\<a", r"(?=a)\h", "[a&&b]", "[[a]b]", "[a--b]"] {
            assert!(matches!(read(text), Reading::Ambiguous(_)), "{text}");
        }
        assert!(matches!(read("a("), Reading::Broken(message) if message == "unclosed group (at byte 1)"));
    }
}
