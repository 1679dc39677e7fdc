//! A worker that has warmed up makes four data calls for a request, and no other call but waiting, which many share. It
//! reads from many before it writes to them, as long as what it has read is little.
//!
//! A real worker serves real sockets here, and strace tells the system calls of its thread alone. Where strace is not
//! there, or may not trace, the test says so and shows nothing. Next: `steady/stage.rs` for both ends, `tools/syscalls`
//! for the same with other loads and other proxies.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends at the first surprise"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[path = "steady/messages.rs"]
mod messages;
#[path = "steady/stage.rs"]
mod stage;

use messages::{END, answer, post, small_get};
use stage::{Case, Stage};

/// Connections, as in the scenarios of `tools/bench`.
const CONNECTIONS: usize = 64;
/// Times that each of them asks, before the calls are counted and while they are.
const WARMUP: usize = 20;
const ROUNDS: usize = 100;
/// Receive and send on both sides are the least that a proxy can do. A message that the kernel cuts in two needs more, and
/// on loopback that is one of hundreds.
const DATA_CALLS: f64 = 4.05;
/// Waiting is shared by all that is ready at once, and how many that are is the scheduler's choice.
const WAITS: f64 = 1.0;
/// What is done once a second, for each request.
const OTHERS: f64 = 0.005;
/// Calls that move a request.
const DATA: [&str; 6] = ["recvfrom", "sendto", "sendmsg", "read", "write", "writev"];
/// Calls that belong to connections, and none of them to a request.
const NONE: [&str; 8] =
    ["epoll_ctl", "fcntl", "ioctl", "setsockopt", "getsockopt", "getsockname", "accept4", "clock_gettime"];
/// As `data::rounds` has them: connections of a group, and bytes after which it is read no further.
const GROUP: usize = 32;
const AT_HAND: usize = 16 << 10;
/// How long strace may take to attach.
const PATIENCE: Duration = Duration::from_secs(45);

#[test]
fn a_request_costs_four_data_calls_and_a_share_of_a_wait() {
    let get = Case { connections: CONNECTIONS, ..small_get() };
    let cases = [
        Case { name: "16 KiB response", response: answer(16 << 10), ..get.clone() },
        Case { name: "POST of 16 KiB", request: post(16 << 10), request_end: END, ..get.clone() },
        get,
    ];
    for case in cases {
        let mut stage = Stage::new(&case);
        stage.warm_up(&case, WARMUP);
        let calls = watch(|| (0..ROUNDS).for_each(|_| stage.ask(&case)));
        stage.end();
        match calls {
            Ok(calls) => {
                judge_number(&case, &calls);
                judge_order(&case, &calls);
            }
            // Past the harness, which keeps to itself what a test prints that passes.
            Err(why) => {
                let told = format!("\nSKIPPED: the system calls of a request are not counted: {why}\n");
                return std::io::stderr().write_all(told.as_bytes()).unwrap_or_default();
            }
        }
    }
}

/// A call, and what it returned when that is a number.
struct Call {
    name: String,
    returned: usize,
}

impl Call {
    /// As strace writes it: `name(arguments) = result`.
    fn read(line: &str) -> Option<Call> {
        let (name, _) = line.split_once('(')?;
        let (_, result) = line.rsplit_once(" = ")?;
        Some(Call { name: name.to_owned(), returned: result.parse().unwrap_or(0) })
    }

    fn reads(&self) -> bool {
        self.name == "recvfrom"
    }
}

/// All members of a group are read before one is written to, and a group ends when it has read what the first cache holds.
fn judge_order(case: &Case, calls: &[Call]) {
    let groups: Vec<&[Call]> = calls.split(|call| !call.reads()).filter(|reads| !reads.is_empty()).collect();
    let longest = groups.iter().map(|reads| reads.len()).max().unwrap_or(0);
    assert!(longest <= GROUP, "{}: {longest} reads in a row", case.name);
    for reads in &groups {
        let before_the_last: usize = reads.iter().rev().skip(1).map(|call| call.returned).sum();
        assert!(before_the_last < AT_HAND, "{}: {before_the_last} bytes, and another read", case.name);
    }
    // All connections ask at once, so a worker that took them one by one would show.
    let small = case.request.len() + case.response.len() < 1024;
    assert!(!small || longest > 1, "{}: reads are alone", case.name);
}

fn judge_number(case: &Case, calls: &[Call]) {
    let mut counts = BTreeMap::<&str, u64>::new();
    for call in calls {
        *counts.entry(&call.name).or_default() += 1;
    }
    let requests = (ROUNDS * case.connections) as f64;
    let of = |named: &dyn Fn(&str) -> bool| {
        counts.iter().filter(|(name, _)| named(name)).map(|(_, count)| *count).sum::<u64>() as f64 / requests
    };
    let (is_data, is_wait) =
        (|name: &str| DATA.contains(&name), |name: &str| name.starts_with("epoll_") && name != "epoll_ctl");
    let (data, waits) = (of(&is_data), of(&is_wait));
    let others = of(&|name| !is_data(name) && !is_wait(name));
    println!("{}: {data:.3} data calls for a request, {waits:.3} waits, {others:.4} others", case.name);
    assert!((3.9..=DATA_CALLS).contains(&data), "{}: {data} data calls for a request: {counts:?}", case.name);
    assert!(waits < WAITS, "{}: {waits} waits for a request: {counts:?}", case.name);
    assert!(
        of(&|name| NONE.contains(&name)) == 0.0 && others < OTHERS,
        "{}: calls that no request needs: {counts:?}",
        case.name
    );
}

/// The calls of the worker's thread while `work` is done; or why nobody can tell.
fn watch(work: impl FnOnce()) -> Result<Vec<Call>, String> {
    let thread = worker_thread();
    let folder = tempfile::tempdir().expect("a folder for the test");
    let output = folder.path().join("calls");
    let mut strace = Command::new("strace");
    strace
        .args(["-q", "-s", "0", "-p", &thread, "-o"])
        .arg(&output)
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut strace = match strace.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err("there is no strace".to_owned()),
        strace => strace.expect("a process"),
    };
    attached(&mut strace, &thread)?;
    work();
    // Asked to end, it lets the thread go and writes what is left.
    let asked = Command::new("kill").args(["-INT", &strace.id().to_string()]).status();
    assert!(asked.is_ok_and(|status| status.success()), "strace was not asked to end");
    strace.wait().expect("a child");
    let told = fs::read_to_string(output).expect("what strace wrote");
    Ok(told.lines().filter_map(Call::read).collect())
}

/// Waits until the thread is traced; an error when it will not be.
fn attached(strace: &mut Child, thread: &str) -> Result<(), String> {
    let begun = Instant::now();
    let status = Path::new("/proc/self/task").join(thread).join("status");
    while begun.elapsed() < PATIENCE {
        if strace.try_wait().expect("a child").is_some() {
            let mut told = String::new();
            let _ = strace.stderr.take().expect("its standard error").read_to_string(&mut told);
            return Err(told.trim().to_owned());
        }
        let status = fs::read_to_string(&status).expect("the status of a thread");
        if status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("strace neither traces nor ends");
}

/// The number of the worker's thread.
fn worker_thread() -> String {
    let is_worker =
        |path: &Path| fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with("elb-worker"));
    let mut tasks = fs::read_dir("/proc/self/task").expect("threads").map(|task| task.expect("a thread"));
    let worker = tasks.find(|task| is_worker(&task.path())).expect("a worker");
    worker.file_name().to_string_lossy().into_owned()
}
