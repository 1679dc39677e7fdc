//! The command itself, as a child process that a test starts, asks, signals and outlives.
//!
//! It owns the process: it waits until ELB says where it listens, keeps what it writes, reads its memory and time from
//! the kernel, and ends it when the test does. It never sets a port. Next: `client` talks to it, `admin` changes it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::admin::Admin;
use super::client::Client;
use super::etcd::Etcd;
use super::server::Server;
use super::{rules, wait};

const ELB: &str = env!("CARGO_BIN_EXE_elb");
/// Names another build of the command, such as the one that is released, to be tested instead.
const OTHER: &str = "ELB_TEST_BINARY";
/// What ELB writes for each listener once it serves there.
const LISTENING: &str = "listening on ";
/// The same for a listener that serves the admin API and nothing else.
const ADMINISTERED: &str = "admin API listens on ";
const WITHDRAWN: &str = "the admin API is at ";

/// How ELB will be started.
pub(crate) struct Launch {
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    workers: Option<usize>,
    listeners: usize,
    /// How many descriptors it may open; as many as this process when nothing is said.
    descriptors: Option<usize>,
    /// Where its standard output and its standard error go, if not here.
    streams: [Option<Stdio>; 2],
    folder: TempDir,
    /// Where it is started, if not in the folder of the test.
    place: Option<PathBuf>,
    /// What is started instead of the command of this build.
    program: Option<PathBuf>,
    /// Its standard input, if it has one.
    input: Option<Stdio>,
}

/// A running ELB.
pub(crate) struct Elb {
    child: Child,
    addresses: Vec<SocketAddr>,
    /// What it has written to standard output and standard error so far.
    output: [Arc<Mutex<String>>; 2],
    folder: TempDir,
}

/// What the kernel says about the memory of the process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// In use now, without file pages.
    pub(crate) now: u64,
    /// The most that was ever in use, with file pages.
    pub(crate) peak: u64,
}

impl Launch {
    /// The command `elb` with these flags and nothing else.
    pub(crate) fn bare(flags: &[&str]) -> Launch {
        let flags = flags.iter().map(ToString::to_string).collect();
        let folder = tempfile::tempdir().expect("a folder for the test");
        let streams = [None, None];
        Launch {
            flags,
            variables: Vec::new(),
            workers: None,
            listeners: 1,
            descriptors: None,
            streams,
            folder,
            place: None,
            program: None,
            input: None,
        }
    }

    /// Two workers on loopback, which serve a file with this document.
    pub(crate) fn serving(document: &Value) -> Launch {
        let launch = Launch::bare(&["--listen=127.0.0.1:0", "--no-pin"]).workers(2);
        let file = launch.folder.path().join("elb.json");
        std::fs::write(&file, document.to_string()).expect("a file in the test's folder");
        launch.flag(&format!("--store=file:{}", file.display()))
    }

    /// Two workers on loopback, which serve what this etcd holds, and reach it in its mode.
    pub(crate) fn storing(etcd: &Etcd) -> Launch {
        etcd.flags().iter().fold(Launch::storing_at(&etcd.endpoint()), |launch, flag| launch.flag(flag))
    }

    /// With these endpoints of etcd in the place of its own.
    pub(crate) fn at(mut self, endpoints: &str) -> Launch {
        self.flags.retain(|flag| !flag.starts_with("--etcd="));
        self.flag(&format!("--etcd={endpoints}"))
    }

    /// The same for any endpoints of etcd, with no further word.
    pub(crate) fn storing_at(endpoints: &str) -> Launch {
        Launch::bare(&["--listen=127.0.0.1:0", "--no-pin", &format!("--etcd={endpoints}")]).workers(2)
    }

    /// Another number of workers; with one, the order of everything is the order of the requests.
    pub(crate) fn workers(mut self, count: usize) -> Launch {
        self.workers = Some(count);
        self
    }

    /// Its workers are pinned to these cores, one to each.
    pub(crate) fn pinned(mut self, cores: &[usize]) -> Launch {
        self.flags.retain(|flag| flag != "--no-pin");
        let list: Vec<String> = cores.iter().map(ToString::to_string).collect();
        self.workers(cores.len()).flag(&format!("--cpus={}", list.join(",")))
    }

    /// It may have only so many descriptors open at once.
    pub(crate) fn descriptors(mut self, count: usize) -> Launch {
        self.descriptors = Some(count);
        self
    }

