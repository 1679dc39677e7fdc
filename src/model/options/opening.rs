//! What an operator says of how a connection to a server begins: `tls` and what begins with `tls_`, `proxy_protocol`.
//!
//! It owns these options and how they go together, never a connection. Next: `data::opening` begins connections so, and
//! `control::checks` those of its own.

use std::fmt;
use std::net::IpAddr;

use super::values::Given;
use crate::model::server::{ServerSpec, ServerTarget};
use crate::semantics::ProxyVersion;

/// What is said on a connection to a server before any request; nothing, if nothing is said here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpeningOptions {
    /// `tls` and what belongs to it; bytes as they are without it.
    pub tls: Option<TlsOptions>,
    /// `proxy_protocol`: a header that says who the client is comes before all else (HAProxy's `send-proxy`).
    pub proxy: Option<ProxyVersion>,
}

/// How servers are spoken to in TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// `tls_name`: whom the certificate must be for, and who is asked for (SNI), instead of the server's own name.
    pub name: Option<Box<str>>,
    /// `tls_verify`: the certificate must be signed by whom one trusts, and be for that name. Without it a server is anybody.
    pub verify: bool,
}

impl TlsOptions {
    /// Whom the certificate of a server must be for: a host or an address.
    #[must_use]
    pub fn name_of(&self, server: &ServerSpec) -> String {
        match (&self.name, server.target()) {
            (Some(name), _) => name.to_string(),
            (None, ServerTarget::Inet(address)) => address.ip().to_string(),
            (None, ServerTarget::Name(name)) => {
                name.rsplit_once(':').map_or(name.as_str(), |(host, _)| host).to_owned()
            }
            // No path is a host.
            (None, ServerTarget::Unix(_)) => "localhost".to_owned(),
        }
    }
}

/// The options while the text is read: their order is free, so what they mean together is known at its end.
#[derive(Debug, Default)]
pub(crate) struct OpeningReader {
    tls: bool,
    name: Option<Box<str>>,
    verify: Option<bool>,
    proxy: Option<ProxyVersion>,
    /// The first option that means nothing without TLS.
    beside: Option<String>,
}

impl OpeningReader {
    /// The options that it reads.
    pub(crate) const NAMES: [&'static str; 4] = ["tls", "tls_name", "tls_verify", "proxy_protocol"];

    /// Takes an option, if it is one of these.
    ///
    /// # Errors
    /// Its value cannot be accepted.
    pub(crate) fn set(&mut self, option: &str, given: Given<'_>) -> Result<bool, String> {
        match option {
            "tls" if given.text == option => self.tls = true,
            "tls" => return Err(given.fault("takes no value; leave it out for no TLS")),
            "tls_name" => self.name = Some(name(given)?),
            "tls_verify" => {
                self.verify = Some(match given.value {
                    "on" => true,
                    "off" => false,
                    word => return Err(given.unknown("word for that", word, &["on", "off"])),
                });
            }
            "proxy_protocol" => {
                self.proxy = Some(match given.value {
                    "v1" => ProxyVersion::V1,
                    "v2" => ProxyVersion::V2,
                    word => return Err(given.unknown("version of the PROXY protocol", word, &["v1", "v2"])),
                });
            }
            _ => return Ok(false),
        }
        if option.starts_with("tls_") && self.beside.is_none() {
            self.beside = Some(given.text.to_owned());
        }
        Ok(true)
    }

    /// What they mean together.
    ///
    /// # Errors
    /// One means nothing beside the others.
    pub(crate) fn finish(self) -> Result<Option<Box<OpeningOptions>>, String> {
        let tls = match self.beside {
            Some(option) if !self.tls => return Err(format!("{option}: needs tls beside it")),
            _ if self.tls => Some(TlsOptions { name: self.name, verify: self.verify.unwrap_or(true) }),
            _ => None,
        };
        let options = OpeningOptions { tls, proxy: self.proxy };
        Ok((options != OpeningOptions::default()).then(|| Box::new(options)))
    }
}

/// A name that a certificate may be for: of a host, or an address.
fn name(given: Given<'_>) -> Result<Box<str>, String> {
    let is_address = given.value.parse::<IpAddr>().is_ok();
    let is_host = || {
        let target = ServerTarget::parse(given.value);
        !given.value.contains(':') && matches!(target, Ok(ServerTarget::Name(_)))
    };
    if is_address || is_host() {
        return Ok(given.value.into());
    }
    Err(given.fault("must be the name of a host without a port, or an address"))
}

/// What was set, each with a space before it.
impl fmt::Display for OpeningOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(TlsOptions { name, verify }) = &self.tls {
            f.write_str(" tls")?;
            name.as_ref().map_or(Ok(()), |name| write!(f, " tls_name={name}"))?;
            f.write_str(if *verify { "" } else { " tls_verify=off" })?;
        }
        self.proxy.map_or(Ok(()), |version| write!(f, " proxy_protocol={version}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::UpstreamOptions;
    use super::*;

    fn read(text: &str) -> Result<OpeningOptions, String> {
        UpstreamOptions::parse(text).map(|options| *options.opening.unwrap_or_default())
    }

    #[test]
    fn tls_is_asked_for_by_a_word_and_what_belongs_to_it_may_stand_anywhere() {
        assert_eq!(read("").unwrap(), OpeningOptions::default());
        let plain = read("tls").unwrap();
        assert_eq!(plain.tls, Some(TlsOptions { name: None, verify: true }));
        assert_eq!((plain.proxy, plain.to_string()), (None, " tls".to_owned()));
        for (text, written) in [
            ("tls_name=App.internal tls", " tls tls_name=App.internal"),
            ("tls tls_verify=on", " tls"),
            (
                "tls_verify=off proxy_protocol=v2 tls tls_name=10.0.0.1",
                " tls tls_name=10.0.0.1 tls_verify=off proxy_protocol=v2",
            ),
            ("proxy_protocol=v1", " proxy_protocol=v1"),
            ("tls tls_name=::1", " tls tls_name=::1"),
        ] {
            let options = read(text).unwrap();
            assert_eq!(options.to_string(), written, "{text}");
            assert_eq!(read(&options.to_string()).unwrap(), options);
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (text, fault) in [
            ("tls=on", "tls=on: takes no value; leave it out for no TLS"),
            ("tls=", "tls=: takes no value; leave it out for no TLS"),
            ("tls_name=a.test", "tls_name=a.test: needs tls beside it"),
            ("tls_verify=on", "tls_verify=on: needs tls beside it"),
            ("tls tls_name=", "tls_name=: must be the name of a host without a port, or an address"),
            (
                "tls tls_name=a.test:443",
                "tls_name=a.test:443: must be the name of a host without a port, or an address",
            ),
            ("tls tls_verify=of", "tls_verify=of: there is no such word for that; there is on, off"),
            ("proxy_protocol=2", "proxy_protocol=2: there is no such version of the PROXY protocol"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.starts_with(fault), "{text}: {told}");
        }
    }
}
