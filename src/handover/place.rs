//! The path where two processes meet, and who may be met there.
//!
//! It owns the socket's file: its mode, its replacement, its end. Nothing but a socket is ever replaced or deleted, and a socket only where
//! nobody answers, or by who has taken the place over. Next: [`take`](mod@super::take) knocks, `control::succession` answers.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Only this user may connect; the peer's user is asked besides, for a folder may be mounted without modes.
const MODE: u32 = 0o600;

/// Number of no file: those begin with 1.
const NO_FILE: (u64, u64) = (0, 0);

/// Where processes meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
}

/// A place that this process has.
#[derive(Debug)]
pub struct Claim {
    listener: Option<UnixListener>,
    path: PathBuf,
    /// Device and number of the file, by which a successor's is told from it.
    file: (u64, u64),
}

impl Place {
    /// That of this path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Connects to the process that has the place; nothing if nobody has it.
    ///
    /// # Errors
    /// Something else than a socket is there, it is another user's, or it cannot be reached.
    pub(super) fn knock(&self) -> io::Result<Option<UnixStream>> {
        let there = match fs::symlink_metadata(&self.path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.named(&error)),
        };
        self.check(&there)?;
        match UnixStream::connect(&self.path) {
            Ok(stream) => Ok(Some(stream)),
            // A process that was killed leaves its file.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.named(&error)),
        }
    }

    /// What is there may be met and replaced: a socket of this user's, or of root's.
    fn check(&self, there: &fs::Metadata) -> io::Result<()> {
        let path = self.path.display();
        if !there.file_type().is_socket() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{path} is there and is no socket: --handover needs a path of its own"),
            ));
        }
        let own = rustix::process::geteuid().as_raw();
        if there.uid() != own && there.uid() != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "the socket {path} belongs to user {}, and this process is user {own}'s",
                    there.uid()
                ),
            ));
        }
        Ok(())
    }

    /// Takes the place. What was there before is replaced at once, so nobody finds it empty.
    ///
    /// # Errors
    /// Something else than a socket is there; the folder is missing, or cannot be written.
    pub fn claim(&self) -> io::Result<Claim> {
        if let Ok(there) = fs::symlink_metadata(&self.path) {
            self.check(&there)?;
        }
        let mut beside = self.path.clone().into_os_string();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        // Left by a process that was killed just there and had the same number.
        let _ = fs::remove_file(&beside);
        let claimed = UnixListener::bind(&beside).and_then(|listener| {
            fs::set_permissions(&beside, fs::Permissions::from_mode(MODE))?;
            let file = fs::symlink_metadata(&beside)?;
            fs::rename(&beside, &self.path)?;
            Ok(Claim { listener: Some(listener), path: self.path.clone(), file: (file.dev(), file.ino()) })
        });
        claimed.map_err(|error| {
            let _ = fs::remove_file(&beside);
            self.named(&error)
        })
    }

    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("--handover {}: {error}", self.path.display()))
    }
}

impl Claim {
    /// The socket on which the next process is met, once.
    pub fn listener(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }

    /// The file is left to the process that has the place now.
    pub fn leave(mut self) {
        self.file = NO_FILE;
    }
}

impl Drop for Claim {
    /// The file goes with its process, unless it is another's by now.
    fn drop(&mut self) {
        let is_own =
            fs::symlink_metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == self.file);
        if is_own {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::at(&folder.path().join("next"));
        (folder, place)
    }

    #[test]
    fn a_place_is_for_one_user_and_goes_with_its_process() {
        let (folder, place) = place();
        assert!(place.knock().unwrap().is_none(), "nobody");
        let claim = place.claim().unwrap();
        let mode = fs::metadata(&place.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(place.knock().unwrap().is_some());
        let next = place.claim().unwrap();
        drop(claim);
        assert!(place.knock().unwrap().is_some(), "the file of the next one stays");
        drop(next);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "and nothing is left behind");
    }

    #[test]
    fn a_socket_that_nobody_answers_is_replaced_and_anything_else_is_not() {
        let (_folder, place) = place();
        drop(UnixListener::bind(&place.path).unwrap());
        assert!(place.knock().unwrap().is_none(), "a stale one");
        drop(place.claim().unwrap());
        fs::write(&place.path, "a file of somebody's").unwrap();
        for error in [place.knock().unwrap_err(), place.claim().unwrap_err()] {
            assert!(error.to_string().contains("is no socket"), "{error}");
        }
        assert_eq!(fs::read_to_string(&place.path).unwrap(), "a file of somebody's");
    }

    #[test]
    fn a_folder_that_is_missing_is_told() {
        let (folder, _) = place();
        let error = Place::at(&folder.path().join("no/next")).claim().unwrap_err();
        assert!(error.to_string().contains("--handover"), "{error}");
    }
}
