//! Calls of the admin API by commands, and one of another API.
//!
//! It owns the way there and the wording of what goes wrong on it. Next: the commands that ask.

use std::time::Duration;

use serde_json::Value;

/// How long an answer may take, from the first byte of the question on.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const MOST: u64 = 256 << 20;

/// Asks by HTTP, and takes any status for an answer.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
    config.build().into()
}

/// What is there, with its status.
///
/// # Errors
/// In words: that nobody answers there, or not to the end.
pub(super) fn get(url: &str) -> Result<(u16, Vec<u8>), String> {
    let mut response = agent().get(url).call().map_err(|error| format!("it does not answer: {error}"))?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MOST).read_to_vec();
    Ok((status, body.map_err(|error| format!("the answer breaks off: {error}"))?))
}

/// Asks the admin API at that address; a body makes it a POST. The token is that of `ELB_ADMIN_TOKEN`.
///
/// # Errors
/// In words: what was wrong, where, and what to do.
pub(super) fn call(api: &str, endpoint: &str, body: Option<&Value>) -> Result<Value, String> {
    let url = format!("http://{api}/__erulb__/{endpoint}");
    let agent = agent();
    let token = std::env::var("ELB_ADMIN_TOKEN").ok().filter(|token| !token.is_empty());
    let bearer = token.map(|token| format!("Bearer {token}"));
    let sent = match body {
        None => {
            let mut request = agent.get(&url);
            if let Some(bearer) = &bearer {
                request = request.header("Authorization", bearer);
            }
            request.call()
        }
        Some(body) => {
            let mut request = agent.post(&url).header("Content-Type", "application/json");
            if let Some(bearer) = &bearer {
                request = request.header("Authorization", bearer);
            }
            request.send(body.to_string())
        }
    };
    let mut response = sent.map_err(|error| {
        format!("the admin API at {api} does not answer: {error}; --api says where it is")
    })?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(MOST).read_to_string();
    let text = text.map_err(|error| format!("the answer of {api} breaks off: {error}"))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|_| format!("{api} answers {status} and no JSON: is the admin API there?"))?;
    match value["error"].as_str() {
        Some(error) => {
            let pointer = value["pointer"].as_str().filter(|pointer| !pointer.is_empty());
            let place = pointer.map(|pointer| format!("{pointer}: ")).unwrap_or_default();
            Err(format!("{api} answers {status}: {place}{error}"))
        }
        None => Ok(value),
    }
}
