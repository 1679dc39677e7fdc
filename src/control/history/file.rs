//! The last versions on this machine's disk, beside the state file, so that a restart does not forget them.
//!
//! It owns the form of that file, its bound, and the tolerance towards a broken one; never what a version is. A version is a line that is
//! appended; whatever a crash leaves of a line is no line. Next: [`line`](super::line) is that line,
//! [`versions`](super::versions) has the versions, [`state_file`](crate::control::state_file) what they are counted from.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::entry::Entry;
use super::versions::{Overlay, VERSIONS};
use crate::control::background::aside;
use crate::control::replace::replace;

/// The form of the file. Another number is another form, and the file is ignored.
const FORMAT: u32 = 1;
/// How many bytes the file may have beyond twice those of the versions that are kept, before it is written anew.
const SLACK: u64 = 1 << 20;
/// A longer file is none that ELB writes: the texts of all versions have 256 MiB at most, escaped twice that.
const LONGEST: u64 = 2 << 30;

/// The file of one ELB name.
#[derive(Debug, Clone)]
pub(in crate::control) struct HistoryFile {
    path: PathBuf,
    name: String,
}

/// The first line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head<'a> {
    elb_history: u32,
    name: Cow<'a, str>,
}

impl HistoryFile {
    /// The file beside the state file at `path`, for the ELB called `name`.
    pub(in crate::control) fn beside(path: &Path, name: &str) -> Self {
        let mut path = path.to_owned().into_os_string();
        path.push(".history");
        Self { path: path.into(), name: name.to_owned() }
    }

    /// The versions in it, as far as they can be read. What cannot is told in the log: it must not stand in the way of a start.
    pub(in crate::control) async fn read(&self) -> Former {
        let (path, name) = (self.path.clone(), self.name.clone());
        let read = tokio::task::spawn_blocking(move || read(&path, &name)).await;
        read.unwrap_or_else(|error| Err(error.to_string())).unwrap_or_else(|reason| {
            warn!(path = %self.path.display(), reason, "the history of versions is ignored");
            Former::default()
        })
    }

    fn rewrite(&self, entries: &[Arc<Entry>]) -> io::Result<u64> {
        let head = Head { elb_history: FORMAT, name: Cow::Borrowed(&self.name) };
        let mut length = 0;
        replace(&self.path, |out| {
            let mut out = Counted { out, bytes: 0 };
            serde_json::to_writer(&mut out, &head)?;
            out.write_all(b"\n")?;
            lines(entries.iter(), &mut out)?;
            length = out.bytes;
            Ok(())
        })?;
        Ok(length)
    }

    fn append<'e>(&self, entries: impl Iterator<Item = &'e Arc<Entry>>) -> io::Result<u64> {
        let mut out =
            Counted { out: BufWriter::new(File::options().append(true).open(&self.path)?), bytes: 0 };
        lines(entries, &mut out)?;
        out.flush()?;
        Ok(out.bytes)
    }
}

fn lines<'e>(entries: impl Iterator<Item = &'e Arc<Entry>>, out: &mut impl Write) -> io::Result<()> {
    for entry in entries {
        entry.write(&mut *out)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Counts what is written.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What is known of the life before.
#[derive(Debug, Default)]
pub(in crate::control) struct Former {
    /// The oldest first.
    pub(in crate::control) entries: Vec<Entry>,
    /// What was served at the last of them under every name that they touch.
    pub(in crate::control) last: Overlay,
}

fn read(path: &Path, name: &str) -> Result<Former, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Former::default()),
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
    let (mut entries, mut last) = (VecDeque::<Entry>::new(), Overlay::default());
    while next(&mut text)? {
        let is_next = |entry: &Entry| entries.back().is_none_or(|last| last.version < entry.version);
        // What stands behind a gap cannot be counted back through it: what is there from here on is all that is known.
        match Entry::read(&text).filter(is_next) {
            Some(entry) => {
                last.go_on(&entry.changes());
                entry.pack();
                entries.push_back(entry);
            }
            None => {
                entries.clear();
                last = Overlay::default();
            }
        }
        if entries.len() > VERSIONS {
            entries.pop_front();
        }
    }
    Ok(Former { entries: entries.into(), last })
}

/// The task that writes and packs, and what it is to keep.
#[derive(Debug)]
pub(in crate::control) struct HistorySaver {
    newest: watch::Sender<Vec<Arc<Entry>>>,
    has_packed: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
}

