//! The demo itself: two sample servers, a store in a temporary folder, and a balancer like any other.
//!
//! It owns finding a port and leaving nothing behind. Next: [`guide`] has the rules and the texts, [`servers`] the
//! servers, and [`crate::command::serve`] starts the balancer from ordinary settings.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use super::super::inherit::Inheritance;
use super::super::run::{raise_open_files, tell};
use super::super::say::complain;
use super::super::{log, serve};
use super::{guide, servers};
use crate::settings::{DemoArgs, Settings};

/// Where the demo listens when nothing is said and nobody else does.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Names that are tried for a temporary folder; one can be left from a process that was killed.
const FOLDERS: u32 = 16;

/// Shows a newcomer around until Ctrl-C.
#[must_use]
pub fn demo(args: &DemoArgs) -> ExitCode {
    match show(args) {
        Ok(code) => code,
        Err(message) => {
            complain(message);
            ExitCode::FAILURE
        }
    }
}

fn show(args: &DemoArgs) -> Result<ExitCode, String> {
    let proxy = place(args.listen)?;
    let servers = servers::start().map_err(|error| format!("cannot start the sample servers: {error}"))?;
    let folder = Folder::new().map_err(|error| format!("cannot make a temporary folder: {error}"))?;
    let file = folder.0.join("demo.json");
    std::fs::write(&file, guide::document(proxy, servers).to_string())
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;

    end_with_terminal(folder.0.clone()).map_err(|error| format!("cannot wait for signals: {error}"))?;

    let settings = settings(proxy, &format!("file:{}", file.display()))?;
    let log = log::start(&settings).map_err(|error| format!("cannot start the log: {error}"))?;
    raise_open_files();
    let code = serve::start(settings, log.lost(), Inheritance::default()).map(|serving| {
        if !serving.addresses().is_empty() {
            // Without a terminal there is nobody to guide.
            let _ = io::stdout().write_all(guide::text(proxy, servers).as_bytes());
        }
        serving.wait()
    });
    log.finish();
    code.map_err(|error| tell(&error))
}

fn settings(proxy: SocketAddr, store: &str) -> Result<Settings, String> {
    let listen = proxy.to_string();
    // Whoever can reach a demo on an address of this machine sits at this machine.
    let allow = format!("127.0.0.0/8,::1,{}", proxy.ip());
    let flags = ["--listen", &listen, "--store", store, "--admin-allow", &allow];
    let rest = ["--workers", "2", "--no-pin", "--drain-timeout", "1s", "--log-level", "warn"];
    Settings::from_flags(&[&flags[..], &rest[..]].concat()).map_err(|fault| fault.to_string())
}

/// A balancer takes SIGHUP for an order to read its store again. A demo whose terminal was closed has nobody left to show
/// anything to, so it ends.
fn end_with_terminal(folder: PathBuf) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut closed = {
        let _inside = runtime.enter();
        signal(SignalKind::hangup())?
    };
    let wait = move || {
        runtime.block_on(closed.recv());
        drop(Folder(folder));
        std::process::exit(0)
    };
    thread::Builder::new().name("terminal".to_owned()).spawn(wait).map(drop)
}

/// The address that was asked for, else the usual one, else a free port. It is tried without `SO_REUSEPORT`, which would
/// let the demo share a port with a balancer that runs already.
fn place(wanted: Option<SocketAddr>) -> Result<SocketAddr, String> {
    let free = |address: SocketAddr| {
        let bound = TcpListener::bind(address).and_then(|listener| listener.local_addr());
        bound.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
    };
    if let Some(wanted) = wanted {
        return free(wanted).map_err(|error| tell(&error));
    }
    free(USUAL).or_else(|error| {
        let chosen = free(SocketAddr::new(USUAL.ip(), 0)).map_err(|error| tell(&error))?;
        let _ = writeln!(io::stdout().lock(), "{error}; using {chosen} instead.\n");
        Ok(chosen)
    })
}

/// A folder of our own that goes when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        // Making one fails when it is there already, so nobody can have prepared it for us.
        let mut made = Err(io::ErrorKind::AlreadyExists.into());
        for attempt in 0..FOLDERS {
            let path = std::env::temp_dir().join(format!("elb-demo-{}-{attempt}", std::process::id()));
            made = std::fs::create_dir(&path).map(|()| Folder(path));
            if made.is_ok() {
                break;
            }
        }
        made
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_goes_with_its_owner() {
        let folder = Folder::new().unwrap();
        let path = folder.0.clone();
        std::fs::write(path.join("demo.json"), "{}").unwrap();
        assert_ne!(Folder::new().unwrap().0, path);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_port_that_is_taken_is_told_apart_from_one_that_is_free() {
        let owner = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = owner.local_addr().unwrap();
        assert!(place(Some(taken)).unwrap_err().contains(&taken.to_string()));
        drop(owner);
        assert_eq!(place(Some(taken)).unwrap(), taken);
        let any = place(Some("127.0.0.1:0".parse().unwrap())).unwrap();
        assert_ne!(any.port(), 0);
        assert!(place(None).unwrap().ip().is_loopback());
    }

    #[test]
    fn the_settings_of_the_demo_are_valid() {
        let settings = settings("[::1]:9000".parse().unwrap(), "file:/tmp/a b.json").unwrap();
        assert_eq!((settings.workers, settings.listen[0].address.port()), (2, 9000));
    }
}
