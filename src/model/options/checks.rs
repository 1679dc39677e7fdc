//! What an operator says of the checks that ELB makes of servers: `check` and what begins with `check_`, `rise`, `fall`.
//!
//! It owns these options and how they go together, never a check. Next: `control::checks` makes them.

use std::fmt;
use std::time::Duration;

use super::values::{Given, digits};
use crate::semantics::host::HostPort;
use crate::units::Span;

/// Shortest time between two checks of a server: more often would be load, and tells no more.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// Shortest time that an answer may take: below it a check says more of this machine than of the server.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(10);
/// Most checks in a row that are asked for: more are another interval.
const IN_A_ROW: u32 = 100;
/// Longest path and host of a check, in bytes.
const LONGEST_TEXT: usize = 1024;

/// Checks of the servers of an upstream: of each, once in each interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOptions {
    /// `check`: what is asked.
    pub kind: CheckKind,
    /// `check_interval`: from the beginning of one check to that of the next.
    pub interval: Duration,
    /// `check_timeout`: after so long without a whole answer it has failed.
    pub timeout: Duration,
    /// `rise`: so many good ones in a row take a failing server up again.
    pub rise: u32,
    /// `fall`: so many bad ones in a row make a server a failing one.
    pub fall: u32,
    /// `check_status`: the lowest and the highest status of a good answer.
    pub status: (u16, u16),
    /// `check_host`: the `Host` of the request, instead of the server's own name.
    pub host: Option<Box<str>>,
    /// `check_port`: the port, instead of the server's own. A unix socket has none.
    pub port: Option<u16>,
}

/// What is asked of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// A connection.
    Tcp,
    /// An answer to `GET` with this path, which may have a query.
    Http(Box<str>),
}

impl CheckOptions {
    /// Those of this kind with the defaults.
    #[must_use]
    pub fn new(kind: CheckKind) -> Self {
        Self {
            kind,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
            status: (200, 399),
            host: None,
            port: None,
        }
    }
}

/// `check=…`: what is asked, or nothing for `off`.
fn kind(given: Given<'_>) -> Result<Option<CheckKind>, String> {
    match given.value {
        "off" => Ok(None),
        "tcp" => Ok(Some(CheckKind::Tcp)),
        path if path.starts_with('/') => {
            // Of the others no request can be made.
            let plain = |byte: u8| byte.is_ascii_graphic() && !b"#<>`\"{}\\^|".contains(&byte);
            if !path.bytes().all(plain) || path.len() > LONGEST_TEXT {
                let message = format!(
                    "the path must have at most {LONGEST_TEXT} plain characters, as a URL has them, and no #"
                );
                return Err(given.fault(message));
            }
            Ok(Some(CheckKind::Http(path.into())))
        }
        word => Err(given.unknown("check", word, &["/PATH", "tcp", "off"])),
    }
}

/// `LOW-HIGH`, or one status.
fn status(given: Given<'_>) -> Result<(u16, u16), String> {
    let read = |text| digits(text).and_then(|status| u16::try_from(status).ok());
    let (low, high) = given.value.split_once('-').unwrap_or((given.value, given.value));
    match (read(low), read(high)) {
        (Some(low), Some(high)) if 100 <= low && low <= high && high <= 599 => Ok((low, high)),
        _ => Err(given.fault("must be a status or a range of them, such as 200 or 200-399")),
    }
}

fn host(given: Given<'_>) -> Result<Box<str>, String> {
    match HostPort::parse(given.value.as_bytes()) {
        Ok(_) if given.value.len() <= LONGEST_TEXT => Ok(given.value.into()),
        _ => Err(given.fault("must be host or host:port")),
    }
}

/// The options of checks while the text is read: their order is free, so what they mean together is known at its end.
#[derive(Debug)]
pub(crate) struct CheckReader {
    options: CheckOptions,
    /// What `check` said last; nothing yet, or `off`.
    kind: Option<CheckKind>,
    /// The first option that means nothing without checks.
    beside: Option<String>,
    /// The first that means nothing to a check that asks for a connection only.
    of_http: Option<String>,
}

impl CheckReader {
    /// The options that it reads.
    pub(crate) const NAMES: [&'static str; 8] = [
        "check",
        "check_interval",
        "check_timeout",
        "rise",
        "fall",
        "check_status",
        "check_host",
        "check_port",
    ];

    /// One that has read nothing.
    pub(crate) fn new() -> Self {
        Self { options: CheckOptions::new(CheckKind::Tcp), kind: None, beside: None, of_http: None }
    }

    /// Reads an option of this name; `false` when it is none of these.
    pub(crate) fn set(&mut self, name: &str, given: Given<'_>) -> Result<bool, String> {
        let options = &mut self.options;
        match name {
            "check" => {
                self.kind = kind(given)?;
                return Ok(true);
            }
            "check_interval" => options.interval = given.time(SHORTEST_INTERVAL)?,
            "check_timeout" => options.timeout = given.time(SHORTEST_TIMEOUT)?,
            "rise" => options.rise = given.number(1, IN_A_ROW)?,
            "fall" => options.fall = given.number(1, IN_A_ROW)?,
            "check_status" => options.status = status(given)?,
            "check_host" => options.host = Some(host(given)?),
            "check_port" => {
                let port = u16::try_from(given.number(1, u16::MAX.into())?);
                options.port = port.ok();
            }
            _ => return Ok(false),
        }
        let of_http = matches!(name, "check_status" | "check_host");
        for slot in [Some(&mut self.beside), of_http.then_some(&mut self.of_http)].into_iter().flatten() {
            slot.get_or_insert_with(|| given.text.to_owned());
        }
        Ok(true)
    }

    /// What was said, all together.
    pub(crate) fn finish(self) -> Result<Option<CheckOptions>, String> {
        match (self.kind, self.beside, self.of_http) {
            (None, None, _) => Ok(None),
            (None, Some(option), _) => Err(format!("{option}: needs check=/path or check=tcp beside it")),
            (Some(CheckKind::Tcp), _, Some(option)) => {
                Err(format!("{option}: needs check=/path; check=tcp asks for no answer"))
            }
            (Some(kind), ..) => Ok(Some(CheckOptions { kind, ..self.options })),
        }
    }
}

/// The options that say so: all but the host and the port always, so that what is stored means the same in a later version.
impl fmt::Display for CheckOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.kind {
            CheckKind::Tcp => "tcp",
            CheckKind::Http(path) => path,
        };
        let (interval, timeout) = (Span(self.interval), Span(self.timeout));
        write!(
            f,
            "check={path} check_interval={interval} check_timeout={timeout} rise={} fall={}",
            self.rise, self.fall
        )?;
        if self.kind != CheckKind::Tcp {
            match self.status {
                (low, high) if low == high => write!(f, " check_status={low}")?,
                (low, high) => write!(f, " check_status={low}-{high}")?,
            }
            if let Some(host) = &self.host {
                write!(f, " check_host={host}")?;
            }
        }
        self.port.map_or(Ok(()), |port| write!(f, " check_port={port}"))
    }
}
