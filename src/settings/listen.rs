//! Where the data port listens, and what its connections begin with.
//!
//! It owns the words of `--listen` and how they belong together, never a socket. Next: [`addresses`] reads one
//! address, `data::listen` binds it.

use std::fmt;
use std::net::SocketAddr;

use super::addresses;

/// Whether the connections of a listener begin with a header of the PROXY protocol, which names the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyHeader {
    /// No: they begin with HTTP.
    #[default]
    Off,
    /// Those of trusted proxies may.
    Accept,
    /// All do, and come from trusted proxies (HAProxy's `accept-proxy`, nginx's `listen … proxy_protocol`).
    Require,
}

/// An address of the data port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenOn {
    /// Port 0 is chosen by the kernel.
    pub address: SocketAddr,
    /// What connections begin with.
    pub proxy: ProxyHeader,
    /// Behind that they speak TLS.
    pub tls: bool,
}

impl From<SocketAddr> for ListenOn {
    fn from(address: SocketAddr) -> Self {
        Self { address, proxy: ProxyHeader::Off, tls: false }
    }
}

impl fmt::Display for ListenOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxy = match self.proxy {
            ProxyHeader::Off => "",
            ProxyHeader::Accept => ",proxy=accept",
            ProxyHeader::Require => ",proxy=require",
        };
        write!(f, "{}{proxy}{}", self.address, if self.tls { " for TLS" } else { "" })
    }
}

/// What stands between two commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Address(SocketAddr),
    /// It belongs to the address before it.
    Proxy(ProxyHeader),
}

/// Reads one.
pub(super) fn word(text: &str) -> Result<Word, String> {
    match text.split_once('=') {
        Some(("proxy", "off")) => Ok(Word::Proxy(ProxyHeader::Off)),
        Some(("proxy", "accept")) => Ok(Word::Proxy(ProxyHeader::Accept)),
        Some(("proxy", "require")) => Ok(Word::Proxy(ProxyHeader::Require)),
        Some(_) => Err("need proxy=require, proxy=accept or proxy=off behind the address".to_owned()),
        None => addresses::listen(text).map(Word::Address),
    }
}

/// Puts them together.
///
/// # Errors
/// A word that belongs to no address; a second one of an address; a PROXY header that nobody is trusted to send.
pub(super) fn together(words: &[Word], tls: bool, has_trusted: bool) -> Result<Vec<ListenOn>, String> {
    let (mut all, mut is_said) = (Vec::<ListenOn>::new(), false);
    for word in words {
        match (*word, all.last_mut()) {
            (Word::Address(address), _) => {
                all.push(ListenOn { tls, ..address.into() });
                is_said = false;
            }
            (Word::Proxy(_), None) => return Err("proxy= belongs behind an address".to_owned()),
            (Word::Proxy(_), Some(last)) if is_said => {
                return Err(format!("proxy= is there twice for {}", last.address));
            }
            (Word::Proxy(proxy), Some(last)) => {
                last.proxy = proxy;
                is_said = true;
            }
        }
    }
    match all.iter().find(|one| one.proxy != ProxyHeader::Off) {
        Some(one) if !has_trusted => {
            Err(format!("{one} needs --trusted-proxies: only they are believed when they name a client"))
        }
        _ => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let words: Result<Vec<Word>, String> = text.split(',').map(word).collect();
        let all = together(&words?, false, true)?;
        Ok(all.iter().map(ListenOn::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_connections_begin_with_belongs_to_the_address_before() {
        for (text, meant) in [
            (":80", "0.0.0.0:80"),
            (":80,proxy=require", "0.0.0.0:80,proxy=require"),
            ("127.0.0.1:80,[::1]:81,proxy=accept,:82", "127.0.0.1:80 [::1]:81,proxy=accept 0.0.0.0:82"),
            (":80,proxy=off,:81", "0.0.0.0:80 0.0.0.0:81"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(meant), "{text}");
        }
        for (text, told) in [
            ("proxy=require", "behind an address"),
            (":80,proxy=maybe", "need proxy=require"),
            (":80,tls=on", "need proxy=require"),
            (":80,proxy=accept,proxy=require", "twice"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        let words = [word(":80").unwrap(), word("proxy=accept").unwrap()];
        assert!(together(&words, false, false).unwrap_err().contains("--trusted-proxies"));
        assert!(together(&words[..1], true, false).is_ok());
    }
}
