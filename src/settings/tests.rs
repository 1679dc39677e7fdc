//! The whole way from words and variables to settings: every flag, every variable, every default, and the faults.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::*;

/// Variables and files by name.
type Texts<'a> = &'a [(&'a str, &'a str)];

fn parsed(flags: &[&str], variables: Texts<'_>, files: Texts<'_>) -> Result<Invocation, Fault> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    let around = Surroundings {
        variable: &|name| variables.get(name).map(OsString::from),
        read: &|path: &Path| {
            let text = path.to_str().and_then(|path| files.get(path)).ok_or(io::ErrorKind::NotFound)?;
            Ok((*text).to_owned())
        },
        names: &variables.keys().map(OsString::from).collect::<Vec<_>>(),
        cores: 4,
        core_numbers: &[0, 1, 2, 3],
    };
    parse(std::iter::once(&"elb").chain(flags), &around)
}

fn settings(flags: &[&str], variables: Texts<'_>) -> Settings {
    match parsed(flags, variables, &[("token", "t0ken\n"), ("password", "pass word\r\n")]).unwrap() {
        Invocation::Run(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

fn fault(flags: &[&str], variables: Texts<'_>) -> (u8, String) {
    let fault = parsed(flags, variables, &[("empty", "\n"), ("spaced", "a b")]).unwrap_err();
    (fault.exit_code(), fault.to_string())
}

/// Flag, variable, a value that is not the default, and what the settings show of it.
type Row = (&'static str, &'static str, &'static str, fn(&Settings) -> String);

/// Each flag that takes a value and has one variable.
const ROWS: &[Row] = &[
    ("--listen", "ELB_LISTEN", "127.0.0.1:81", |s| s.listen[0].to_string()),
    ("--tls-dir", "ELB_TLS_DIR", "certificates", |s| s.tls.dir.clone().unwrap().display().to_string()),
    ("--tls-client-cert", "ELB_TLS_CLIENT_CERT", "accept", |s| {
        if s.tls.client_must { "require" } else { "accept" }.to_owned()
    }),
    ("--certs-key", "ELB_CERTS_KEY", "certs.key", |s| s.tls.certs_key.clone().unwrap().display().to_string()),
    ("--workers", "ELB_WORKERS", "2", |s| s.workers.to_string()),
    ("--cpus", "ELB_CPUS", "1,3", |s| {
        s.cpus.iter().flatten().map(usize::to_string).collect::<Vec<_>>().join(",")
    }),
    ("--name", "ELBNAME", "edge-1", |s| s.name.clone()),
    ("--store", "ELB_STORE", "file:rules.json", |s| match &s.store {
        StoreKind::Etcd => "etcd".to_owned(),
        StoreKind::File(path) => format!("file:{}", path.display()),
    }),
    ("--state-file", "ELB_STATE_FILE", "last.json", |s| s.state_file.clone().unwrap().display().to_string()),
    ("--node-id", "ELB_NODE_ID", "edge-1:80", |s| s.fleet.id.clone().unwrap()),
    ("--advertise", "ELB_ADVERTISE", "edge-1:80", |s| s.fleet.advertise.clone().unwrap()),
    ("--node-ttl", "ELB_NODE_TTL", "3s", |s| whole_seconds(s.fleet.ttl)),
    ("--handover", "ELB_HANDOVER", "/run/elb/next", |s| {
        s.handover.path.clone().unwrap().display().to_string()
    }),
    ("--handover-timeout", "ELB_HANDOVER_TIMEOUT", "8s", |s| whole_seconds(s.handover.timeout)),
    ("--statsd", "STATSD", "127.0.0.1:8125", |s| s.statsd.clone().unwrap()),
    ("--resolver", "ELB_RESOLVER", "10.0.0.2:53,10.0.0.3:5353", |s| {
        s.names.resolvers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }),
    ("--metrics-listen", "ELB_METRICS_LISTEN", "127.0.0.1:83", |s| {
        s.seeing.metrics_listen.unwrap().to_string()
    }),
    ("--access-log", "ELB_ACCESS_LOG", "unix:/run/log", |s| {
        s.seeing.access_log.clone().unwrap().to.to_string()
    }),
    ("--metrics-domains", "ELB_METRICS_DOMAINS", "7", |s| s.seeing.metrics_domains.to_string()),
    ("--log-format", "ELB_LOG_FORMAT", "json", |s| s.seeing.log_format.word().to_owned()),
    ("--admin-listen", "ELB_ADMIN_LISTEN", "127.0.0.1:82", |s| s.admin.listen.unwrap().to_string()),
    ("--admin-allow", "ELB_ADMIN_ALLOW", "10.0.0.0/8", |s| s.admin.allow.to_string()),
    ("--trusted-proxies", "ELB_TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8", |s| s.trusted_proxies.to_string()),
    ("--admin-host", "ELB_ADMIN_HOST", "elb.test,other.test", |s| s.admin.hosts.join(",")),
    ("--host-header", "ELB_HOST_HEADER", "as-received", |s| {
        if s.host_as_received { "as-received" } else { "normalized" }.to_owned()
    }),
    ("--forwarded-headers", "ELB_FORWARDED_HEADERS", "pass", |s| {
        if s.pass_forwarded { "pass" } else { "set" }.to_owned()
    }),
    ("--path", "ELB_PATH", "as-received", |s| {
        if s.path_as_received { "as-received" } else { "resolved" }.to_owned()
    }),
    ("--log-level", "ELB_LOG", "debug", |s| s.log_level.clone()),
    ("--keepalive-timeout", "ELB_KEEPALIVE_TIMEOUT", "1s", |s| whole_seconds(s.keepalive_timeout)),
    ("--client-header-timeout", "ELB_CLIENT_HEADER_TIMEOUT", "2s", |s| {
        whole_seconds(s.client_header_timeout)
    }),
    ("--client-body-timeout", "ELB_CLIENT_BODY_TIMEOUT", "3s", |s| whole_seconds(s.client_body_timeout)),
    ("--client-write-timeout", "ELB_CLIENT_WRITE_TIMEOUT", "4s", |s| whole_seconds(s.client_write_timeout)),
    ("--connect-timeout", "ELB_CONNECT_TIMEOUT", "5s", |s| whole_seconds(s.connect_timeout)),
    ("--server-timeout", "ELB_SERVER_TIMEOUT", "6s", |s| whole_seconds(s.server_timeout)),
    ("--server-keepalive-timeout", "ELB_SERVER_KEEPALIVE_TIMEOUT", "7s", |s| {
        whole_seconds(s.server_keepalive_timeout)
    }),
    ("--server-idle-max", "ELB_SERVER_IDLE_MAX", "0", |s| s.server_idle_max.unwrap().to_string()),
    ("--tunnel-timeout", "ELB_TUNNEL_TIMEOUT", "8s", |s| whole_seconds(s.tunnel_timeout)),
    ("--half-close-timeout", "ELB_HALF_CLOSE_TIMEOUT", "0s", |s| whole_seconds(s.half_close_timeout)),
    ("--resolve-interval", "ELB_RESOLVE_INTERVAL", "7s", |s| whole_seconds(s.names.interval)),
    ("--drain-timeout", "ELB_DRAIN_TIMEOUT", "9s", |s| whole_seconds(s.drain_timeout)),
    ("--drain-grace", "ELB_DRAIN_GRACE", "3s", |s| whole_seconds(s.drain_grace)),
    ("--drain-delay", "ELB_DRAIN_DELAY", "2s", |s| whole_seconds(s.drain_delay)),
    ("--max-body", "ELB_MAX_BODY", "1234", |s| s.max_body.to_string()),
    ("--max-head", "ELB_MAX_HEAD", "4321", |s| s.max_head.to_string()),
    ("--max-buffers", "ELB_MAX_BUFFERS", "2000000", |s| s.max_buffers.to_string()),
    ("--pattern-memory", "ELB_PATTERN_MEMORY", "3000000", |s| s.pattern_memory.to_string()),
    ("--max-connections", "ELB_MAX_CONNECTIONS", "10", |s| s.max_connections.unwrap().to_string()),
    ("--max-connections-per-client", "ELB_MAX_CONNECTIONS_PER_CLIENT", "11", |s| {
        s.max_connections_per_client.to_string()
    }),
    ("--max-forwarded", "ELB_MAX_FORWARDED", "12", |s| s.max_forwarded.to_string()),
    ("--retries", "ELB_RETRIES", "5", |s| s.retries.to_string()),
];

fn whole_seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

#[test]
fn each_flag_and_each_variable_reaches_its_setting_and_the_flag_wins() {
    let defaults = settings(&[], &[]);
    for (flag, variable, value, show) in ROWS {
        let by_flag = settings(&[flag, value], &[]);
        let by_variable = settings(&[], &[(variable, value)]);
        assert_eq!(show(&by_flag), *value, "{flag}");
        assert_eq!(by_flag, by_variable, "{flag} and {variable}");
        assert_ne!(by_flag, defaults, "{flag}");
        assert_eq!(settings(&[flag, value], &[(variable, "no such value, yet beaten")]), by_flag, "{flag}");
        assert_eq!(settings(&[], &[(variable, "")]), defaults, "an empty {variable}");
    }
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let s = settings(&[], &[]);
    let seconds = Duration::from_secs;
    assert_eq!(s.listen, [ListenOn::from("0.0.0.0:8080".parse::<SocketAddr>().unwrap())]);
    assert_eq!((s.workers, s.cpus, s.pin, s.name.as_str()), (4, None, true, "ELB"));
    assert_eq!((s.store, s.state_file, s.statsd), (StoreKind::Etcd, None, None));
    assert_eq!((s.tls.dir, s.tls.certs_key), (None, None));
    assert_eq!(s.etcd.endpoints, ["http://127.0.0.1:2379"]);
    assert_eq!((s.etcd.user, s.etcd.password), (None, None));
    assert_eq!(s.admin.allow.to_string(), "127.0.0.0/8,::1/128");
    assert_eq!((s.admin.listen, s.admin.token), (None, None));
    assert_eq!((s.host_as_received, s.pass_forwarded, s.log_level.as_str()), (false, false, "info"));
    assert_eq!((s.keepalive_timeout, s.client_header_timeout), (seconds(65), seconds(60)));
    assert_eq!((s.client_body_timeout, s.client_write_timeout), (seconds(60), seconds(60)));
    assert_eq!((s.connect_timeout, s.server_timeout), (seconds(3), seconds(30)));
    assert_eq!((s.server_keepalive_timeout, s.server_idle_max), (seconds(60), None));
    assert_eq!((s.tunnel_timeout, s.drain_timeout), (seconds(3600), seconds(30)));
    assert_eq!((s.drain_grace, s.drain_delay, s.require_config), (seconds(2), Duration::ZERO, false));
    assert_eq!(s.half_close_timeout, seconds(5));
    assert_eq!((s.handover.path, s.handover.timeout), (None, seconds(60)));
    assert_eq!((s.max_body, s.max_head, s.max_buffers), (50 << 20, 64 << 10, 1 << 30));
    assert_eq!((s.path_as_received, s.max_forwarded), (false, 32));
    assert_eq!((s.max_connections, s.max_connections_per_client, s.retries), (None, 0, 3));
}

#[test]
fn a_variable_may_need_another_variable_or_a_flag() {
    let tls = ("ELB_LISTEN_TLS", "127.0.0.1:8443");
    for settings in
        [settings(&[], &[tls, ("ELB_TLS_DIR", "certs")]), settings(&["--tls-dir", "certs"], &[tls])]
    {
        assert!(settings.listen.iter().any(|on| on.tls && on.address.port() == 8443));
    }
    assert!(settings(&[], &[tls]).listen.iter().any(|on| on.tls), "certificates may be in etcd");
    let (code, told) = fault(&["--store", "file:elb.json"], &[tls]);
    assert!(code == 2 && told.contains("--tls-dir"), "{told}");
}

#[test]
fn lists_are_repeated_or_separated_by_commas_and_a_flag_replaces_the_whole_variable() {
    let expected = ["127.0.0.1:1", "[::1]:2"].map(|one| ListenOn::from(one.parse::<SocketAddr>().unwrap()));
    assert_eq!(settings(&["--listen", "127.0.0.1:1", "--listen", "[::1]:2"], &[]).listen, expected);
    assert_eq!(settings(&[], &[("ELB_LISTEN", "127.0.0.1:1,[::1]:2")]).listen, expected);
    let both = settings(&["--listen", "127.0.0.1:1,[::1]:2"], &[("ELB_LISTEN", "127.0.0.1:3")]);
    assert_eq!(both.listen, expected);
    assert_eq!(
        settings(&[], &[("ELB_ADMIN_ALLOW", "10.0.0.0/8,::/0")]).admin.allow.to_string(),
        "10.0.0.0/8,::/0"
    );
}

#[test]
fn etcd_has_three_variables_and_a_flag_before_them_all() {
    let endpoints =
        |flags: &[&str], variables: Texts<'_>| settings(flags, variables).etcd.endpoints.join(",");
    let all = [("ETCD_URL", "http://u:1"), ("ETCD", "e:2"), ("ETCD_HOST", "h"), ("ETCD_PORT", "4")];
    assert_eq!(endpoints(&["--etcd", "f:9"], &all), "http://f:9");
    assert_eq!(endpoints(&[], &all), "http://u:1");
    assert_eq!(endpoints(&[], &all[1..]), "http://e:2");
    assert_eq!(endpoints(&[], &all[2..]), "http://h:4");
    assert_eq!(endpoints(&[], &all[3..]), "http://127.0.0.1:4");
    assert_eq!(endpoints(&[], &[("ETCD_HOST", "h")]), "http://h:2379");
    assert_eq!(endpoints(&[], &[("ETCD_URL", ""), ("ETCD", "a,b:1")]), "http://a:2379,http://b:1");
}

#[test]
fn secrets_come_from_a_variable_or_a_file_and_the_file_wins() {
    let token = |flags: &[&str], variables: Texts<'_>| {
        settings(flags, variables).admin.token.map(|token| token.expose().to_owned())
    };
    let variable = ("ELB_ADMIN_TOKEN", "other");
    assert_eq!(token(&[], &[variable]).as_deref(), Some("other"));
    assert_eq!(token(&[], &[variable, ("ELB_ADMIN_TOKEN_FILE", "token")]).as_deref(), Some("t0ken"));
    assert_eq!(token(&["--admin-token-file", "token"], &[variable]).as_deref(), Some("t0ken"));
    assert_eq!(token(&[], &[("ELB_ADMIN_TOKEN", "")]), None);

    let etcd = settings(&["--etcd-user", "root", "--etcd-password-file", "password"], &[]).etcd;
    assert_eq!((etcd.user.as_deref(), etcd.password.unwrap().expose()), (Some("root"), "pass word"));
    let variables = [("ELB_ETCD_USER", "root"), ("ELB_ETCD_PASSWORD", "pw")];
    assert_eq!(settings(&[], &variables).etcd.password.unwrap().expose(), "pw");
    let variables = [("ELB_ETCD_USER", "root"), ("ELB_ETCD_PASSWORD_FILE", "password")];
    assert_eq!(settings(&[], &variables).etcd.password.unwrap().expose(), "pass word");
}

#[test]
fn certificates_for_etcd_are_named_by_flags_or_variables_and_read_at_the_start() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["etcd.test".to_owned()]).unwrap();
    let (certificate, key) = (certificate.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let files = [("ca", certificate.as_str()), ("cert", &certificate), ("key", &key)];
    let settings = |flags: &[&str], variables: Texts<'_>| match parsed(flags, variables, &files).unwrap() {
        Invocation::Run(settings) => *settings,
        other => panic!("{other:?}"),
    };
    let flags = ["--etcd", "https://a", "--etcd-ca", "ca", "--etcd-cert", "cert", "--etcd-key", "key"];
    let variables =
        [("ETCD", "https://a"), ("ELB_ETCD_CA", "ca"), ("ELB_ETCD_CERT", "cert"), ("ELB_ETCD_KEY", "key")];
    let expected = Certificates { ca: Some("ca".into()), own: Some(("cert".into(), "key".into())) };
    let by_flag = settings(&flags, &[]);
    assert_eq!((&by_flag.etcd.certificates, &by_flag.warnings), (&expected, &Vec::new()));
    assert_eq!(settings(&[], &variables), by_flag);
    assert!(
        by_flag.describe().join("\n").contains("etcd https://a:2379, trusting ca, with cert, keys under")
    );
    let idle = settings(&[], &variables[1..]).warnings;
    assert!(idle.len() == 2 && idle[0].ends_with("so --etcd-ca does nothing"), "{idle:?}");
    let Err(fault) = parsed(&["--etcd-ca", "key"], &[], &files) else { panic!() };
    assert!(fault.exit_code() == 78 && fault.to_string().contains("key is not PEM"), "{fault}");
    let Err(fault) = parsed(&["--etcd-ca", "missing"], &[], &files) else { panic!() };
    assert!(fault.exit_code() == 78 && fault.to_string().contains("cannot read missing"), "{fault}");

    // Whoever signs for servers stands in a file of the same kind.
    let servers = settings(&["--server-ca", "ca"], &[]);
    assert_eq!(servers.tls.server_ca.as_deref(), Some(Path::new("ca")));
    assert!(servers.describe().join("\n").contains("trusted for servers with TLS: ca"));
    assert_eq!(settings(&[], &[("ELB_SERVER_CA", "ca")]).tls.server_ca, servers.tls.server_ca);
    assert_eq!(settings(&[], &[]).tls.server_ca, None);
    let Err(fault) = parsed(&["--server-ca", "key"], &[], &files) else { panic!() };
    assert!(fault.exit_code() == 78 && fault.to_string().contains("key is not PEM"), "{fault}");

    // A command that writes there is told the same.
    let command = ["migrate-v2", "--from", "b", "--name", "edge", "--force"];
    let Ok(Invocation::Migrate(told)) = parsed(&command, &variables, &files) else { panic!() };
    assert_eq!((&told.to, told.from.as_str(), told.name.as_str()), (&by_flag.etcd, "http://b:2379", "edge"));
    assert_eq!((told.force, told.dry_run), (true, false));
    let Ok(Invocation::Migrate(told)) =
        parsed(&["migrate-v2", "--from", "b", "--to", "c"], &[("ELBNAME", "x"), ("ELB_ETCD_CA", "")], &[])
    else {
        panic!()
    };
    assert_eq!((told.to.endpoints.join(","), told.name.as_str()), ("http://c:2379".to_owned(), "x"));
}

#[test]
fn a_state_file_is_named_or_found_under_systemd() {
    let file =
        |variables: Texts<'_>| settings(&[], variables).state_file.map(|path| path.display().to_string());
    assert_eq!(file(&[("STATE_DIRECTORY", "/var/lib/elb")]).as_deref(), Some("/var/lib/elb/state.json"));
    assert_eq!(file(&[("STATE_DIRECTORY", "/a:/b")]).as_deref(), Some("/a/state.json"));
    assert_eq!(file(&[("STATE_DIRECTORY", "/a"), ("ELB_STATE_FILE", "mine")]).as_deref(), Some("mine"));
    assert_eq!(file(&[("STATE_DIRECTORY", "")]), None);
}

#[test]
fn pinning_and_steering_are_flags_and_switches() {
    assert!(!settings(&["--no-pin"], &[]).pin);
    for on in ["1", "true", "YES", "on"] {
        assert!(!settings(&[], &[("ELB_NO_PIN", on)]).pin, "{on}");
    }
    for off in ["0", "false", "No", "off", ""] {
        assert!(settings(&[], &[("ELB_NO_PIN", off)]).pin, "{off}");
    }
    assert_eq!((settings(&["--steer"], &[]).steer, settings(&[], &[("ELB_STEER", "1")]).steer), (true, true));
    assert!(!settings(&[], &[]).steer);
    assert_eq!(settings(&["--cpus", "0-2"], &[]).workers, 3);
    assert_eq!(settings(&["--cpus", "0-2", "--workers", "2"], &[]).workers, 2);
}

#[test]
fn requests_in_the_clear_are_sent_to_https_only_where_there_is_some() {
    let tls = ["--listen-tls", "127.0.0.1:443", "--tls-dir", "certificates"];
    let by_flag = settings(&[&tls[..], &["--tls-redirect", "443"]].concat(), &[]);
    assert_eq!((by_flag.tls.redirect, settings(&tls, &[]).tls.redirect), (Some(443), None));
    assert!(by_flag.describe().join("\n").contains("HTTP is sent to HTTPS at port 443"));
    assert_eq!(settings(&tls, &[("ELB_TLS_REDIRECT", "443")]), by_flag);
    for (flags, told) in [
        (&["--tls-redirect", "443"][..], "--listen-tls"),
        (&[&tls[..], &["--tls-redirect", "0"]].concat(), "--tls-redirect"),
        (&[&tls[..], &["--tls-redirect", "https"]].concat(), "--tls-redirect"),
    ] {
        let (code, why) = fault(flags, &[]);
        assert!(code == 2 && why.contains(told), "{flags:?}: {why}");
    }
}

#[test]
fn a_bad_value_ends_with_2_and_names_the_flag_or_the_variable() {
    for (flag, variable, _, _) in ROWS {
        // These take any text that is not empty.
        if ["--state-file", "--access-log", "--tls-dir", "--certs-key", "--handover"].contains(flag) {
            continue;
        }
        let bad = "\u{7f} bad";
        let (code, told) = fault(&[flag, bad], &[]);
        assert!(code == 2 && told.contains(flag), "{flag}: {told}");
        let (code, told) = fault(&[], &[(variable, bad)]);
        // Two settings are judged together with others, after flags and variables have met.
        let named = if ["--cpus", "--store"].contains(flag) { flag } else { variable };
        assert!(code == 2 && told.contains(named), "{variable}: {told}");
    }
}

#[test]
fn other_faults_of_usage_end_with_2_as_well() {
    for (flags, variables, reason) in [
        (&["--nope"][..], &[][..], "unexpected argument '--nope'"),
        (&["nope"], &[], "unrecognized subcommand 'nope'"),
        (&["--workers", "0"], &[], "0 is not in 1..=1024"),
        (&["--retries", "0"], &[], "0 is not in 1..=128"),
        (&["--connect-timeout", "0"], &[], "must be more than zero"),
        (&["--max-head", "1m"], &[], "must be from 1k to 256k"),
        (&["--max-buffers", "1023k"], &[], "must be 1m at least"),
        (&["--name", "a/b"], &[], "need letters"),
        (&["--name", ".."], &[], "need letters"),
        (&["--name", ""], &[], "--name"),
        (&["--store", "file:"], &[], "need etcd or file:PATH"),
        (&["--store", "etcd:"], &[], "need etcd or file:PATH"),
        (&["--cpus", "0", "--no-pin"], &[], "exclude each other"),
        (&["--steer", "--no-pin"], &[], "exclude each other"),
        (&["--steer"], &[("ELB_NO_PIN", "1")], "ELB_STEER and ELB_NO_PIN"),
        (&["--cpus", "99"], &[], "names core 99, where ELB may not run; it may on 0-3"),
        (&[], &[("ELB_CPUS", "0,4")], "(or ELB_CPUS) names core 4"),
        (&["--listen", "localhost:8080"], &[], "127.0.0.1:8080, [::1]:8080"),
        (&[], &[("ELB_LISTEN", "localhost:8080")], "from the variable ELB_LISTEN"),
        (&["--cpus", "0", "--workers", "2"], &[], "2 workers need as many cores"),
        (&["--etcd-user", "root"], &[], "an etcd user needs a password"),
        (&[], &[("ELB_ETCD_PASSWORD", "pw")], "a password a user"),
        (&[], &[("ETCD", "ftp://a")], "invalid etcd address in ETCD"),
        (&["--etcd-cert", "cert"], &[], "a certificate needs its key"),
        (&[], &[("ELB_ETCD_KEY", "key")], "a key its certificate"),
        (&["migrate-v2"], &[], "--from"),
        (&["migrate-v2", "--from", "https://a"], &[], "over http:// only"),
        (&["migrate-v2", "--from", "a,b"], &[], "need one address"),
        (&["migrate-v2", "--from", "a", "--to", "b:0"], &[], "invalid etcd address in --to"),
        (&["migrate-v2", "--from", "a"], &[("ELBNAME", "a/b")], "from the variable ELBNAME"),
        (&["migrate-v2", "--from", "a"], &[("ELB_ETCD_CERT", "cert")], "a certificate needs its key"),
        (&[], &[("ETCD_PORT", "x")], "invalid etcd address in ETCD_HOST and ETCD_PORT"),
        (&[], &[("ELB_NO_PIN", "maybe")], "ELB_NO_PIN"),
        (&["check"], &[], "<FILE>"),
        (&["--workers", "1", "demo"], &[], "demo"),
    ] {
        let (code, told) = fault(flags, variables);
        assert!(code == 2 && told.contains(reason), "{flags:?}: {told}");
    }
}

#[test]
fn a_variable_that_is_none_of_elbs_is_warned_of_with_the_one_that_was_meant() {
    for (name, meant) in [
        ("ELB_WORKER", "ELB_WORKERS"),
        ("ELB_LSITEN", "ELB_LISTEN"),
        ("ELB_LISTEN_ADDRESS", "ELB_LISTEN"),
        ("ELB_LOG_LEVEL", "ELB_LOG"),
        ("ELB_NAME", "ELBNAME"),
        ("ELB_STATSD", "STATSD"),
        ("ELB_ETCD", "ETCD"),
        ("ELB_ETCD_PASSWD", "ELB_ETCD_PASSWORD"),
        ("ELB_ADMIN_TOKENS", "ELB_ADMIN_TOKEN"),
        ("ELB_KEEP_ALIVE_TIMEOUT", "ELB_KEEPALIVE_TIMEOUT"),
        ("ELB_COLOUR_OF_THE_SKY", "`elb --help`"),
    ] {
        let warned = settings(&[], &[(name, "hunter2")]).warnings;
        assert_eq!(warned.len(), 1, "{name}: {warned:?}");
        assert!(warned[0].contains(&format!("no variable {name},")), "{warned:?}");
        assert!(warned[0].contains(meant) && !warned[0].contains("hunter2"), "{warned:?}");
    }
}

#[test]
fn variables_that_are_elbs_or_anothers_are_not_warned_of() {
    let mut variables: Vec<(&str, &str)> =
        ROWS.iter().map(|(_, variable, value, _)| (*variable, *value)).collect();
    variables.extend([
        ("ELB_NO_PIN", ""),
        ("ELB_STEER", "0"),
        ("ELB_ADMIN_TOKEN", "t"),
        ("PATH", "/bin"),
        ("ELBOW", "1"),
    ]);
    // What Kubernetes and Docker tell of a service named `elb`.
    variables.extend([
        ("ELB_SERVICE_HOST", "10.0.0.1"),
        ("ELB_SERVICE_PORT", "80"),
        ("ELB_SERVICE_PORT_HTTP", "80"),
    ]);
    variables.extend([
        ("ELB_PORT", "tcp://10.0.0.1:80"),
        ("ELB_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("ELB_PORT_80_TCP_ADDR", "10.0.0.1"),
    ]);
    assert_eq!(settings(&[], &variables).warnings, [""; 0]);
    assert_eq!(settings(&[], &[("ELB_PORT", "80")]).warnings.len(), 1);
}

#[test]
fn no_fault_repeats_a_secret() {
    for (flags, variables) in [
        (&["--admin-token=hunter2"][..], &[][..]),
        (&["--admin-token", "hunter2"], &[]),
        (&["--etcd-password=hunter2"], &[]),
        (&["--etcd", "http://root:hunter2@etcd:2379"], &[]),
        (&[], &[("ETCD", "root:hunter2@etcd:2379")]),
        (&[], &[("ETCD_HOST", "root:hunter2@etcd")]),
        (&[], &[("ELB_STORE", "http://root:hunter2@etcd:2379")]),
        (&[], &[("ELB_ADMIN_TOKEN", "hunter2 hunter2")]),
        (&[], &[("ELB_ETCD_PASSWORD", "hunter2")]),
    ] {
        let (code, told) = fault(flags, variables);
        assert!(code != 0 && !told.contains("hunter2"), "{flags:?} {variables:?}: {told}");
    }
}

#[test]
fn a_secret_that_cannot_be_had_ends_with_78() {
    for (flags, variables, reason) in [
        (&["--admin-token-file", "missing"][..], &[][..], "cannot read missing"),
        (&["--admin-token-file", "empty"], &[], "a secret is expected in empty"),
        (&["--admin-token-file", "spaced"], &[], "a header cannot carry"),
        (&[], &[("ELB_ADMIN_TOKEN_FILE", "missing")], "cannot read missing"),
        (&[], &[("ELB_ETCD_USER", "root"), ("ELB_ETCD_PASSWORD_FILE", "missing")], "cannot read missing"),
    ] {
        let (code, told) = fault(flags, variables);
        assert!(code == 78 && told.contains(reason), "{flags:?}: {code} {told}");
    }
}

#[test]
fn commands_are_recognised_and_do_not_read_the_variables_of_a_server() {
    let bad = [("ELB_WORKERS", "bad")];
    assert!(matches!(parsed(&["demo"], &bad, &[]), Ok(Invocation::Demo(DemoArgs { listen: None }))));
    let demo = parsed(&["demo", "--listen", "127.0.0.1:9"], &bad, &[]).unwrap();
    assert!(matches!(demo, Invocation::Demo(DemoArgs { listen: Some(_) })));
    let check = parsed(&["check", "-"], &bad, &[]).unwrap();
    assert!(
        matches!(check, Invocation::Check(CheckArgs { file, strict: false, json: false }) if file == Path::new("-"))
    );
}

#[test]
fn help_names_every_flag_and_variable_and_shows_no_value_of_a_variable() {
    let (code, help) = fault(&["--help"], &[("ELB_ADMIN_TOKEN", "hunter2"), ("ELB_WORKERS", "77")]);
    assert_eq!(code, 0);
    for (flag, variable, _, _) in ROWS {
        assert!(help.contains(flag) && help.contains(&format!("[env: {variable}]")), "{flag}:\n{help}");
    }
    for name in [
        "--etcd ",
        "ETCD_URL",
        "ETCD_HOST + ETCD_PORT",
        "--etcd-ca",
        "[env: ELB_ETCD_CERT]",
        "--etcd-key",
        "--admin-token-file",
        "ELB_ADMIN_TOKEN_FILE",
        "ELB_NO_PIN",
    ] {
        assert!(help.contains(name), "{name}");
    }
    assert!(!help.contains("hunter2") && !help.contains("77"));
    assert_eq!(fault(&["--version"], &[]).0, 0);
}

/// What the row of a flag begins with: its name, what it takes, what it is when nothing is said.
fn told(arg: &clap::Arg) -> [String; 3] {
    let is_switch = matches!(arg.get_action(), clap::ArgAction::SetTrue);
    let unit =
        arg.get_value_names().filter(|_| !is_switch).map_or_else(String::new, |names| names[0].to_string());
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let default = match (arg.get_default_values(), help.split_once("[default: ")) {
        _ if is_switch => "off".to_owned(),
        ([default], _) => default.to_str().unwrap().to_owned(),
        (_, Some((_, words))) => words.trim_end_matches(']').to_owned(),
        _ => "none".to_owned(),
    };
    [format!("--{}", arg.get_long().unwrap()), unit, default]
}

#[test]
fn the_manual_has_every_flag_with_its_unit_its_default_and_its_variable_and_no_other() {
    let page = include_str!("../manual/settings.md");
    let rows = page.lines().filter(|line| line.starts_with("| `--"));
    let rows: Vec<Vec<&str>> =
        rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).skip(1).collect()).collect();
    let (command, variables) = invocation::command();
    let args: Vec<_> =
        command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())).collect();
    for arg in &args {
        let told = told(arg);
        let row = rows.iter().find(|row| row[0] == told[0]);
        let row = row.unwrap_or_else(|| panic!("{} is not in the manual", told[0]));
        assert_eq!(row[1..3], told[1..]);
        if let Some((_, variable)) = variables.iter().find(|(id, _)| arg.get_id() == id.as_str()) {
            assert!(row[3].split('`').next() == Some(variable), "{variable}: {row:?}");
        }
    }
    let flags: Vec<String> = args.iter().map(|arg| told(arg)[0].clone()).collect();
    let unknown: Vec<_> = rows.iter().filter(|row| !flags.iter().any(|flag| flag == row[0])).collect();
    assert!(unknown.is_empty(), "no flags: {unknown:?}");
    assert_eq!(rows.len(), flags.len(), "each flag has one row");
}

