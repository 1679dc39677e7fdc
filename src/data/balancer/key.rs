//! What a request has in common with those that go to the same server: the key of `hash`, and the id of `sticky`.
//!
//! It owns where both stand in a request, never what follows from them. Next: [`crate::data::view`] asks for them when a request is routed to
//! an upstream that needs them, [`super::hash`] and [`super::sticky`] use them.

use siphasher::sip::SipHasher24;
use std::hash::Hasher;

use super::choice::Affinity;
use super::sticky;
use crate::model::{HashKey, UpstreamOptions};
use crate::semantics::RequestView;

impl Affinity {
    /// That of a request to an upstream with these options.
    #[must_use]
    pub fn of(options: &UpstreamOptions, request: &RequestView<'_>) -> Self {
        let key = options.key.as_ref().map_or(0, |key| hash_of(key, request));
        let cookie = options.sticky.as_deref().and_then(|name| request.cookie(name));
        Self { key, sticky: cookie.map_or(0, sticky::read) }
    }
}

fn hash_of(key: &HashKey, request: &RequestView<'_>) -> u64 {
    let mut hasher = SipHasher24::new();
    key.feed(request, &mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::Sketch;

    fn of(options: &str, sketch: &Sketch) -> Affinity {
        let options = UpstreamOptions::parse(options).unwrap();
        assert!(options.looks_at_requests());
        Affinity::of(&options, &sketch.view())
    }

    #[test]
    fn a_key_is_the_same_where_the_request_says_the_same() {
        let sketch = || {
            let sketch = Sketch::new("A.test:80", "/x").query("b=1&id=7&id=8").client("10.0.0.1");
            sketch.field("x-user", "u").field("Cookie", "a=1; s=00000000000000ff").field("X-User", "v")
        };
        let key = |key: &str, sketch: &Sketch| of(&format!("method=hash key={key}"), sketch).key;
        let keys = ["client", "host", "path", "header:X-USER", "cookie:s", "query:id"];
        let other = Sketch::new("b.test", "/y").query("id=9").client("10.0.0.2").field("X-User", "uv");
        let other = other.field("cookie", "s=0");
        for word in keys {
            assert_eq!(key(word, &sketch()), key(word, &sketch()), "{word}");
            assert_ne!(key(word, &sketch()), key(word, &other), "{word}");
        }
        let more = sketch().field("Other", "x").field("Cookie", "s=1");
        assert!(keys.iter().all(|word| key(word, &more) == key(word, &sketch())), "the first cookie counts");
        let none = Sketch::new("a.test", "/");
        assert_eq!(key("header:a", &none), key("header:b", &none), "what is not there is one key");
        assert_eq!(key("query:i", &sketch()), key("query:x", &sketch()), "a name is whole");
        // What is the same in each ELB, and after each start.
        assert_eq!(key("host", &none), 2_572_068_181_827_361_611);
    }

    #[test]
    fn an_id_is_read_where_there_is_one() {
        let id = |value: &str| of("sticky=cookie:s", &Sketch::new("a", "/").field("Cookie", value)).sticky;
        assert_eq!(id("s=00000000000000ff"), 255);
        assert_eq!(id("x=1;s=FFFFFFFFFFFFFFFF;y"), u64::MAX);
        for value in [
            "",
            "s=",
            "s=ff",
            "s=+0000000000000ff",
            "s=00000000000000fg",
            "S=00000000000000ff",
            "xs=00000000000000ff",
        ] {
            assert_eq!(id(value), 0, "{value}");
        }
        assert!(!UpstreamOptions::default().looks_at_requests());
    }
}
