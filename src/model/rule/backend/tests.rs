//! Backends: servernames, headers, and what of both is refused.

use super::*;
use crate::model::rule::kind::{RuleRead, Terminal, testing};
use serde_json::json;

fn read(args: Value) -> Result<Backend, String> {
    match testing::read("backend", args) {
        Ok(RuleRead::End(Terminal::Backend(backend))) => Ok(backend),
        Ok(other) => panic!("{other:?}"),
        Err(faults) => Err(faults[0].to_string()),
    }
}

#[test]
fn a_servername_is_a_name_or_the_samples_object() {
    for args in [json!({"servername": "Up1"}), json!({"servername": {"Up1": ""}})] {
        let backend = read(args).unwrap();
        assert_eq!((backend.servername(), backend.name().key()), ("Up1", "up1"));
        assert_eq!((backend.headers().len(), backend.host()), (0, None));
    }
    assert_eq!(read(json!({"servername": "10.0.0.1:80"})).unwrap().servername(), "10.0.0.1:80");
    assert_eq!(read(json!({"servername": "u 17"})).unwrap().servername(), "u 17");
}

#[test]
fn what_can_never_be_a_servername_is_refused() {
    assert_eq!(read(json!({})).unwrap_err(), "/args: has no servername");
    for value in [
        json!(""),
        json!(5),
        json!(true),
        json!(null),
        json!(["up1"]),
        json!({}),
        json!({"a": "", "b": ""}),
        json!("up1/pre"),
        json!("http://up1"),
        json!("10.0.0.1:80/pre"),
        json!({"": ""}),
    ] {
        let fault = read(json!({"servername": value})).unwrap_err();
        assert!(fault.starts_with("/args/servername: "), "{value}: {fault}");
    }
}

#[test]
fn other_arguments_are_headers() {
    let backend = read(json!({
        "servername": "up1", "path": "/srv", "X-N": 5, "X-B": true, "X-L": ["a", 1, null, false], "gone": "",
        "gone2": {}, "gone3": [], "userdata": null, "x-crlf": "a\r\nX-Evil: 1\t\u{7f}é",
    }))
    .unwrap();
    let expected: Vec<(&str, &[&str])> = vec![
        ("path", &["/srv"]),
        ("X-N", &["5"]),
        ("X-B", &["true"]),
        ("X-L", &["a", "1", "false"]),
        ("gone", &[]),
        ("gone2", &[]),
        ("gone3", &[]),
        ("x-crlf", &["a%0D%0AX-Evil: 1\t%7Fé"]),
    ];
    let got: Vec<_> = backend
        .headers()
        .iter()
        .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    assert_eq!(got, expected.iter().map(|(name, values)| (*name, values.to_vec())).collect::<Vec<_>>());
}

#[test]
fn of_two_spellings_of_a_header_the_last_wins() {
    let backend = read(json!({"servername": "u", "X-A": "1", "x-a": "2"})).unwrap();
    assert_eq!(backend.headers(), [("x-a".to_owned(), vec!["2".to_owned()])]);
}

#[test]
fn host_is_what_the_server_sees() {
    for (given, seen) in [("Inner.Example:8080", "inner.example"), ("[::1]:80", "[::1]"), ("h.", "h")] {
        assert_eq!(read(json!({"servername": "u", "Host": given})).unwrap().host(), Some(seen));
    }
    for bad in [json!(""), json!("a b"), json!("a\r\nb"), json!("h/x"), json!(5), json!(["h"])] {
        assert!(read(json!({"servername": "u", "host": bad})).unwrap_err().starts_with("/args/host: "));
    }
    assert_eq!(read(json!({"servername": "u", "host": null})).unwrap().host(), None);
}

#[test]
fn headers_that_would_break_the_message_are_refused() {
    let framing = [
        "Connection",
        "content-length",
        "EXPECT",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "Transfer-Encoding",
        "upgrade",
    ];
    for name in framing.into_iter().chain(["a b", "a:", "é"]) {
        let fault = read(json!({"servername": "u", name: "1"})).unwrap_err();
        assert!(fault.starts_with(&format!("/args/{name}: ")), "{fault}");
    }
    assert!(read(json!({"servername": "u", "": "1"})).is_err());
    assert!(read(json!({"servername": "u", "x": {"a": 1}})).is_err());
    assert!(read(json!({"servername": "u", "x": [["a"]]})).is_err());
    assert!(read(json!({"servername": "u", "x": vec!["a"; fields::HEADERS]})).is_err());
    assert!(read(json!({"servername": "u", "x": "a".repeat(fields::HEADER_BYTES)})).is_err());
}
