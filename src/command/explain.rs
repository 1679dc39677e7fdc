//! `elb explain URL`: what would become of a request, and why.
//!
//! It owns the way from a URL to the question, never the answer. Next: [`crate::explain`].

use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::api;
use super::document;
use super::say::{complain, print};
use crate::explain::{Asked, Explainer, candidate, tree};
use crate::model::Library;
use crate::settings::ExplainArgs;

/// Explains. The exit code is 0 when there is an explanation, whatever becomes of the request.
#[must_use]
pub fn explain(args: &ExplainArgs) -> ExitCode {
    match explained(args) {
        Ok(told) if args.json => print(&format!("{told:#}\n")),
        Ok(told) => print(&tree(&told)),
        Err(why) => {
            complain(format_args!("{why}"));
            ExitCode::FAILURE
        }
    }
}

fn explained(args: &ExplainArgs) -> Result<Value, String> {
    let question = question(args);
    let Some(file) = &args.file else { return api::call(&args.api, "explain", Some(&question)) };
    let name = file.display();
    let document = document::read(file)?;
    let snapshot = candidate(&document, Library::default()).map_err(|fault| format!("{name}: {fault}"))?;
    let asked =
        Asked::read(question.as_object().unwrap_or(&Map::new())).map_err(|fault| fault.to_string())?;
    let explainer = Explainer::usual().ok_or("the settings without flags cannot be read")?;
    let now = Instant::now();
    Ok(explainer.explain(&snapshot, &asked, now, RandomState::new().hash_one(now)))
}

/// What is asked, as the API has it.
fn question(args: &ExplainArgs) -> Value {
    let (host, path) = parts(&args.url);
    let mut headers = Map::new();
    let (mut host, mut add) = (host.to_owned(), |name: &str, value: &str| {
        let values = headers.entry(name.to_owned()).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(value.into());
        }
    });
    for header in &args.header {
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        match name.trim() {
            name if name.eq_ignore_ascii_case("host") => value.trim().clone_into(&mut host),
            name => add(name, value.trim()),
        }
    }
    let mut question = json!({"method": args.method, "host": host, "path": path, "headers": headers});
    if let Some(client) = args.from {
        question["client"] = json!(client.to_string());
    }
    question
}

/// The host and the path of a URL, as a client asks for it: without its scheme, the port of it, and its fragment.
fn parts(url: &str) -> (&str, String) {
    let url = url.split('#').next().unwrap_or_default();
    let (rest, port) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (rest, ":80"),
        (_, Some(rest)) => (rest, ":443"),
        _ => (url, ":80"),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    (host.strip_suffix(port).unwrap_or(host), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_and_a_path() {
        for (url, host, path) in [
            ("http://a.test/x?y#z", "a.test", "/x?y"),
            ("a.test", "a.test", "/"),
            ("a.test:8080?q", "a.test:8080", "/?q"),
            ("https://a.test:443/", "a.test", "/"),
            ("http://a.test:80//x", "a.test", "//x"),
        ] {
            assert_eq!(parts(url), (host, path.to_owned()), "{url}");
        }
    }
}
