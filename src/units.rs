//! Durations and sizes as people write them: `500ms`, `30s`, `64k`.
//!
//! It owns both directions of that text, never which setting may take which value. Next: [`crate::settings`] and the options of
//! upstreams in [`crate::model`], which use them.

use std::fmt;
use std::time::Duration;

/// The longest duration taken. Far above any use, and far below what a clock cannot add.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Reads `500ms`, `30s`, `2m`, `1h`, or a bare number of seconds. Zero is refused: no wait is over before it began.
pub fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text)? {
        Duration::ZERO => Err("must be more than zero".to_owned()),
        duration => Ok(duration),
    }
}

/// As [`duration`], for the few waits that zero turns off.
pub fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let millis: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad_duration()),
    };
    let number: u64 = number.parse().map_err(|_| bad_duration())?;
    match number.checked_mul(millis).map(Duration::from_millis) {
        Some(duration) if duration <= LONGEST => Ok(duration),
        _ => Err(format!("must be {} at most", Span(LONGEST))),
    }
}

fn bad_duration() -> String {
    "need a whole number with ms, s, m or h, like 500ms, 30s, 2m or 1h (a bare number is seconds)".to_owned()
}

/// Reads `64k`, `50m`, `1g` (powers of 1024, either case), or a bare number of bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return Err(bad_size()),
    };
    let number: u64 = number.parse().map_err(|_| bad_size())?;
    number.checked_mul(1 << shift).ok_or_else(|| "is too large".to_owned())
}

fn bad_size() -> String {
    "need a whole number with k, m or g, like 64k or 50m (a bare number is bytes)".to_owned()
}

/// Digits first, then whatever follows.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Writes a duration in the largest unit that holds it whole.
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0s"),
            ms if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

/// Writes a size in the largest unit that holds it whole.
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            bytes if bytes % (1 << 30) == 0 => write!(f, "{}g", bytes >> 30),
            bytes if bytes % (1 << 20) == 0 => write!(f, "{}m", bytes >> 20),
            bytes if bytes % (1 << 10) == 0 => write!(f, "{}k", bytes >> 10),
            bytes => write!(f, "{bytes}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_take_the_four_units_and_a_bare_number_of_seconds() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("1h", 3_600_000), ("65", 65_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration_or_zero("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn other_durations_are_refused_with_a_reason() {
        for text in ["", "s", "-1s", "+1s", "1.5s", "1 s", "1d", "1S", "1h30m", "0x1", "٣s"] {
            assert!(duration(text).unwrap_err().starts_with("need a whole number"), "{text}");
        }
        assert_eq!(duration("0s").unwrap_err(), "must be more than zero");
        assert_eq!(duration("721h").unwrap_err(), "must be 720h at most");
        assert_eq!(duration("18446744073709551615h").unwrap_err(), "must be 720h at most");
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [("0", 0), ("1", 1), ("64k", 65_536), ("50M", 52_428_800), ("1g", 1_073_741_824)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "1kb", "1.5m", "-1", "1 k"] {
            assert!(size(text).unwrap_err().starts_with("need a whole number"), "{text}");
        }
        assert_eq!(size("18446744073709551615g").unwrap_err(), "is too large");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 1..=LONGEST.as_millis(), bytes: u64) {
            let span = Duration::from_millis(u64::try_from(millis).unwrap());
            prop_assert_eq!(duration(&Span(span).to_string()), Ok(span));
            prop_assert_eq!(size(&Size(bytes).to_string()), Ok(bytes));
        }

        #[test]
        fn no_text_brings_a_reader_down(text: String) {
            let _ = (duration(&text), size(&text));
        }
    }
}
