//! The last versions on this machine's disk, beside the state file, so that a restart does not forget them.
//!
//! It owns the form of that file, its bound, and the tolerance towards a broken one; never what a version is. A version is a line that is
//! appended; whatever a crash leaves of a line is no line. Next: [`history`](super::history) has the versions,
//! [`state_file`](super::state_file) what they are counted from.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::changes::{Author, Made, Via};
use super::history::{Entry, VERSIONS};
use super::replace::replace;
use crate::model::{Differences, Digest, Touch, Touched};

/// The form of the file. Another number is another form, and the file is ignored.
const FORMAT: u32 = 1;
/// How many bytes the file may have beyond twice those of the versions that are kept, before it is written anew.
const SLACK: u64 = 1 << 20;
/// A longer file is none that ELB writes: the texts of all versions have 256 MiB at most, escaped twice that.
const LONGEST: u64 = 2 << 30;

/// The file of one ELB name.
#[derive(Debug, Clone)]
pub(super) struct HistoryFile {
    path: PathBuf,
    name: String,
}

/// The first line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head<'a> {
    elb_history: u32,
    name: Cow<'a, str>,
}

/// A version.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    version: u64,
    digest: Cow<'a, str>,
    /// Milliseconds since 1970.
    at: u64,
    #[serde(borrow)]
    changes: Vec<ChangeLine<'a>>,
}

#[derive(Serialize, Deserialize)]
struct ChangeLine<'a> {
    who: Option<IpAddr>,
    via: Cow<'a, str>,
    #[serde(borrow)]
    domains: Touches<'a>,
    #[serde(borrow)]
    upstreams: Touches<'a>,
}

/// Name → what was there, and what is.
type Touches<'a> = BTreeMap<Cow<'a, str>, (Option<Cow<'a, str>>, Option<Cow<'a, str>>)>;

impl HistoryFile {
    /// The file beside the state file at `path`, for the ELB called `name`.
    pub(super) fn beside(path: &Path, name: &str) -> Self {
        let mut path = path.to_owned().into_os_string();
        path.push(".history");
        Self { path: path.into(), name: name.to_owned() }
    }

    /// The versions in it, the oldest first, as far as they can be read. What cannot is told in the log: it must not stand in the way of a
    /// start.
    pub(super) async fn read(&self) -> Vec<Entry> {
        let (path, name) = (self.path.clone(), self.name.clone());
        let read = tokio::task::spawn_blocking(move || read(&path, &name)).await;
        read.unwrap_or_else(|error| Err(error.to_string())).unwrap_or_else(|reason| {
            warn!(path = %self.path.display(), reason, "the history of versions is ignored");
            Vec::new()
        })
    }

    fn rewrite(&self, entries: &[Arc<Entry>]) -> io::Result<u64> {
        let head = Head { elb_history: FORMAT, name: Cow::Borrowed(&self.name) };
        let mut bytes = serde_json::to_vec(&head)?;
        bytes.push(b'\n');
        for entry in entries {
            line(entry, &mut bytes)?;
        }
        replace(&self.path, &bytes)?;
        Ok(bytes.len() as u64)
    }

    fn append<'e>(&self, entries: impl Iterator<Item = &'e Arc<Entry>>) -> io::Result<u64> {
        let mut bytes = Vec::new();
        for entry in entries {
            line(entry, &mut bytes)?;
        }
        File::options().append(true).open(&self.path)?.write_all(&bytes)?;
        Ok(bytes.len() as u64)
    }
}

fn line(entry: &Entry, bytes: &mut Vec<u8>) -> io::Result<()> {
    let touches = |touched: &Touched| -> Touches<'static> {
        let text = |text: &Option<Arc<str>>| text.as_ref().map(|text| Cow::Owned(text.to_string()));
        let touches = touched
            .iter()
            .map(|touch| (Cow::Owned(touch.name.to_string()), (text(&touch.before), text(&touch.after))));
        touches.collect()
    };
    let change = |made: &Made| ChangeLine {
        who: made.author.who,
        via: Cow::Borrowed(made.author.via.word()),
        domains: touches(&made.differences.domains),
        upstreams: touches(&made.differences.upstreams),
    };
    let at = entry.at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let line = Line {
        version: entry.version,
        digest: Cow::Owned(entry.digest.to_string()),
        at: u64::try_from(at).unwrap_or(u64::MAX),
        changes: entry.changes.iter().map(change).collect(),
    };
    serde_json::to_writer(&mut *bytes, &line)?;
    bytes.push(b'\n');
    Ok(())
}

