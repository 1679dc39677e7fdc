//! The effective settings in words, for the log.
//!
//! It owns these words, and what of the settings is a secret and is not said. Next: [`effective`](super::effective) has them.

use std::path::Path;

use super::effective::{NameSettings, Settings, StoreKind};
use crate::units::{Size, Span};

impl Settings {
    /// The effective settings for people, one a line, without secrets.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let pinning = match (&self.cpus, self.pin) {
            (_, false) => "not pinned".to_owned(),
            (Some(cpus), true) => format!("pinned to cores {}", list(cpus)),
            (None, true) => "pinned to the available cores".to_owned(),
        };
        let steering = if self.steer { ", connections go to the core of their packets" } else { "" };
        let store = match &self.store {
            StoreKind::File(path) => format!("file {}", path.display()),
            StoreKind::Etcd => format!("{}, keys under /{}/", self.etcd.describe(), self.name),
        };
        let state = path(self.state_file.as_deref());
        let admin =
            self.admin.listen.map_or("on the data port".to_owned(), |address| format!("on {address}"));
        let token = match (&self.admin.token, &self.admin.hosts[..]) {
            (Some(_), _) => ", with a token".to_owned(),
            (None, []) => String::new(),
            (None, hosts) => format!(", also as {}", list(hosts)),
        };
        let body = if self.max_body == u64::MAX { "any".to_owned() } else { Size(self.max_body).to_string() };
        let [head, buffers, patterns] = [self.max_head, self.max_buffers, self.pattern_memory]
            .map(|bytes| Size(u64::try_from(bytes).unwrap_or(u64::MAX)));
        let connections = self.max_connections.map_or("as open files allow".to_owned(), |n| n.to_string());
        let idle = match self.server_idle_max {
            None => "as many as were in use at once".to_owned(),
            Some(most) => most.to_string(),
        };
        let any = |most: u32| if most == 0 { "any".to_owned() } else { most.to_string() };
        let [of_client, forwarded] = [self.max_connections_per_client, self.max_forwarded].map(any);
        vec![
            format!("listen on {}", list(&self.listen)),
            format!("workers: {}, {pinning}{steering}", self.workers),
            format!("name: {}", self.name),
            format!("store: {store}; last good copy: {state}"),
            format!("admin API {admin}, for {}{token}", self.admin.allow),
            self.tls.describe(),
            format!("trusted proxies: {}", self.trusted_proxies.told()),
            self.fleet.describe(),
            self.handover.describe(),
            format!("statsd: {}", self.statsd.as_deref().unwrap_or("off")),
            self.seeing.describe(),
            format!("names of servers: {}", self.names.describe()),
            self.heads(),
            format!(
                "client timeouts: keep-alive {}, head {}, body {}, write {}, half-close {}",
                Span(self.keepalive_timeout),
                Span(self.client_header_timeout),
                Span(self.client_body_timeout),
                Span(self.client_write_timeout),
                Span(self.half_close_timeout)
            ),
            format!(
                "server timeouts: connect {}, silence {}, keep-alive {}; tunnels {}; drain {}, idle clients {}, after {}",
                Span(self.connect_timeout),
                Span(self.server_timeout),
                Span(self.server_keepalive_timeout),
                Span(self.tunnel_timeout),
                Span(self.drain_timeout),
                Span(self.drain_grace),
                Span(self.drain_delay)
            ),
            format!(
                "limits: body {body}, head {head}, patterns {patterns}, buffers of a worker {buffers}, its connections {connections}, of a client {of_client}, times forwarded {forwarded}, servers tried {}, second tries {} %, kept for them {}, idle for each server {}",
                self.retries, self.retry_budget, self.replay_buffer, idle
            ),
            format!("log level: {}, lines of {}", self.log_level, self.seeing.log_format.word()),
        ]
    }
}

impl Settings {
    fn heads(&self) -> String {
        let form =
            |as_received: bool, otherwise: &'static str| if as_received { "as received" } else { otherwise };
        format!(
            "Host header to servers: {}, path: {}, X-Forwarded-Proto, -Host and -Port: {}",
            form(self.host_as_received, "normalized"),
            form(self.path_as_received, "resolved"),
            form(self.pass_forwarded, "set")
        )
    }
}

impl NameSettings {
    fn describe(&self) -> String {
        let asked = match &self.resolvers[..] {
            [] => "as the system is set up".to_owned(),
            resolvers => format!("asked of {}", list(resolvers)),
        };
        format!("{asked}, every {}", Span(self.interval))
    }
}

fn path(path: Option<&Path>) -> String {
    path.map_or("none".to_owned(), |path| path.display().to_string())
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
