//! Whether a request came the way it should: in a session for its host, and not in the clear where TLS is asked for.
//!
//! It owns these two answers, for requests that came by TLS and for workers that send others there; no other request gets here. Next:
//! [`super::dispatch`] asks.

use super::aside;
use super::conn::Dispatch;
use super::ctx::Ctx;
use super::prelude::Ends;
use super::transport::Transport;
use crate::exchange::Routing;
use crate::http1::reply::Reply;
use crate::http1::rewrite::decimal;
use crate::reason::Reason;

/// The port of HTTPS, which no address names.
const HTTPS: u16 = 443;

/// Whether a request came another way than it should.
#[cold]
#[inline(never)]
pub(super) fn is_wrong(transport: &Transport, routing: &Routing<'_>, ends: &Ends, ctx: &Ctx) -> bool {
    if transport.is_secure() {
        return is_misdirected(transport, routing);
    }
    let request = routing.view(b"");
    let says_https = |value: &[u8]| value.eq_ignore_ascii_case(b"https");
    // A proxy in front that is trusted may have had the session.
    let had_session = || {
        ctx.trusted_proxies.holds(ends.client)
            && request.field(b"x-forwarded-proto").last().is_some_and(says_https)
    };
    ctx.tls_redirect.is_some()
        && !request.canonical_host.is_empty()
        && place(routing.target()).is_some()
        && !had_session()
}

/// Whether a session began with another name than a request in it is for (RFC 9110, section 15.5.20): whoever vouches for the one
/// may not for the other.
fn is_misdirected(transport: &Transport, routing: &Routing<'_>) -> bool {
    let host = routing.view(b"").canonical_host;
    transport
        .server_name()
        .is_some_and(|name| name.as_bytes().strip_suffix(b".").unwrap_or(name.as_bytes()) != host)
}

/// Answers such a request: 421, or where it is to be asked for. What is to be repeated as it is (RFC 9110, section 15.4.9) has another status
/// than what may be made a `GET`, which every client knows.
#[cold]
#[inline(never)]
pub(super) fn answer(is_secure: bool, routing: Routing<'_>, dispatch: &mut Dispatch, ctx: &Ctx) {
    aside::note(&routing, None, dispatch, ctx);
    let (false, Some(port)) = (is_secure, ctx.tls_redirect) else {
        return routing.reply(&ctx.env, &Reply::refusal(Reason::Misdirected));
    };
    let request = routing.view(b"");
    let mut to =
        Vec::with_capacity(b"https://:65535".len() + request.canonical_host.len() + routing.target().len());
    to.extend_from_slice(b"https://");
    to.extend_from_slice(request.canonical_host);
    if port != HTTPS {
        to.push(b':');
        decimal(&mut to, u64::from(port));
    }
    to.extend_from_slice(place(routing.target()).unwrap_or(b"/"));
    let status = if matches!(request.method(), b"GET" | b"HEAD") { 301 } else { 308 };
    let location = [("Location", [&to[..], b"", b"", b""])];
    routing.reply(&ctx.env, &Reply { fields: &location, ..Reply::plain(status) });
}

/// Path and query of a target as it was received; nothing where it has no path, as for the whole server (`*`).
fn place(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return Some(target);
    }
    let authority = target.windows(3).position(|three| three == b"://")? + 3;
    let rest = target.get(authority..)?;
    let path = rest.iter().position(|byte| b"/?".contains(byte));
    path.and_then(|at| rest.get(at..)).filter(|path| path.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_what_stands_behind_the_host() {
        for (target, at) in [
            ("/", Some("/")),
            ("/a?b=http://c/d", Some("/a?b=http://c/d")),
            ("//a/b", Some("//a/b")),
            ("http://a.test/b?c", Some("/b?c")),
            ("HTTP://a.test:81/", Some("/")),
            ("http://a.test", None),
            ("http://a.test?b", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(place(target.as_bytes()), at.map(str::as_bytes), "{target}");
        }
    }
}
