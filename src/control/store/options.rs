//! What the etcd store has to know, and how addresses of etcd are spelled.
//!
//! It owns the options and their reading, never a connection. Next: [`etcd`](super::etcd) is started with them.

use std::fmt;
use std::time::Duration;

use super::mail::CertificateMail;
use super::watch::Pulse;
use crate::settings::{Certificates, EtcdSettings};

/// The port of an address that names none.
const PORT: u16 = 2379;

/// How to reach etcd, and under which name ELB keeps its keys there.
#[derive(Clone)]
pub struct EtcdOptions {
    /// `http://host:port` or `https://host:port`, one for each member of the cluster; see [`endpoints`].
    pub endpoints: Vec<String>,
    /// `$ELBNAME`: keys are below `/$ELBNAME/`.
    pub name: String,
    /// User and password, if etcd asks for them.
    pub login: Option<(String, String)>,
    /// What `https://` endpoints are reached with.
    pub certificates: Certificates,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub request_timeout: Duration,
    /// How a link that died in silence is noticed.
    pub pulse: Pulse,
    /// Who shows the certificates that are in etcd; without one they are not read.
    pub certificates_to: Option<CertificateMail>,
}

impl EtcdOptions {
    /// What an operator has set, with the usual times: all who ask etcd are told by this.
    #[must_use]
    pub fn set(settings: &EtcdSettings, name: &str) -> EtcdOptions {
        let password = settings.password.as_ref().map(|password| password.expose().to_owned());
        EtcdOptions {
            endpoints: settings.endpoints.clone(),
            login: settings.user.clone().zip(password),
            certificates: settings.certificates.clone(),
            ..EtcdOptions::new("", name)
        }
    }

    /// Options with the usual times. `addresses` is read by [`endpoints`].
    #[must_use]
    pub fn new(addresses: &str, name: &str) -> EtcdOptions {
        EtcdOptions {
            endpoints: endpoints(addresses),
            name: name.to_owned(),
            login: None,
            certificates: Certificates::default(),
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(3),
            pulse: Pulse { every: Duration::from_secs(2), silence: Duration::from_secs(3) },
            certificates_to: None,
        }
    }
}

/// The password stays out of every log.
impl fmt::Debug for EtcdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdOptions")
            .field("endpoints", &self.endpoints)
            .field("name", &self.name)
            .field("user", &self.login.as_ref().map(|(user, _)| user))
            .finish_non_exhaustive()
    }
}

/// Addresses of etcd as people write them: a comma list of `host`, `host:port` or URLs. Without a scheme it is
/// `http`, without a port it is 2379; an empty list is the local machine.
#[must_use]
pub fn endpoints(addresses: &str) -> Vec<String> {
    let written = addresses.split(',').map(str::trim).filter(|address| !address.is_empty());
    let found: Vec<String> = written.map(endpoint).collect();
    if found.is_empty() { vec![endpoint("127.0.0.1")] } else { found }
}

fn endpoint(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let host = rest.trim_end_matches('/');
    // An address of IP version 6 has colons of its own, so it is only followed by a port when it stands in brackets.
    let (bare_v6, end_of_v6) = (host.parse::<std::net::Ipv6Addr>().is_ok(), host.rfind(']').unwrap_or(0));
    if bare_v6 {
        format!("{scheme}://[{host}]:{PORT}")
    } else if host[end_of_v6..].contains(':') {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{PORT}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_be_written_in_many_ways() {
        for (written, meant) in [
            ("", vec!["http://127.0.0.1:2379"]),
            ("etcd", vec!["http://etcd:2379"]),
            ("10.0.0.1:4001", vec!["http://10.0.0.1:4001"]),
            ("http://etcd:2379/", vec!["http://etcd:2379"]),
            ("https://etcd", vec!["https://etcd:2379"]),
            (" a:1, http://b:2 ,,c", vec!["http://a:1", "http://b:2", "http://c:2379"]),
            ("[::1]", vec!["http://[::1]:2379"]),
            ("[::1]:4001", vec!["http://[::1]:4001"]),
            ("::1", vec!["http://[::1]:2379"]),
        ] {
            assert_eq!(endpoints(written), meant, "{written}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let mut options = EtcdOptions::new("etcd", "ELB");
        options.login = Some(("reader".into(), "hunter2".into()));
        let shown = format!("{options:?}");
        assert!(shown.contains("reader") && !shown.contains("hunter2"), "{shown}");
    }
}
