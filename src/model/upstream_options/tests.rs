//! What is taken, what is refused and with which words, and that what is written can be read.

use proptest::prelude::*;

use super::*;
use crate::model::options::checks::CheckKind;

fn canonical(text: &str) -> Result<String, String> {
    UpstreamOptions::parse(text).map(|options| options.to_string())
}

#[test]
fn what_is_taken_has_one_form() {
    for (text, form) in [
        ("", "method=round_robin"),
        (" \t", "method=round_robin"),
        ("method=ewma  method=random", "method=random"),
        ("key=client method=hash", "method=hash key=client"),
        ("method=hash key=header:X-User hash_balance=1.50", "method=hash key=header:X-User hash_balance=1.5"),
        ("method=hash key=query:id hash_balance=2.00", "method=hash key=query:id hash_balance=2"),
        ("method=hash key=path hash_balance=1.05", "method=hash key=path hash_balance=1.05"),
        ("sticky=cookie:srv method=least_conn", "method=least_conn sticky=cookie:srv"),
        ("check=off", "method=round_robin"),
        (
            "check=tcp check_port=81",
            "method=round_robin check=tcp check_interval=2s check_timeout=1s rise=2 fall=3 check_port=81",
        ),
        (
            "check_status=204 fall=1 check=/h?a=b check_host=a.test:8 check_interval=500ms",
            "method=round_robin check=/h?a=b check_interval=500ms check_timeout=1s rise=2 fall=1 check_status=204 \
             check_host=a.test:8",
        ),
        (
            "check_status=200 check=tcp check=/",
            "method=round_robin check=/ check_interval=2s check_timeout=1s \
             rise=2 fall=3 check_status=200",
        ),
        (
            "keepalive=0 retry_budget=020% retries=1 server_timeout=90 connect_timeout=60s",
            "method=round_robin connect_timeout=1m server_timeout=90s retries=1 retry_budget=20% keepalive=0",
        ),
    ] {
        assert_eq!(canonical(text).as_deref(), Ok(form), "{text}");
        assert_eq!(canonical(form).as_deref(), Ok(form));
    }
    for word in BalancingMethod::WORDS.iter().filter(|word| **word != "hash") {
        let text = format!("method={word}");
        assert_eq!(canonical(&text), Ok(text));
    }
}

#[test]
fn what_is_no_option_is_refused_by_name_with_what_was_meant() {
    for (text, fault) in [
        ("methd=round_robin", "methd=round_robin: there is no such option of an upstream; is method meant?"),
        ("Method=random", "Method=random: there is no such option of an upstream; is method meant?"),
        (
            "check_intervall=2s",
            "check_intervall=2s: there is no such option of an upstream; is check_interval meant?",
        ),
        (
            "method=round-robin",
            "method=round-robin: there is no such method of balancing; is round_robin meant?",
        ),
        ("method=least_con", "method=least_con: there is no such method of balancing; is least_conn meant?"),
        ("method=hash key=clint", "key=clint: there is no such key; is client meant?"),
        ("sticky=srv", "sticky=srv: there is no such way of being sticky; there is cookie:NAME"),
        ("check=/a check=healthz", "check=healthz: there is no such check; there is /PATH, tcp, off"),
    ] {
        assert_eq!(canonical(text).unwrap_err(), fault);
    }
    let fault = canonical("weight=1").unwrap_err();
    assert!(
        fault.starts_with("weight=1: there is no such option of an upstream; there is method, key, "),
        "{fault}"
    );
    for name in NAMES.into_iter().chain(CheckReader::NAMES) {
        assert!(fault.contains(name), "{name}");
        let fault = canonical(name).unwrap_err();
        assert!(!fault.contains("no such option"), "{fault}");
    }
    for text in ["=", "x", "method=round_robin x"] {
        assert!(canonical(text).unwrap_err().contains("no such option"), "{text}");
    }
}