fn read(path: &Path, name: &str) -> Result<Vec<Entry>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    if length > LONGEST {
        return Err(format!("it has {length} bytes, and {LONGEST} are expected at most"));
    }
    let mut lines = BufReader::new(file);
    let mut text = Vec::new();
    let mut next = |text: &mut Vec<u8>| -> Result<bool, String> {
        text.clear();
        lines.read_until(b'\n', text).map_err(|error| error.to_string())?;
        // What has no end was being written when the process ended.
        Ok(text.pop() == Some(b'\n'))
    };
    let is_whole = next(&mut text)?;
    let head = serde_json::from_slice::<Head<'_>>(&text).ok().filter(|_| is_whole);
    let head = head.ok_or("it does not begin as one")?;
    if head != (Head { elb_history: FORMAT, name: Cow::Borrowed(name) }) {
        return Err(format!("it has form {} and belongs to {}", head.elb_history, head.name));
    }
    let mut entries: VecDeque<Entry> = VecDeque::new();
    while next(&mut text)? {
        let entry = serde_json::from_slice(&text).ok().and_then(entry);
        let is_next = |entry: &Entry| entries.back().is_none_or(|last| last.version < entry.version);
        // What stands behind a gap cannot be counted back through it: what is there from here on is all that is known.
        match entry.filter(is_next) {
            Some(entry) => entries.push_back(entry),
            None => entries.clear(),
        }
        if entries.len() > VERSIONS {
            entries.pop_front();
        }
    }
    Ok(entries.into())
}

fn entry(line: Line<'_>) -> Option<Entry> {
    let changes: Option<Vec<Made>> = line.changes.into_iter().map(made).collect();
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(line.at)).unwrap_or(SystemTime::UNIX_EPOCH);
    Some(Entry::new(line.version, Digest::read(&line.digest)?, at, changes?))
}

fn made(line: ChangeLine<'_>) -> Option<Made> {
    let touched = |touches: Touches<'_>, key: fn(&str) -> String| -> Touched {
        let text = |text: Option<Cow<'_, str>>| text.map(Arc::from);
        let touches = touches.into_iter().map(|(name, (before, after))| {
            (key(&name).into(), Touch { name: Arc::from(name), before: text(before), after: text(after) })
        });
        touches.collect()
    };
    let differences = Differences {
        domains: touched(line.domains, str::to_owned),
        upstreams: touched(line.upstreams, str::to_ascii_lowercase),
    };
    let author = Author { who: line.who, via: Via::named(&line.via)? };
    Some(Made { author, differences })
}

/// The task that writes, and what it is to write.
#[derive(Debug)]
pub(super) struct HistorySaver {
    newest: watch::Sender<Vec<Arc<Entry>>>,
    writer: JoinHandle<()>,
}

impl HistorySaver {
    /// Starts the task on the current tokio runtime.
    pub(super) fn new(file: HistoryFile) -> Self {
        let (newest, to_write) = watch::channel(Vec::new());
        Self { newest, writer: tokio::spawn(keep(file, to_write)) }
    }

    /// Has these versions kept, the oldest first.
    pub(super) fn save(&self, entries: Vec<Arc<Entry>>) {
        self.newest.send_replace(entries);
    }

    /// Writes what waits, and ends.
    pub(super) async fn finish(self) {
        drop(self.newest);
        // It panics nowhere; and if it did, there would be nothing left to write.
        let _ = self.writer.await;
    }
}

/// What the file holds, as far as this process has written it.
#[derive(Debug, Clone, Copy)]
struct Written {
    last: u64,
    bytes: u64,
}

async fn keep(file: HistoryFile, mut newest: watch::Receiver<Vec<Arc<Entry>>>) {
    // Another process wrote what is there: it is written anew first.
    let mut written: Option<Written> = None;
    let mut is_well = true;
    while newest.changed().await.is_ok() {
        let entries = newest.borrow_and_update().clone();
        let (own, before) = (file.clone(), written);
        let done = tokio::task::spawn_blocking(move || write(&own, &entries, before)).await;
        match done.map_err(io::Error::other).flatten() {
            Ok(done) => {
                written = Some(done);
                if !is_well {
                    info!("{} is written again", file.path.display());
                }
                is_well = true;
            }
            Err(error) => {
                written = None;
                if is_well {
                    warn!(
                        "{} cannot be written: {error}; a restart would forget versions; trying on",
                        file.path.display()
                    );
                }
                is_well = false;
            }
        }
    }
}

