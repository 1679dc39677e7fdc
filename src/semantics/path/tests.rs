//! Tables of paths, and what must be true of any: rules and servers read the same one.

use proptest::prelude::*;

use super::*;

#[test]
fn paths() {
    let cases: &[(&str, &str)] = &[
        ("", "/"),
        ("/", "/"),
        ("/a/b.c/", "/a/b.c/"),
        ("/a%20b", "/a b"),
        ("/%41%7a%7E", "/Az~"),
        ("/%c3%A9", "/é"),
        ("/%3f%23%25", "/?#%"),
        ("/%2541", "/%41"),
        ("/%252e%252e/x", "/%2e%2e/x"),
        ("/%01%0a%7f", "/\u{1}\n\u{7f}"),
        ("/a+b", "/a+b"),
        ("//", "/"),
        ("//a///b//", "/a/b/"),
        ("/a%2Fb", "/a/b"),
        ("/a%2f%2Fb", "/a/b"),
        ("/.", "/"),
        ("/./", "/"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../c", "/a/c"),
        ("/a/b/%2E%2e/c", "/a/c"),
        ("/a/b/.%2e%2Fc", "/a/c"),
        ("/a/b/../../c", "/c"),
        ("/a//../c", "/c"),
        ("/a/b//../c", "/a/c"),
        ("/...", "/..."),
        ("/a/.../b", "/a/.../b"),
        ("/.a", "/.a"),
        ("/..a/b", "/..a/b"),
        ("/a./b../c", "/a./b../c"),
        ("/.well-known/x", "/.well-known/x"),
        ("/x/../__erulb__/%64ump", "/__erulb__/dump"),
        ("//__erulb__//dump", "/__erulb__/dump"),
    ];
    for (path, normal) in cases {
        let mut scratch = b"left over".to_vec();
        let got = normalize(path.as_bytes(), &mut scratch).unwrap();
        assert_eq!(got, normal.as_bytes(), "{path}: {}", got.escape_ascii());
    }
    assert_eq!(normalize(b"/\xff%fe", &mut Vec::new()), Ok(&b"/\xff\xfe"[..]), "bytes, not characters");
}

#[test]
fn paths_that_are_refused() {
    for path in [
        "/%",
        "/%4",
        "/a%",
        "/a%2",
        "/%zz",
        "/%4g",
        "/%g4",
        "/%%41",
        "/% 41",
        "/%+1",
        "/%00",
        "/a%00b",
        "/..",
        "/../",
        "/../x",
        "/a/../..",
        "/a/../../b",
        "/%2e%2e/x",
        "/%2e%2e%2fx",
        "/./..",
        "//..",
        "/a//../..",
        "*",
        "a",
        "%2F",
    ] {
        assert_eq!(normalize(path.as_bytes(), &mut Vec::new()), Err(PathFault::Malformed), "{path}");
    }
}

#[test]
fn canonical_paths_are_borrowed() {
    for path in ["/", "/a/b-c_d/e.f", "/a.", "/a..b/c", "/a\\b", "/a;b"] {
        let mut scratch = Vec::new();
        assert_eq!(normalize(path.as_bytes(), &mut scratch).unwrap().as_ptr(), path.as_ptr(), "{path}");
    }
}

/// What goes out of a path.
fn out(path: &str) -> Result<String, PathFault> {
    let mut scratch = b"left over".to_vec();
    resolve(path.as_bytes(), &mut scratch).map(|path| path.escape_ascii().to_string())
}

#[test]
fn dots_are_resolved_and_all_else_keeps_its_spelling() {
    for (path, resolved) in [
        ("/.", "/"),
        ("/./", "/"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../c", "/a/c"),
        ("/a/b/../c/", "/a/c/"),
        ("/a/%2e/b", "/a/b"),
        ("/a/%2E%2e/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/admin/../public", "/public"),
        ("/admin//../public", "/public"),
        ("/a//b///.//c//", "/a/b/c/"),
        ("/a%2Fb/./%63;d=e/%25/", "/a%2Fb/%63;d=e/%25/"),
        ("/a%2fb/c/../d", "/a%2fb/d"),
        ("/a;x/../b", "/b"),
        ("/..a/.b/../c", "/..a/c"),
        ("/x/../__erulb__/%64ump", "/__erulb__/%64ump"),
    ] {
        assert_eq!(out(path).as_deref(), Ok(resolved), "{path}");
    }
    let raw = b"/\xe9/./\xff";
    assert_eq!(resolve(raw, &mut Vec::new()), Ok(&b"/\xe9/\xff"[..]));
}

#[test]
fn what_has_no_dots_goes_out_byte_for_byte() {
    for path in [
        "/",
        "",
        "//",
        "//a///b//",
        "/a%2Fb",
        "/a%5cb\\c",
        "/%41",
        "/.a",
        "/..a/b",
        "/...",
        "/a/.../b",
        "/a./b../c",
        "/a%2f.b/..c%2f...",
        "/.well-known/x",
        "/a..;b/x;..",
        "/%252e%252e/x",
        "/a;..",
    ] {
        let mut scratch = Vec::new();
        let resolved = resolve(path.as_bytes(), &mut scratch).unwrap();
        assert_eq!((resolved.as_ptr(), resolved.len()), (path.as_ptr(), path.len()), "{path}");
    }
}

#[test]
fn what_servers_would_read_in_different_ways_is_refused() {
    for path in [
        "/x/..%2f..%2fpublic",
        "/x/..%2F",
        "/a%2f..",
        "/a%2f../b",
        "/a%2f./b",
        "/a/%2f../b",
        "/.%2fa",
        "/%2e%2e%2fx",
        "/public/..%5cadmin",
        "/public/..%5Cadmin",
        "/public/..\\admin",
        "/a\\..\\b",
        "/a\\.",
        "/a%5c..",
        "/a\\%2e%2e",
        "/public/..;/admin",
        "/public/..;x=y/admin",
        "/public/.;/admin",
        "/public/%2e%2e;/admin",
        "/public/..%3b/admin",
        "/..;",
        "/a%2fb/../c",
        "/a%2f/../c",
        "/%2f/../c",
        "/a%5cb/../c",
        "/a\\b/x/../../c",
        "/admin%0a",
        "/%01",
        "/a%0d%0ab",
        "/a%7f",
        "/a%1f/../b",
        "/;x/admin",
        "/x/;",
        "/a%2f;x",
        "/%3bx/admin",
        "/\\admin",
        "/%5cadmin",
        "/x/%5C",
        "/a\\\\b",
    ] {
        assert_eq!(out(path), Err(PathFault::Ambiguous), "{path}");
    }
    for path in [
        "/..",
        "/../x",
        "/a/../../b",
        "/%2e%2e/x",
        "/./..",
        "//..",
        "/a//../..",
        "/%00",
        "/%",
        "/%zz/..",
        "a",
    ] {
        assert_eq!(out(path), Err(PathFault::Malformed), "{path}");
    }
}

/// What [`normalize`] must give, said the slow way: decode all, split at slashes, resolve.
fn naive(path: &[u8]) -> Option<Vec<u8>> {
    let text: String = path.iter().map(|&byte| byte as char).collect();
    let mut decoded = String::new();
    let mut parts = text.split('%');
    decoded.push_str(parts.next()?);
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(code, 16).ok().filter(|&byte| byte != 0)?;
        decoded.push(byte as char);
        decoded.push_str(&part[2..]);
    }
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = decoded.split('/').collect();
    for segment in &segments {
        match *segment {
            "" | "." => {}
            ".." => drop(kept.pop()?),
            name => kept.push(name),
        }
    }
    let mut normal = format!("/{}", kept.join("/"));
    if matches!(segments.last(), Some(&("" | "." | ".."))) && !normal.ends_with('/') {
        normal.push('/');
    }
    Some(normal.chars().map(|byte| byte as u8).collect())
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut bytes = Decoded(path);
    std::iter::from_fn(|| bytes.next().unwrap()).collect()
}

/// The segments of a path for the most inventive server: escapes are decoded, backslashes are slashes, and what follows a
/// semicolon is no part of a name.
fn inventive(path: &[u8]) -> Vec<Vec<u8>> {
    let decoded = decoded(path);
    let names = decoded.split(|byte| matches!(byte, b'/' | b'\\'));
    names.map(|name| name.split(|byte| *byte == b';').next().unwrap_or_default().to_vec()).collect()
}

/// Paths that have much of what is doubtful.
const DOUBTFUL: &str = "/(%2[efEF]|%5[cC]|%3b|%0a|%41|[./;ab\\\\]|\\.\\.|/|/\\.\\./){0,20}";

proptest! {
    #[test]
    fn rules_see_what_goes_out(path in DOUBTFUL) {
        let path = path.as_bytes();
        let (mut scratch, mut one, mut other) = (Vec::new(), Vec::new(), Vec::new());
        let Ok(out) = resolve(path, &mut scratch) else { return Ok(()) };
        prop_assert_eq!(normalize(out, &mut one), normalize(path, &mut other));
        prop_assert!(!inventive(out).iter().any(|name| name == b"." || name == b".."), "{}", out.escape_ascii());
        prop_assert!(!decoded(out).iter().any(u8::is_ascii_control));
        prop_assert!(out.len() <= path.len());
        let dots = inventive(path).iter().any(|name| name == b"." || name == b"..");
        prop_assert!(dots || out == path, "{} for {}", out.escape_ascii(), path.escape_ascii());
        let mut again = Vec::new();
        prop_assert_eq!(resolve(out, &mut again), Ok(out));
    }

    /// What is refused would be read in different ways, or climbs.
    #[test]
    fn nothing_is_refused_without_a_reason(path in DOUBTFUL) {
        let path = path.as_bytes();
        let control = decoded(path).iter().any(u8::is_ascii_control);
        let dots = inventive(path).iter().any(|name| name == b"." || name == b"..");
        let separates = |byte: u8| matches!(byte, b'/' | b'\\');
        let begins = |two: &[u8]| separates(two[0]) && matches!(two[1], b';' | b'\\');
        if !dots && !control && !decoded(path).windows(2).any(begins) {
            let mut scratch = Vec::new();
            prop_assert_eq!(resolve(path, &mut scratch), Ok(path));
        }
    }

    /// The look that nearly all paths get away with says nothing is to be done only where that is so.
    #[test]
    fn what_is_plain_is_its_own_form(path in DOUBTFUL) {
        let path = path.as_bytes();
        if is_plain(path) {
            let (mut scratch, mut normal) = (Vec::new(), Vec::new());
            prop_assert_eq!(resolve(path, &mut scratch), Ok(path));
            prop_assert_eq!(decode(path, &mut normal), Ok(path));
        }
    }

    #[test]
    fn paths_are_as_the_slow_way_says(path in "/(%2[efEF]|%[0-9a-g]{1,2}|[./%ab]|\\.\\.|/){0,24}") {
        let mut scratch = Vec::new();
        let normal = normalize(path.as_bytes(), &mut scratch).ok().map(<[u8]>::to_vec);
        prop_assert_eq!(&normal, &naive(path.as_bytes()));
    }

    #[test]
    fn a_normal_path_without_percent_is_its_own_normal_form(path in "/([./a]|%2[ef]|%20){0,24}") {
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        if let Ok(normal) = normalize(path.as_bytes(), &mut once) {
            prop_assert_eq!(normalize(normal, &mut twice), Ok(normal));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for path in [bytes.clone(), [b"/", &bytes[..]].concat()] {
            let _ = normalize(&path, &mut Vec::new());
            let _ = resolve(&path, &mut Vec::new());
        }
    }
}
