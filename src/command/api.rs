//! Calls of the admin API by commands, and one of another API.
//!
//! It owns the way there and the wording of what goes wrong on it. Next: the commands that ask.

use std::fmt::Write as _;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::{Request, header};

/// How long an answer may take, from the first byte of the question on.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same for a change, which may be the whole configuration.
const LONG: Duration = Duration::from_secs(600);
/// The largest answer that is read.
const MOST: u64 = 256 << 20;
/// What stands for itself in a segment of a path (RFC 3986, section 3.3), as far as names have it.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':').remove(b'*');

/// A question.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    /// Nothing is a GET.
    pub(super) method: Option<&'static str>,
    /// What stands behind `/__erulb__/`.
    pub(super) endpoint: &'a str,
    pub(super) body: Option<String>,
    pub(super) given: Given<'a>,
}

/// What must hold of the subject for the call to be carried out (RFC 9110, section 13.1).
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Given<'a> {
    #[default]
    Anything,
    /// It is still the one of this tag.
    Same(&'a str),
    /// It is not there.
    Absent,
}

/// An answer that is none of an error.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) value: Value,
    /// What the subject is.
    pub(super) tag: Option<String>,
    /// What the operator should know beside the answer.
    pub(super) warnings: Vec<String>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nobody answers, or nobody who knows the API.
    Unreached(String),
    /// It is refused: the status, the answer, and the same in words.
    Refused(u16, Value, String),
}

impl Failed {
    /// In words: what was wrong, where, and what to do.
    pub(super) fn words(self) -> String {
        match self {
            Self::Unreached(words) | Self::Refused(_, _, words) => words,
        }
    }
}

/// Asks by HTTP, and takes any status for an answer.
fn agent(patience: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(patience)).http_status_as_error(false);
    config.build().into()
}

/// What is there, with its status.
///
/// # Errors
/// In words: that nobody answers there, or not to the end.
pub(super) fn get(url: &str) -> Result<(u16, Vec<u8>), String> {
    let mut response =
        agent(PATIENCE).get(url).call().map_err(|error| format!("it does not answer: {error}"))?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MOST).read_to_vec();
    Ok((status, body.map_err(|error| format!("the answer breaks off: {error}"))?))
}

/// Asks the admin API at that address; a body makes it a POST. The token is that of `ELB_ADMIN_TOKEN`.
///
/// # Errors
/// In words: what was wrong, where, and what to do.
pub(super) fn call(api: &str, endpoint: &str, body: Option<&Value>) -> Result<Value, String> {
    let method = body.map(|_| "POST");
    let call = Call { method, endpoint, body: body.map(Value::to_string), given: Given::Anything };
    send(api, &call).map(|reply| reply.value).map_err(Failed::words)
}

/// The same for any method, with what stands in the header of the answer.
///
/// # Errors
/// Nobody answers, or it is refused.
pub(super) fn send(api: &str, call: &Call<'_>) -> Result<Reply, Failed> {
    let method = call.method.unwrap_or("GET");
    let patience = if method == "GET" { PATIENCE } else { LONG };
    let agent = agent(patience);
    let url = format!("http://{api}/__erulb__/{}", call.endpoint);
    let mut request = Request::builder().method(method).uri(&url);
    if let Some(token) = std::env::var("ELB_ADMIN_TOKEN").ok().filter(|token| !token.is_empty()) {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    request = match call.given {
        Given::Anything => request,
        Given::Same(tag) => request.header(header::IF_MATCH, tag),
        Given::Absent => request.header(header::IF_NONE_MATCH, "*"),
    };
    let unreached = |why: String| Failed::Unreached(why);
    let wrong = |error: ureq::http::Error| unreached(format!("{url} cannot be asked: {error}"));
    let sent = match &call.body {
        None => agent.run(request.body(()).map_err(wrong)?),
        Some(body) => {
            let request = request.header(header::CONTENT_TYPE, "application/json");
            agent.run(request.body(body.as_str()).map_err(wrong)?)
        }
    };
    let mut response = sent.map_err(|error| {
        unreached(format!("the admin API at {api} does not answer: {error}; --api says where it is"))
    })?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(MOST).read_to_string();
    let text = text.map_err(|error| unreached(format!("the answer of {api} breaks off: {error}")))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|_| unreached(format!("{api} answers {status} and no JSON: is the admin API there?")))?;
    if value["error"].is_string() {
        let words = refusal(api, status, &value);
        return Err(Failed::Refused(status, value, words));
    }
    let texts = |name: &str| -> Vec<String> {
        let all = response.headers().get_all(name);
        all.iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    Ok(Reply { value, tag: texts("etag").pop(), warnings: texts("x-elb-warning") })
}

/// What an answer says is wrong: one line for each fault.
fn refusal(api: &str, status: u16, value: &Value) -> String {
    let place = |fault: &Value| match fault["pointer"].as_str().unwrap_or_default() {
        "" => String::new(),
        pointer => format!("{pointer}: "),
    };
    let error = |fault: &Value| fault["error"].as_str().unwrap_or_default().to_owned();
    let mut words = format!("{api} answers {status}: {}{}", place(value), error(value));
    // The first of them is what the answer says anyway.
    for fault in value["faults"].as_array().into_iter().flatten().skip(1) {
        // Writing to a string does not fail.
        let _ = write!(words, "\n       {}{}", place(fault), error(fault));
    }
    words
}

/// A name as it stands in a path.
pub(super) fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_segments_of_a_path() {
        assert_eq!(segment("*.blog.test"), "*.blog.test");
        assert_eq!(segment("unix:/run/a b.sock"), "unix:%2Frun%2Fa%20b.sock");
        assert_eq!(segment("[::1]:80"), "%5B::1%5D:80");
    }

    #[test]
    fn each_fault_is_a_line() {
        let faults = json!([{"pointer": "/a", "error": "one"}, {"pointer": "/b", "error": "two"}]);
        let told = json!({"error": "one", "pointer": "/a", "faults": faults});
        assert_eq!(refusal("x:1", 400, &told), "x:1 answers 400: /a: one\n       /b: two");
        assert_eq!(refusal("x:1", 409, &json!({"error": "no"})), "x:1 answers 409: no");
    }
}