/// Appends what is new, or writes the file anew when too much of it is not kept any more.
fn write(file: &HistoryFile, entries: &[Arc<Entry>], before: Option<Written>) -> io::Result<Written> {
    let last = entries.last().map_or(0, |entry| entry.version);
    let kept: u64 = entries.iter().map(|entry| entry.bytes() as u64).sum();
    let anew = || Ok(Written { last, bytes: file.rewrite(entries)? });
    let Some(before) = before else { return anew() };
    // Versions that came and went between two writes leave a gap.
    let is_gapless = entries.first().is_none_or(|oldest| oldest.version <= before.last.saturating_add(1));
    if !is_gapless || before.bytes > 2 * kept + SLACK || fs::metadata(&file.path)?.len() != before.bytes {
        return anew();
    }
    let new = entries.iter().filter(|entry| entry.version > before.last);
    Ok(Written { last, bytes: before.bytes + file.append(new)? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Edit, State};

    /// Versions, each of which adds a server to `Up`, and a domain.
    fn versions(count: u64) -> Vec<Arc<Entry>> {
        let mut state = State::new();
        let version = |number: u64| {
            let up = json!({"Up": {format!("h:{number}"): ""}}).as_object().cloned().unwrap();
            state.edit(Edit::PutUpstreams(up)).unwrap();
            let author = Author { who: Some([127, 0, 0, 1].into()), via: Via::Api };
            let made = Made { author, differences: state.take_differences() };
            let at = UNIX_EPOCH + Duration::from_millis(1_000 * number + 1);
            Arc::new(Entry::new(number, state.digest(), at, vec![made]))
        };
        (1..=count).map(version).collect()
    }

    fn shown(entries: &[Arc<Entry>]) -> Vec<String> {
        entries.iter().map(|entry| format!("{entry:?}")).collect()
    }

    async fn known(file: &HistoryFile) -> Vec<String> {
        file.read().await.iter().map(|entry| format!("{entry:?}")).collect()
    }

    #[tokio::test]
    async fn what_is_kept_comes_back_to_the_letter() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile::beside(&folder.path().join("state"), "ELB");
        assert!(file.read().await.is_empty());
        let all = versions(7);
        let first = write(&file, &all[..3], None).unwrap();
        let second = write(&file, &all[..5], Some(first)).unwrap();
        assert_eq!(known(&file).await, shown(&all[..5]));
        assert_eq!(fs::metadata(&file.path).unwrap().len(), second.bytes, "two were appended");
        assert!(HistoryFile { name: "other".to_owned(), ..file.clone() }.read().await.is_empty());
        let saver = HistorySaver::new(file.clone());
        saver.save(all.clone());
        saver.finish().await;
        assert_eq!(known(&file).await, shown(&all));
    }

    #[tokio::test]
    async fn whatever_a_crash_leaves_is_what_came_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile::beside(&folder.path().join("state"), "ELB");
        let all = versions(4);
        write(&file, &all, None).unwrap();
        let whole = fs::read(&file.path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
        for length in 0..=whole.len() {
            fs::write(&file.path, &whole[..length]).unwrap();
            let lines = ends.iter().filter(|end| **end < length).count();
            assert_eq!(known(&file).await, shown(&all[..lines.saturating_sub(1)]), "{length} bytes");
        }
        // A line in the midst that cannot be read is a gap, and only what comes behind it is known.
        let mut broken = whole.clone();
        broken[ends[1] + 1] = b'?';
        fs::write(&file.path, &broken).unwrap();
        assert_eq!(known(&file).await, shown(&all[2..]));
    }

    #[test]
    fn a_file_that_somebody_else_wrote_or_that_grew_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile::beside(&folder.path().join("state"), "ELB");
        let all = versions(6);
        let first = write(&file, &all[..2], None).unwrap();
        File::options().append(true).open(&file.path).unwrap().write_all(b"{\"torn").unwrap();
        write(&file, &all[..3], Some(first)).unwrap();
        assert_eq!(read(&file.path, "ELB").unwrap().len(), 3);
        // Two versions were forgotten before they could be written.
        let gap = write(&file, &all[5..], Some(first)).unwrap();
        assert_eq!(read(&file.path, "ELB").unwrap().len(), 1);
        let large = Written { bytes: gap.bytes, ..gap };
        assert!(write(&file, &all, Some(Written { bytes: SLACK * 9, ..large })).unwrap().bytes < SLACK);
    }
}
