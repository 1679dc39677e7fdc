//! What is accepted and should be known: each kind of warning with its code and what it means.
//!
//! It owns the only list of codes, and decides nothing. Answers of the admin API, their heads and `elb check` take their
//! words from here. Next: `model::lint` and the readers of rules find what is warned of, [`crate::reason`] has what is refused.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// One kind a line: `Name "code" "what it means"`.
macro_rules! codes {
    ($($name:ident $code:literal $meaning:literal;)+) => {
        /// A kind of warning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = concat!("`", $code, "`: ", $meaning)] $name,)+
        }

        impl Code {
            /// All of them.
            pub const ALL: [Code; [$($code),+].len()] = [$(Code::$name),+];

            /// One kebab-case word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Code::$name => $code,)+ }
            }

            /// What it says, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$name => $meaning,)+ }
            }
        }
    };
}

codes! {
    // ------------------------------------------------------------------------------------------------- what rules say
    Backtracking "backtracking" "A pattern needs look-around, a back-reference or the like: slower, and bounded.";
    CapitalLetter "capital-letter" "A capital in a pattern that is compared with a text in lower case matches nothing.";
    CaretWithoutRegex "caret-without-regex" "A pattern begins with `^` and is no regex, so `^` stands for itself.";
    LiteralRegex "literal-regex" "A regex asks what `match` `prefix` or `exact` asks for less.";
    LowerCaseMethod "lower-case-method" "A method is written small, and case makes a difference.";
    RewriteWithoutRegex "rewrite-without-regex" "A rule of type `path` has `rewrite` and no regex, so nothing is rewritten.";
    ShadowedRule "shadowed-rule" "Rules before it have always answered what it asks.";
    UnknownArgument "unknown-argument" "A rule has an argument that its type does not have.";
    UnknownUpstream "unknown-upstream" "A rule names an upstream that is not there.";
    UnreachableRule "unreachable-rule" "No way through the rules leads there.";
    // ---------------------------------------------------------------------------------------------- what a change does
    InQuarantine "in-quarantine" "A dump will replace a key that the store has in quarantine.";
    KeyInClear "key-in-clear" "The private key of a certificate is in the clear in etcd.";
    NoAddress "no-address" "A server's name has no address.";
    NotThere "not-there" "What is taken away was not there.";
    StillNamed "still-named" "Rules name the upstream that was deleted.";
    WorkersBehind "workers-behind" "Some workers do not serve the change yet.";
    // ------------------------------------------------------------------------------------------------------ how ELB is
    StoreDown "store-down" "The store is not there.";
    LoadHeld "load-held" "A load that would take most away waits to be confirmed.";
    MostRemoved "most-removed" "Most of what was served was removed from the store.";
    KeysRejected "keys-rejected" "Keys of the store are not served as they stand there.";
    StateFile "state-file" "The state file cannot be written.";
    ConnectionsFull "connections-full" "Workers have as many connections as they may.";
    NoDescriptors "no-descriptors" "The process has no file descriptor left.";
    CertificatesExpire "certificates-expire" "A certificate that clients are shown is good for less than 30 days.";
    CertificatesUnusable "certificates-unusable" "Certificates of the folder or of etcd cannot be used as they are, and those from before are shown on.";
    More "more" "There are more warnings than are shown.";
}

/// One thing that is accepted and should be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Which kind.
    pub code: Code,
    /// Where, as a JSON pointer (RFC 6901) into what was given; empty for the whole of it.
    pub pointer: String,
    /// What it is, and what would be better, for people.
    pub message: String,
}

impl Warning {
    /// A warning at `pointer`.
    pub fn new(code: Code, pointer: impl Into<String>, message: impl Into<String>) -> Warning {
        Warning { code, pointer: pointer.into(), message: message.into() }
    }

    /// The same with so many characters at most in each part.
    #[must_use]
    pub fn cut(mut self, characters: usize) -> Warning {
        for text in [&mut self.pointer, &mut self.message] {
            if let Some((end, _)) = text.char_indices().nth(characters) {
                text.truncate(end);
                text.push_str("...");
            }
        }
        self
    }
}

/// As programs read it: `{"code", "pointer", "message"}`.
impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("code", self.code.word())?;
        map.serialize_entry("pointer", &self.pointer)?;
        map.serialize_entry("message", &self.message)?;
        map.end()
    }
}

/// `pointer: message [code]`.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Warning { code, pointer, message } = self;
        let colon = if pointer.is_empty() { "" } else { ": " };
        write!(f, "{pointer}{colon}{message} [{}]", code.word())
    }
}

/// Warnings as lines, for tests.
#[cfg(test)]
pub(crate) fn lines(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_kebab_case_and_mean_something() {
        let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        assert!(words.iter().all(plain));
        assert!(Code::ALL.iter().all(|code| code.meaning().ends_with('.')));
    }

    #[test]
    fn a_warning_is_one_line_and_can_be_cut() {
        let warning = Warning::new(Code::NoAddress, "/a", "é".repeat(5));
        assert_eq!(warning.to_string(), "/a: ééééé [no-address]");
        let shown = serde_json::json!({"code": "no-address", "pointer": "/a", "message": "ééééé"});
        assert_eq!(serde_json::json!(warning), shown);
        assert_eq!(warning.clone().cut(5), warning);
        assert_eq!(warning.cut(2).to_string(), "/a: éé... [no-address]");
        assert_eq!(Warning::new(Code::More, "", "x").to_string(), "x [more]");
    }
}
