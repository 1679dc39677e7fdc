//! The time as every line of the log begins with it.
//!
//! It owns the form, which is that of `tracing`, for the lines that are not made by it. Next: [`form`](super::form) and
//! [`json`](super::json) use it.

use tracing_subscriber::fmt::format::Writer as Text;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// Now, in UTC.
pub(super) fn timestamp() -> String {
    let mut text = String::new();
    // A time that cannot be written is left out.
    let _ = SystemTime.format_time(&mut Text::new(&mut text));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_has_the_form_of_the_other_lines() {
        let text = timestamp();
        assert!(text.ends_with('Z') && text.len() == "2026-01-01T00:00:00.000000Z".len(), "{text}");
    }
}
