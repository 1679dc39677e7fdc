//! What every store can hold: names that are found again as they were written, and objects that fit.
//!
//! It owns these bounds, never what a name or an object means. What no store could keep is refused when it is put, because
//! later every dump would fail. Names are parts of etcd's keys: `rules/$domain` and
//! `upstreams/$upstream/$server`, where a part that begins with `@` is one of ELB's own, as `@options` is. What a domain
//! may be called is narrower still, see `host`. Next: [`check`](mod@super::check) asks for what is put,
//! [`domains`](super::domains) and [`upstreams`](super::upstreams) for what a store brings.

/// The most bytes of an object, its name counted twice: the name stands in a transaction's guard and in its write. etcd
/// takes requests of 1.5 MiB (1,572,864 bytes) unless it is told otherwise; what is left is for the rest of the request.
pub(crate) const OBJECT_BYTES: usize = 1_500_000;
/// What is kept free for the folder before a name: `/$ELBNAME/upstreams/`.
const FOLDER_BYTES: usize = 1024;

/// Whether an upstream of this name can be stored.
pub(crate) fn upstream(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("an upstream needs a name");
    }
    if name.contains('/') {
        return Err("the name of an upstream cannot hold a slash: in a store it ends there");
    }
    unmarked(name)
}

/// Whether a server of this name can be stored.
pub(crate) fn server(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("a server needs an address");
    }
    unmarked(name)
}

/// Whether an object of this name and text fits.
pub(crate) fn fits(name: &str, text: &str) -> Result<(), String> {
    let bytes = 2 * (FOLDER_BYTES + name.len()) + text.len();
    if bytes <= OBJECT_BYTES {
        return Ok(());
    }
    let most = OBJECT_BYTES.saturating_sub(2 * (FOLDER_BYTES + name.len()));
    Err(format!("has {} bytes, and a store can hold {most} of it", text.len()))
}

fn unmarked(name: &str) -> Result<(), &'static str> {
    let marked = name.split('/').any(|part| part.starts_with('@'));
    if marked {
        Err("no part of a name can begin with @: in a store such keys are ELB's own")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_come_back_as_others_are_refused() {
        for name in ["", "@a", "a/@b", "/@"] {
            assert!(upstream(name).is_err() && server(name).is_err(), "{name}");
        }
        assert!(upstream("a/b").is_err() && upstream("a@b").is_ok());
        assert!(server("unix:/run/a.sock").is_ok() && server("unix:/run/@a.sock").is_err());
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_bound() {
        let text = "x".repeat(OBJECT_BYTES - 2 * FOLDER_BYTES - 2);
        assert_eq!(fits("a", &text), Ok(()));
        assert_eq!(fits("ab", &text).unwrap_err(), "has 1497950 bytes, and a store can hold 1497948 of it");
    }
}
