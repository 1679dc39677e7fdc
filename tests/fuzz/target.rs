//! A target and a host: taken apart, put together and made canonical without losing or inventing a byte.
//!
//! The input is `METHOD TARGET` on one line and a host on the next.

use elb::http1::target::{self, Target};
use elb::semantics::{host, path};

use super::shown;

pub fn run(bytes: &[u8]) {
    let (line, name) = cut(bytes, b'\n');
    let (method, given) = cut(line, b' ');
    if let Ok(parts) = target::parse(method, given) {
        adds_up(given, &parts);
        if !parts.asterisk && !parts.slash {
            canonical_path(parts.path);
            outgoing_path(parts.path);
        }
        if let Some(authority) = parts.authority {
            host::canonical(authority, &mut Vec::new()).expect("an authority that was found valid");
            canonical_host(authority);
        }
    }
    canonical_host(name);
    canonical_path(given);
    outgoing_path(given);
}

fn cut(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == at).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// The parts are stretches of the target, and what goes out is the same target in origin-form.
fn adds_up(given: &[u8], parts: &Target<'_>) {
    if parts.asterisk {
        assert_eq!((parts.rest, parts.path, parts.query), (&b"*"[..], &b""[..], None));
        return;
    }
    let query = parts.query.map(|query| [b"?", query].concat()).unwrap_or_default();
    assert_eq!(shown(parts.rest), shown(&[parts.path, &query].concat()));
    assert!(given.ends_with(parts.rest));
    assert!(given.iter().all(|byte| *byte > b' ' && *byte != 0x7f && *byte != b'#'), "{}", shown(given));
    let out = if parts.slash { [b"/", parts.rest].concat() } else { parts.rest.to_vec() };
    let again = target::parse(b"GET", &out).expect("what goes out is a target");
    assert_eq!((again.authority, again.query, again.rest), (None, parts.query, &out[..]));
    match parts.authority {
        None => assert_eq!(given, parts.rest),
        Some(authority) => {
            let scheme = given.len() - parts.rest.len() - authority.len();
            assert!(matches!(scheme, 7 | 8) && given[..scheme].ends_with(b"://"), "{}", shown(given));
        }
    }
}

fn canonical_path(path: &[u8]) {
    let mut scratch = Vec::new();
    let Ok(normal) = path::normalize(path, &mut scratch) else { return };
    assert!(normal.starts_with(b"/"), "{}", shown(normal));
    assert!(!normal.windows(2).any(|pair| pair == b"//"), "{}", shown(normal));
    assert!(!normal.split(|byte| *byte == b'/').any(|segment| segment == b"." || segment == b".."));
    assert!(normal.len() <= path.len().max(1));
    if !path.contains(&b'%') {
        let mut scratch = Vec::new();
        assert_eq!(path::normalize(normal, &mut scratch), Ok(normal), "canonical once is canonical");
    }
}

/// What goes out is seen by rules as what came, and has no dots that a server could resolve.
fn outgoing_path(path: &[u8]) {
    let (mut scratch, mut one, mut other) = (Vec::new(), Vec::new(), Vec::new());
    let Ok(out) = path::resolve(path, &mut scratch) else { return };
    assert_eq!(path::normalize(out, &mut one), path::normalize(path, &mut other), "{}", shown(path));
    assert!(out.len() <= path.len(), "{}", shown(out));
    let ends = |byte: &u8| matches!(byte, b'/' | b'\\');
    assert!(!out.split(ends).any(|segment| segment == b"." || segment == b".."), "{}", shown(out));
    let mut again = Vec::new();
    assert_eq!(path::resolve(out, &mut again), Ok(out), "resolved once is resolved");
}

fn canonical_host(given: &[u8]) {
    let mut scratch = Vec::new();
    let Ok(normal) = host::canonical(given, &mut scratch) else { return };
    assert!(!normal.is_empty() && normal.len() <= given.len());
    assert!(!normal.iter().any(|byte| byte.is_ascii_uppercase() || *byte <= b' ' || *byte >= 0x7f));
    assert!(normal.starts_with(b"[") || !normal.contains(&b':'), "{}", shown(normal));
    assert!(given.to_ascii_lowercase().starts_with(normal));
    let mut scratch = Vec::new();
    if !normal.ends_with(b".") {
        assert_eq!(host::canonical(normal, &mut scratch), Ok(normal), "canonical once is canonical");
    }
}
