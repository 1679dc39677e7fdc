//! The file store over real files: loads, edits by hand, mistakes, dumps, and two writers.

use super::*;
use std::io::Write;
use tempfile::TempDir;
use tokio::time::timeout;

struct Bench {
    folder: TempDir,
    handle: StoreHandle,
    /// What was reported while a dump was waited for.
    heard: Vec<StoreEvent>,
}

impl Bench {
    fn start(text: Option<&str>) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("elb.json");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        Bench { handle: start(path), folder, heard: Vec::new() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("elb.json")
    }

    fn write(&self, text: &str) {
        replace(&self.path(), |out| out.write_all(text.as_bytes())).unwrap();
    }

    async fn event(&mut self) -> StoreEvent {
        timeout(Duration::from_secs(20), self.handle.events.recv()).await.expect("an event in time").unwrap()
    }

    async fn loaded(&mut self) -> (Contents, i64) {
        match self.event().await {
            StoreEvent::Loaded { contents, revision } => (contents, revision),
            other => panic!("{other:?} instead of a load"),
        }
    }

    /// Has `to` written over `from`, key by key, and waits for the answer.
    async fn dump(&mut self, from: &str, to: &str) -> Result<Dumped, String> {
        let command = StoreCommand::Dump { writes: writes(from, to) };
        self.handle.commands.send(command).await.unwrap();
        loop {
            match self.event().await {
                StoreEvent::Dumped(outcome) => return outcome,
                event => self.heard.push(event),
            }
        }
    }

    fn stored(&self) -> Contents {
        contents(&fs::read_to_string(self.path()).unwrap())
    }
}

