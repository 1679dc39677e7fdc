//! The admin API as a script speaks it: one connection a call, JSON both ways.
//!
//! It owns no opinion about answers: a call gives the status and the body, and the test judges. Next: `client`.

use std::net::SocketAddr;

use serde_json::Value;

use super::client::Client;
use super::message::Message;

/// Where the admin API is, and the fields each call carries.
#[derive(Clone)]
pub(crate) struct Admin {
    address: SocketAddr,
    fields: String,
}

impl Admin {
    pub(crate) fn at(address: SocketAddr) -> Admin {
        Admin { address, fields: String::new() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same calls with one more header field.
    pub(crate) fn with(&self, field: &str) -> Admin {
        Admin { address: self.address, fields: format!("{}{field}\r\n", self.fields) }
    }

    /// A connection to it, for those who say something else than a call.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// A call whose answer is judged by the caller.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, word: &str, body: Option<&str>) -> Message {
        let length = body.map(|body| format!("Content-Length: {}\r\n", body.len())).unwrap_or_default();
        let mut client = Client::connect(self.address);
        client.send(format!(
            "{method} /__erulb__/{word} HTTP/1.1\r\nHost: {}\r\n{length}{}\r\n{}",
            self.address,
            self.fields,
            body.unwrap_or_default()
        ));
        client.response()
    }

    #[track_caller]
    pub(crate) fn get(&self, word: &str) -> Value {
        ok(self.call("GET", word, None))
    }

    #[track_caller]
    pub(crate) fn put(&self, word: &str, body: &Value) -> Value {
        ok(self.call("PUT", word, Some(&body.to_string())))
    }

    #[track_caller]
    pub(crate) fn delete(&self, word: &str, body: &Value) -> Value {
        ok(self.call("DELETE", word, Some(&body.to_string())))
    }

    #[track_caller]
    pub(crate) fn dump(&self) -> Value {
        ok(self.call("PUT", "dump", Some("")))
    }
}

#[track_caller]
fn ok(answer: Message) -> Value {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.head.get("Content-Type"), Some("application/json"));
    answer.json()
}
