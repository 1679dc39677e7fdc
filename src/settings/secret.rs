//! A text that is never shown: a token or a password.
//!
//! It owns keeping the text out of logs and debug output, and its reading from a file or a variable, never how it is compared.
//! Next: [`effective`](super::effective) says which settings are secret.

use std::fmt;
use std::path::Path;

use super::fault::Fault;
use super::surroundings::Surroundings;

/// A secret text. `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place that sends or compares it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A secret from the file that a flag or `NAME_FILE` names, else from the variable `NAME`.
pub(super) fn secret(
    name: &str,
    file: Option<&Path>,
    around: &Surroundings<'_>,
) -> Result<Option<Secret>, Fault> {
    let (source, text) = match file {
        None => (name.to_owned(), around.text(name)?),
        Some(path) => {
            let text = (around.read)(path)
                .map_err(|error| Fault::Configuration(format!("cannot read {}: {error}", path.display())))?;
            (path.display().to_string(), Some(text))
        }
    };
    let Some(text) = text else { return Ok(None) };
    // A file ends in a line end that is not part of the secret.
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Fault::Configuration(format!("a secret is expected in {source}, and it is empty"))),
        text => Ok(Some(Secret::new(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_text() {
        let secret = Secret::new("s3cret");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(..) Some(Secret(..))");
        assert_eq!(secret.expose(), "s3cret");
    }
}
