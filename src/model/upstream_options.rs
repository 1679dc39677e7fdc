//! What an operator says of an upstream as a whole: the text of its `@options`.
//!
//! It owns the grammar of that text, either way, and the names of the options; never what an option does. What is no
//! option is refused by name, for a slip would otherwise be found when it is needed. Next: `upstream_part` for how it is kept
//! beside the servers, `data::balancer` for what a method does.

use std::fmt;

use crate::spelling;

/// The name under which the options stand among an upstream's servers, in what is put and as a key of a store. A server
/// cannot have it: no part of its name may begin with `@`.
pub const OPTIONS: &str = "@options";

/// The options, as words for whoever misspells one.
const NAMES: &[&str] = &["method"];

/// What is said of an upstream, as words `name=value` with spaces between, like the parameters of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// `method`: how a server is chosen.
    pub method: BalancingMethod,
}

/// The table of methods: how it is called in the source, and in the text.
macro_rules! methods {
    ($($(#[$mark:meta])* $name:ident = $word:literal,)*) => {
        /// How a server is chosen. Each is a file of `data::balancer`.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub enum BalancingMethod {
            $($(#[$mark])* #[doc = concat!("`", $word, "`")] $name,)*
        }

        impl BalancingMethod {
            /// The words for all of them.
            pub const WORDS: &[&str] = &[$($word),*];

            /// Its word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            fn read(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

methods! {
    #[default]
    RoundRobin = "round_robin",
}

impl UpstreamOptions {
    /// Reads the text; of two of one name the last counts.
    ///
    /// # Errors
    /// The first option that cannot be accepted, and what was probably meant.
    pub fn parse(text: &str) -> Result<UpstreamOptions, String> {
        let mut options = UpstreamOptions::default();
        for option in text.split_ascii_whitespace() {
            options.set(option)?;
        }
        Ok(options)
    }

    fn set(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "method" => {
                let words = BalancingMethod::WORDS;
                self.method = BalancingMethod::read(value)
                    .ok_or_else(|| unknown(option, "method of balancing", value, words))?;
            }
            _ => return Err(unknown(option, "option of an upstream", name, NAMES)),
        }
        Ok(())
    }
}

fn unknown(option: &str, what: &str, word: &str, known: &[&str]) -> String {
    let hint = match spelling::nearest(&word.to_ascii_lowercase(), known.iter().map(|known| (*known, *known)))
    {
        Some(meant) => format!("is {meant} meant?"),
        None => format!("there is {}", known.join(", ")),
    };
    format!("{option}: there is no such {what}; {hint}")
}

/// The canonical form that dumps are written in: the method always, the rest when set.
impl fmt::Display for UpstreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "method={}", self.method.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for word in BalancingMethod::WORDS {
            let text = format!("method={word}");
            assert_eq!(UpstreamOptions::parse(&text).unwrap().to_string(), text);
        }
        assert_eq!(UpstreamOptions::parse(" \t").unwrap(), UpstreamOptions::default());
        let twice = UpstreamOptions::parse("method=round_robin  method=round_robin");
        assert_eq!(twice.unwrap().method, BalancingMethod::RoundRobin);
    }

    #[test]
    fn what_is_no_option_is_refused_by_name_with_what_was_meant() {
        for (text, fault) in [
            (
                "methd=round_robin",
                "methd=round_robin: there is no such option of an upstream; is method meant?",
            ),
            ("weight=1", "weight=1: there is no such option of an upstream; there is method"),
            ("method=round_robin x", "x: there is no such option of an upstream; there is method"),
            (
                "method=round-robin",
                "method=round-robin: there is no such method of balancing; is round_robin meant?",
            ),
            (
                "Method=round_robin",
                "Method=round_robin: there is no such option of an upstream; is method meant?",
            ),
        ] {
            assert_eq!(UpstreamOptions::parse(text).unwrap_err(), fault);
        }
        for text in ["method", "method=", "method=fastest", "=", "method =round_robin"] {
            assert!(UpstreamOptions::parse(text).is_err(), "{text}");
        }
    }
}
