//! One connection to one endpoint of etcd: read all, watch, commit.
//!
//! It owns the client, the paging and the wording of errors, never a decision about what comes next. One client an
//! endpoint, because a client over several gives no failover: it sends every other call to the one that is down. Next:
//! [`etcd`](super::etcd) and [`dump`](super::dump) use it.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, Error, GetOptions, KeyValue, KvClient, PutOptions, Txn,
    TxnOp, TxnOpResponse, WatchOptions, WatchRequestSender, WatchResponseStream,
};

use tokio::task::JoinSet;

use super::keys::KeyRange;
use super::merge::{Operation, Present};
use super::options::EtcdOptions;
use super::tls;

/// Keys asked for at once; halved while the answer is larger than [`MESSAGE_BYTES`].
const PAGE_KEYS: i64 = 500;
/// The largest message that is accepted. The default of 4 MiB is less than three values of the largest size.
const MESSAGE_BYTES: usize = 64 * 1024 * 1024;
/// How much earlier each endpoint is asked than the next one: an endpoint that hangs delays the start by 200 ms. One that
/// works answers within that, even if it has to check a password, which takes 100 ms.
const HEAD_START: Duration = Duration::from_millis(200);
/// How long the endpoints may take together until one of them has answered for the first time.
const FIRST: Duration = Duration::from_secs(2);
/// Reasons of endpoints that are told when none answers.
const REASONS: usize = 4;
/// HTTP/2 pings, for a link that died before the watch was open. etcd ends connections that ping more often than
/// every 5 s; a watch that lives is asked for progress before a ping is due.
const PING: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(3));

/// All keys of a range, at one revision.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) keys: Vec<KeyValue>,
    pub(super) revision: i64,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    /// All operations were carried out, at this revision.
    Done(i64),
    /// A key was not as it had been read, and nothing was written.
    Conflict,
}

/// Keys that are there, and at which revision that was.
pub(super) type Found = (BTreeMap<String, Present>, i64);

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not all of it at once: it, or its answer, is larger than etcd or this client takes. Less of it may be done.
    ThisMuch(String),
    /// Anything else.
    Other(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Refusal::Other(reason)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let is_size = is_too_large(&error)
            || matches!(&error, Error::GRpcStatus(status) if status.message().contains("request is too large"));
        let reason = plain(error);
        if is_size { Refusal::ThisMuch(reason) } else { Refusal::Other(reason) }
    }
}

/// A connection that has not been proven yet: the client is lazy, so only the first answer says that etcd is there.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) kv: KvClient,
    pub(super) patience: Duration,
}

impl Connection {
    /// Prepares a connection, and logs in if there is a user.
    async fn open(endpoint: &str, options: &EtcdOptions, range: &KeyRange) -> Result<Connection, String> {
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(options.connect_timeout)
            .with_timeout(options.request_timeout)
            .with_keep_alive(PING.0, PING.1)
            .with_keep_alive_while_idle(false)
            .with_auto_token_refresh(true)
            // A member that lost its cluster shall end the watch, not go on in silence.
            .with_require_leader(true);
        if let Some((user, password)) = &options.login {
            connect = connect.with_user(user, password);
        }
        if let Some(tls) = tls::options(endpoint, &options.certificates).await? {
            connect = connect.with_tls(tls);
        }
        let patience = options.connect_timeout + options.request_timeout;
        let client = answer(patience, Client::connect([endpoint], Some(connect))).await?;
        let client = client.map_err(|error| first_words(error, endpoint, options, range))?;
        let kv = client.kv_client().max_decoding_message_size(MESSAGE_BYTES);
        Ok(Connection { client, kv, patience })
    }

