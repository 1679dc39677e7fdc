//! `elb ctl certificate`: what clients are shown, and certificates into etcd and out of it.
//!
//! It owns the reading of the files that are sent, and the table. Next: `control::admin` answers.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::change::{Api, Outcome, Trouble};
use crate::command::api::{Call, segment};
use crate::command::columns::{cell, columns, plain};
use crate::settings::{CertificateVerb, How};

/// Carries a command out.
pub(super) fn certificate(api: Api<'_>, verb: &CertificateVerb) -> Result<Outcome, Trouble> {
    match verb {
        CertificateVerb::Ls => list(api),
        CertificateVerb::Put { name, certificate, key, ocsp } => {
            let mut body = json!({"certificate": text(certificate)?, "key": text(key)?});
            if let Some(path) = ocsp {
                body["ocsp"] = STANDARD.encode(fs::read(path).map_err(|error| unread(path, &error))?).into();
            }
            change(api, "PUT", &format!("certificate/{}", segment(name)), Some(body))
        }
        CertificateVerb::Rm { names } => match &names[..] {
            [name] => change(api, "DELETE", &format!("certificate/{}", segment(name)), None),
            names => change(api, "DELETE", "certificate", Some(json!(names))),
        },
    }
}

fn change(
    api: Api<'_>,
    method: &'static str,
    endpoint: &str,
    body: Option<Value>,
) -> Result<Outcome, Trouble> {
    let body = body.map(|body| body.to_string());
    let call = Call { method: Some(method), endpoint, body, ..Call::default() };
    Ok(api.change(call, &How::default())?)
}

fn list(api: Api<'_>) -> Result<Outcome, Trouble> {
    let told = api.get("certificate")?.value;
    if api.json {
        return Ok(format!("{told}\n").into());
    }
    let mut rows = vec![["NAME", "ORIGIN", "KEY", "UNTIL", "FOR", "ERROR"].map(str::to_owned)];
    for row in told["certificates"].as_array().into_iter().flatten() {
        let names = row["names"].as_array().into_iter().flatten().filter_map(Value::as_str).map(plain);
        let names: Vec<String> = names.collect();
        let [name, origin, kind, until, error] =
            ["name", "origin", "kind", "until", "error"].map(|member| cell(&row[member]));
        let is_sealed = row["sealed"] == true;
        let kind = if is_sealed { format!("{kind}, sealed") } else { kind };
        rows.push([name, origin, kind, until, names.join(","), error]);
    }
    if rows.len() == 1 {
        return Ok("no client is shown a certificate\n".to_owned().into());
    }
    Ok(columns(&rows).into())
}

fn text(path: &Path) -> Result<String, Trouble> {
    fs::read_to_string(path).map_err(|error| unread(path, &error))
}

fn unread(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::Own(format!("cannot read {}: {error}", path.display()))
}
