//! `elb ctl server`: one server is taken out of use, and back.
//!
//! It owns what of its parameters becomes another; the rest stays as it is. Next: `control::admin::upstream_item` has the endpoint.

use serde_json::json;

use super::change::{Api, Outcome, Trouble};
use crate::command::api::{Call, Failed, Given, segment};
use crate::settings::{ServerArgs, ServerVerb};

/// How often it is tried again because somebody else changed the server meanwhile.
const TRIES: usize = 4;
/// The status of a condition that does not hold (RFC 9110, section 15.5.13).
const CHANGED: u16 = 412;

/// Carries a command out.
pub(super) fn server(api: Api<'_>, verb: &ServerVerb) -> Result<Outcome, Trouble> {
    let ServerArgs { upstream, server, how } = match verb {
        ServerVerb::Drain(args) | ServerVerb::Down(args) | ServerVerb::Up(args) => args,
        ServerVerb::Weight { server, .. } => server,
    };
    let endpoint = format!("upstream/{}/{}", segment(upstream), segment(server));
    let mut tries = 0;
    loop {
        tries += 1;
        let now = api.get(&endpoint)?;
        let parameters = now.value.as_str().unwrap_or_default();
        let body = Some(json!(changed(parameters, verb)).to_string());
        let call = Call {
            method: Some("PUT"),
            endpoint: &endpoint,
            body,
            given: now.tag.as_deref().map_or(Given::Anything, Given::Same),
        };
        match api.change(call, how) {
            Err(Failed::Refused(CHANGED, ..)) if tries < TRIES => {}
            made => return Ok(made?),
        }
    }
}

/// The parameters as they are afterwards.
fn changed(parameters: &str, verb: &ServerVerb) -> String {
    let stays = |word: &&str| match verb {
        ServerVerb::Weight { .. } => !word.starts_with("weight="),
        _ => !matches!(*word, "down" | "drain"),
    };
    let mut words: Vec<String> = parameters.split_whitespace().filter(stays).map(str::to_owned).collect();
    match verb {
        ServerVerb::Drain(_) => words.push("drain".to_owned()),
        ServerVerb::Down(_) => words.push("down".to_owned()),
        ServerVerb::Up(_) => {}
        ServerVerb::Weight { weight, .. } => words.insert(0, format!("weight={weight}")),
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::How;

    #[test]
    fn only_what_is_meant_becomes_another() {
        let args = || ServerArgs { upstream: "up".to_owned(), server: "a:1".to_owned(), how: How::default() };
        let was = "weight=2 max_fails=1 fail_timeout=10 down";
        assert_eq!(changed(was, &ServerVerb::Drain(args())), "weight=2 max_fails=1 fail_timeout=10 drain");
        assert_eq!(changed(was, &ServerVerb::Up(args())), "weight=2 max_fails=1 fail_timeout=10");
        assert_eq!(changed("weight=2", &ServerVerb::Down(args())), "weight=2 down");
        let weight = ServerVerb::Weight { server: args(), weight: 9 };
        assert_eq!(changed(was, &weight), "weight=9 max_fails=1 fail_timeout=10 down");
    }
}
