//! A server and its parameters: what is accepted is written in one form, which reads back as the same.
//!
//! The input is the address on one line and the parameters on the next.

use elb::model::{ServerSpec, ServerTarget};

pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (name, params) = text.split_once('\n').unwrap_or((&text, ""));
    let target = ServerTarget::parse(name);
    let spec = ServerSpec::parse(name, params);
    if let Ok(target) = &target {
        let text = match target {
            ServerTarget::Inet(address) => address.to_string(),
            ServerTarget::Name(name) => name.clone(),
            ServerTarget::Unix(path) => format!("unix:{path}"),
        };
        // A host may be called `unix`, but with its port that would be read as a socket.
        let is_host_unix = matches!(target, ServerTarget::Name(_)) && text.starts_with("unix:");
        assert!(is_host_unix || ServerTarget::parse(&text).as_ref() == Ok(target), "{text:?} from {name:?}");
    }
    if let Ok(spec) = &spec {
        assert_eq!(Ok(spec.target()), target);
        assert!(spec.weight > 0);
        let written = spec.to_string();
        assert_eq!(ServerSpec::parse(name, &written).as_ref(), Ok(spec), "{written:?} from {params:?}");
        assert_eq!(ServerSpec::parse_stored(name, params).as_ref(), Ok(spec));
    }
    if let Ok(stored) = ServerSpec::parse_stored(name, params) {
        assert_eq!(ServerSpec::parse(name, &stored.to_string()), Ok(stored));
    }
}
