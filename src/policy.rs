//! What settings come to for an exchange.
//!
//! It owns that translation, and nothing of either side: workers serve by it, and what they would do is explained by it. Next:
//! [`Policy`].

use crate::exchange::{LARGEST_WINDOW, Policy};
use crate::http1::limits;
use crate::settings::Settings;

/// The bounds and choices of these settings that hold for every exchange.
#[must_use]
pub fn of(settings: &Settings) -> Policy {
    Policy {
        client_header_timeout: settings.client_header_timeout,
        client_body_timeout: settings.client_body_timeout,
        client_write_timeout: settings.client_write_timeout,
        connect_timeout: settings.connect_timeout,
        server_timeout: settings.server_timeout,
        tunnel_timeout: settings.tunnel_timeout,
        half_close_timeout: settings.half_close_timeout,
        linger_timeout: limits::LINGER_TIMEOUT,
        linger_time: limits::LINGER_TIME,
        max_body: settings.max_body,
        // A head is read into one window.
        max_head: settings.max_head.min(LARGEST_WINDOW),
        tries: settings.retries,
        replay_buffer: settings.replay_buffer,
        max_forwarded: settings.max_forwarded,
        path_as_received: settings.path_as_received,
        host_as_received: settings.host_as_received,
        pass_forwarded: settings.pass_forwarded,
    }
}