/// What the file of settings that packages bring shows, each behind a `#`: none of it counts before that is taken away, so what
/// is installed has the defaults of the manual.
fn shown_by_packages() -> Vec<(&'static str, &'static str)> {
    let file = include_str!("../../tools/packaging/elb.default");
    let lines = file.lines().filter(|line| !line.is_empty() && *line != "#" && !line.starts_with("# "));
    let setting = |line: &'static str| line.strip_prefix('#').and_then(|setting| setting.split_once('='));
    lines
        .map(|line| setting(line).unwrap_or_else(|| panic!("neither a comment nor a setting: {line}")))
        .collect()
}

#[test]
fn the_file_of_settings_in_packages_names_only_what_there_is() {
    let shown = shown_by_packages();
    assert!(shown.len() > 10, "{shown:?}");
    let (_, variables) = invocation::command();
    for (name, value) in &shown {
        let known =
            variables.iter().any(|(_, variable)| variable == name) || invocation::SINGLE.contains(name);
        assert!(known, "there is no variable {name}");
        // Each alone, in any quotes that systemd would take away; there are none to take away.
        assert!(!value.is_empty() && !value.contains(['"', '\'', '\\', ' ']), "{name}={value}");
    }
    // All of them together can be meant.
    let settings = settings(&[], &shown);
    assert_eq!(settings.warnings, [""; 0]);
}

