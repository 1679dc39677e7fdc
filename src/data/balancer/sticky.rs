//! Clients that are kept at a server by a cookie.
//!
//! It owns the ids by which cookies name servers, and the text of the cookie; never who is kept where. Next: [`super::general`]
//! follows an id, [`super::key`] reads it from a request.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::model::{Server, Upstream};

/// The hash of a server's name and address: the same in each ELB, and after each start.
pub(super) fn name_of(server: &Server) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(server.spec.name.as_bytes());
    hasher.write_u8(0);
    hasher.write(server.endpoint.to_string().as_bytes());
    hasher.finish()
}

/// The cookie of an upstream, and what it says for each server.
#[derive(Debug)]
pub(super) struct Sticky {
    /// One for each server, in their order.
    ids: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    id: u64,
    /// The value of a `Set-Cookie`.
    cookie: Box<str>,
}

impl Sticky {
    /// That of an upstream which has one. An id is the hash of the upstream's name and the server's: whoever sees it learns
    /// neither, though who guesses both can confirm it.
    pub(super) fn of(upstream: &Upstream) -> Option<Self> {
        let name = upstream.options.sticky.as_deref()?;
        let id = |server: &Server| {
            let mut hasher = SipHasher24::new_with_keys(name_of(server), 0);
            hasher.write(upstream.name.to_ascii_lowercase().as_bytes());
            // 0 is none.
            let id = hasher.finish().max(1);
            // It ends with the browser's session, and no script reads it.
            Named { id, cookie: format!("{name}={id:016x}; Path=/; HttpOnly").into() }
        };
        Some(Self { ids: upstream.servers.iter().map(id).collect() })
    }

    /// The place of the server with that id.
    pub(super) fn place(&self, id: u64) -> Option<usize> {
        if id == 0 {
            return None;
        }
        self.ids.iter().position(|named| named.id == id)
    }

    /// What a client is told who is not yet kept at the server at that place.
    pub(super) fn cookie(&self, at: usize, id: u64) -> Option<&str> {
        self.ids.get(at).filter(|named| named.id != id).map(|named| &*named.cookie)
    }
}

/// The id in the value of a cookie; 0 for none.
pub(super) fn read(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { u64::from_str_radix(text, 16).unwrap_or_default() } else { 0 }
}
