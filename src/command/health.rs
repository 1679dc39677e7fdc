//! `elb health`: should this ELB get traffic, as a process may ask that has no other program, such as a container's check.
//!
//! It owns the exit code and the words, never the judgement. Next: [`crate::readiness`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use super::api;
use super::say::{complain, print};
use crate::settings::HealthArgs;

/// Asks. The exit code is 0 when it answers that it is ready, or, if that was asked, that it lives.
#[must_use]
pub fn health(args: &HealthArgs) -> ExitCode {
    let word = if args.live { "live" } else { "ready" };
    let listen = std::env::var("ELB_LISTEN").unwrap_or_default();
    let address = args.api.clone().unwrap_or_else(|| beside(&listen));
    match api::call(&address, word, None) {
        Ok(told) if told[word] == true => print(&format!("{word}\n")),
        Ok(told) => {
            let reasons = told["reasons"].as_array().into_iter().flatten();
            let reasons: Vec<&str> = reasons.filter_map(|reason| reason["message"].as_str()).collect();
            complain(format_args!("{address} is not {word}: {}", reasons.join(" ")));
            ExitCode::FAILURE
        }
        Err(why) => {
            complain(format_args!("{why}"));
            ExitCode::FAILURE
        }
    }
}

/// Where an ELB listens that has this list of addresses, as a process on the same machine reaches it.
fn beside(listen: &str) -> String {
    let first = listen.split(',').next().unwrap_or_default().trim();
    let (host, port) = first.rsplit_once(':').unwrap_or(("", "8080"));
    let here: IpAddr = match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) if !address.is_unspecified() => address.into(),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Ok(IpAddr::V6(address)) => address.into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    };
    SocketAddr::new(here, port.parse().unwrap_or(8080)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elb_on_this_machine_is_asked_where_it_listens() {
        for (listen, address) in [
            ("", "127.0.0.1:8080"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            (":81,[::]:82", "127.0.0.1:81"),
            ("[::]:82", "[::1]:82"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("localhost:80", "127.0.0.1:80"),
        ] {
            assert_eq!(beside(listen), address, "{listen}");
        }
    }
}
