//! `elb ctl domain edit` and `upstream edit`: the text of one in an editor, until it is right or given up.
//!
//! It owns the loop: what is refused is opened again, with each fault above its line; what somebody else changed meanwhile is not
//! written over. Next: [`marks`] puts faults into the text.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempPath;

use super::change::{Api, Outcome, Trouble};
use super::marks;
use crate::command::api::{Call, Failed, Given};
use crate::settings::How;

/// The status of a condition that does not hold (RFC 9110, section 15.5.13).
const CHANGED: u16 = 412;
const BAD: u16 = 400;
const ABSENT: u16 = 404;

/// Carries the command out.
pub(super) fn edit(api: Api<'_>, endpoint: &str, how: &How) -> Result<Outcome, Trouble> {
    let (before, tag) = match api.get(endpoint) {
        Ok(reply) => (format!("{:#}\n", reply.value), Some(reply.tag)),
        // A new one begins with nothing.
        Err(Failed::Refused(ABSENT, ..)) => ("{}\n".to_owned(), None),
        Err(failed) => return Err(failed.into()),
    };
    let file = tempfile::Builder::new().prefix("elb-").suffix(".json").tempfile();
    let file =
        file.map_err(|error| Trouble::Own(format!("cannot make a file to edit: {error}")))?.into_temp_path();
    let given = match &tag {
        None => Given::Absent,
        Some(tag) => tag.as_deref().map_or(Given::Anything, Given::Same),
    };
    let mut text = before.clone();
    loop {
        let edited = in_editor(&file, &text).map_err(Trouble::Own)?;
        if marks::without(&edited) == before {
            return Ok("nothing is changed\n".to_owned().into());
        }
        // To leave faults as they are is to give it up.
        if edited == text {
            return Err(kept(file, "it was given up with faults in it"));
        }
        let plain = marks::without(&edited);
        let faults = match serde_json::from_str::<Value>(&plain) {
            Err(error) => vec![(String::new(), error.to_string())],
            Ok(value) => {
                let call = Call { method: Some("PUT"), endpoint, body: Some(value.to_string()), given };
                match api.change(call, how) {
                    Ok(outcome) => return Ok(outcome),
                    Err(Failed::Refused(BAD, told, _)) => faults(&told, endpoint),
                    Err(Failed::Refused(CHANGED, ..)) => {
                        return Err(kept(file, "it was changed meanwhile by somebody else"));
                    }
                    Err(failed) => return Err(kept(file, &failed.words())),
                }
            }
        };
        text = marks::with(&plain, &faults);
    }
}

/// Opens the text in the editor, and gives what was made of it.
fn in_editor(file: &Path, text: &str) -> Result<String, String> {
    let wrong = |what: &str, error: io::Error| format!("{}: cannot be {what}: {error}", file.display());
    fs::write(file, text).map_err(|error| wrong("written", error))?;
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    // An editor may be a command with words of its own, as for git and crontab: the shell takes it apart.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(file).status();
    let status = status.map_err(|error| format!("the editor {editor} cannot be started: {error}"))?;
    if !status.success() {
        return Err(format!("the editor {editor} ended with {status}; nothing is changed"));
    }
    fs::read_to_string(file).map_err(|error| wrong("read", error))
}

/// Each fault with its pointer into the one that is edited; the API's begins with the name.
fn faults(told: &Value, endpoint: &str) -> Vec<(String, String)> {
    let list = told["faults"].as_array().cloned().unwrap_or_else(|| vec![told.clone()]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = endpoint.rsplit('/').next().unwrap_or_default();
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    let begin = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let within = |pointer: String| match pointer.strip_prefix(&begin) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.to_owned(),
        _ => pointer,
    };
    list.iter().map(|fault| (within(text(&fault["pointer"])), text(&fault["error"]))).collect()
}

/// Nobody's work is thrown away: the file stays.
fn kept(file: TempPath, why: &str) -> Trouble {
    match file.keep() {
        Ok(place) => {
            Trouble::Own(format!("{why}; nothing is changed, and the text is in {}", place.display()))
        }
        Err(_) => Trouble::Own(format!("{why}; nothing is changed")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_lead_into_the_one_that_is_edited() {
        let told =
            json!({"faults": [{"pointer": "/init", "error": "x"}, {"pointer": "/a~1b/rules", "error": "y"}]});
        let expected =
            [("/init", "x"), ("/rules", "y")].map(|(pointer, error)| (pointer.to_owned(), error.to_owned()));
        assert_eq!(faults(&told, "upstream/a%2Fb"), expected);
    }
}
