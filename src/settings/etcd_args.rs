//! The flags that say how one is known to etcd, for `elb` and for its commands that write there.
//!
//! It owns names and help texts, and what the first segment of a key may be; never what they come to. Next: [`etcd`](super::etcd).

use std::path::PathBuf;

use clap::Args;

/// Who one is at etcd, and whom one trusts there.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct EtcdArgs {
    /// User at etcd; needs a password
    #[arg(long, env = "ELB_ETCD_USER", value_name = "USER")]
    pub(super) etcd_user: Option<String>,

    /// File with the password at etcd; beats the variable ELB_ETCD_PASSWORD
    #[arg(long, env = "ELB_ETCD_PASSWORD_FILE", value_name = "PATH")]
    pub(super) etcd_password_file: Option<PathBuf>,

    /// File with the certificates, in PEM, of those who may sign the certificate of etcd; for https:// endpoints
    /// [default: those that this system trusts]
    #[arg(long, env = "ELB_ETCD_CA", value_name = "FILE")]
    pub(super) etcd_ca: Option<PathBuf>,

    /// File with the certificate, in PEM, that is shown to etcd, and those that lead from it to a known one
    #[arg(long, env = "ELB_ETCD_CERT", value_name = "FILE")]
    pub(super) etcd_cert: Option<PathBuf>,

    /// File with the key of that certificate, in PEM and not encrypted
    #[arg(long, env = "ELB_ETCD_KEY", value_name = "FILE")]
    pub(super) etcd_key: Option<PathBuf>,
}

/// A name is one segment of an etcd key and the prefix of a statsd line, so it holds nothing that either could misread.
pub(super) fn name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.bytes().all(plain) && text.bytes().any(|byte| byte != b'.') {
        Ok(text.to_owned())
    } else {
        Err("need letters, digits, '-', '_' and '.' only".to_owned())
    }
}
