//! Tables of hosts, and what must be true of any.

use proptest::prelude::*;

use super::*;

#[test]
fn canonical_hosts_are_borrowed() {
    for host in ["h.test", "h.test:80", "h.test."] {
        let mut scratch = Vec::new();
        assert_eq!(canonical(host.as_bytes(), &mut scratch).unwrap().as_ptr(), host.as_ptr(), "{host}");
    }
}

#[test]
fn hosts() {
    let cases: &[(&str, &str)] = &[
        ("h", "h"),
        ("h.test", "h.test"),
        ("H.Test", "h.test"),
        ("h.test.", "h.test"),
        ("H.TEST.:8080", "h.test"),
        ("h:", "h"),
        ("h:0", "h"),
        ("h:80", "h"),
        ("h:65535", "h"),
        ("h:0000000080", "h"),
        ("under_score-9~", "under_score-9~"),
        ("!$&'()*+,;=", "!$&'()*+,;="),
        ("*.h", "*.h"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("a%41", "a%41"),
        ("A%4aB%2F.test:80", "a%4ab%2f.test"),
        ("%2e", "%2e"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("[::1]:", "[::1]"),
        ("[2001:DB8::A]:443", "[2001:db8::a]"),
        ("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]"),
    ];
    for (host, normal) in cases {
        let mut scratch = b"left over".to_vec();
        assert_eq!(canonical(host.as_bytes(), &mut scratch), Ok(normal.as_bytes()), "{host}");
    }
}

#[test]
fn hosts_that_are_refused() {
    for host in [
        "",
        ":",
        ":80",
        ".",
        "..",
        ".:80",
        ".h",
        "h..",
        "h..test",
        "h test",
        " h",
        "h ",
        "h\t",
        "h\0",
        "h/",
        "h?",
        "h#",
        "u@h",
        "h@",
        "h\\",
        "h%",
        "h%2",
        "h%2g",
        "h%zz.test",
        "h%:80",
        "\"h\"",
        "<h>",
        "h^",
        "h`",
        "{h}",
        "h|",
        "hé",
        "h:80:80",
        "h:80a",
        "h:+80",
        "h:-1",
        "h: 80",
        "h:65536",
        "h:99999999999999999999",
        "::1",
        "[",
        "[]",
        "[]:80",
        "[::1",
        "[::1]80",
        "[::1]:x",
        "[::1]:65536",
        "[::1]]",
        "[[::1]]",
        "[::1%25eth0]",
        "[::1%eth0]",
        "[v1.a]",
        "[127.0.0.1]",
        "[h]",
        "[:::1]",
        "[1:2:3:4:5:6:7:8:9]",
        "[::12345]",
        "[::é]",
        "h[::1]",
        "h]",
    ] {
        assert_eq!(canonical(host.as_bytes(), &mut Vec::new()), Err(NotAHost), "{host:?}");
    }
}

proptest! {
    #[test]
    fn a_normal_host_is_its_own_normal_form(host in "(([A-Za-z0-9_.-]|%[0-9a-gA-F]{2}){1,12}|\\[[0-9A-F:]{2,8}\\])(:[0-9]{0,6})?") {
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        if let Ok(normal) = canonical(host.as_bytes(), &mut once) {
            prop_assert!(!normal.is_empty() && !normal.iter().any(u8::is_ascii_uppercase));
            prop_assert_eq!(canonical(normal, &mut twice), Ok(normal));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = canonical(&bytes, &mut Vec::new());
        let _ = canonical(&[b"[", &bytes[..], b"]"].concat(), &mut Vec::new());
    }
}
