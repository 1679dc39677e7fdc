//! Addresses and parameters: what nginx takes, what it refuses, and that what is written can be read.

use super::*;
use proptest::prelude::*;

fn inet(text: &str) -> ServerTarget {
    ServerTarget::Inet(text.parse().unwrap())
}

fn params(text: &str) -> Result<String, String> {
    ServerSpec::parse("127.0.0.1", text).map(|spec| spec.to_string())
}

#[test]
fn addresses_that_are_taken() {
    for (text, target) in [
        ("127.0.0.1:8088", inet("127.0.0.1:8088")),
        ("127.0.0.1", inet("127.0.0.1:80")),
        ("[::1]:8080", inet("[::1]:8080")),
        ("[2001:db8::1]", inet("[2001:db8::1]:80")),
        ("localhost", ServerTarget::Name("localhost:80".into())),
        ("Up_1.Example.com.:65535", ServerTarget::Name("up_1.example.com:65535".into())),
        ("1.2.3.4.example:1", ServerTarget::Name("1.2.3.4.example:1".into())),
        ("unix:/run/up.sock", ServerTarget::Unix("/run/up.sock".into())),
        ("unix:/run/a:b", ServerTarget::Unix("/run/a:b".into())),
    ] {
        assert_eq!(ServerTarget::parse(text), Ok(target.clone()), "{text}");
        assert_eq!(ServerSpec::parse(text, "").unwrap().target(), target);
    }
}

#[test]
fn addresses_that_are_refused() {
    for (text, why) in [
        ("", "1 to 253"),
        (":80", "1 to 253"),
        ("127.0.0.1:0", "1 to 65535"),
        ("127.0.0.1:65536", "1 to 65535"),
        ("127.0.0.1:", "1 to 65535"),
        ("127.0.0.1:+80", "1 to 65535"),
        ("127.0.0.1:80-90", "1 to 65535"),
        ("h:80:80", "1 to 65535"),
        ("[::1]80", "1 to 65535"),
        ("[::1", "closing"),
        ("[localhost]:80", "IPv6"),
        ("::1", "needs ["),
        ("http://h", "no URL"),
        ("h/pre", "no URL"),
        ("127.0.0.1:80/pre", "no URL"),
        ("256.1.1.1", "number"),
        ("127.1", "number"),
        ("8080", "number"),
        ("a b", "neither"),
        ("a..b", "neither"),
        ("h\"; ip_hash", "neither"),
        ("é.example", "neither"),
        ("unix:", "1 to 107"),
        ("unix:/a b", "spaces"),
    ] {
        let error = ServerTarget::parse(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    assert!(ServerTarget::parse(&"a".repeat(64)).is_err());
    assert!(ServerTarget::parse(&"a.".repeat(127)).is_ok());
    assert!(ServerTarget::parse(&format!("{}a", "a.".repeat(127))).is_err());
}

#[test]
fn parameters_that_are_taken() {
    for (text, canonical) in [
        ("", "weight=1 max_fails=1 fail_timeout=10"),
        ("max_fails=2 weight=10", "weight=10 max_fails=2 fail_timeout=10"),
        ("weight=1  weight=007\t", "weight=7 max_fails=1 fail_timeout=10"),
        ("max_fails=0 fail_timeout=0", "weight=1 max_fails=0 fail_timeout=0"),
        ("max_conns=5 down backup down", "weight=1 max_fails=1 fail_timeout=10 max_conns=5 backup down"),
        ("max_conns=5 max_conns=0", "weight=1 max_fails=1 fail_timeout=10"),
        ("drain slow_start=1m", "weight=1 max_fails=1 fail_timeout=10 slow_start=60 drain"),
        ("slow_start=30s slow_start=0", "weight=1 max_fails=1 fail_timeout=10"),
        ("weight=4294967295", "weight=4294967295 max_fails=1 fail_timeout=10"),
    ] {
        assert_eq!(params(text).as_deref(), Ok(canonical), "{text}");
    }
}

#[test]
fn times_are_nginx_times_in_whole_seconds() {
    for (text, expected) in [
        ("30", 30),
        ("30s", 30),
        ("1m", 60),
        ("1h30m", 5400),
        ("1h30", 3630),
        ("1d", 86_400),
        ("1w", 604_800),
        ("1M", 2_592_000),
        ("1y", 31_536_000),
        ("1y1M1w1d1h1m1s", 34_822_861),
        ("2m5", 125),
    ] {
        assert_eq!(seconds(text), Some(Duration::from_secs(expected)), "{text}");
    }
    for text in
        ["", "s", "500ms", "1s1m", "1m1m", "-1", "1.5", "1 ", "1S", "99999999999999999999", "137y", "１"]
    {
        assert_eq!(seconds(text), None, "{text}");
    }
}

#[test]
fn parameters_that_are_refused() {
    for (text, why) in [
        ("weight=0", "1 or more"),
        ("weight=", "number"),
        ("weight=-1", "number"),
        ("weight=1.5", "number"),
        ("weight=4294967296", "number"),
        ("weight", "no such"),
        ("Weight=1", "no such"),
        ("fail_timeout=500ms", "whole seconds"),
        ("slow_start", "no such"),
        ("slow_start=1500ms", "whole seconds"),
        ("drain=true", "no such"),
        ("service=http", "ELB does not"),
        ("route=a", "ELB does not"),
        ("id=1", "ELB does not"),
        ("service=http", "ELB does not"),
        ("resolve", "ELB does not"),
        ("backup=true", "no such"),
        ("down=true", "no such"),
        ("backup=", "no such"),
        ("\"; ip_hash", "no such"),
    ] {
        let error = params(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
        assert!(error.contains(text.split(' ').next().unwrap()), "it names the parameter: {error}");
    }
}

#[test]
fn the_first_elbs_dumps_are_read_from_a_store() {
    let spec = ServerSpec::parse_stored("h:1", "backup=true down=true weight=2").unwrap();
    assert_eq!((spec.backup, spec.down, spec.weight), (true, true, 2));
    assert!(ServerSpec::parse_stored("h:1", "backup=false").is_err());
}

fn any_spec() -> impl Strategy<Value = ServerSpec> {
    let words = (any::<bool>(), any::<bool>(), any::<bool>());
    (1..=u32::MAX, any::<u32>(), any::<u32>(), any::<u32>(), words, any::<u32>()).prop_map(
        |(weight, max_fails, fail_timeout, max_conns, (backup, down, drain), slow_start)| ServerSpec {
            name: "h:1".to_owned(),
            weight,
            max_fails,
            fail_timeout: Duration::from_secs(fail_timeout.into()),
            max_conns,
            backup,
            down,
            drain,
            slow_start: Duration::from_secs(slow_start.into()),
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(spec in any_spec()) {
        prop_assert_eq!(ServerSpec::parse("h:1", &spec.to_string()), Ok(spec));
    }

    #[test]
    fn no_text_makes_reading_panic(name in "\\PC{0,24}", params in "\\PC{0,24}") {
        let _ = ServerSpec::parse_stored(&name, &params);
    }

    #[test]
    fn no_time_makes_reading_panic(text in "[0-9yMwdhms ]{0,24}") {
        let _ = seconds(&text);
    }

    #[test]
    fn a_name_that_is_read_reads_the_same_again(name in "[a-cA-C.]{1,8}(:[0-9]{1,6})?") {
        if let Ok(ServerTarget::Name(found)) = ServerTarget::parse(&name) {
            prop_assert_eq!(ServerTarget::parse(&found), Ok(ServerTarget::Name(found)));
        }
    }
}
