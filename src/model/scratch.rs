//! What one worker needs while it routes a request: buffers that live on, so that routing does not allocate.
//!
//! It owns the lower-cased user agent, the rewritten path and the worker's copies of the patterns, never anything that
//! outlives the decision but capacity. Next: [`route`](mod@super::route) clears it, the rules fill it.

use std::time::Instant;

use super::engines::Engines;
use super::rates::Rating;
use crate::semantics::RequestView;

/// Longest path, in bytes, that rules may make: as long as the longest head that is taken unless it is said otherwise.
pub(crate) const LONGEST_PATH: usize = 64 * 1024;

/// Worker-local memory of [`super::route()`]; one for each worker, used for one request after the other.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) engines: Engines,
    agent: Vec<u8>,
    agent_is_set: bool,
    path: Vec<u8>,
    path_is_set: bool,
    spare: Vec<u8>,
    value: Vec<u8>,
    encoded: Vec<u8>,
    location: Vec<u8>,
    /// The host in lower case, with its port.
    pub(crate) host: Vec<u8>,
    /// What limits ask.
    pub(crate) rating: Rating,
}

impl Scratch {
    /// Memory that holds nothing yet.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// Searches that were given up since this was made, as they took too long; each counted as no match.
    pub fn searches_given_up(&self) -> u64 {
        self.engines.given_up()
    }

    /// Gives back the memory that patterns took which are in no snapshot any more.
    pub fn sweep(&mut self) {
        self.engines.sweep();
    }

    /// The next request is routed at this time, so that limits count it. Those that are routed without it are not counted.
    #[inline]
    pub fn at(&mut self, now: Instant) {
        self.rating.at(Some(now), false);
    }

    /// The next request is only asked about at this time: limits answer, and count nothing.
    pub fn look_at(&mut self, now: Instant) {
        self.rating.at(Some(now), true);
    }

    /// Forgets the request before.
    pub(crate) fn begin(&mut self) {
        self.engines.begin();
        self.agent_is_set = false;
        self.path_is_set = false;
    }

    /// The user agent in lower case, worked out once for each request, with the engines to match it.
    pub(crate) fn agent(&mut self, agent: &[u8]) -> (&[u8], &mut Engines) {
        if !self.agent_is_set {
            self.agent.clear();
            self.agent.extend(agent.iter().map(u8::to_ascii_lowercase));
            self.agent_is_set = true;
        }
        (&self.agent, &mut self.engines)
    }

    /// The path as rules see it now: rewritten, or as it came; with the engines to match it.
    pub(crate) fn path<'a>(&'a mut self, request: &RequestView<'a>) -> (&'a [u8], &'a mut Engines) {
        let path = if self.path_is_set { self.path.as_slice() } else { request.path };
        (path, &mut self.engines)
    }

    /// The rewritten path as `encode` writes it; `None` if no rule rewrote it, `Some(None)` if it may not be sent.
    pub(crate) fn encode_path(
        &mut self,
        encode: impl Fn(&[u8], &mut Vec<u8>) -> bool,
    ) -> Option<Option<&[u8]>> {
        if !self.path_is_set {
            return None;
        }
        let fits = self.path.len() <= LONGEST_PATH;
        Some((fits && encode(&self.path, &mut self.encoded)).then_some(self.encoded.as_slice()))
    }

    /// The path if a rule has rewritten it.
    #[cfg(test)]
    pub(crate) fn rewritten(&self) -> Option<&[u8]> {
        self.path_is_set.then_some(self.path.as_slice())
    }

    /// Makes `part` of the current path the whole of it, behind one slash.
    pub(crate) fn rewrite(&mut self, request: &RequestView<'_>, part: std::ops::Range<usize>) {
        self.make_path(request, |current, _, path| {
            path.extend_from_slice(current.get(part).unwrap_or_default());
        });
    }

    /// Replaces the current path by what `make` makes of it, behind one slash; [`Engines::group`] has what matched last.
    pub(crate) fn make_path(
        &mut self,
        request: &RequestView<'_>,
        make: impl FnOnce(&[u8], &Engines, &mut Vec<u8>),
    ) {
        let current = if self.path_is_set { self.path.as_slice() } else { request.path };
        self.spare.clear();
        make(current, &self.engines, &mut self.spare);
        if self.spare.first() != Some(&b'/') {
            self.spare.insert(0, b'/');
        }
        std::mem::swap(&mut self.path, &mut self.spare);
        self.path_is_set = true;
    }

    /// Where a redirect sends the client, as `write` writes it; `None` when that may not be said.
    pub(crate) fn locate(&mut self, write: impl FnOnce(&mut Scratch, &mut Vec<u8>) -> bool) -> Option<&[u8]> {
        let mut out = std::mem::take(&mut self.location);
        let sound = write(self, &mut out);
        self.location = out;
        sound.then_some(self.location.as_slice())
    }

    /// Room for a part of something longer, to be given back.
    pub(crate) fn take_room(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spare)
    }

    /// Gives it back.
    pub(crate) fn give_room(&mut self, room: Vec<u8>) {
        self.spare = room;
    }

    /// A group, from 1 on, of the last pattern that has matched, in a rule set that uses groups.
    pub(crate) fn group(&self, number: usize) -> Option<&[u8]> {
        self.engines.group(number)
    }

    /// Room for a value that is not written as it is meant, with the engines to match it.
    pub(crate) fn value(&mut self) -> (&mut Vec<u8>, &mut Engines) {
        (&mut self.value, &mut self.engines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::Sketch;

    #[test]
    fn rewrites_add_up_and_the_next_request_starts_afresh() {
        let sketch = Sketch::new("h", "/a/b/c");
        let request = sketch.view();
        let mut scratch = Scratch::new();
        assert_eq!(scratch.rewritten(), None);
        scratch.rewrite(&request, 3..6);
        assert_eq!(scratch.rewritten(), Some(&b"/b/c"[..]));
        assert_eq!(scratch.path(&request).0, b"/b/c");
        scratch.rewrite(&request, 2..4);
        assert_eq!(scratch.rewritten(), Some(&b"/c"[..]));
        scratch.rewrite(&request, 0..0);
        assert_eq!(scratch.rewritten(), Some(&b"/"[..]));
        assert_eq!(scratch.agent(b"HTTPie/0.9.9").0, b"httpie/0.9.9");
        assert_eq!(scratch.agent(b"ignored").0, b"httpie/0.9.9");
        scratch.begin();
        assert_eq!(scratch.path(&request).0, b"/a/b/c");
        assert_eq!(scratch.agent(b"X").0, b"x");
    }
}
