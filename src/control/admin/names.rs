//! By which names this machine may be spoken to, when no token shows who speaks.
//!
//! It owns the judgement of `Host` and `Origin`, never of an address or a token. A web page may have its own name lead
//! to 127.0.0.1, and then the browser of an operator speaks for the page: its `Host` is the page's name, which no page
//! can leave out or choose otherwise. Next: [`access`](super::access) asks it last.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName, header};

/// Characters of a peer's value that a refusal repeats.
const CHARACTERS: usize = 64;
/// What to do about a refusal.
const HINT: &str = "ask for an address or localhost, allow the name with --admin-host, or set a token";

/// The names beside addresses.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// `localhost`, what this machine calls itself (with and without its domain), and the names that were set.
    pub(super) fn new(machine: Option<&str>, set: &[String]) -> Self {
        let short = machine.and_then(|name| name.split('.').next());
        let own = ["localhost"].into_iter().chain(machine).chain(short);
        let all = own.chain(set.iter().map(String::as_str)).filter(|name| !name.is_empty());
        Self(all.map(str::to_ascii_lowercase).collect())
    }

    /// Says why a request with these headers may have been made by a stranger's page, or that it was not. One without
    /// `Host` was made by no browser.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), String> {
        let host = one(headers, &header::HOST)?;
        if let Some(host) = host
            && !split(host).is_some_and(|(name, _)| self.know(name))
        {
            return Err(format!("Host {} is no name of this machine: {HINT}", shown(host)));
        }
        match one(headers, &header::ORIGIN)? {
            Some(origin) if !host.is_some_and(|host| agree(origin, host)) => {
                Err(format!("the request was made by a page of {}, not of this host: {HINT}", shown(origin)))
            }
            _ => Ok(()),
        }
    }

    fn know(&self, name: &str) -> bool {
        if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            return address.parse::<Ipv6Addr>().is_ok();
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        name.parse::<Ipv4Addr>().is_ok() || self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The value of a header that may be there once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, String> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        _ => Err(format!("the request has several {name} headers")),
    }
}

/// `host[:port]`, taken apart.
fn split(authority: &[u8]) -> Option<(&str, Option<u16>)> {
    let authority = std::str::from_utf8(authority).ok()?.trim_ascii();
    let end = match authority.strip_prefix('[') {
        Some(_) => authority.find(']')? + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (name, rest) = authority.split_at_checked(end)?;
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((name, None)),
        None => None,
        Some("") => Some((name, None)),
        Some(port) => Some((name, Some(port.parse().ok()?))),
    }
}

/// Is the page of `origin` one of this very host and port? `null` is nobody's.
fn agree(origin: &[u8], host: &[u8]) -> bool {
    let agree = || {
        let (scheme, authority) = std::str::from_utf8(origin).ok()?.trim_ascii().split_once("://")?;
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let (page, here) = (split(authority.as_bytes())?, split(host)?);
        Some(page.0.eq_ignore_ascii_case(here.0) && page.1.unwrap_or(usual) == here.1.unwrap_or(usual))
    };
    agree().unwrap_or(false)
}

/// A value of a peer as a message may hold it: quoted, escaped and cut.
fn shown(value: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(value).chars().take(CHARACTERS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(lines: &[(&'static str, &str)]) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        Names::new(Some("Box1.lan"), &["elb.example.com".to_owned()]).check(&headers)
    }

    #[test]
    fn a_host_is_an_address_or_a_name_of_this_machine() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "192.0.2.7:80",
            "[::1]",
            "[2001:db8::1]:8080",
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "box1.lan",
            "BOX1:8080",
            "elb.example.com:80",
            "127.0.0.1:",
        ] {
            assert_eq!(checked(&[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "xlocalhost",
            "example.com",
            "sub.elb.example.com",
            "lan",
            "127.0.0.1@evil.example",
            "127.0.0.1:x",
            "[::1",
            "[evil]:80",
            "::1",
            "",
        ] {
            let told = checked(&[("host", host)]).unwrap_err();
            assert!(
                told.starts_with(&format!("Host {host:?} is no name of this machine: ask for")),
                "{told}"
            );
        }
        assert_eq!(checked(&[]), Ok(()), "no browser");
        assert!(
            checked(&[("host", "localhost"), ("host", "localhost")]).unwrap_err().contains("several host")
        );
        assert!(checked(&[("host", &"x".repeat(5000))]).unwrap_err().len() < 250);
    }

    #[test]
    fn an_origin_agrees_with_the_host() {
        for (host, origin) in [
            ("localhost:8080", "http://localhost:8080"),
            ("LOCALHOST:8080", "http://localhost:8080"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("127.0.0.1:80", "http://127.0.0.1"),
            ("elb.example.com", "https://elb.example.com"),
            ("[::1]:81", "http://[::1]:81"),
        ] {
            assert_eq!(checked(&[("host", host), ("origin", origin)]), Ok(()), "{host} {origin}");
        }
        for (host, origin) in [
            ("localhost:8080", "http://localhost:3000"),
            ("localhost:8080", "http://127.0.0.1:8080"),
            ("127.0.0.1:8080", "http://evil.example:8080"),
            ("127.0.0.1:80", "https://127.0.0.1"),
            ("localhost", "null"),
            ("localhost", ""),
            ("localhost", "file://localhost"),
            ("localhost", "localhost"),
        ] {
            let told = checked(&[("host", host), ("origin", origin)]).unwrap_err();
            assert!(
                told.contains(&format!("a page of {origin:?}, not of this host")),
                "{host} {origin}: {told}"
            );
        }
        assert!(checked(&[("origin", "http://localhost")]).is_err(), "a page, and no host to agree with");
    }
}
