//! One server as an operator writes it: an address and nginx's parameters.
//!
//! It owns the grammar of both texts, either way, never a lookup of names. What nginx would take as a parameter and ELB
//! does not know is refused by name. Next: [`super::upstream`] for sets of servers, `data::balancer` for what the numbers do.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// The port of an address without one.
const PORT: u16 = 80;
/// Longest host name (RFC 1035, section 3.1, without the dots at its ends).
const HOST: usize = 253;
/// Longest label of one.
const LABEL: usize = 63;
/// Longest path of a unix socket: `sun_path` of `sockaddr_un`, without the zero at its end.
const UNIX: usize = 107;

/// Where a server's name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerTarget {
    /// An address literal; never looked up.
    Inet(SocketAddr),
    /// `host:port`, host in lower case, port always there; to be looked up.
    Name(String),
    /// The path of a unix socket.
    Unix(Box<str>),
}

impl ServerTarget {
    /// Reads `ip`, `ip:port`, `host`, `host:port`, `[v6]`, `[v6]:port` or `unix:path`; the port is 80 when not said.
    ///
    /// # Errors
    /// What is wrong: a URL, a path, a port out of range or a range of ports, an empty or impossible host.
    pub fn parse(text: &str) -> Result<ServerTarget, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        if text.contains('/') {
            return Err("must be an address only: no URL, no path".to_owned());
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or("has no closing ]")?;
            let address: Ipv6Addr = address.parse().map_err(|_| "is no IPv6 address between [ and ]")?;
            return Ok(ServerTarget::Inet((address, port_after(port)?).into()));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err("is an IPv6 address, which needs [ and ] around it".to_owned());
        }
        let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        let port = port_after(port)?;
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Ok(ServerTarget::Inet((IpAddr::V4(address), port).into()));
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        is_host(host)?;
        Ok(ServerTarget::Name(format!("{}:{port}", host.to_ascii_lowercase())))
    }
}

fn unix(path: &str) -> Result<ServerTarget, String> {
    if path.is_empty() || path.len() > UNIX {
        return Err(format!("the path of a unix socket has 1 to {UNIX} bytes"));
    }
    if path.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err("the path of a unix socket may not hold spaces or control characters".to_owned());
    }
    Ok(ServerTarget::Unix(path.into()))
}

/// Reads what follows the host: nothing, or a colon and a number from 1 to 65535.
fn port_after(text: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Ok(PORT);
    }
    let digits = text.strip_prefix(':').unwrap_or_default();
    let port = number(digits).and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0);
    port.ok_or_else(|| "the port must be a number from 1 to 65535".to_owned())
}

fn is_host(host: &str) -> Result<(), String> {
    if host.is_empty() || host.len() > HOST {
        return Err(format!("the host must have 1 to {HOST} characters"));
    }
    for label in host.split('.') {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if label.is_empty() || label.len() > LABEL || !label.bytes().all(plain) {
            return Err("is neither an address nor a host name".to_owned());
        }
    }
    // The resolver would take `256.1` or `127.1` for a shortened address.
    if host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("is neither an IPv4 address nor a host name, which cannot end in a number".to_owned());
    }
    Ok(())
}

/// One server and its parameters, as in nginx's `server` directive (`ngx_http_upstream_module`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSpec {
    /// The address as written.
    pub name: String,
    /// `weight`: its share, 1 or more.
    pub weight: u32,
    /// `max_fails`: failures within `fail_timeout` that put it aside; 0: never.
    pub max_fails: u32,
    /// `fail_timeout`: how long failures count, and how long it then stays aside; whole seconds.
    pub fail_timeout: Duration,
    /// `max_conns`: connections at once; 0: no limit.
    pub max_conns: u32,
    /// `backup`: used only when no other server is available.
    pub backup: bool,
    /// `down`: never used.
    pub down: bool,
    /// `drain`: used only by clients that are kept at it (`sticky`); what it serves already it finishes.
    pub drain: bool,
    /// `slow_start`: how long its weight takes to grow from next to nothing to the whole, after it came, came back or was
    /// taken up again; whole seconds, zero for at once.
    pub slow_start: Duration,
}

impl ServerSpec {
    /// A server with nginx's defaults.
    pub(crate) fn new(name: &str) -> ServerSpec {
        ServerSpec {
            name: name.to_owned(),
            weight: 1,
            max_fails: 1,
            fail_timeout: Duration::from_secs(10),
            max_conns: 0,
            backup: false,
            down: false,
            drain: false,
            slow_start: Duration::ZERO,
        }
    }

