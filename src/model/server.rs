//! One server as an operator writes it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Where a server's name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerTarget {
    /// An address literal; never looked up.
    Inet(SocketAddr),
    /// `host:port`, host in lower case, port always present; to be looked up.
    Name(String),
    /// The path of a unix socket.
    Unix(Box<str>),
}

/// One server and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSpec {
    /// The address as written.
    pub name: String,
    /// Its share, 1 or more.
    pub weight: u32,
    /// Failures that put it aside; 0: never.
    pub max_fails: u32,
    /// How long failures count and how long it then stays aside; whole seconds.
    pub fail_timeout: Duration,
    /// Connections at once; 0: no limit.
    pub max_conns: u32,
    /// Used only when no other is available.
    pub backup: bool,
    /// Never used.
    pub down: bool,
}

impl ServerSpec {
    /// Reads a server from its address and parameters.
    pub fn parse(name: &str, _params: &str) -> Result<ServerSpec, String> {
        Ok(ServerSpec {
            name: name.to_owned(),
            weight: 1,
            max_fails: 1,
            fail_timeout: Duration::from_secs(10),
            max_conns: 0,
            backup: false,
            down: false,
        })
    }

    /// Where the name leads.
    pub fn target(&self) -> ServerTarget {
        ServerTarget::Name(self.name.clone())
    }
}

impl fmt::Display for ServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "weight={} max_fails={} fail_timeout={}",
            self.weight,
            self.max_fails,
            self.fail_timeout.as_secs()
        )
    }
}