    /// Its standard output goes there, and what it prints cannot be asked for here.
    pub(crate) fn prints_to(mut self, stream: impl Into<Stdio>) -> Launch {
        self.streams[0] = Some(stream.into());
        self
    }

    /// Its log goes there, and cannot be asked for here.
    pub(crate) fn logs_to(mut self, stream: impl Into<Stdio>) -> Launch {
        self.streams[1] = Some(stream.into());
        self
    }

    /// It is started in this folder, from which relative paths in its flags go out.
    pub(crate) fn within(mut self, place: &Path) -> Launch {
        self.place = Some(place.to_owned());
        self
    }

    /// It is called by this path.
    pub(crate) fn called(mut self, program: &Path) -> Launch {
        self.program = Some(program.to_owned());
        self
    }

    /// This script is started in its place, with such a standard input and the command in `ELB_UNDER_TEST`.
    pub(crate) fn through(self, script: &Path, input: impl Into<Stdio>) -> Launch {
        let own = program().display().to_string();
        Launch { input: Some(input.into()), ..self.called(script) }.variable("ELB_UNDER_TEST", &own)
    }

    pub(crate) fn flag(mut self, flag: &str) -> Launch {
        self.flags.push(flag.to_owned());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Launch {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another listener, by its flag: the start waits for it as well.
    pub(crate) fn listener(mut self, flag: &str) -> Launch {
        self.listeners += 1;
        self.flag(flag)
    }

    /// Starts the command and waits until it serves on every listener.
    #[track_caller]
    pub(crate) fn start(self) -> Elb {
        let listeners = self.listeners;
        let mut elb = self.spawn();
        elb.addresses = wait::until("ELB to listen", || {
            if let Some(status) = elb.child.try_wait().expect("a child") {
                panic!("ELB ended with {status} instead of listening:\n{}", elb.log());
            }
            let addresses = addresses(&elb.log(), LISTENING);
            (addresses.len() >= listeners).then_some(addresses)
        });
        elb
    }

    /// Starts an ELB whose log cannot be read, and asks the kernel where it listens. It must say so on one address.
    #[track_caller]
    pub(crate) fn start_unheard(self) -> Elb {
        let mut elb = self.spawn();
        elb.addresses = wait::until("ELB to listen", || {
            if let Some(status) = elb.child.try_wait().expect("a child") {
                panic!("ELB ended with {status} instead of listening");
            }
            let addresses = elb.listeners();
            (!addresses.is_empty()).then_some(addresses)
        });
        elb
    }

    /// Starts the command and waits for nothing.
    pub(crate) fn spawn(self) -> Elb {
        let elb = self.program.unwrap_or_else(program);
        let mut command = match self.descriptors {
            None => Command::new(elb),
            // A limit is inherited, and set for good: hard and soft.
            Some(count) => {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("ulimit -n {count} && exec \"$0\" \"$@\"")]).arg(&elb);
                command
            }
        };
        command.args(self.workers.map(|count| format!("--workers={count}")));
        command.args(&self.flags).env_clear().env("NO_COLOR", "1");
        command.current_dir(self.place.as_deref().unwrap_or(self.folder.path()));
        command.envs(std::env::vars().filter(|(name, _)| name == "PATH" || name == "LLVM_PROFILE_FILE"));
        let [printed, log] = self.streams.map(|stream| stream.unwrap_or_else(Stdio::piped));
        command
            .envs(self.variables)
            .stdin(self.input.unwrap_or_else(Stdio::null))
            .stdout(printed)
            .stderr(log);
        let mut child = command.spawn().expect("the command elb");
        let output = [child.stdout.take().map(collect), child.stderr.take().map(collect)];
        let output = output.map(Option::unwrap_or_default);
        Elb { child, addresses: Vec::new(), output, folder: self.folder }
    }
}

impl Elb {
    /// An ELB that sends [`rules::SITE`] to these servers.
    #[track_caller]
    pub(crate) fn before(servers: &[&Server]) -> Elb {
        Launch::serving(&rules::site(servers)).start()
    }

    /// An ELB that serves nothing yet.
    #[track_caller]
    pub(crate) fn empty() -> Elb {
        Launch::serving(&json!({"domains": {}, "upstreams": {}})).start()
    }

    /// Where it listens; the first listener, when it has several.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where it has said by now that it listens.
    pub(crate) fn addresses_now(&self) -> Vec<SocketAddr> {
        addresses(&self.log(), LISTENING)
    }

