//! Where lines go: standard output, a file, or a socket of this machine.
//!
//! It owns the stream, how it is opened again, and the count of lines that it did not take. A stream that breaks costs lines, and
//! is opened again after a while; it never ends anything. Next: [`writer`](super::writer) hands lines over.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::settings::AccessLogTo;

/// A stream that is set to not block (whoever shares it may do that) is tried again after so long.
const AGAIN: Duration = Duration::from_millis(20);
/// A stream that broke is opened again after so long.
const REOPEN: Duration = Duration::from_secs(1);

/// The place, and the stream to it.
#[derive(Debug)]
pub struct Sink {
    to: AccessLogTo,
    out: Option<Out>,
    /// The last line ends somewhere in the middle.
    torn: bool,
    /// Not opened again before then.
    next: Instant,
}

#[derive(Debug)]
enum Out {
    /// Standard output.
    Pipe(File),
    File(File),
    Stream(UnixStream),
    Datagrams(UnixDatagram),
}

impl Sink {
    /// Opens it.
    ///
    /// # Errors
    /// What the kernel says of a file that cannot be opened; a socket may come later.
    pub fn open(to: AccessLogTo) -> io::Result<Self> {
        let out = match open(&to) {
            Err(_) if matches!(to, AccessLogTo::Unix(_)) => None,
            out => Some(out?),
        };
        Ok(Self { to, out, torn: false, next: Instant::now() + REOPEN })
    }

    /// Goes on with what has its name now: the former file was moved. If there is none, the former goes on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.out = Some(open(&self.to)?);
        self.torn = false;
        Ok(())
    }

    /// Writes whole lines; gives how many of them were not.
    pub fn write(&mut self, lines: &[u8]) -> u64 {
        if self.out.is_none() && Instant::now() >= self.next {
            self.next = Instant::now() + REOPEN;
            self.out = open(&self.to).ok();
            self.torn = false;
        }
        let Some(out) = &mut self.out else { return count(lines) };
        let Err(left) = out.put(lines, &mut self.torn) else { return 0 };
        // A full disk may have room again, and a file stays what it is; who closed a socket may be back.
        if !matches!(out, Out::Pipe(_) | Out::File(_)) {
            self.out = None;
            self.next = Instant::now() + REOPEN;
        }
        left
    }
}

fn open(to: &AccessLogTo) -> io::Result<Out> {
    match to {
        AccessLogTo::Stdout => Ok(Out::Pipe(io::stdout().as_fd().try_clone_to_owned()?.into())),
        AccessLogTo::Path(path) => open_file(path).map(Out::File),
        AccessLogTo::Unix(path) => match UnixStream::connect(path) {
            Ok(stream) => Ok(Out::Stream(stream)),
            // The one who listens takes datagrams, as syslog does.
            Err(_) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Out::Datagrams(socket))
            }
        },
    }
}

/// To the end of the file. A FIFO that nobody reads yet is opened all the same: opened for reading too, it does not wait.
fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).read(true).create(true).open(path)
}

impl Out {
    /// Writes whole lines. The error is how many were not.
    fn put(&mut self, lines: &[u8], torn: &mut bool) -> Result<(), u64> {
        match self {
            Self::Pipe(file) => put(file, lines, torn),
            Self::File(file) => {
                let before = file.metadata().map_or(0, |data| data.len());
                let written = put(file, lines, torn);
                if written.is_err() && *torn {
                    *torn = !cut_torn(file, before, lines);
                }
                written
            }
            Self::Stream(stream) => put(stream, lines, torn),
            Self::Datagrams(socket) => {
                let lost = lines
                    .split_inclusive(|byte| *byte == b'\n')
                    .filter(|line| socket.send(line.strip_suffix(b"\n").unwrap_or(line)).is_err())
                    .count() as u64;
                if lost == 0 { Ok(()) } else { Err(lost) }
            }
        }
    }
}

/// Takes the beginning of a line that did not find room back out of a file that held `before` bytes, so that all its lines are
/// whole. Only if nobody else has written to it meanwhile; says whether it was done.
fn cut_torn(file: &File, before: u64, lines: &[u8]) -> bool {
    let now = file.metadata().map_or(0, |data| data.len());
    let Some(written) = now.checked_sub(before).and_then(|written| usize::try_from(written).ok()) else {
        return false;
    };
    let Some(own) = lines.get(..written) else { return false };
    let whole = own.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    file.set_len(before + whole as u64).is_ok()
}

