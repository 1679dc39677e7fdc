//! What the access log shows of a request and nobody knows any more when it is over: noted when it is routed.
//!
//! It owns a room for these texts that is kept for the next request, never a line. Next: [`super::aside`] fills it,
//! [`super::record`] puts it into the log.

use super::peer_text::PeerText;
use super::steps::Steps;
use crate::access_log::entry::{TEXTS, Text, cut};
use crate::model::Snapshot;
use crate::semantics::RequestView;

/// The texts that are noted, in the order in which they are.
const NOTED: [Text; 10] = [
    Text::Method,
    Text::Host,
    Text::Target,
    Text::UserAgent,
    Text::Referer,
    Text::ForwardedFor,
    Text::TraceParent,
    Text::Domain,
    Text::Rules,
    Text::Upstream,
];

/// One request.
#[derive(Debug, Default)]
pub struct Note {
    bytes: Vec<u8>,
    /// Where each text ends; one that is not there yet ends where the last one does.
    ends: Vec<u16>,
    /// The version of the configuration that it was routed by.
    version: u64,
    peer: Option<PeerText>,
    /// Who the client is, if a proxy that is trusted spoke for it.
    client: Option<PeerText>,
}

impl Note {
    /// A connection begins, with this peer.
    pub(super) fn begin(&mut self, peer: &PeerText) {
        self.clear();
        self.peer = Some(*peer);
    }

    /// Forgets the former request of its connection.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        (self.version, self.client) = (0, None);
    }

    /// The client of the request is this one.
    pub(super) fn speaks_for(&mut self, client: &PeerText) {
        self.client = Some(*client);
    }

    /// Its address.
    pub(super) fn client(&self) -> &[u8] {
        self.client.as_ref().or(self.peer.as_ref()).map_or(&[], PeerText::as_bytes)
    }

    /// Notes what the request itself says, and that it is routed by this version.
    pub(super) fn request(
        &mut self,
        request: &RequestView<'_>,
        target: &[u8],
        forwarded_for: bool,
        version: u64,
    ) {
        self.clear();
        self.version = version;
        self.bytes.reserve(512);
        self.put(Text::Method, request.method());
        self.put(Text::Host, request.host);
        self.put(Text::Target, target);
        self.put(Text::UserAgent, request.user_agent().unwrap_or_default());
        self.put(Text::Referer, request.field(b"referer").next().unwrap_or_default());
        let last = forwarded_for.then(|| request.field(b"x-forwarded-for").last()).flatten();
        self.put(Text::ForwardedFor, last.unwrap_or_default());
        self.put(Text::TraceParent, request.field(b"traceparent").next().unwrap_or_default());
    }

    /// Notes where it went.
    pub(super) fn way(
        &mut self,
        snapshot: &Snapshot,
        steps: &Steps,
        (domain, last): (Option<u32>, Option<u16>),
        upstream: Option<u32>,
    ) {
        let slot = domain.unwrap_or(u32::MAX);
        self.put(Text::Domain, snapshot.domain_name(slot).as_bytes());
        let begin = self.bytes.len();
        for rule in steps.iter().map(|(rule, _)| rule).chain(last) {
            if self.bytes.len() > begin {
                self.bytes.push(0);
            }
            self.bytes.extend_from_slice(snapshot.rule_name(slot, rule).as_bytes());
        }
        let kept = cut(Text::Rules, self.bytes.get(begin..).unwrap_or_default()).len();
        self.bytes.truncate(begin + kept);
        self.end();
        let upstream = upstream.and_then(|upstream| snapshot.upstream_name(upstream));
        self.put(Text::Upstream, upstream.map_or(&[], |name| name.key().as_bytes()));
    }

    fn put(&mut self, text: Text, value: &[u8]) {
        self.bytes.extend_from_slice(cut(text, value));
        self.end();
    }

    fn end(&mut self) {
        self.ends.push(u16::try_from(self.bytes.len()).unwrap_or(u16::MAX));
    }

    /// What was noted, by its kind.
    pub(super) fn texts(&self) -> [&[u8]; TEXTS] {
        let (mut texts, mut begin) = ([&[][..]; TEXTS], 0);
        for (text, end) in NOTED.iter().zip(&self.ends) {
            let end = usize::from(*end);
            if let Some(place) = texts.get_mut(*text as usize) {
                *place = self.bytes.get(begin..end).unwrap_or_default();
            }
            begin = end;
        }
        texts
    }

    /// The version of the configuration that it was routed by; 0 if it was not.
    pub(super) fn version(&self) -> u64 {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::Sketch;

    #[test]
    fn what_is_noted_is_there_and_the_former_request_is_not() {
        let mut note = Note::default();
        let sketch = Sketch::new("A.test", "/x").field("Referer", "r").field("User-Agent", "u");
        note.request(&sketch.view(), b"/x?q", false, 7);
        note.way(&Snapshot::empty(), &Steps::default(), (None, None), None);
        let of = |note: &Note, text: Text| String::from_utf8_lossy(note.texts()[text as usize]).into_owned();
        let told = [Text::Method, Text::Host, Text::Target, Text::UserAgent, Text::Referer, Text::Domain];
        assert_eq!(told.map(|text| of(&note, text)), ["GET", "A.test", "/x?q", "u", "r", ""]);
        assert_eq!(note.version(), 7);
        note.request(&Sketch::new("b", "y".repeat(9000)).view(), &[b'y'; 9000], true, 8);
        assert_eq!((of(&note, Text::Target).len(), of(&note, Text::Referer)), (2048, String::new()));
        note.clear();
        assert_eq!(note.texts(), [&b""[..]; TEXTS]);
    }
}
