//! How etcd is reached: where it is, who one is there, whom one trusts.
//!
//! It owns what flags and variables come to and the rules that concern several of them, never their names (see `etcd_args`).
//! Next: [`certificates`](super::certificates) reads the files for TLS.

use super::addresses;
use super::certificates::Certificates;
use super::etcd_args::EtcdArgs;
use super::fault::Fault;
use super::secret::{Secret, secret};
use super::surroundings::Surroundings;

/// How to reach etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdSettings {
    /// The members of the cluster, each as `http://host:port` or `https://host:port`; at least one.
    pub endpoints: Vec<String>,
    /// Who we are there; never without a password.
    pub user: Option<String>,
    /// And the password.
    pub password: Option<Secret>,
    /// What connections to `https://` endpoints are made with.
    pub certificates: Certificates,
}

impl EtcdSettings {
    /// What the flags come to. `flag` is the one that may give the endpoints, with its value.
    pub(super) fn new(
        flag: (&'static str, Option<&str>),
        args: &EtcdArgs,
        around: &Surroundings<'_>,
    ) -> Result<Self, Fault> {
        let (source, text) = addresses(flag, around)?;
        let endpoints = addresses::etcd(&text)
            .map_err(|reason| Fault::usage(format!("invalid etcd address in {source}: {reason}")))?;
        let password = secret("ELB_ETCD_PASSWORD", args.etcd_password_file.as_deref(), around)?;
        if args.etcd_user.is_some() != password.is_some() {
            return Err(Fault::usage(
                "an etcd user needs a password, and a password a user: \
                --etcd-user with --etcd-password-file or ELB_ETCD_PASSWORD",
            ));
        }
        if args.etcd_cert.is_some() != args.etcd_key.is_some() {
            return Err(Fault::usage(
                "a certificate needs its key, and a key its certificate: \
                --etcd-cert with --etcd-key, or ELB_ETCD_CERT with ELB_ETCD_KEY",
            ));
        }
        let certificates =
            Certificates { ca: args.etcd_ca.clone(), own: args.etcd_cert.clone().zip(args.etcd_key.clone()) };
        certificates.read(around.read).map_err(Fault::Configuration)?;
        Ok(Self { endpoints, user: args.etcd_user.clone(), password, certificates })
    }

    /// What of it does nothing, in words for the log.
    pub(super) fn warnings(&self) -> Vec<String> {
        if self.endpoints.iter().any(|endpoint| endpoint.starts_with("https://")) {
            return Vec::new();
        }
        let Certificates { ca, own } = &self.certificates;
        let given = [(ca.is_some(), "--etcd-ca"), (own.is_some(), "--etcd-cert and --etcd-key")];
        let idle = given.iter().filter(|(is_given, _)| *is_given);
        idle.map(|(_, flag)| format!("no endpoint of etcd begins with https://, so {flag} does nothing"))
            .collect()
    }

    /// The same for people, without secrets.
    pub(super) fn describe(&self) -> String {
        let user = self.user.as_deref().map(|user| format!(" as {user}")).unwrap_or_default();
        let ca = self.certificates.ca.as_deref();
        let ca = ca.map(|path| format!(", trusting {}", path.display())).unwrap_or_default();
        let own = self.certificates.own.as_ref();
        let own = own.map(|(cert, _)| format!(", with {}", cert.display())).unwrap_or_default();
        format!("etcd {}{user}{ca}{own}", self.endpoints.join(","))
    }
}

/// Where the address stands, and the address. Three ways lead to it, as in the first ELB.
fn addresses(
    (flag, given): (&'static str, Option<&str>),
    around: &Surroundings<'_>,
) -> Result<(&'static str, String), Fault> {
    if let Some(text) = given {
        return Ok((flag, text.to_owned()));
    }
    for name in ["ETCD_URL", "ETCD"] {
        if let Some(text) = around.text(name)? {
            return Ok((name, text));
        }
    }
    let host = around.text("ETCD_HOST")?.unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = around.text("ETCD_PORT")?.unwrap_or_else(|| "2379".to_owned());
    Ok(("ETCD_HOST and ETCD_PORT", format!("{host}:{port}")))
}