    /// Asks the endpoints side by side, beginning with the one whose number is `first`, and gives the first that answers:
    /// one small read in `range`, which takes a leader and the right to read.
    ///
    /// # Errors
    /// When none does, why not, each by name.
    pub(super) async fn first_to_answer(
        options: &Arc<EtcdOptions>,
        range: &KeyRange,
        first: usize,
    ) -> Result<(usize, Connection), String> {
        let count = options.endpoints.len();
        let mut turns = (0..count).map(|turn| (first + turn) % count);
        let mut asked = JoinSet::new();
        let mut reasons = Vec::new();
        loop {
            if let Some(at) = turns.next() {
                let (options, range) = (Arc::clone(options), range.clone());
                asked.spawn(async move { (at, Connection::proven(&options, at, &range).await) });
            }
            let wait = if turns.len() > 0 { HEAD_START } else { Duration::MAX };
            let Ok(answer) = tokio::time::timeout(wait, asked.join_next()).await else { continue };
            match answer {
                Some(Ok((at, Ok(connection)))) => return Ok((at, connection)),
                Some(Ok((_, Err(reason)))) => reasons.push(reason),
                Some(Err(ended)) => reasons.push(ended.to_string()),
                None if turns.len() > 0 => {}
                None if reasons.is_empty() => return Err("no endpoint of etcd is given".into()),
                None => {
                    reasons.truncate(REASONS);
                    return Err(reasons.join("; "));
                }
            }
        }
    }

    /// The same, for whoever does not wait any longer than [`FIRST`].
    pub(super) async fn soon(
        options: &Arc<EtcdOptions>,
        range: &KeyRange,
        first: usize,
    ) -> Result<(usize, Connection), String> {
        let answered = tokio::time::timeout(FIRST, Connection::first_to_answer(options, range, first)).await;
        answered.map_err(|_| format!("no endpoint has answered in {} ms", FIRST.as_millis()))?
    }

    /// A connection to this endpoint that has answered.
    async fn proven(options: &EtcdOptions, at: usize, range: &KeyRange) -> Result<Connection, String> {
        let address = options.endpoints.get(at).map_or("", String::as_str);
        let named = |reason: String| format!("{address}: {reason}");
        let mut connection = Connection::open(address, options, range).await.map_err(named)?;
        let one = GetOptions::new().with_range(range.end.clone()).with_limit(1).with_keys_only();
        let read = answer(connection.patience, connection.kv.get(range.from.clone(), Some(one))).await;
        read.and_then(|read| read.map_err(|error| first_words(error, address, options, range)))
            .map_err(named)?;
        Ok(connection)
    }

    /// Reads every key of `range`, in pages that all show the revision of the first; none any more when there are `most`.
    pub(super) async fn list(&mut self, range: &KeyRange, most: usize) -> Result<Listing, String> {
        let KeyRange { mut from, end } = range.clone();
        let mut listing = Listing { keys: Vec::new(), revision: 0 };
        let mut limit = PAGE_KEYS;
        loop {
            let page =
                GetOptions::new().with_range(end.clone()).with_limit(limit).with_revision(listing.revision);
            let mut page = match answer(self.patience, self.kv.get(from.clone(), Some(page))).await? {
                Ok(page) => page,
                Err(error) if limit > 1 && is_too_large(&error) => {
                    limit /= 2;
                    continue;
                }
                Err(error) => return Err(plain(error)),
            };
            if listing.revision == 0 {
                listing.revision = page.header().map_or(0, etcd_client::ResponseHeader::revision);
            }
            let more = page.more();
            listing.keys.append(&mut page.take_kvs());
            match listing.keys.last() {
                Some(last) if more && listing.keys.len() < most => from = [last.key(), b"\0"].concat(),
                _ => return Ok(listing),
            }
        }
    }

    /// Watches every key of `range`, from `revision` on. The sender must live as long as the stream.
    pub(super) async fn watch(
        &self,
        range: &KeyRange,
        revision: i64,
    ) -> Result<(WatchRequestSender, WatchResponseStream), String> {
        let mut watch = self.client.watch_client().max_decoding_message_size(MESSAGE_BYTES);
        let options = WatchOptions::new().with_range(range.end.clone()).with_start_revision(revision);
        let stream =
            answer(self.patience, watch.watch(range.from.clone(), Some(options))).await?.map_err(plain)?;
        Ok(stream.split())
    }

