//! Addresses and lists as people write them: etcd endpoints, `host:port`, networks, processor cores.
//!
//! It owns reading and normalising the text, never a lookup: a host name stays a name. Next:
//! [`effective`](super::effective) puts the results into the settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// Where etcd listens unless it is told otherwise.
const ETCD_PORT: u16 = 2379;
/// Where DNS servers listen unless something else is said.
const DNS_PORT: u16 = 53;
/// Cores above this number do not fit into the kernel's fixed-size set, which is all that pinning takes.
const MOST_CORES: usize = 1024;

/// Reads one `ADDRESS:PORT` to listen on. Without an address it is every one of IPv4, as for nginx and HAProxy; IPv6 is
/// always asked for by `[::]`, so that nobody listens there who did not know.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = port.parse::<u16>().ok();
    match (host, port) {
        ("" | "*", Some(port)) if text.len() > 1 && text.contains(':') => {
            Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        }
        ("", Some(port)) => Err(format!("need an address with a port, like :{port} for all of IPv4")),
        ("localhost", Some(port)) => {
            Err(format!("need an address instead of the name: 127.0.0.1:{port}, [::1]:{port}, or both"))
        }
        (host, Some(port)) if host.parse::<Ipv6Addr>().is_ok() => {
            Err(format!("an IPv6 address needs brackets: [{host}]:{port}"))
        }
        (host, Some(port)) if is_host(host) && host.parse::<IpAddr>().is_err() => {
            Err(format!("need an address of this machine instead of a name, like 127.0.0.1:{port}"))
        }
        _ => Err("need an address with a port, like :8080, 127.0.0.1:8080 or [::]:8080".to_owned()),
    }
}

/// Reads a network (`10.0.0.0/8`) or a single address (`::1`).
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = |_| text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(address)
        .map_err(|_| "need a network or an address, like 10.0.0.0/8 or ::1".to_owned())
}

/// Reads a host name without a port; gives it in lower case, without the dot that marks a full name.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if is_host(name) && !name.starts_with('[') {
        Ok(name.to_ascii_lowercase())
    } else {
        Err("need a host name without a port, like elb.example.com".to_owned())
    }
}

/// Reads the address of a DNS server; the port is 53 unless it is there.
pub(super) fn resolver(text: &str) -> Result<SocketAddr, String> {
    let bare = |_| text.parse::<IpAddr>().map(|address| SocketAddr::from((address, DNS_PORT)));
    let read = text.parse::<SocketAddr>().or_else(bare).ok().filter(|address| address.port() != 0);
    read.ok_or_else(|| "need an address of a DNS server, like 10.0.0.2, 10.0.0.2:5353 or [::1]:53".to_owned())
}

/// Reads `host:port` and gives it back as it was: the host may be a name.
pub(super) fn host_port(text: &str) -> Result<String, String> {
    match split_host(text)? {
        (_, Some(_)) => Ok(text.to_owned()),
        (_, None) => Err("need a host with a port, like 127.0.0.1:8125".to_owned()),
    }
}

/// Reads the endpoints of an etcd cluster: comma-separated, each with or without `http://` or `https://`, a port, a
/// trailing slash. Gives `http://host:port` or `https://host:port`. What is refused is described without being repeated, since it may hold a password.
pub(super) fn etcd(text: &str) -> Result<Vec<String>, String> {
    let mut endpoints = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let endpoint = etcd_endpoint(item)?;
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    if endpoints.is_empty() { Err("names no address".to_owned()) } else { Ok(endpoints) }
}

fn etcd_endpoint(text: &str) -> Result<String, String> {
    let (scheme, rest) = match text.split_once("://") {
        None => ("http", text),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
        Some(_) => return Err("the scheme must be http:// or https://".to_owned()),
    };
    let rest = rest.trim_end_matches('/');
    if rest.contains('@') {
        return Err(
            "a user does not belong into the address, use --etcd-user and --etcd-password-file".to_owned()
        );
    }
    if rest.contains(['/', '?', '#']) {
        return Err("the address must end after the port, without a path".to_owned());
    }
    let (host, port) = match rest.parse::<Ipv6Addr>() {
        Ok(address) => (format!("[{address}]"), None),
        Err(_) => split_host(rest).map(|(host, port)| (host.to_ascii_lowercase(), port))?,
    };
    Ok(format!("{scheme}://{host}:{}", port.unwrap_or(ETCD_PORT)))
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; the host keeps its brackets.
fn split_host(text: &str) -> Result<(&str, Option<u16>), String> {
    let end = if text.starts_with('[') {
        text.find(']').map_or(0, |at| at + 1)
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(end);
    if !is_host(host) {
        return Err("need a host name or an address before the port".to_owned());
    }
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port > 0)
        }
        _ => None,
    };
    if port.is_none() && !rest.is_empty() {
        return Err("the port must be a number from 1 to 65535".to_owned());
    }
    Ok((host, port))
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        }
    }
}

/// Reads a list of cores as `taskset` writes it: `0,2,4-7`.
pub(super) fn cores(text: &str) -> Result<Vec<usize>, String> {
    let bad = || "need cores and ranges of cores, like 0,2,4-7".to_owned();
    let mut cores = Vec::new();
    for item in text.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let first: usize = first.trim().parse().map_err(|_| bad())?;
        let last: usize = last.trim().parse().map_err(|_| bad())?;
        if last >= MOST_CORES {
            return Err(format!("core {last} is above {}", MOST_CORES - 1));
        }
        if first > last {
            return Err(bad());
        }
        for core in first..=last {
            if cores.contains(&core) {
                return Err(format!("core {core} is named twice"));
            }
            cores.push(core);
        }
    }
    Ok(cores)
}