    /// Reads a server from its address and its parameters, which are separated by spaces; of two the last counts.
    ///
    /// # Errors
    /// What is wrong with the address or which parameter is.
    pub fn parse(name: &str, params: &str) -> Result<ServerSpec, String> {
        ServerTarget::parse(name)?;
        let mut spec = ServerSpec::new(name);
        for param in params.split_ascii_whitespace() {
            spec.set(param)?;
        }
        Ok(spec)
    }

    /// As [`ServerSpec::parse`], and takes `backup=true` and `down=true` besides: the first ELB wrote them so into its
    /// store, though neither it nor nginx could read them.
    ///
    /// # Errors
    /// As [`ServerSpec::parse`].
    pub fn parse_stored(name: &str, params: &str) -> Result<ServerSpec, String> {
        ServerTarget::parse(name)?;
        let mut spec = ServerSpec::new(name);
        for param in params.split_ascii_whitespace() {
            match param {
                "backup=true" => spec.backup = true,
                "down=true" => spec.down = true,
                _ => spec.set(param)?,
            }
        }
        Ok(spec)
    }

    fn set(&mut self, param: &str) -> Result<(), String> {
        let number = |digits: &str, least: u32| {
            number(digits).ok_or_else(|| format!("{param}: must be a number from {least} to {}", u32::MAX))
        };
        let time = |text: &str| {
            let fault = || format!("{param}: must be a time in whole seconds, as 30, 30s, 1m or 1h30m");
            seconds(text).ok_or_else(fault)
        };
        match param.split_once('=') {
            None if param == "backup" => self.backup = true,
            None if param == "down" => self.down = true,
            None if param == "drain" => self.drain = true,
            Some(("weight", value)) => match number(value, 1)? {
                0 => {
                    return Err(
                        "weight=0: must be 1 or more; use down for a server that gets nothing".to_owned()
                    );
                }
                weight => self.weight = weight,
            },
            Some(("max_fails", value)) => self.max_fails = number(value, 0)?,
            Some(("max_conns", value)) => self.max_conns = number(value, 0)?,
            Some(("fail_timeout", value)) => self.fail_timeout = time(value)?,
            Some(("slow_start", value)) => self.slow_start = time(value)?,
            _ if is_nginx_only(param) => {
                return Err(format!("{param}: nginx has this parameter, ELB does not"));
            }
            _ => return Err(format!("{param}: there is no such parameter")),
        }
        Ok(())
    }

    /// Where its name leads. (A name that did not come through [`ServerSpec::parse`] leads nowhere that can be found.)
    pub fn target(&self) -> ServerTarget {
        ServerTarget::parse(&self.name).unwrap_or_else(|_| ServerTarget::Name(self.name.clone()))
    }
}

/// The parameters in the canonical form that dumps are written in: the first ELB's three always, the rest when set.
impl fmt::Display for ServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fail_timeout = self.fail_timeout.as_secs();
        write!(f, "weight={} max_fails={} fail_timeout={fail_timeout}", self.weight, self.max_fails)?;
        if self.max_conns > 0 {
            write!(f, " max_conns={}", self.max_conns)?;
        }
        if !self.slow_start.is_zero() {
            write!(f, " slow_start={}", self.slow_start.as_secs())?;
        }
        f.write_str(if self.backup { " backup" } else { "" })?;
        f.write_str(if self.down { " down" } else { "" })?;
        f.write_str(if self.drain { " drain" } else { "" })
    }
}

fn is_nginx_only(param: &str) -> bool {
    let name = param.split_once('=').map_or(param, |(name, _)| name);
    ["route", "id", "service", "resolve"].contains(&name)
}

/// A decimal number without sign, as `ngx_atoi`.
fn number(digits: &str) -> Option<u32> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// A time in whole seconds, as `ngx_parse_time`: numbers with units, each unit smaller than the one before, seconds where
/// the last has none. At most `u32::MAX` of them, which is 136 years and can be added to any clock.
fn seconds(text: &str) -> Option<Duration> {
    const UNITS: [(char, u64); 7] = [
        ('y', 31_536_000),
        ('M', 2_592_000),
        ('w', 604_800),
        ('d', 86_400),
        ('h', 3_600),
        ('m', 60),
        ('s', 1),
    ];
    if text.contains("ms") {
        return None;
    }
    let (mut total, mut value, mut seen) = (0u64, 0u64, false);
    let mut units = UNITS.iter();
    for character in text.chars() {
        if let Some(digit) = character.to_digit(10) {
            value = value.checked_mul(10)?.checked_add(digit.into())?;
            seen = true;
        } else {
            let (_, scale) = units.find(|(unit, _)| *unit == character)?;
            total = total.checked_add(value.checked_mul(*scale)?)?;
            value = 0;
        }
    }
    let total = u32::try_from(total.checked_add(value)?).ok()?;
    seen.then(|| Duration::from_secs(total.into()))
}

#[cfg(test)]
mod tests;
