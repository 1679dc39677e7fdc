//! Puts a file in the place of another, whole or not at all.
//!
//! It owns the temporary file, the syncs and the rename; never what the bytes mean. It blocks, so it is called from a
//! blocking task. Next: [`state_file`](super::state_file) and `store::file` write with it.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who may read a file that did not exist before: its owner. Rule sets may hold credentials for servers.
const MODE: u32 = 0o600;

/// Bytes that are collected before they are written.
const AT_ONCE: usize = 64 * 1024;

/// Writes a file at `path`, which `fill` fills. After a crash at any moment the file is the old one or the new one; a symbolic
/// link stays one, and so do the permissions.
///
/// A file that is a mount point of its own (a single file bound into a container) cannot be replaced, so it is written in
/// place. What is to be written then stands whole beside it until that is done: see [`whole`].
///
/// # Errors
/// Whatever `fill` and the file system say; the old file is untouched then, but for one that is written in place.
pub(super) fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    replace_by(path, fill, |from, to| fs::rename(from, to))
}

fn replace_by(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    rename: impl Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = fs::metadata(&target).map_or(MODE, |there| there.permissions().mode());
    let temporary = beside(&target)?;
    let done =
        write(&temporary, fill, mode).map_err(|error| hint(&target, error)).and_then(|()| {
            match rename(&temporary, &target) {
                Err(error) if is_mounted(&error) => in_place(&target, &temporary),
                done => done,
            }
        });
    if done.is_err() {
        // Nothing more can be done about it than was tried.
        let _ = fs::remove_file(&temporary);
    }
    done?;
    // The rename lasts once its folder is on the disk.
    File::open(folder(&target))?.sync_all()
}

/// Linux says EBUSY of a rename onto a mount point, and EXDEV of one across mounts.
fn is_mounted(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices)
}

/// Nothing can be made beside a file that stands there: its folder is not ours to write, or the disk is full.
fn hint(target: &Path, error: io::Error) -> io::Error {
    if !matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
        return error;
    }
    let folder = folder(target).display();
    let told = format!(
        "{error}: a new file is made in {folder} first; mount that folder writable, not the file alone"
    );
    io::Error::new(error.kind(), told)
}

/// Writes what `copy` holds over the file, while it stands there whole.
fn in_place(target: &Path, copy: &Path) -> io::Result<()> {
    let whole = whole(target)?;
    fs::rename(copy, &whole)?;
    File::open(folder(target))?.sync_all()?;
    let over = || -> io::Result<()> {
        let mut file = File::options().write(true).open(target)?;
        let bytes = io::copy(&mut File::open(&whole)?, &mut file)?;
        file.set_len(bytes)?;
        file.sync_all()
    };
    over().map_err(|error| {
        let told = format!(
            "{error}: it could not be replaced, and not be written in place; all of it stands in {}",
            whole.display()
        );
        io::Error::new(error.kind(), told)
    })?;
    fs::remove_file(&whole)
}

/// Where all of a file stands while it is written in place. When that was cut short, it is there still.
pub(super) fn whole(path: &Path) -> io::Result<PathBuf> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().ok_or_else(|| io::Error::other("the path names no file"))?);
    name.push(".whole");
    Ok(target.with_file_name(name))
}

/// Has `previous` be what `path` is now. Nothing of it is copied where the file system can do without.
///
/// # Errors
/// Whatever the file system says; `previous` is untouched then.
pub(super) fn keep(path: &Path, previous: &Path) -> io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = beside(previous)?;
    if fs::hard_link(&target, &temporary).is_err() {
        return replace(previous, |out| io::copy(&mut File::open(&target)?, out).map(|_| ()));
    }
    let done = fs::rename(&temporary, previous);
    // A rename onto another name of the same file does nothing at all.
    let _ = fs::remove_file(&temporary);
    done
}

fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>, mode: u32) -> io::Result<()> {
    let file = File::options().write(true).create(true).truncate(true).mode(MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    let mut out = BufWriter::with_capacity(AT_ONCE, file);
    fill(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A name in the same folder (a rename does not cross file systems) that nobody else uses.
fn beside(target: &Path) -> io::Result<PathBuf> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = target.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.{number}.new", process::id()));
    Ok(target.with_file_name(hidden))
}

fn folder(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
        replace(path, |out| out.write_all(bytes))
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_for_its_owner_and_replaced_with_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        put(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        put(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(names(folder.path()), ["state"], "nothing is left beside it");
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "one").unwrap();
        symlink(&real, &link).unwrap();
        put(&link, b"two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"two");
    }

    /// What Linux says of a file that is mounted by itself.
    fn busy(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ResourceBusy.into())
    }

    #[test]
    fn a_file_that_is_a_mount_point_is_written_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("elb.json");
        fs::write(&path, "something longer").unwrap();
        let before = fs::metadata(&path).unwrap();
        replace_by(&path, |out| out.write_all(b"short"), busy).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino());
        assert_eq!(names(folder.path()), ["elb.json"], "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_written_in_place_stands_whole_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("elb.json");
        fs::create_dir(&path).unwrap(); // Cannot be opened for writing.
        let told = replace_by(&path, |out| out.write_all(b"text"), busy).unwrap_err().to_string();
        let copy = whole(&path).unwrap();
        assert!(told.contains(&copy.display().to_string()), "{told}");
        assert_eq!(fs::read(copy).unwrap(), b"text");
    }

    #[test]
    fn whoever_mounted_too_little_is_told_what_to_mount() {
        let error = hint(Path::new("/etc/elb/elb.json"), io::ErrorKind::ReadOnlyFilesystem.into());
        assert!(error.to_string().contains("in /etc/elb first; mount that folder writable"), "{error}");
    }

    #[test]
    fn a_file_is_kept_before_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, previous) = (folder.path().join("state"), folder.path().join("state.previous"));
        for text in ["one", "two", "three"] {
            put(&path, text.as_bytes()).unwrap();
            keep(&path, &previous).unwrap();
            keep(&path, &previous).unwrap();
            assert_eq!(fs::read(&previous).unwrap(), text.as_bytes());
        }
        put(&path, b"four").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), fs::read(&previous).unwrap()),
            (b"four".to_vec(), b"three".to_vec())
        );
        assert_eq!(names(folder.path()), ["state", "state.previous"]);
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        put(&taken, b"text").unwrap_err();
        put(&folder.path().join("no/such/folder"), b"text").unwrap_err();
        assert_eq!(names(folder.path()), ["taken"]);
    }
}