impl HistorySaver {
    /// Starts the task on the current tokio runtime.
    pub(in crate::control) fn new(file: Option<HistoryFile>) -> Self {
        let (newest, to_keep) = watch::channel(Vec::new());
        let has_packed = Arc::new(AtomicBool::new(false));
        let keeper = tokio::spawn(keep(file, to_keep, Arc::clone(&has_packed)));
        Self { newest, has_packed, keeper }
    }

    /// Whether a large version was packed since this was asked: then there is memory to give back.
    pub(in crate::control) fn has_packed(&self) -> bool {
        self.has_packed.swap(false, Ordering::Relaxed)
    }

    /// Has these versions kept, the oldest first.
    pub(in crate::control) fn save(&self, entries: Vec<Arc<Entry>>) {
        self.newest.send_replace(entries);
    }

    /// Writes what waits, and ends.
    pub(in crate::control) async fn finish(self) {
        drop(self.newest);
        // It panics nowhere; and if it did, there would be nothing left to write.
        let _ = self.keeper.await;
    }
}

/// What the file holds, as far as this process has written it.
#[derive(Debug, Clone, Copy)]
struct Written {
    last: u64,
    bytes: u64,
}

async fn keep(
    file: Option<HistoryFile>,
    mut newest: watch::Receiver<Vec<Arc<Entry>>>,
    has_packed: Arc<AtomicBool>,
) {
    let mut disk = file.map(|file| Disk { file, written: None, is_well: true });
    while newest.changed().await.is_ok() {
        let entries = newest.borrow_and_update().clone();
        if let Some(disk) = &mut disk {
            disk.keep(entries.clone()).await;
        }
        if !entries.iter().any(|entry| entry.is_to_pack()) {
            continue;
        }
        let pack = move || entries.iter().filter(|entry| entry.pack()).count() > 0;
        if aside(pack).await.unwrap_or_default() {
            has_packed.store(true, Ordering::Relaxed);
        }
    }
}

/// The file, and what is known of it.
struct Disk {
    file: HistoryFile,
    /// Nothing at first: another process wrote what is there, so it is written anew.
    written: Option<Written>,
    is_well: bool,
}

impl Disk {
    async fn keep(&mut self, entries: Vec<Arc<Entry>>) {
        let (own, before) = (self.file.clone(), self.written);
        let done = aside(move || write(&own, &entries, before)).await;
        let path = self.file.path.display();
        match done.flatten() {
            Ok(done) => {
                self.written = Some(done);
                if !self.is_well {
                    info!("versions are kept in {path} again");
                }
                self.is_well = true;
            }
            Err(error) => {
                self.written = None;
                if self.is_well {
                    warn!(
                        "versions cannot be kept in {path}: {error}; a restart would forget them; trying on"
                    );
                }
                self.is_well = false;
            }
        }
    }
}

/// Appends what is new, or writes the file anew when too much of it is not kept any more.
fn write(file: &HistoryFile, entries: &[Arc<Entry>], before: Option<Written>) -> io::Result<Written> {
    let last = entries.last().map_or(0, |entry| entry.version);
    let kept: u64 = entries.iter().map(|entry| entry.weight() as u64).sum();
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

    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::control::changes::{Author, Made, Via};
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
        file.read().await.entries.iter().map(|entry| format!("{entry:?}")).collect()
    }

    #[tokio::test]
    async fn what_is_kept_comes_back_to_the_letter() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile::beside(&folder.path().join("state"), "ELB");
        assert!(file.read().await.entries.is_empty());
        let all = versions(7);
        let first = write(&file, &all[..3], None).unwrap();
        let second = write(&file, &all[..5], Some(first)).unwrap();
        assert_eq!(known(&file).await, shown(&all[..5]));
        assert_eq!(fs::metadata(&file.path).unwrap().len(), second.bytes, "two were appended");
        assert!(HistoryFile { name: "other".to_owned(), ..file.clone() }.read().await.entries.is_empty());
        let saver = HistorySaver::new(Some(file.clone()));
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
        assert_eq!(read(&file.path, "ELB").unwrap().entries.len(), 3);
        // Two versions were forgotten before they could be written.
        let gap = write(&file, &all[5..], Some(first)).unwrap();
        assert_eq!(read(&file.path, "ELB").unwrap().entries.len(), 1);
        let large = Written { bytes: gap.bytes, ..gap };
        assert!(write(&file, &all, Some(Written { bytes: SLACK * 9, ..large })).unwrap().bytes < SLACK);
    }
}