    /// Reads these keys, all at one revision.
    pub(super) async fn read(&mut self, keys: &[&str]) -> Result<Found, Refusal> {
        let gets: Vec<TxnOp> = keys.iter().map(|&key| TxnOp::get(key, None)).collect();
        let read = answer(self.patience, self.kv.txn(Txn::new().and_then(gets))).await??;
        let revision = read.header().map_or(0, etcd_client::ResponseHeader::revision);
        let mut found = BTreeMap::new();
        for response in read.op_responses() {
            let TxnOpResponse::Get(mut one) = response else { continue };
            for pair in one.take_kvs() {
                let revision = pair.mod_revision();
                let (key, value) = pair.into_key_value();
                // They are the texts that were asked for.
                found.extend(String::from_utf8(key).ok().map(|key| (key, Present { value, revision })));
            }
        }
        Ok((found, revision))
    }

    /// Carries the operations out, all or none.
    pub(super) async fn commit(&mut self, operations: &[Operation]) -> Result<Commit, Refusal> {
        let guards: Vec<Compare> = operations
            .iter()
            .map(|one| Compare::mod_revision(one.key.as_str(), CompareOp::Equal, one.revision))
            .collect();
        let writes: Vec<TxnOp> = operations.iter().map(write).collect();
        let transaction = Txn::new().when(guards).and_then(writes);
        let done = answer(self.patience, self.kv.txn(transaction)).await??;
        let revision = done.header().map_or(0, etcd_client::ResponseHeader::revision);
        Ok(if done.succeeded() { Commit::Done(revision) } else { Commit::Conflict })
    }
}

fn write(operation: &Operation) -> TxnOp {
    match &operation.value {
        // A server that registered itself under a lease stays under it.
        Some(text) if operation.revision != 0 => {
            TxnOp::put(operation.key.as_str(), text.as_str(), Some(PutOptions::new().with_ignore_lease()))
        }
        Some(text) => TxnOp::put(operation.key.as_str(), text.as_str(), None),
        None => TxnOp::delete(operation.key.as_str(), None),
    }
}

/// The library has timeouts of its own, but a call may also wait in its queue for a connection that never comes.
pub(super) async fn answer<F: Future>(patience: Duration, call: F) -> Result<F::Output, String> {
    tokio::time::timeout(patience, call)
        .await
        .map_err(|_| format!("no answer in {} ms", patience.as_millis()))
}

/// An answer that exceeds the limit here. A compacted revision has the same code and another text.
fn is_too_large(error: &Error) -> bool {
    matches!(error, Error::GRpcStatus(status) if status.message().contains("message length too large"))
}

/// The same for the first call of a connection, which also says that there is none, and why.
fn first_words(error: Error, endpoint: &str, options: &EtcdOptions, range: &KeyRange) -> String {
    if let Some(fault) = tls::fault(&error, endpoint, &options.certificates) {
        return fault;
    }
    let [from, end] = [&range.from, &range.end].map(|key| String::from_utf8_lossy(key));
    denied(plain(error), options, &format!("read {from} to {end}"))
}

/// The reason, in plain words if it is that the user has no right to do that.
pub(super) fn denied(reason: String, options: &EtcdOptions, what: &str) -> String {
    if reason.contains("permission denied") {
        let who = match (&options.login, &options.certificates.own) {
            (Some((user, _)), _) => format!("the user {user}"),
            (None, Some((own, _))) => format!("the user whom the certificate in {} names", own.display()),
            (None, None) => "who gives no user".to_owned(),
        };
        return format!("{who} may not {what} in etcd (permission denied)");
    }
    if reason.contains("user name is empty") {
        return "etcd wants a user: --etcd-user (user name is empty)".to_owned();
    }
    reason
}

/// An error in one line: the message, and what it came from if that says more.
pub(super) fn plain(error: Error) -> String {
    let (mut text, mut cause) = match &error {
        Error::GRpcStatus(status) => match status.message() {
            "" => (status.code().to_string(), status.source()),
            message => (message.to_owned(), status.source()),
        },
        other => (other.to_string(), other.source()),
    };
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
