//! The form of a line: text for people, text for the journal, or JSON for programs.
//!
//! It owns what a line is made of, also of the few that are no events of `tracing`; never which lines there are. Next:
//! [`json`] for the one, [`start`](mod@super::start) chooses.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer as Text};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::json;
use super::timestamp::timestamp;
use crate::settings::LogFormat;

/// Where systemd says what the standard output of a service leads to: device and inode (systemd.exec(5)).
const JOURNAL_STREAM: &str = "JOURNAL_STREAM";

/// What all lines of a log look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Time, level, text.
    Text,
    /// Priority as sd-daemon(3) has it, level, text. The journal notes the time itself.
    Journal,
    /// An object.
    Json,
}

impl Form {
    /// That of the setting, for what standard error leads to.
    pub(super) fn of(format: LogFormat) -> Form {
        match format {
            LogFormat::Json => Form::Json,
            LogFormat::Text => {
                let named = std::env::var(JOURNAL_STREAM).unwrap_or_default();
                if leads_to(io::stderr().as_fd(), &named) { Form::Journal } else { Form::Text }
            }
        }
    }

    /// A line that is no event, without its end.
    pub(super) fn line(self, level: Level, text: &str) -> String {
        match self {
            Form::Text => format!("{} {level:>5} {text}", timestamp()),
            Form::Journal => format!("{}{level} {text}", priority(level)),
            Form::Json => json::line(level, text),
        }
    }

    /// One that continues the line before it.
    pub(super) fn continued(self, level: Level, text: &str) -> String {
        match self {
            Form::Text => text.to_owned(),
            Form::Journal => format!("{}{text}", priority(level)),
            Form::Json => json::line(level, text),
        }
    }
}

/// Whether a descriptor is that of this device and inode, `device:inode`. A service that sends its standard error elsewhere has
/// the variable all the same.
fn leads_to(descriptor: BorrowedFd<'_>, named: &str) -> bool {
    // What cannot be asked for is not known to be the journal.
    let Ok(metadata) = descriptor.try_clone_to_owned().and_then(|own| File::from(own).metadata()) else {
        return false;
    };
    named == format!("{}:{}", metadata.dev(), metadata.ino())
}

/// What journald takes off a line for its priority, by the levels of syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

/// Events in this form.
pub(super) struct Lines {
    form: Form,
    text: Format<Full>,
}

impl Lines {
    pub(super) fn new(form: Form) -> Self {
        Self { form, text: tracing_subscriber::fmt::format().with_target(false) }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Text<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let level = *event.metadata().level();
        match self.form {
            Form::Text => self.text.format_event(context, out, event),
            Form::Journal => {
                write!(out, "{}{level} ", priority(level))?;
                context.format_fields(out.by_ref(), event)?;
                writeln!(out)
            }
            Form::Json => writeln!(out, "{}", json::event(event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_our_own_has_the_form_of_the_others() {
        let text = Form::Text.line(Level::WARN, "a");
        assert!(text.ends_with("Z  WARN a"), "{text}");
        assert!(Form::Text.line(Level::ERROR, "a").ends_with("Z ERROR a"));
        for (level, line) in [
            (Level::ERROR, "<3>ERROR a"),
            (Level::WARN, "<4>WARN a"),
            (Level::INFO, "<6>INFO a"),
            (Level::DEBUG, "<7>DEBUG a"),
            (Level::TRACE, "<7>TRACE a"),
        ] {
            assert_eq!(Form::Journal.line(level, "a"), line);
        }
        assert_eq!(
            (Form::Text.continued(Level::ERROR, "a"), Form::Journal.continued(Level::ERROR, "a")),
            ("a".to_owned(), "<3>a".to_owned())
        );
    }

    #[test]
    fn a_stream_is_the_journal_if_its_device_and_inode_are_those_that_are_named() {
        let (file, other) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let name = |file: &File| {
            let metadata = file.metadata().unwrap();
            format!("{}:{}", metadata.dev(), metadata.ino())
        };
        assert!(leads_to(file.as_fd(), &name(&file)));
        assert!(!leads_to(file.as_fd(), &name(&other)));
        for named in ["", ":", "0:0", "journal"] {
            assert!(!leads_to(file.as_fd(), named), "{named}");
        }
        let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        let metadata = File::from(std::os::fd::OwnedFd::from(one.try_clone().unwrap())).metadata().unwrap();
        let name = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(leads_to(one.as_fd(), &name) && !leads_to(two.as_fd(), &name), "as it is under systemd");
    }
}
