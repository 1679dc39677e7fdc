//! Reading the rules that a store has before the state is told of them.
//!
//! It owns what was read, as long as the state may ask for it; never the state. Compiling patterns takes long, so it is
//! done on another thread than the one that serves the API, and the result is then found by its text. Next:
//! [`library`](super::library) for the finding, `control::ahead` for the thread.

use std::sync::Arc;

use super::library::Library;
use super::ruleset::RuleSet;

/// What was read. To be held until the state has been told of the same texts.
#[derive(Debug)]
pub struct Foreseen {
    library: Library,
    /// Held so that they are found.
    sets: Vec<Arc<RuleSet>>,
    /// Texts with a fault, which the library keeps as long.
    faulty: Vec<String>,
}

impl Library {
    /// Reads these rule sets, so that reading them again takes no time.
    pub fn foresee<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Foreseen {
        let mut foreseen = Foreseen { library: self.clone(), sets: Vec::new(), faulty: Vec::new() };
        for text in texts {
            match self.read_text(text) {
                Ok(set) => foreseen.sets.push(set),
                Err(fault) => {
                    self.keep_fault(text, fault);
                    foreseen.faulty.push(text.to_owned());
                }
            }
        }
        foreseen
    }
}

impl Drop for Foreseen {
    fn drop(&mut self) {
        self.sets.clear();
        self.faulty.iter().for_each(|text| self.library.forget_fault(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::Fault;

    const RULES: &str = r#"{"init":"a","rules":{"a":{"type":"ua","args":{"pattern":"P","succ":"b","fail":"b"}},"b":{"type":"backend","args":{"servername":"up"}}}}"#;

    #[test]
    fn what_was_read_is_found_as_long_as_it_is_held() {
        let library = Library::default();
        let spaced = RULES.replace(':', ": ");
        let broken = RULES.replace("\"P\"", "\"(\"");
        let foreseen = library.foresee([RULES, &spaced, &broken, &broken]);
        let known = library.known(RULES).expect("it is held");
        assert!(Arc::ptr_eq(&known, &library.read_text(&spaced).unwrap()), "whatever the blanks");
        let fault = library.read_text(&broken).unwrap_err();
        assert_eq!(fault.pointer, "/rules/a/args/pattern");
        // It is this one that is found, and not one that was read again.
        library.keep_fault(&broken, Fault::new("", "kept"));
        assert_eq!(library.read_text(&broken).unwrap_err().message, "kept");
        drop((foreseen, known));
        assert!(library.known(RULES).is_none());
        assert_eq!(library.read_text(&broken).unwrap_err().pointer, "/rules/a/args/pattern", "read again");
    }
}