/// The same list in the other direction, in order.
pub(super) fn core_list(cores: &[usize]) -> String {
    let mut sorted = cores.to_vec();
    sorted.sort_unstable();
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for core in sorted {
        match ranges.last_mut() {
            Some((_, last)) if core <= *last + 1 => *last = core,
            _ => ranges.push((core, core)),
        }
    }
    let written = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    written.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_all_of_ipv4_and_brackets_are_all_of_ipv6_alone() {
        for (text, address) in [
            (":8080", "0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
            (":0", "0.0.0.0:0"),
            ("[::]:8080", "[::]:8080"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(listen(text), Ok(address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_listened_on_is_told_with_what_can() {
        for (text, hint) in [
            ("localhost:8080", "127.0.0.1:8080, [::1]:8080"),
            ("elb.local:80", "an address of this machine instead of a name, like 127.0.0.1:80"),
            ("8080", "like :8080 for all of IPv4"),
            ("::1:8080", "[::1]:8080"),
            ("", "like :8080"),
            (":", "like :8080"),
            ("*", "like :8080"),
            (":65536", "like :8080"),
            ("127.0.0.1", "like :8080"),
            ("256.0.0.1:http", "like :8080"),
        ] {
            let told = listen(text).unwrap_err();
            assert!(told.contains(hint), "{text}: {told}");
        }
    }

    #[test]
    fn cores_are_listed_as_they_are_read() {
        for (cores_there, text) in [(&[0][..], "0"), (&[1, 0, 2, 5, 7, 8], "0-2,5,7-8"), (&[], "")] {
            assert_eq!(core_list(cores_there), text);
        }
    }

    #[test]
    fn etcd_addresses_come_with_or_without_scheme_port_and_slash() {
        for text in [
            "127.0.0.1:2379",
            "127.0.0.1",
            "http://127.0.0.1:2379",
            "HTTP://127.0.0.1:2379/",
            "127.0.0.1:2379//",
        ] {
            assert_eq!(etcd(text), Ok(vec!["http://127.0.0.1:2379".to_owned()]), "{text}");
        }
        for (text, expected) in [
            ("Etcd.Local:4001", "http://etcd.local:4001"),
            ("[::1]:2380", "http://[::1]:2380"),
            ("[::1]", "http://[::1]:2379"),
            ("::1", "http://[::1]:2379"),
            ("HTTPS://Etcd.Local/", "https://etcd.local:2379"),
        ] {
            assert_eq!(etcd(text), Ok(vec![expected.to_owned()]), "{text}");
        }
    }

    #[test]
    fn a_comma_list_is_a_cluster_in_its_order_without_repeats() {
        let expected = vec!["http://b:2379".to_owned(), "http://a:1".to_owned()];
        assert_eq!(etcd("http://b:2379, a:1,,b:2379/,"), Ok(expected));
    }

    #[test]
    fn bad_etcd_addresses_are_named_and_never_repeated() {
        for (text, reason) in [
            ("", "names no address"),
            (",", "names no address"),
            ("ftp://a:1", "the scheme must be http:// or https://"),
            ("http://me:hunter2@a:1", "a user does not belong"),
            ("a:1/v2/keys", "without a path"),
            ("a:0", "a number from 1 to 65535"),
            ("a:65536", "a number from 1 to 65535"),
            ("a:", "a number from 1 to 65535"),
            ("a:+1", "a number from 1 to 65535"),
            ("http://:2379", "need a host name"),
            ("[::1:2379", "need a host name"),
            ("<IP:PORT>", "need a host name"),
        ] {
            let told = etcd(text).unwrap_err();
            assert!(told.contains(reason), "{text}: {told}");
            assert!(!told.contains("hunter2"));
        }
    }

    #[test]
    fn cores_are_numbers_and_ranges() {
        assert_eq!(cores("0"), Ok(vec![0]));
        assert_eq!(cores("3,0-1, 8"), Ok(vec![3, 0, 1, 8]));
        for (text, reason) in [
            ("", "need cores"),
            ("a", "need cores"),
            ("2-1", "need cores"),
            ("1-2-3", "need cores"),
            ("0-1,1", "core 1 is named twice"),
            ("0-99999999999", "is above 1023"),
        ] {
            assert!(cores(text).unwrap_err().contains(reason), "{text}");
        }
    }

    #[test]
    fn networks_are_prefixes_or_single_addresses() {
        assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
        assert!(network("localhost").is_err());
        assert!(network("10.0.0.0/33").is_err());
    }

    #[test]
    fn a_dns_server_is_an_address_and_its_port_is_53_unless_it_is_there() {
        for (text, read) in [
            ("10.0.0.2", "10.0.0.2:53"),
            ("10.0.0.2:5353", "10.0.0.2:5353"),
            ("::1", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            assert_eq!(resolver(text).unwrap().to_string(), read);
        }
        for text in ["", "dns.local", "10.0.0.2:0", "10.0.0.2:", "[::1]", "udp://10.0.0.2"] {
            assert!(resolver(text).unwrap_err().contains("an address of a DNS server"), "{text}");
        }
    }

    #[test]
    fn a_host_name_has_no_port() {
        assert_eq!(host_name("Elb.Example.com."), Ok("elb.example.com".to_owned()));
        for text in ["", ".", "a:80", "[::1]", "http://a", "a/b", "*.a"] {
            assert!(host_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_with_a_port_stays_as_written() {
        for text in ["127.0.0.1:8125", "statsd.local:8125", "[::1]:8125"] {
            assert_eq!(host_port(text), Ok(text.to_owned()));
        }
        for text in ["127.0.0.1", "a:b", "a:0", ":8125", "udp://a:1", "a:1:2"] {
            assert!(host_port(text).is_err(), "{text}");
        }
    }
}
