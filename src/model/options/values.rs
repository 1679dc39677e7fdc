//! The values that options have: numbers, times, names, and what was probably meant by a word that there is not.
//!
//! It owns how a value is read and written and how far it may go, never which option has it. Every fault begins with the
//! option as it was given. Next: [`super::checks`] and [`super::balancing`], which read with it.

use std::fmt;
use std::time::Duration;

use crate::semantics::syntax;
use crate::spelling;
use crate::units::{self, Span};

/// Longest time that an option takes: far above any use, and far below what a clock cannot add.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Longest name of a field, a cookie or a word of a query, and longest host: what is longer is no name.
const NAME: usize = 255;

/// One option: all of its text, and what follows the `=`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'t> {
    /// `name=value`.
    pub(crate) text: &'t str,
    /// `value`.
    pub(crate) value: &'t str,
}

impl Given<'_> {
    /// The fault that it has.
    pub(crate) fn fault(self, message: impl fmt::Display) -> String {
        format!("{}: {message}", self.text)
    }

    /// A decimal number without a sign, in these bounds.
    pub(crate) fn number(self, least: u32, most: u32) -> Result<u32, String> {
        let number = digits(self.value).filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| self.fault(format_args!("must be a number from {least} to {most}")))
    }

    /// A time of at least `least`, at most [`LONGEST`].
    pub(crate) fn time(self, least: Duration) -> Result<Duration, String> {
        let time = units::duration_or_zero(self.value).ok();
        time.filter(|time| (least..=LONGEST).contains(time)).ok_or_else(|| {
            let (least, most) = (Span(least), Span(LONGEST));
            self.fault(format_args!(
                "must be a time from {least} to {most}, as 500ms, 2s, 1m (a bare number is seconds)"
            ))
        })
    }

    /// A word of the table, or what was probably meant.
    pub(crate) fn unknown(self, what: &str, word: &str, known: &[&str]) -> String {
        let known_words = known.iter().map(|known| (*known, *known));
        let hint = match spelling::nearest(&word.to_ascii_lowercase(), known_words) {
            Some(meant) => format!("is {meant} meant?"),
            None => format!("there is {}", known.join(", ")),
        };
        self.fault(format_args!("there is no such {what}; {hint}"))
    }

    /// The name of a field or a cookie: a token of RFC 9110, section 5.6.2.
    pub(crate) fn token(self, name: &str) -> Result<Box<str>, String> {
        self.name(name, syntax::is_token)
    }

    /// The name of a word in a query: a token without what ends it there, or stands for something else.
    pub(crate) fn query_name(self, name: &str) -> Result<Box<str>, String> {
        self.name(name, |byte| syntax::is_token(byte) && !b"&#+%".contains(&byte))
    }

    fn name(self, name: &str, may_have: impl Fn(u8) -> bool) -> Result<Box<str>, String> {
        if (1..=NAME).contains(&name.len()) && name.bytes().all(may_have) {
            return Ok(name.into());
        }
        Err(self.fault(format_args!("{name:?} is no name: it needs 1 to {NAME} letters, digits, - or _")))
    }
}

/// A decimal number without a sign.
pub(crate) fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: &str) -> Given<'_> {
        Given { text: value, value }
    }

    #[test]
    fn times_have_units_and_bounds() {
        let least = Duration::from_millis(100);
        for (text, millis) in
            [("100ms", 100), ("2s", 2_000), ("2", 2_000), ("1m", 60_000), ("24h", 86_400_000)]
        {
            assert_eq!(given(text).time(least), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "s", "99ms", "0", "25h", "1h30m", "1.5s", "-1s", "1 s", "1S", "99999999999999999999s", "１s"]
        {
            let fault = given(text).time(least).unwrap_err();
            assert!(fault.starts_with(&format!("{text}: must be a time from 100ms to 24h")), "{fault}");
        }
    }

    #[test]
    fn names_are_tokens() {
        for name in ["a", "X-User_1", &"a".repeat(NAME)] {
            assert_eq!(given("o").token(name).as_deref(), Ok(name));
        }
        for name in ["", "a b", "a=b", "a;b", "a:b", "é", "a\"", &"a".repeat(NAME + 1)] {
            assert!(given("o").token(name).is_err() && given("o").query_name(name).is_err(), "{name}");
        }
        assert!(given("o").token("a&b").is_ok() && given("o").query_name("a&b").is_err());
    }
}
