//! Certificates in etcd (`/$ELBNAME/certs/$name`): their writing.
//!
//! It owns one transaction for a write, and its bound; never what a certificate is. They are no part of the configuration: a private key has no
//! draft, no history and no dump, so what is written here is in etcd at once. Next: [`mail`](super::mail) has what came of them,
//! `control::certificates` shows them.

use std::sync::Arc;

use etcd_client::{Txn, TxnOp, TxnOpResponse};

use super::connection::{Connection, answer, denied, plain};
use super::keys::Keys;
use super::options::EtcdOptions;
use crate::tls::KeyText;

/// Certificates in one write: etcd carries out 128 operations at once.
pub const AT_ONCE: usize = 100;

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatesWritten {
    /// The revision that holds it.
    pub revision: i64,
    /// Of each, in order, whether it was there before.
    pub were_there: Vec<bool>,
}

/// Writes these, or deletes those without a text; all or none, [`AT_ONCE`] at most.
///
/// # Errors
/// Why not, for people. Whether it was done may be unknown then.
pub async fn write_certificates(
    options: &Arc<EtcdOptions>,
    writes: &[(String, Option<KeyText>)],
) -> Result<CertificatesWritten, String> {
    let keys = Keys::new(&options.name);
    let range = keys.certificates();
    let (_, mut connection) = Connection::soon(options, &range, 0).await?;
    let operations: Vec<TxnOp> =
        writes.iter().map(|(name, text)| operation(&keys.certificate(name), text)).collect();
    let done = answer(connection.patience, connection.kv.txn(Txn::new().and_then(operations))).await?;
    let what = format!("write below /{}/certs/", options.name);
    let done = done.map_err(|error| denied(plain(error), options, &what))?;
    let revision = done.header().map_or(0, etcd_client::ResponseHeader::revision);
    let were_there = done.op_responses().into_iter().map(|response| match response {
        TxnOpResponse::Delete(deleted) => deleted.deleted() > 0,
        _ => false,
    });
    Ok(CertificatesWritten { revision, were_there: were_there.collect() })
}

fn operation(key: &str, text: &Option<KeyText>) -> TxnOp {
    match text {
        Some(text) => TxnOp::put(key, text.expose(), None),
        None => TxnOp::delete(key, None),
    }
}
