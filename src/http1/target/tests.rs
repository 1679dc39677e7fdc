use proptest::prelude::*;

use super::*;

const PLAIN: Target<'_> =
    Target { authority: None, path: b"", query: None, rest: b"", slash: false, asterisk: false };

#[test]
fn targets_that_pass() {
    let cases: &[(&str, &str, Target<'_>)] = &[
        ("GET", "/", Target { path: b"/", rest: b"/", ..PLAIN }),
        ("GET", "/a/b", Target { path: b"/a/b", rest: b"/a/b", ..PLAIN }),
        ("GET", "/a?b", Target { path: b"/a", query: Some(b"b"), rest: b"/a?b", ..PLAIN }),
        ("GET", "/?", Target { path: b"/", query: Some(b""), rest: b"/?", ..PLAIN }),
        (
            "GET",
            "/a?b?c=/../%",
            Target { path: b"/a", query: Some(b"b?c=/../%"), rest: b"/a?b?c=/../%", ..PLAIN },
        ),
        ("GET", "//a/../%2F\"<>é", {
            let raw = "//a/../%2F\"<>é".as_bytes();
            Target { path: raw, rest: raw, ..PLAIN }
        }),
        ("GET", "/http://h/", Target { path: b"/http://h/", rest: b"/http://h/", ..PLAIN }),
        ("OPTIONS", "*", Target { rest: b"*", asterisk: true, ..PLAIN }),
        (
            "GET",
            "http://h/a?b",
            Target { authority: Some(b"h"), path: b"/a", query: Some(b"b"), rest: b"/a?b", ..PLAIN },
        ),
        (
            "GET",
            "HtTpS://User.Example:8443/",
            Target { authority: Some(b"User.Example:8443"), path: b"/", rest: b"/", ..PLAIN },
        ),
        ("GET", "http://h", Target { authority: Some(b"h"), slash: true, ..PLAIN }),
        (
            "GET",
            "http://h:80?x",
            Target { authority: Some(b"h:80"), query: Some(b"x"), rest: b"?x", slash: true, ..PLAIN },
        ),
        (
            "GET",
            "http://[::1]:80//x",
            Target { authority: Some(b"[::1]:80"), path: b"//x", rest: b"//x", ..PLAIN },
        ),
        ("GET", "http://h/@:", Target { authority: Some(b"h"), path: b"/@:", rest: b"/@:", ..PLAIN }),
        ("OPTIONS", "http://h", Target { authority: Some(b"h"), rest: b"*", asterisk: true, ..PLAIN }),
        ("OPTIONS", "http://h/", Target { authority: Some(b"h"), path: b"/", rest: b"/", ..PLAIN }),
        (
            "OPTIONS",
            "http://h?",
            Target { authority: Some(b"h"), query: Some(b""), rest: b"?", slash: true, ..PLAIN },
        ),
    ];
    for (method, target, parts) in cases {
        assert_eq!(parse(method.as_bytes(), target.as_bytes()), Ok(*parts), "{method} {target}");
    }
}

#[test]
fn targets_that_are_refused() {
    use Refusal::{Connect, Host, Target, Trace};
    let cases: &[(&str, &str, Refusal)] = &[
        ("CONNECT", "h:443", Connect),
        ("CONNECT", "/", Connect),
        ("TRACE", "/", Trace),
        ("GET", "", Target),
        ("GET", "*", Target),
        ("OPTIONS", "**", Target),
        ("OPTIONS", "*/", Target),
        ("GET", "a", Target),
        ("GET", "h:80", Target),
        ("GET", "?a", Target),
        ("GET", "%2Fa", Target),
        ("GET", "\\a", Target),
        ("GET", "/a b", Target),
        ("GET", "/a#b", Target),
        ("GET", "/#", Target),
        ("GET", "/?#", Target),
        ("GET", "/a\0", Target),
        ("GET", "/a\t", Target),
        ("GET", "/a\r", Target),
        ("GET", "/a\n", Target),
        ("GET", "/a\x1f", Target),
        ("GET", "/a\x7f", Target),
        ("GET", "/0123456789abcdef0123456789abcdef\x01/0123456789abcdef", Target),
        ("GET", "/?\x01", Target),
        ("GET", "ftp://h/", Target),
        ("GET", "ws://h/", Target),
        ("GET", "httpx://h/", Target),
        ("GET", "://h/", Target),
        ("GET", "http:h/", Target),
        ("GET", "http:/h/", Target),
        ("GET", "http//h/", Target),
        ("GET", " http://h/", Target),
        ("GET", "http://h/a b", Target),
        ("GET", "http://h#", Target),
        ("GET", "http://", Host),
        ("GET", "http:///a", Host),
        ("GET", "http://?a", Host),
        ("GET", "http://:80/", Host),
        ("GET", "http://u@h/", Host),
        ("GET", "http://u:p@h/", Host),
        ("GET", "http://@h/", Host),
        ("GET", "http://h:x/", Host),
        ("GET", "http://h:65536/", Host),
        ("GET", "http://h\\@g/", Host),
        ("GET", "http://[::1/", Host),
        ("GET", "http://[::1]x/", Host),
        ("OPTIONS", "http://", Host),
    ];
    for (method, target, refusal) in cases {
        assert_eq!(parse(method.as_bytes(), target.as_bytes()), Err(*refusal), "{method} {target:?}");
    }
}

proptest! {
    #[test]
    fn the_parts_make_up_the_target(method in "GET|OPTIONS", target in "(http://[a-c]{1,3})?[/*?]?[/a-c?%.]{0,12}") {
        if let Ok(parts) = parse(method.as_bytes(), target.as_bytes()) {
            let query = parts.query.map(|query| [b"?", query].concat()).unwrap_or_default();
            let path = if parts.asterisk { b"*" } else { parts.path };
            prop_assert_eq!([path, &query].concat(), parts.rest.to_vec());
            prop_assert!(target.as_bytes().ends_with(parts.rest) || parts.asterisk);
            prop_assert!(parts.path.is_empty() == (parts.slash || parts.asterisk));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(method in proptest::collection::vec(any::<u8>(), 0..8), bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse(&method, &bytes);
        let _ = parse(b"GET", &[b"http://", &bytes[..]].concat());
    }
}
