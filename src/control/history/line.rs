//! A version as one line of JSON: how it is kept on the disk, and, packed, in memory.
//!
//! It owns that form, and never a file. It is written piece by piece and borrows its texts, as the line of a large version is as long as
//! all that is served. Next: [`file`](super::file) keeps lines, [`entry`](super::entry) packs its own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::control::changes::{Author, Made, Via};
use crate::model::{Differences, Digest, Touch, Touched};

/// What names a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) version: u64,
    pub(super) digest: Digest,
    pub(super) at: SystemTime,
}

/// A line without its end, packed (RFC 1951).
#[derive(Debug)]
pub(super) struct Deflated(Box<[u8]>);

impl Deflated {
    /// In bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes the line as it was before it was packed.
    ///
    /// # Errors
    /// Those of `out`.
    pub(super) fn write(&self, mut out: impl Write) -> io::Result<()> {
        io::copy(&mut DeflateDecoder::new(&*self.0), &mut out).map(drop)
    }
}

/// Writes the line of a version, without its end.
///
/// # Errors
/// Those of `out`.
pub(super) fn write(stamp: Stamp, changes: &[Made], out: impl Write) -> io::Result<()> {
    let at = stamp.at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let line = Line {
        version: stamp.version,
        digest: stamp.digest.to_string(),
        at: u64::try_from(at).unwrap_or(u64::MAX),
        changes: changes.iter().map(Change).collect(),
    };
    Ok(serde_json::to_writer(out, &line)?)
}

/// The same, packed.
///
/// # Errors
/// None that memory has.
pub(super) fn pack(stamp: Stamp, changes: &[Made]) -> io::Result<Deflated> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
    write(stamp, changes, &mut packer)?;
    Ok(Deflated(packer.finish()?.into_boxed_slice()))
}

/// What was changed, out of a line that was packed.
pub(super) fn unpack(packed: &Deflated) -> Option<Vec<Made>> {
    let mut text = Vec::new();
    DeflateDecoder::new(&*packed.0).read_to_end(&mut text).ok()?;
    let given: Given<'_> = serde_json::from_slice(&text).ok()?;
    made(given.changes)
}

/// The version that a line says, and what was changed; `None` if it says none.
pub(super) fn read(line: &[u8]) -> Option<(Stamp, Vec<Made>)> {
    let Given { version, digest, at, changes } = serde_json::from_slice(line).ok()?;
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(at)).unwrap_or(SystemTime::UNIX_EPOCH);
    Some((Stamp { version, digest: Digest::read(&digest)?, at }, made(changes)?))
}

/// As it is written.
#[derive(Serialize)]
struct Line<'a> {
    version: u64,
    digest: String,
    /// Milliseconds since 1970.
    at: u64,
    changes: Vec<Change<'a>>,
}

struct Change<'a>(&'a Made);

impl Serialize for Change<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Made { author, differences } = self.0;
        let mut members = serializer.serialize_map(Some(4))?;
        members.serialize_entry("who", &author.who)?;
        members.serialize_entry("via", author.via.word())?;
        members.serialize_entry("domains", &Touches(&differences.domains))?;
        members.serialize_entry("upstreams", &Touches(&differences.upstreams))?;
        members.end()
    }
}

struct Touches<'a>(&'a Touched);

impl Serialize for Touches<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let touches =
            self.0.iter().map(|touch| (&*touch.name, (touch.before.as_deref(), touch.after.as_deref())));
        serializer.collect_map(touches)
    }
}

/// As it is read.
#[derive(Deserialize)]
struct Given<'a> {
    version: u64,
    #[serde(borrow)]
    digest: Cow<'a, str>,
    at: u64,
    #[serde(borrow)]
    changes: Vec<GivenChange<'a>>,
}

#[derive(Deserialize)]
struct GivenChange<'a> {
    who: Option<IpAddr>,
    #[serde(borrow)]
    via: Cow<'a, str>,
    #[serde(borrow)]
    domains: GivenTouches<'a>,
    #[serde(borrow)]
    upstreams: GivenTouches<'a>,
}

/// Name → what was there, and what is.
type GivenTouches<'a> = BTreeMap<Cow<'a, str>, (Option<Cow<'a, str>>, Option<Cow<'a, str>>)>;

fn made(changes: Vec<GivenChange<'_>>) -> Option<Vec<Made>> {
    let touched = |touches: GivenTouches<'_>, key: fn(&str) -> String| -> Touched {
        let text = |text: Option<Cow<'_, str>>| text.map(Arc::from);
        let touches = touches.into_iter().map(|(name, (before, after))| {
            (key(&name).into(), Touch { name: Arc::from(name), before: text(before), after: text(after) })
        });
        touches.collect()
    };
    let one = |change: GivenChange<'_>| {
        let differences = Differences {
            domains: touched(change.domains, str::to_owned),
            upstreams: touched(change.upstreams, str::to_ascii_lowercase),
        };
        let author = Author { who: change.who, via: Via::named(&change.via)? };
        Some(Made { author, differences })
    };
    changes.into_iter().map(one).collect()
}
