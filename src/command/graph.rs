//! `elb graph DOMAIN`: a rule set, drawn.
//!
//! It owns where the rule set is read, never the drawing. Next: [`crate::explain::Drawing`].

use std::process::ExitCode;

use serde_json::Value;

use super::api;
use super::document;
use super::say::{complain, print};
use crate::explain::Drawing;
use crate::settings::{GraphArgs, GraphFormat};
use crate::spelling;

/// Draws.
#[must_use]
pub fn graph(args: &GraphArgs) -> ExitCode {
    match drawn(args) {
        Ok(drawn) => print(&drawn),
        Err(why) => {
            complain(format_args!("{why}"));
            ExitCode::FAILURE
        }
    }
}

fn drawn(args: &GraphArgs) -> Result<String, String> {
    let (domains, place) = match &args.file {
        Some(file) => (document::read(file)?["domains"].take(), file.display().to_string()),
        None => (api::call(&args.api, "domain", None)?, args.api.clone()),
    };
    let rules = match domains.get(&args.domain) {
        Some(rules) => rules,
        None => return Err(unknown(&args.domain, &domains, &place)),
    };
    let drawing = Drawing::read(&args.domain, rules).map_err(|fault| format!("{place}: {fault}"))?;
    match args.format {
        GraphFormat::Text => Ok(drawing.text()),
        GraphFormat::Dot => Ok(drawing.dot()),
        GraphFormat::Mermaid => Ok(drawing.mermaid()),
        GraphFormat::Svg => drawing.svg(),
    }
}

fn unknown(domain: &str, domains: &Value, place: &str) -> String {
    let names = domains.as_object().into_iter().flat_map(|domains| domains.keys());
    let known = names.map(|name| (name.as_str(), name.as_str()));
    let meant = spelling::nearest(domain, known);
    let hint = meant.map(|meant| format!("; is {meant} meant?")).unwrap_or_default();
    format!("{place} has no domain {domain}{hint}")
}