/// Writes all of it, and waits where a stream wants to be waited for. The error is how many lines were not written whole.
fn put(out: &mut impl Write, lines: &[u8], torn: &mut bool) -> Result<(), u64> {
    let mut rest = lines;
    if *torn {
        if out.write(b"\n").unwrap_or(0) == 0 {
            return Err(count(lines));
        }
        *torn = false;
    }
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(written) if written > 0 => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(AGAIN),
            _ => {
                let written = lines.get(..lines.len() - rest.len()).unwrap_or_default();
                *torn = written.last().is_some_and(|last| *last != b'\n');
                return Err(count(rest));
            }
        }
    }
    Ok(())
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::Read;

    use super::*;

    /// A stream that takes so many bytes of each write, or fails it.
    struct Script {
        steps: VecDeque<Result<usize, ErrorKind>>,
        written: Vec<u8>,
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.steps.pop_front().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            self.written.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_were_not_written_are_counted_and_the_next_one_is_whole() {
        let full = Err(ErrorKind::StorageFull);
        let steps = VecDeque::from([
            Ok(3),
            Err(ErrorKind::Interrupted),
            Ok(2),
            full,
            full,
            Ok(1),
            Err(ErrorKind::WouldBlock),
        ]);
        let (mut out, mut torn) = (Script { steps, written: Vec::new() }, false);
        assert_eq!(put(&mut out, b"a1\nb1\nc1\n", &mut torn), Err(2), "all but the first");
        assert!(torn);
        assert_eq!(put(&mut out, b"d1\n", &mut torn), Err(1), "it is still full");
        assert_eq!(put(&mut out, b"e1\n", &mut torn), Ok(()));
        assert_eq!(String::from_utf8(out.written).unwrap(), "a1\nb1\ne1\n");
    }

    #[test]
    fn what_found_no_room_leaves_a_file_of_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = open_file(&path).unwrap();
        file.write_all(b"old\n").unwrap();
        file.write_all(b"new\nto").unwrap();
        assert!(cut_torn(&file, 4, b"new\ntorn\n"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old\nnew\n");
        file.write_all(b"of somebody else, and more than ours\n").unwrap();
        assert!(!cut_torn(&file, 8, b"new\n"));
    }

    #[test]
    fn a_file_that_was_moved_is_left_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let mut sink = Sink::open(AccessLogTo::Path(path.clone())).unwrap();
        assert_eq!(sink.write(b"one\n"), 0);
        std::fs::rename(&path, &old).unwrap();
        assert_eq!(sink.write(b"two\n"), 0);
        sink.reopen().unwrap();
        assert_eq!(sink.write(b"three\n"), 0);
        assert_eq!(std::fs::read(&old).unwrap(), b"one\ntwo\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"three\n");
        assert!(Sink::open(AccessLogTo::Path(folder.path().join("none/log"))).is_err());
    }

    #[test]
    fn a_socket_gets_lines_as_it_takes_them_and_may_come_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let mut sink = Sink::open(AccessLogTo::Unix(path.clone())).unwrap();
        assert_eq!(sink.write(b"nobody\nthere\n"), 2);
        let reader = UnixDatagram::bind(&path).unwrap();
        sink.next = Instant::now();
        assert_eq!(sink.write(b"one\ntwo\n"), 0);
        let mut buffer = [0; 9];
        let mut next = || reader.recv(&mut buffer).map(|length| buffer[..length].to_vec()).unwrap();
        assert_eq!([next(), next()], [b"one".to_vec(), b"two".to_vec()]);
        drop(reader);
        assert_eq!(sink.write(b"three\n"), 1);
        std::fs::remove_file(&path).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        sink.reopen().unwrap();
        assert_eq!(sink.write(b"four\n"), 0);
        drop(sink);
        let mut all = String::new();
        listener.accept().unwrap().0.read_to_string(&mut all).unwrap();
        assert_eq!(all, "four\n");
    }
}