#[test]
fn what_the_file_of_settings_in_packages_shows_as_a_default_is_one() {
    let shown = shown_by_packages();
    for name in ["ELB_LISTEN", "ETCD", "ELBNAME", "ELB_DRAIN_DELAY", "ELB_DRAIN_TIMEOUT"] {
        let (_, value) = shown.iter().find(|(shown, _)| *shown == name).unwrap();
        let told = |settings: Settings| settings.describe();
        assert_eq!(told(settings(&[], &[(name, value)])), told(settings(&[], &[])), "{name}={value}");
    }
}

#[test]
fn the_description_tells_everything_but_secrets() {
    let variables = [
        ("ELB_ADMIN_TOKEN", "hunter2"),
        ("ELB_ETCD_USER", "root"),
        ("ELB_ETCD_PASSWORD", "hunter2"),
        ("ELB_MAX_BODY", "0"),
    ];
    let told = settings(&["--cpus", "1-2", "--steer"], &variables).describe().join("\n");
    for part in [
        "listen on 0.0.0.0:8080",
        "workers: 2, pinned to cores 1,2, connections go to the core of their packets",
        "etcd http://127.0.0.1:2379 as root, keys under /ELB/",
        "127.0.0.0/8,::1/128, with a token",
        "statsd: off",
        "names of servers: as the system is set up, every 30s",
        "keep-alive 65s, head 1m",
        "tunnels 1h",
        "body any, head 64k",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    assert!(!told.contains("hunter2"));
}

#[test]
fn settings_for_the_demo_and_for_tests_come_from_flags_alone() {
    let settings = Settings::from_flags(&["--listen", "127.0.0.1:0", "--store", "file:rules.json"]).unwrap();
    assert_eq!((settings.workers, settings.listen[0].address.port()), (1, 0));
    assert!(Settings::from_flags(&["demo"]).is_err());
}
