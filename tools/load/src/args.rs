//! Arguments: `--name value`, each known to the program or refused.
//!
//! It owns the reading of the command line and the two ways to end early (help, and a fault with exit code 2), never
//! what a value means. Next: the programs in `bin/`.

use std::env;
use std::fmt::Display;
use std::process::exit;
use std::str::FromStr;

/// The arguments that were given and not asked for yet.
#[derive(Debug)]
pub struct Args {
    given: Vec<(String, String)>,
}

impl Args {
    /// Reads the command line; `--help` prints this text and ends the program.
    #[must_use]
    pub fn read(help: &str) -> Self {
        let mut given = Vec::new();
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            if word == "--help" {
                println!("{help}");
                exit(0);
            }
            let Some(name) = word.strip_prefix("--") else { refuse(format!("{word}: not an argument")) };
            let Some(value) = words.next() else { refuse(format!("--{name} needs a value")) };
            given.push((name.to_owned(), value));
        }
        Self { given }
    }

    /// An argument that may be missing.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let at = self.given.iter().position(|(given, _)| given == name)?;
        let (_, value) = self.given.remove(at);
        match value.parse() {
            Ok(value) => Some(value),
            Err(error) => refuse(format!("--{name} {value}: {error}")),
        }
    }

    /// An argument with a default.
    pub fn or<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> T {
        self.optional(name).unwrap_or(default)
    }

    /// An argument that must be there.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str) -> T {
        self.optional(name).unwrap_or_else(|| refuse(format!("--{name} is needed")))
    }

    /// All were asked for: what is left is not known.
    pub fn end(self) {
        if let Some((name, _)) = self.given.first() {
            refuse(format!("--{name} is not known"));
        }
    }
}

/// Ends the program with code 2.
pub fn refuse(fault: impl Display) -> ! {
    eprintln!("{fault}; --help tells more");
    exit(2)
}
