//! What is seen of ELB from outside: metrics, the access log, request ids, and the form of the log.
//!
//! It owns these flags and what they come to. Next: [`args`](super::args) has all others.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::addresses;
use crate::units::{self, Span};

/// What a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // Each is its own name.
pub enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    /// The word of the flag.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// How ELB lets itself be watched.
#[derive(Debug, Args)]
pub(super) struct SeeingArgs {
    /// Serve /__erulb__/metrics, and nothing else, here as well, to whoever can reach it [default: where the admin API is]
    #[arg(long, env = "ELB_METRICS_LISTEN", value_name = "ADDR", value_parser = addresses::listen)]
    metrics_listen: Option<SocketAddr>,

    /// Domains, and as many upstreams, that have rows of their own among the metrics; what is counted of others is _other_
    #[arg(long, env = "ELB_METRICS_DOMAINS", value_name = "N", default_value = "1000")]
    metrics_domains: u32,

    /// One line for each request: off, stdout, PATH or unix:PATH; SIGUSR1 opens the file again
    #[arg(long, env = "ELB_ACCESS_LOG", value_name = "WHERE", default_value = "off", value_parser = place)]
    access_log: Place,

    /// What such a line looks like; eru is that of the first ELB
    #[arg(long, env = "ELB_ACCESS_LOG_FORMAT", value_name = "FORMAT", default_value = "json")]
    access_log_format: AccessLogFormat,

    /// Log only requests that end in an error (5xx, or for a reason of ELB's), that take long, or both: errors, slow=TIME,
    /// errors,slow=TIME [default: all]
    #[arg(long, env = "ELB_ACCESS_LOG_ONLY", value_name = "WHICH", value_parser = only)]
    access_log_only: Option<AccessLogOnly>,

    /// Give each request an X-Request-Id, which servers, the access log and ELB's own answers show; that of a trusted proxy
    /// stays
    #[arg(long, env = "ELB_REQUEST_ID")]
    request_id: bool,

    /// Lines of the log: text for people, or JSON objects
    #[arg(long, env = "ELB_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// What a line of the access log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AccessLogFormat {
    /// An object of JSON.
    Json,
    /// That of nginx and Apache.
    Combined,
    /// That of the first ELB.
    Eru,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTo {
    /// Standard output.
    Stdout,
    /// A file, or a FIFO.
    Path(PathBuf),
    /// A socket of this machine, of streams or of datagrams.
    Unix(PathBuf),
}

/// Which requests are logged; all, if neither is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccessLogOnly {
    /// Those that end in an error: with a status from 500, or for a reason of ELB's.
    pub errors: bool,
    /// Those that take at least so long.
    pub slow: Option<Duration>,
}

/// The access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Where it goes.
    pub to: AccessLogTo,
    /// What a line looks like.
    pub format: AccessLogFormat,
    /// Which requests have one.
    pub only: AccessLogOnly,
}

/// The same, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeeingSettings {
    /// Where metrics are served to anybody; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Names with rows of their own.
    pub metrics_domains: usize,
    /// `None`: there is none.
    pub access_log: Option<AccessLogSettings>,
    /// Each request has an id.
    pub request_id: bool,
    /// What a line of the log is.
    pub log_format: LogFormat,
}

impl SeeingSettings {
    pub(super) fn new(args: &SeeingArgs) -> Self {
        let access_log = args.access_log.0.clone().map(|to| AccessLogSettings {
            to,
            format: args.access_log_format,
            only: args.access_log_only.unwrap_or_default(),
        });
        Self {
            metrics_listen: args.metrics_listen,
            metrics_domains: args.metrics_domains as usize,
            access_log,
            request_id: args.request_id,
            log_format: args.log_format,
        }
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        let place = self.metrics_listen.map(|address| format!(", also on {address}")).unwrap_or_default();
        let log = match &self.access_log {
            None => "off".to_owned(),
            Some(AccessLogSettings { to, format, only }) => format!("{to} as {format}{only}"),
        };
        let ids = if self.request_id { "given" } else { "off" };
        format!("metrics of {} domains{place}; access log: {log}; request ids: {ids}", self.metrics_domains)
    }
}

/// A place for the access log, or `off`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place(Option<AccessLogTo>);

fn place(text: &str) -> Result<Place, String> {
    Ok(Place(Some(match text.strip_prefix("unix:") {
        Some("") => return Err("unix: needs the path of a socket".to_owned()),
        Some(path) => AccessLogTo::Unix(path.into()),
        None => match text {
            "off" => return Ok(Place(None)),
            "stdout" | "-" => AccessLogTo::Stdout,
            "" => return Err("need off, stdout, PATH or unix:PATH".to_owned()),
            path => AccessLogTo::Path(path.into()),
        },
    })))
}

fn only(text: &str) -> Result<AccessLogOnly, String> {
    let mut only = AccessLogOnly::default();
    for word in text.split(',').map(str::trim) {
        match word.split_once('=') {
            None if word == "errors" => only.errors = true,
            Some(("slow", time)) => {
                only.slow = Some(units::duration(time).map_err(|reason| format!("slow={time}: {reason}"))?);
            }
            _ => return Err("need errors, slow=TIME or both, separated by a comma".to_owned()),
        }
    }
    Ok(only)
}

impl fmt::Display for AccessLogTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for AccessLogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Combined => "combined",
            Self::Eru => "eru",
        })
    }
}

impl fmt::Display for AccessLogOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.errors, self.slow) {
            (false, None) => Ok(()),
            (true, None) => f.write_str(", only errors"),
            (false, Some(slow)) => write!(f, ", only from {}", Span(slow)),
            (true, Some(slow)) => write!(f, ", only errors and from {}", Span(slow)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_choices_are_read() {
        assert_eq!(place("off").unwrap().0, None);
        assert_eq!(place("stdout").unwrap().0, Some(AccessLogTo::Stdout));
        assert_eq!(place("/var/log/elb").unwrap().0, Some(AccessLogTo::Path("/var/log/elb".into())));
        assert_eq!(place("unix:/run/log").unwrap().0, Some(AccessLogTo::Unix("/run/log".into())));
        assert!(place("unix:").is_err() && place("").is_err());
        let told = |text: &str| only(text).map(|only| only.to_string());
        assert_eq!(told("errors").unwrap(), ", only errors");
        assert_eq!(told("errors, slow=1s").unwrap(), ", only errors and from 1s");
        assert_eq!(told("slow=250ms").unwrap(), ", only from 250ms");
        for wrong in ["", "error", "slow", "slow=x", "errors;slow=1s"] {
            assert!(told(wrong).is_err(), "{wrong}");
        }
    }
}
