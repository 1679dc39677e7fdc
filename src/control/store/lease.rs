//! A lease in etcd, and one key under it.
//!
//! It owns the calls, and that a key of another lease is never written over; never when a lease is kept alive or what the key says.
//! Next: [`nodes`](super::nodes) keeps one, [`connection`](super::connection) has the client.

use std::time::Duration;

use etcd_client::{
    Compare, CompareOp, GetOptions, LeaseKeepAliveStream, LeaseKeeper, PutOptions, Txn, TxnOp, TxnOpResponse,
};

use super::connection::{Connection, answer, plain};

/// A lease that is kept alive over one connection.
pub(super) struct Lease {
    pub(super) id: i64,
    keeper: LeaseKeeper,
    answers: LeaseKeepAliveStream,
}

/// What came of writing a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// It says what it should.
    Done,
    /// It belongs to another lease, and says this.
    Others(Vec<u8>),
}

impl Connection {
    /// Goes on with the lease `before`, if etcd still knows it (0 is none), or takes a new one.
    pub(super) async fn lease(&self, before: i64, ttl: Duration) -> Result<Lease, String> {
        let mut leases = self.client.lease_client();
        if before != 0 {
            // Whatever is wrong with it: if it is not the lease, the next call says so.
            if let Ok(Ok((keeper, answers))) = answer(self.patience, leases.keep_alive(before)).await {
                return Ok(Lease { id: before, keeper, answers });
            }
        }
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let granted = answer(self.patience, leases.grant(seconds, None)).await?.map_err(plain)?;
        let (keeper, answers) =
            answer(self.patience, leases.keep_alive(granted.id())).await?.map_err(plain)?;
        Ok(Lease { id: granted.id(), keeper, answers })
    }

    /// Says once that the lease is still needed. False when it had ended.
    pub(super) async fn keep_alive(&self, lease: &mut Lease) -> Result<bool, String> {
        let asked = async {
            lease.keeper.keep_alive().await?;
            lease.answers.message().await
        };
        match answer(self.patience, asked).await?.map_err(plain)? {
            Some(kept) => Ok(kept.ttl() > 0),
            None => Err("the stream that keeps the lease alive ended".to_owned()),
        }
    }

    /// Ends a lease; the keys under it go at once.
    pub(super) async fn revoke(&self, lease: i64) -> Result<(), String> {
        let mut leases = self.client.lease_client();
        answer(self.patience, leases.revoke(lease)).await?.map_err(plain).map(drop)
    }

    /// Writes a key under this lease, if it is under it already or not there.
    pub(super) async fn write_under(
        &mut self,
        lease: i64,
        key: &str,
        value: &str,
    ) -> Result<Written, String> {
        let put = || TxnOp::put(key, value, Some(PutOptions::new().with_lease(lease)));
        let is_new = Compare::create_revision(key, CompareOp::Equal, 0);
        let if_new = Txn::new().when([is_new]).and_then([put()]).or_else([TxnOp::get(key, None)]);
        let is_ours = Compare::lease(key, CompareOp::Equal, lease);
        let whole = Txn::new().when([is_ours]).and_then([put()]).or_else([TxnOp::txn(if_new)]);
        let done = answer(self.patience, self.kv.txn(whole)).await?.map_err(plain)?;
        if done.succeeded() {
            return Ok(Written::Done);
        }
        let inner = done.op_responses().into_iter().find_map(|response| match response {
            TxnOpResponse::Txn(inner) => Some(inner),
            _ => None,
        });
        let inner = inner.filter(|inner| !inner.succeeded());
        let there =
            inner.into_iter().flat_map(|inner| inner.op_responses()).find_map(|response| match response {
                TxnOpResponse::Get(got) => got.kvs().first().map(|pair| pair.value().to_vec()),
                _ => None,
            });
        Ok(there.map_or(Written::Done, Written::Others))
    }

    /// Whether a key is there, as far as this endpoint knows, which costs the others nothing.
    pub(super) async fn has(&mut self, key: &str) -> Result<bool, String> {
        let one = GetOptions::new().with_count_only().with_serializable();
        let got = answer(self.patience, self.kv.get(key, Some(one))).await?.map_err(plain)?;
        Ok(got.count() > 0)
    }
}
