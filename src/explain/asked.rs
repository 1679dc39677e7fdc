//! The request that is asked about, as people write it, and as it comes over the wire.
//!
//! It owns the members of that JSON and their faults; what is no sound HTTP is no fault here, as that is what may be asked
//! about. Next: [`desk`](super::desk) lets an exchange read it.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::model::Fault;

/// Most bytes of a request that is asked about: the largest head that ELB can be told to take.
const MOST: usize = 256 * 1024;

/// A request, in parts.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// What `Host` says.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// Its other fields, in order.
    pub headers: Vec<(String, String)>,
    /// From where it comes.
    pub client: IpAddr,
}

impl Asked {
    /// Reads `{"method", "host", "path", "headers", "client"}`; only `host` must be there. `headers` has a string or a list of
    /// them for each name.
    ///
    /// # Errors
    /// The first fault, with its pointer.
    pub fn read(given: &Map<String, Value>) -> Result<Asked, Fault> {
        let text = |name: &str, otherwise: Option<&str>| match (given.get(name), otherwise) {
            (Some(Value::String(text)), _) if text.contains(['\r', '\n']) => {
                Err(Fault::new(format!("/{name}"), "must be one line"))
            }
            (Some(Value::String(text)), _) => Ok(text.clone()),
            (Some(_), _) => Err(Fault::new(format!("/{name}"), "must be a string")),
            (None, Some(otherwise)) => Ok(otherwise.to_owned()),
            (None, None) => Err(Fault::new("", format!("has no {name}"))),
        };
        const KNOWN: [&str; 6] = ["method", "host", "path", "headers", "client", "config"];
        if let Some(other) = given.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            let message = format!("is unknown here; there is {}", KNOWN.join(", "));
            return Err(Fault::new("", message).below(other));
        }
        let client = text("client", Some("192.0.2.1"))?;
        let client = client
            .parse()
            .map_err(|_| Fault::new("/client", "must be an IP address, as 192.0.2.1 or 2001:db8::1"))?;
        let asked = Asked {
            method: text("method", Some("GET"))?,
            host: text("host", None)?,
            path: text("path", Some("/"))?,
            headers: headers(given.get("headers"))?,
            client,
        };
        if asked.wire().len() > MOST {
            return Err(Fault::new("", format!("is longer than {MOST} bytes as a request")));
        }
        Ok(asked)
    }

    /// The bytes of its head.
    pub(super) fn wire(&self) -> Vec<u8> {
        let mut wire = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.path, self.host);
        for (name, value) in &self.headers {
            wire.push_str(&format!("{name}: {value}\r\n"));
        }
        wire.push_str("\r\n");
        wire.into_bytes()
    }
}

fn headers(given: Option<&Value>) -> Result<Vec<(String, String)>, Fault> {
    let members = match given {
        None => return Ok(Vec::new()),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(Fault::new("/headers", "must be an object: name → value, or a list of them")),
    };
    let mut headers = Vec::new();
    for (name, value) in members {
        let fault = |message: &str| Fault::new("", message).below(name).below("headers");
        let values = match value {
            Value::Array(values) => values.iter().collect(),
            one => vec![one],
        };
        for value in values {
            match value.as_str() {
                Some(value) if !name.contains(['\r', '\n']) && !value.contains(['\r', '\n']) => {
                    headers.push((name.clone(), value.to_owned()));
                }
                Some(_) => return Err(fault("must be one line")),
                None => return Err(fault("must be a string, or a list of strings")),
            }
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(given: Value) -> Result<Asked, Fault> {
        Asked::read(given.as_object().unwrap())
    }

    #[test]
    fn a_request_is_a_host_and_what_else_is_said() {
        let least = read(json!({"host": "a.test"})).unwrap();
        assert_eq!(least.wire(), b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let headers = json!({"A": "1", "B": ["2", "3"]});
        let all = json!({"host": "a", "method": "PUT", "path": "/x?y", "headers": headers, "client": "::1"});
        let all = read(all).unwrap();
        assert_eq!(all.wire(), b"PUT /x?y HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nB: 3\r\n\r\n");
        assert!(all.client.is_loopback());
    }

    #[test]
    fn faults_are_told_at_their_place() {
        for (given, fault) in [
            (json!({}), "has no host"),
            (json!({"host": 1}), "/host: must be a string"),
            (json!({"host": "a", "path": "/\r\nX: y"}), "/path: must be one line"),
            (
                json!({"host": "a", "client": "a"}),
                "/client: must be an IP address, as 192.0.2.1 or 2001:db8::1",
            ),
            (json!({"host": "a", "headers": {"X/y": "a\nb"}}), "/headers/X~1y: must be one line"),
            (
                json!({"host": "a", "headers": {"X": [1]}}),
                "/headers/X: must be a string, or a list of strings",
            ),
            (
                json!({"host": "a", "headers": []}),
                "/headers: must be an object: name → value, or a list of them",
            ),
            (
                json!({"host": "a", "heders": {}}),
                "/heders: is unknown here; there is method, host, path, headers, client, config",
            ),
        ] {
            assert_eq!(read(given).unwrap_err().to_string(), fault);
        }
        let long = json!({"host": "a", "path": "x".repeat(MOST)});
        assert!(read(long).unwrap_err().message.starts_with("is longer than"));
    }
}
