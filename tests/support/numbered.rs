//! Values that carry a number which is used once, so that each value has one author, whoever spells it.
//!
//! It owns the two places of the number (a comment of a rule set, `max_fails` of a server), and a client of etcd for those who wait for
//! each answer. Next: the storms of writers use it.

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_client::{Compare, ConnectOptions, GetOptions, KeyValue, Txn, TxnOp};
use serde_json::{Value, json};

use super::elb::Elb;
use super::etcd::Etcd;
use super::rules;

/// How long etcd may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The prefix of all keys.
pub(crate) const PREFIX: &str = "/ELB/";

/// The number that a value carries, however it is spelled.
pub(crate) fn number(text: &str) -> Option<u64> {
    let mark = ["max_fails=", "#"].into_iter().find_map(|mark| text.find(mark).map(|at| at + mark.len()))?;
    let digits: String = text[mark..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// A rule set that carries a number.
pub(crate) fn numbered(value: u64) -> Value {
    let mut rules = rules::to("10.0.0.1:80");
    rules["number"] = json!(format!("#{value}"));
    rules
}

/// As people write it, which is not as ELB does.
pub(crate) fn by_hand(key: &str, value: u64) -> String {
    if key.contains("/rules/") { format!("{:#}", numbered(value)) } else { format!("max_fails={value}") }
}

/// What an ELB serves, by etcd's keys.
pub(crate) fn served(elb: &Elb) -> BTreeMap<String, u64> {
    let mut served = BTreeMap::new();
    for (domain, rules) in elb.admin().get("domain").as_object().expect("an object") {
        served.extend(number(&rules.to_string()).map(|number| (format!("{PREFIX}rules/{domain}"), number)));
    }
    for (upstream, servers) in elb.admin().get("upstream").as_object().expect("an object") {
        for server in servers.as_array().expect("a list") {
            let key = format!("{PREFIX}upstreams/{upstream}/{}", server["name"].as_str().expect("a name"));
            served.extend(server["max_fails"].as_u64().map(|number| (key, number)));
        }
    }
    served
}

/// A client of etcd that a thread waits for.
pub(crate) struct Client {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) etcd: etcd_client::Client,
}

impl Client {
    pub(crate) fn to(etcd: &Etcd) -> Client {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = ConnectOptions::new().with_timeout(PATIENCE);
        let client = etcd_client::Client::connect([etcd.address()], Some(options));
        let client = runtime.block_on(client).expect("etcd");
        Client { runtime, etcd: client }
    }

    pub(crate) fn revision(&mut self) -> i64 {
        let got = self.runtime.block_on(self.etcd.get("/", None)).expect("an answer");
        got.header().expect("a header").revision()
    }

    /// Does all of this in one revision, which it gives; nothing if a guard does not hold.
    ///
    /// # Errors
    /// etcd did not say what became of it.
    pub(crate) fn try_write(
        &mut self,
        guards: Vec<Compare>,
        writes: &[(String, Option<u64>)],
        spelled: fn(&str, u64) -> String,
    ) -> Result<Option<i64>, etcd_client::Error> {
        let operation = |(key, value): &(String, Option<u64>)| match value {
            Some(value) => TxnOp::put(key.as_str(), spelled(key, *value), None),
            None => TxnOp::delete(key.as_str(), None),
        };
        let txn = Txn::new().when(guards).and_then(writes.iter().map(operation).collect::<Vec<_>>());
        let done = self.runtime.block_on(self.etcd.txn(txn))?;
        Ok(done.succeeded().then(|| done.header().expect("a header").revision()))
    }

    /// The same where etcd is there.
    pub(crate) fn write(
        &mut self,
        guards: Vec<Compare>,
        writes: &[(String, Option<u64>)],
        spelled: fn(&str, u64) -> String,
    ) -> Option<i64> {
        self.try_write(guards, writes, spelled).expect("an answer")
    }

    /// Each key that begins so, with its number.
    pub(crate) fn numbers(&mut self, prefix: &str) -> BTreeMap<String, u64> {
        let options = GetOptions::new().with_prefix();
        let got = self.runtime.block_on(self.etcd.get(prefix, Some(options))).expect("an answer");
        let pair = |pair: &KeyValue| {
            let text = |text: Result<&str, _>| text.expect("text").to_owned();
            Some((text(pair.key_str()), number(&text(pair.value_str()))?))
        };
        got.kvs().iter().filter_map(pair).collect()
    }

    /// The value of a key and the revision that wrote it; 0 if it is not there.
    pub(crate) fn read(&mut self, key: &str) -> (Option<u64>, i64) {
        let got = self.runtime.block_on(self.etcd.get(key, None)).expect("an answer");
        got.kvs()
            .first()
            .map_or((None, 0), |pair| (number(pair.value_str().expect("text")), pair.mod_revision()))
    }
}