#[test]
fn values_that_cannot_be_are_refused() {
    for (text, why) in [
        ("key=header: method=hash", "is no name"),
        ("key=header:a:b method=hash", "is no name"),
        ("key=query:a&b method=hash", "is no name"),
        ("sticky=cookie:a;b", "is no name"),
        ("hash_balance=1", "from 1.01 to 100"),
        ("hash_balance=1.255", "two decimals"),
        ("hash_balance=1.", "two decimals"),
        ("hash_balance=.5", "1.01"),
        ("hash_balance=100.01", "to 100"),
        ("hash_balance=99999999999", "to 100"),
        ("check=/a#b", "plain"),
        ("check=/é", "plain"),
        ("check_interval=99ms", "from 100ms to 24h"),
        ("check_timeout=0", "from 10ms to 24h"),
        ("check_timeout=1h30m", "a time"),
        ("rise=0", "from 1 to 100"),
        ("fall=101", "from 1 to 100"),
        ("check_status=399-200", "range"),
        ("check_status=200-", "range"),
        ("check_status=99-200", "range"),
        ("check_status=200-600", "range"),
        ("check_host=a/b", "host or host:port"),
        ("check_host=a:b", "host or host:port"),
        ("check_port=0", "from 1 to 65535"),
        ("check_port=65536", "from 1 to 65535"),
        ("connect_timeout=0", "from 1ms to 24h"),
        ("server_timeout=1d", "a time"),
        ("retries=0", "from 1 to 128"),
        ("retry_budget=20", "such as 20%"),
        ("retry_budget=%", "from 0 to 1000"),
        ("retry_budget=1001%", "from 0 to 1000"),
        ("keepalive=-1", "a number"),
        ("keepalive=4294967296", "a number"),
    ] {
        let fault = canonical(text).unwrap_err();
        assert!(fault.contains(why) && fault.starts_with(text.split(' ').next().unwrap()), "{text}: {fault}");
    }
    assert!(canonical(&format!("check=/{}", "a".repeat(1024))).is_err());
}

#[test]
fn what_means_nothing_beside_the_others_is_refused() {
    for (text, fault) in [
        (
            "method=hash",
            "method=hash: needs key=client, key=host, key=path, key=header:NAME, key=cookie:NAME, key=query:NAME",
        ),
        ("key=client", "key=client: needs method=hash beside it"),
        ("key=client method=hash method=ewma", "key=client: needs method=hash beside it"),
        ("hash_balance=1.25", "hash_balance=1.25: needs method=hash beside it"),
        ("check_interval=2s", "check_interval=2s: needs check=/path or check=tcp beside it"),
        ("fall=2 rise=2 check=off", "fall=2: needs check=/path or check=tcp beside it"),
        ("check=tcp check_host=a", "check_host=a: needs check=/path; check=tcp asks for no answer"),
        ("check_status=200 check=tcp", "check_status=200: needs check=/path; check=tcp asks for no answer"),
    ] {
        assert_eq!(canonical(text).unwrap_err(), fault, "{text}");
    }
}

/// An option, mostly a good one.
fn any_option() -> impl Strategy<Value = String> {
    let time = || {
        (1_u32..5_000, prop::sample::select(vec!["ms", "s", "m", "h", ""]))
            .prop_map(|(n, unit)| format!("{n}{unit}"))
    };
    prop_oneof![
        prop::sample::select(BalancingMethod::WORDS).prop_map(|word| format!("method={word}")),
        prop::sample::select(HashKey::WORDS).prop_map(|word| format!("key={word} method=hash")),
        (90_u32..300).prop_map(|n| format!("method=hash hash_balance={}.{:02}", n / 100, n % 100)),
        "sticky=cookie:[a-zA-Z_-]{1,8}",
        "check=(/[a-z?=&]{0,8}|tcp|off)",
        time().prop_map(|time| format!("check_interval={time}")),
        time().prop_map(|time| format!("check_timeout={time}")),
        "(rise|fall|retries|keepalive|check_port)=[0-9]{1,3}",
        "check_status=[1-5][0-9]{2}(-[3-5]99)?",
        "check_host=[a-z.]{1,8}(:[0-9]{1,5})?",
        time().prop_map(|time| format!("connect_timeout={time}")),
        time().prop_map(|time| format!("server_timeout={time}")),
        "retry_budget=[0-9]{1,4}%",
        "\\PC{0,12}",
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(texts in proptest::collection::vec(any_option(), 0..8)) {
        // Of those that are none, and of contradictions, nothing is left.
        let mut text = String::new();
        for option in texts {
            let longer = format!("{text} {option}");
            if UpstreamOptions::parse(&longer).is_ok() {
                text = longer;
            }
        }
        let options = UpstreamOptions::parse(&text).unwrap();
        let written = options.to_string();
        prop_assert_eq!(UpstreamOptions::parse(&written), Ok(options.clone()), "{} from {}", written, text);
        prop_assert_eq!(options.key.is_some(), options.method == BalancingMethod::Hash);
        prop_assert!(options.check.is_none_or(|check| check.kind != CheckKind::Tcp || check.host.is_none()));
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,48}") {
        let _ = UpstreamOptions::parse(&text);
    }
}
