//! TLS with clients and with servers: where it is spoken, and which files it takes.
//!
//! It owns what the flags come to, never a session. Next: [`tls`](crate::tls) is what is made of the files.

use std::path::{Path, PathBuf};

use super::certificates::Certificates;
use super::fault::Fault;
use super::surroundings::Surroundings;
use super::tls_args::{ClientCert, TlsArgs};

/// How TLS is spoken. Where it is, is said by [`ListenOn`](super::ListenOn).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Where the certificates are that clients are shown, beside those in etcd.
    pub dir: Option<PathBuf>,
    /// Where the keys are that seal private keys in etcd.
    pub certs_key: Option<PathBuf>,
    /// The certificates of those who may sign those of clients, in PEM; `None` for not asking clients.
    pub client_ca: Option<PathBuf>,
    /// A client without a certificate that is asked for one gets no session.
    pub client_must: bool,
    /// The port of HTTPS that requests in the clear are sent to; `None` for none.
    pub redirect: Option<u16>,
    /// The certificates of those who may sign those of servers, in PEM; `None` for whom this system trusts.
    pub server_ca: Option<PathBuf>,
}

impl TlsSettings {
    pub(super) fn new(args: &TlsArgs, is_etcd: bool, around: &Surroundings<'_>) -> Result<Self, Fault> {
        if !args.listen_tls.is_empty() && args.tls_dir.is_none() && !is_etcd {
            let told = "--listen-tls (or ELB_LISTEN_TLS) needs --tls-dir where the store is not etcd";
            return Err(Fault::usage(told));
        }
        let of_clients = Certificates { ca: args.tls_client_ca.clone(), own: None };
        of_clients.read(around.read).map_err(Fault::Configuration)?;
        let of_servers = Certificates { ca: args.server_ca.clone(), own: None };
        of_servers.read(around.read).map_err(Fault::Configuration)?;
        Ok(Self {
            dir: args.tls_dir.clone(),
            certs_key: args.certs_key.clone(),
            client_ca: of_clients.ca,
            client_must: args.tls_client_cert == ClientCert::Require,
            redirect: args.tls_redirect,
            server_ca: of_servers.ca,
        })
    }

    pub(super) fn describe(&self) -> String {
        let name = |path: &Path| path.display().to_string();
        let shown = self.dir.as_deref().map_or("none".to_owned(), name);
        let sealed = self
            .certs_key
            .as_deref()
            .map_or("in the clear".to_owned(), |path| format!("sealed by {}", name(path)));
        let sent =
            self.redirect.map_or(String::new(), |port| format!("; HTTP is sent to HTTPS at port {port}"));
        let clients = match (self.client_ca.as_deref().map(name), self.client_must) {
            (None, _) => "not asked for certificates".to_owned(),
            (Some(file), true) => format!("must be signed by {file}"),
            (Some(file), false) => format!("may be signed by {file}"),
        };
        let trusted = self.server_ca.as_deref().map_or("whom this system trusts".to_owned(), name);
        format!(
            "folder of certificates: {shown}, private keys in etcd: {sealed}; clients: {clients}{sent}; trusted for servers with TLS: {trusted}"
        )
    }
}