    /// The number of the process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// All listeners, in the order in which it named them.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// The admin API: on a listener of its own if there is one, else where the data is.
    pub(crate) fn admin(&self) -> Admin {
        let own = addresses(&self.log(), ADMINISTERED).first().copied();
        Admin::at(own.unwrap_or_else(|| self.address()))
    }

    /// The same of one that drains and had no listener of its own, or whose listener is another's now.
    #[track_caller]
    pub(crate) fn withdrawn(&self) -> Admin {
        let address = || addresses(&self.log(), WITHDRAWN).last().copied();
        Admin::at(wait::until("the address of the draining ELB", address))
    }

    /// A folder that lives as long as this ELB.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it wrote to standard output so far.
    pub(crate) fn printed(&self) -> String {
        self.output[0].lock().expect("the output").clone()
    }

    /// What it wrote to standard error so far: its log.
    pub(crate) fn log(&self) -> String {
        self.output[1].lock().expect("the log").clone()
    }

    /// All that an ended process said, on standard output and standard error; `None` until the pipes are empty.
    pub(crate) fn said_all(&self) -> Option<(String, String)> {
        let ended = self.output.iter().all(|output| Arc::strong_count(output) == 1);
        ended.then(|| (self.printed(), self.log()))
    }

    /// Sends a signal by its name, `TERM` or `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.is_ok_and(|status| status.success()), "signal {name} was not sent");
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub(crate) fn exit(&mut self) -> ExitStatus {
        wait::until("ELB to end", || self.child.try_wait().expect("a child"))
    }

    /// Whether the process is still there.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(self.proc("status")).expect("its status");
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().expect(name) << 10
        };
        Memory { now: kilobytes("RssAnon"), peak: kilobytes("VmHWM") }
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).expect("its descriptors").count()
    }

    /// Processor time used so far, by all threads.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(self.proc("stat")).expect("its stat");
        let after_name = stat.rsplit(") ").next().expect("fields after the name");
        let ticks = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks"));
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// The same to the nanosecond, where the kernel counts so.
    pub(crate) fn cpu_exact(&self) -> Duration {
        let threads = std::fs::read_dir(self.proc("task")).expect("its threads");
        let spent = threads.filter_map(|thread| {
            let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(spent.sum())
    }

    /// Where it listens by the word of the kernel, IPv4 only.
    fn listeners(&self) -> Vec<SocketAddr> {
        let own = std::fs::read_dir(self.proc("fd")).expect("its descriptors");
        let own: Vec<String> = own
            .filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.display().to_string()))
            .collect();
        let table = std::fs::read_to_string(self.proc("net/tcp")).expect("the sockets");
        let mut listeners = Vec::new();
        for line in table.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // The fields: number, local and remote address, state (0A listens), ..., and at the tenth place the inode.
            let [_, local, _, "0A", _, _, _, _, _, inode, ..] = fields[..] else { continue };
            if !own.contains(&format!("socket:[{inode}]")) {
                continue;
            }
            let (ip, port) = local.split_once(':').expect("an address");
            let ip = u32::from_str_radix(ip, 16).expect("an address").to_le_bytes();
            let address = SocketAddr::from((ip, u16::from_str_radix(port, 16).expect("a port")));
            if !listeners.contains(&address) {
                listeners.push(address);
            }
        }
        listeners
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(file)
    }
}

impl Drop for Elb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the log of ELB:\n{}---", self.log());
        } else {
            // A debug build sweeps over all that is lent once a second, and says so when something is amiss.
            assert!(!self.log().contains("panicked at"), "ELB panicked:\n{}", self.log());
        }
    }
}

/// The command of this build, or the one that is to be tested instead.
pub(crate) fn program() -> PathBuf {
    std::env::var(OTHER).unwrap_or_else(|_| ELB.to_owned()).into()
}

/// The distinct addresses that follow `words` in a log, in order.
fn addresses(log: &str, words: &str) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for line in log.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let after = line.split_once(words).map_or("", |(_, after)| after);
        // A line may be JSON, where a quote ends the text.
        let word = after.split([' ', '"', '\n']).next();
        let address = word.and_then(|word| word.parse().ok());
        addresses.extend(address.filter(|address| !addresses.contains(address)));
    }
    addresses
}

/// Gathers what a pipe says, from a thread of its own, until it ends.
fn collect(pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let own = Arc::clone(&text);
    thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            own.lock().expect("the log").push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    text
}
