//! The flags of TLS, with clients and with servers.
//!
//! It owns their names, help texts and defaults. Next: [`tls`](super::tls) has what they come to.

use std::path::PathBuf;

use clap::{Args, ValueEnum, value_parser};

use super::listen;

/// What becomes of a client that shows no certificate where it is asked for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ClientCert {
    // It gets no session.
    Require,
    // It is served as others.
    Accept,
}

/// Where and with what.
#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    /// Address to listen on for HTTPS (TLS 1.2 and 1.3) with the certificates of --tls-dir and of etcd; repeat it, or separate with
    /// commas, for several. What --listen may have behind the address may stand here as well
    #[arg(long, env = "ELB_LISTEN_TLS", value_name = "ADDR", value_delimiter = ',')]
    #[arg(value_parser = listen::word)]
    pub(super) listen_tls: Vec<listen::Word>,

    /// Folder of certificates, NAME.crt with its chain and NAME.key beside it, both in PEM; each is shown to clients that ask for a name
    /// that it is for, and default.crt, or the first by its file's name, to all others. It is looked at every five seconds
    #[arg(long, env = "ELB_TLS_DIR", value_name = "PATH")]
    pub(super) tls_dir: Option<PathBuf>,

    /// File with the key that seals the private keys of certificates in etcd: 32 bytes in base64 on a line. More lines are older keys,
    /// which open what they sealed [default: private keys are in etcd in the clear]
    #[arg(long, env = "ELB_CERTS_KEY", value_name = "FILE")]
    pub(super) certs_key: Option<PathBuf>,

    /// File with the certificates, in PEM, of those who may sign the certificates of clients: these are asked for theirs, and servers
    /// are told of it in Client-Cert. It is looked at every five seconds [default: clients are not asked]
    #[arg(long, env = "ELB_TLS_CLIENT_CA", value_name = "FILE")]
    pub(super) tls_client_ca: Option<PathBuf>,

    /// With --tls-client-ca, what becomes of a client without a certificate: require refuses it, accept lets it in without Client-Cert
    #[arg(long, env = "ELB_TLS_CLIENT_CERT", value_name = "WORD", value_enum, default_value = "require")]
    pub(super) tls_client_cert: ClientCert,

    /// Send requests that came in the clear to HTTPS at this port, such as 443: 301, or 308 where the method is to stay
    #[arg(long, env = "ELB_TLS_REDIRECT", value_name = "PORT", requires = "listen_tls")]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    pub(super) tls_redirect: Option<u16>,

    /// File with the certificates, in PEM, of those who may sign the certificates of servers with the option tls [default: those that
    /// this system trusts]
    #[arg(long, env = "ELB_SERVER_CA", value_name = "FILE")]
    pub(super) server_ca: Option<PathBuf>,
}