/// The writes that make one document of the other.
fn writes(from: &str, to: &str) -> Vec<KeyWrite> {
    let (from, to) = (contents(from), contents(to));
    let mut changes = Vec::new();
    for contents in [&to, &from] {
        let rules = contents.rules.keys();
        changes.extend(
            rules.map(|domain| KeyChange::Rule {
                domain: domain.clone(),
                text: to.rules.get(domain).cloned(),
            }),
        );
        for (upstream, servers) in &contents.upstreams {
            changes.extend(servers.keys().map(|server| {
                let key =
                    KeyChange::Server { upstream: upstream.clone(), server: server.clone(), text: None };
                let text = to.get(&key).map(str::to_owned);
                KeyChange::Server { upstream: upstream.clone(), server: server.clone(), text }
            }));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    changes.retain(|change| seen.insert(change.name()));
    let differ = changes.into_iter().filter(|change| from.get(change) != to.get(change));
    let write =
        |wanted: KeyChange| KeyWrite { read: from.get(&wanted).map(str::to_owned), wanted, doubtful: false };
    differ.map(write).collect()
}

fn contents(text: &str) -> Contents {
    document::read(text.as_bytes()).unwrap()
}

const ONE: &str = r#"{"domains": {"one.com": {}}, "upstreams": {"up": {"s:1": ""}}}"#;
const TWO: &str = r#"{"domains": {"two.com": {}}}"#;

#[tokio::test]
async fn a_file_is_loaded_and_loaded_again_when_it_changes() {
    let mut bench = Bench::start(Some(ONE));
    assert_eq!(bench.loaded().await, (contents(ONE), 1));
    bench.write(TWO);
    assert_eq!(bench.loaded().await, (contents(TWO), 2));
}

#[tokio::test]
async fn no_file_is_an_empty_store_that_may_come_and_go() {
    let mut bench = Bench::start(None);
    assert_eq!(bench.loaded().await.0, Contents::default());
    bench.write(ONE);
    assert_eq!(bench.loaded().await.0, contents(ONE));
    fs::remove_file(bench.path()).unwrap();
    assert_eq!(bench.loaded().await.0, Contents::default());
}

#[tokio::test]
async fn a_mistake_is_told_once_with_its_place_and_forgotten_when_it_is_mended() {
    let mut bench = Bench::start(Some(ONE));
    bench.loaded().await;
    bench.write("{\n  \"domains\": {,}\n}");
    match bench.event().await {
        StoreEvent::Down { reason } => {
            assert!(reason.contains("elb.json: ") && reason.contains("line 2 column 15"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    // The same contents as before the mistake: the control loop has to hear that the store is well.
    bench.write(ONE);
    assert_eq!(bench.loaded().await.0, contents(ONE));
}

#[tokio::test]
async fn a_dump_is_reported_once() {
    let mut bench = Bench::start(Some(ONE));
    bench.loaded().await;
    assert_eq!(bench.dump(ONE, TWO).await.unwrap().revision, 2);
    assert_eq!(bench.stored(), contents(TWO));
    let [StoreEvent::Changed { changes, revision: 2 }] = &bench.heard[..] else {
        panic!("{:?}", bench.heard)
    };
    assert_eq!(changes.len(), 3);
    assert_eq!(
        bench.dump(ONE, TWO).await.unwrap(),
        Dumped { revision: 2, ..Dumped::default() },
        "it is there"
    );
    bench.write(ONE);
    assert_eq!(bench.loaded().await, (contents(ONE), 3), "the next event is somebody else's change");
}

#[tokio::test]
async fn a_dump_makes_the_file() {
    let mut bench = Bench::start(None);
    bench.loaded().await;
    assert_eq!(bench.dump("{}", ONE).await.unwrap().revision, 2);
    assert_eq!(bench.stored(), contents(ONE));
}

/// Whoever wrote the file a moment ago keeps what was written, and it is reported before the dump ends.
#[tokio::test]
async fn a_dump_merges_into_what_it_has_not_seen() {
    let mut bench = Bench::start(Some(ONE));
    bench.loaded().await;
    let theirs =
        r#"{"domains": {"one.com": {"changed": 1}, "theirs.com": {}}, "upstreams": {"up": {"s:1": ""}}}"#;
    bench.write(theirs);
    let ours =
        r#"{"domains": {"one.com": {"ours": 1}, "ours.com": {}}, "upstreams": {"up": {"s:1": "down"}}}"#;
    let dumped = bench.dump(ONE, ours).await.unwrap();
    assert_eq!(dumped.conflicts.iter().map(KeyChange::name).collect::<Vec<_>>(), ["rules/one.com"]);
    let merged = r#"{"domains": {"one.com": {"changed": 1}, "theirs.com": {}, "ours.com": {}},
                     "upstreams": {"up": {"s:1": "down"}}}"#;
    assert_eq!(bench.stored(), contents(merged));
    let StoreEvent::Loaded { contents: first, .. } = &bench.heard[0] else { panic!("{:?}", bench.heard) };
    assert_eq!(*first, contents(theirs));
}

#[tokio::test]
async fn a_dump_does_not_overwrite_what_it_cannot_read() {
    let mut bench = Bench::start(Some(ONE));
    bench.loaded().await;
    bench.write("{");
    let reason = bench.dump(ONE, TWO).await.unwrap_err();
    assert!(reason.contains("EOF"), "{reason}");
    assert_eq!(fs::read_to_string(bench.path()).unwrap(), "{");
}

#[tokio::test]
async fn a_resync_loads_again() {
    let mut bench = Bench::start(Some(ONE));
    bench.loaded().await;
    bench.handle.commands.send(StoreCommand::Resync).await.unwrap();
    assert_eq!(bench.loaded().await, (contents(ONE), 2));
}

#[tokio::test]
async fn the_store_ends_with_its_handle() {
    let mut bench = Bench::start(Some(ONE));
    bench.loaded().await;
    drop(bench.handle.commands);
    let end = timeout(Duration::from_secs(20), bench.handle.events.recv()).await.expect("an end in time");
    assert!(end.is_none());
}

/// A moment when what was written just now is old enough.
fn later() -> SystemTime {
    SystemTime::now() + SETTLED + Duration::from_secs(1)
}

#[test]
fn only_a_file_that_is_old_enough_is_known_by_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("elb.json");
    fs::write(&path, ONE).unwrap();
    let Ok(Look::Read(_, digest, None)) = look(&path, None, None, SystemTime::now()) else {
        panic!("a fresh file has no stamp")
    };
    assert!(
        matches!(look(&path, None, Some(digest), SystemTime::now()), Ok(Look::Same(None))),
        "but contents"
    );
    let Ok(Look::Read(_, _, Some(stamp))) = look(&path, None, None, later()) else {
        panic!("an old file has one")
    };
    assert!(matches!(look(&path, Some(stamp.clone()), None, later()), Ok(Look::Same(Some(_)))));
    fs::write(&path, TWO).unwrap();
    assert!(matches!(look(&path, Some(stamp.clone()), None, later()), Ok(Look::Read(..))));
}

/// As `rsync --inplace --times` writes: as many bytes, the same inode, and the old time of modification.
#[test]
fn a_change_of_equal_size_and_time_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("elb.json");
    let text = |host: &str| ONE.replace("one.com", host);
    fs::write(&path, text("six.com")).unwrap();
    let before = fs::metadata(&path).unwrap();
    let Ok(Look::Read(_, _, Some(stamp))) = look(&path, None, None, later()) else { panic!("an old file") };
    // The kernel's clock for it has to move on first; it is coarse.
    while fs::metadata(&path).unwrap().ctime_nsec() == before.ctime_nsec() {
        let file = fs::File::options().write(true).open(&path).unwrap();
        (&file).write_all(text("ten.com").as_bytes()).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
    }
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (after.len(), after.modified().unwrap(), after.ino()),
        (before.len(), before.modified().unwrap(), before.ino())
    );
    assert!(matches!(look(&path, Some(stamp.clone()), None, later()), Ok(Look::Read(..))));
    // And a file that was given the time of long ago is not trusted by it.
    fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert!(matches!(look(&path, None, None, SystemTime::now()), Ok(Look::Read(_, _, None))));
}

#[tokio::test]
async fn a_resync_of_a_broken_file_says_again_what_is_wrong() {
    let mut bench = Bench::start(Some(ONE));
    bench.loaded().await;
    bench.write("{");
    assert!(matches!(bench.event().await, StoreEvent::Down { .. }));
    bench.handle.commands.send(StoreCommand::Resync).await.unwrap();
    assert!(matches!(bench.event().await, StoreEvent::Down { reason } if reason.contains("EOF")));
}
