//! From a put into etcd until every worker of two ELBs serves it.
//!
//! It owns the two processes, and a connection to each worker of each over which it is asked again and again what is served. A change is
//! the number that a rule answers with; a worker serves a change when it answers with that number or a later one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::etcd::{Etcd, cpu};
use crate::{Flags, Outcome, quantile};

/// An ELB, which ends with this.
struct Elb {
    child: Child,
    address: String,
}

impl Elb {
    fn start(program: &str, etcd: &str, id: &str, workers: u64) -> Outcome<Elb> {
        let mut child = Command::new(program)
            .args([
                "--listen",
                "127.0.0.1:0",
                "--no-pin",
                "--etcd",
                etcd,
                "--node-id",
                id,
                "--workers",
                &workers.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no log")?).lines();
        while let Some(line) = lines.next().transpose()? {
            if let Some((_, address)) = line.split_once("listening on ") {
                let address = address.trim().to_owned();
                // Its log goes on.
                thread::spawn(move || lines.for_each(drop));
                return Ok(Elb { child, address });
            }
        }
        Err("ELB ended before it listened".into())
    }

    /// A connection that each worker has one of.
    fn connections(&self, workers: u64) -> Outcome<Vec<TcpStream>> {
        let mut found: Vec<TcpStream> = Vec::new();
        let mut covered = vec![false; usize::try_from(workers)?];
        for _ in 0..200 {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.set_nodelay(true)?;
            ask(&mut stream, "probe.test", "/")?;
            // Each worker reports once a second, and nobody else stays connected.
            thread::sleep(Duration::from_millis(1200));
            let after = self.clients()?;
            let newly = after.iter().zip(&covered).position(|(clients, covered)| *clients > 0 && !covered);
            if let Some(worker) = newly {
                covered[worker] = true;
                found.push(stream);
            }
            if covered.iter().all(|covered| *covered) {
                return Ok(found);
            }
        }
        Err("not every worker has taken a connection".into())
    }

    fn workers(&self) -> Outcome<Value> {
        let mut stream = TcpStream::connect(&self.address)?;
        let body = ask(&mut stream, "127.0.0.1", "/__erulb__/workers")?;
        Ok(serde_json::from_str(&body)?)
    }

    fn clients(&self) -> Outcome<Vec<u64>> {
        let told = self.workers()?;
        Ok(told["workers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|worker| worker["clients"].as_u64().unwrap_or(0))
            .collect())
    }
}

impl Drop for Elb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request and the body of its answer.
fn ask(stream: &mut TcpStream, host: &str, path: &str) -> Outcome<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 16 << 10]);
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err("the connection ended".into());
        }
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if length.is_some_and(|length| body.len() >= length) {
            return Ok(body.to_owned());
        }
    }
}

fn rules(number: u64) -> String {
    json!({"init": "r", "rules": {"r": {"type": "respond", "args": {"status": 200, "body": number.to_string()}}}}).to_string()
}

/// Asks one worker until told to stop; gives when each number, or a later one, was seen first.
fn watch(mut stream: TcpStream, count: usize, pause: Duration, over: &AtomicBool) -> Vec<Option<Instant>> {
    let mut seen: Vec<Option<Instant>> = vec![None; count];
    let mut next = 0;
    while !over.load(Ordering::Relaxed) && next < count {
        let Ok(body) = ask(&mut stream, "probe.test", "/") else { break };
        let now = Instant::now();
        let number: usize = body.trim().parse().unwrap_or(0);
        for slot in seen.iter_mut().take(number.min(count)).skip(next) {
            *slot = Some(now);
        }
        next = next.max(number);
        thread::sleep(pause);
    }
    seen
}

pub(crate) async fn run(flags: &Flags) -> Outcome {
    let (rate, seconds, workers) =
        (flags.number("--rate")?, flags.number("--seconds")?, flags.number("--workers")?);
    let pause = Duration::from_micros(flags.number("--poll-us")?);
    let count = usize::try_from(rate * seconds)?;
    let etcd = Etcd::start().await?;
    let mut client = etcd.client().await?;
    client.put("/ELB/rules/probe.test", rules(0), None).await?;
    let elbs = ["one", "two"].map(|id| Elb::start(&flags.text("--elb"), &etcd.address, id, workers));
    let [one, two] = elbs;
    let elbs = [one?, two?];
    let over = Arc::new(AtomicBool::new(false));
    let mut watchers = Vec::new();
    for elb in &elbs {
        for stream in elb.connections(workers)? {
            let over = Arc::clone(&over);
            watchers.push(thread::spawn(move || watch(stream, count, pause, &over)));
        }
    }
    let cpu_before = (etcd.cpu()?, cpu(elbs[0].child.id())?, Instant::now());
    let mut tick = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?);
    let (mut put_at, mut acked_at) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for number in 1..=count {
        tick.tick().await;
        put_at.push(Instant::now());
        client.put("/ELB/rules/probe.test", rules(u64::try_from(number)?), None).await?;
        acked_at.push(Instant::now());
    }
    let took = cpu_before.2.elapsed().as_secs_f64();
    let cpu_used = (etcd.cpu()? - cpu_before.0, cpu(elbs[0].child.id())? - cpu_before.1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    over.store(true, Ordering::Relaxed);
    let seen: Vec<Vec<Option<Instant>>> =
        watchers.into_iter().filter_map(|watcher| watcher.join().ok()).collect();
    let (mut from_put, mut from_ack, mut acks) = (Vec::new(), Vec::new(), Vec::new());
    let mut missing = 0;
    for number in 0..count {
        acks.push(acked_at[number].saturating_duration_since(put_at[number]).as_secs_f64() * 1e3);
        match seen
            .iter()
            .map(|seen| seen[number])
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().max())
        {
            Some(last) => {
                from_put.push(last.saturating_duration_since(put_at[number]).as_secs_f64() * 1e3);
                from_ack.push(last.saturating_duration_since(acked_at[number]).as_secs_f64() * 1e3);
            }
            None => missing += 1,
        }
    }
    println!(
        "{count} changes in {took:.1} s, {} workers watched, {missing} changes not seen by all",
        seen.len()
    );
    for (what, times) in [
        ("etcd's answer to the put", &mut acks),
        ("put to served by all", &mut from_put),
        ("answer to served by all", &mut from_ack),
    ] {
        times.sort_by(f64::total_cmp);
        let [half, nine, most, last] = [0.5, 0.9, 0.99, 1.0].map(|part| quantile(times, part));
        println!("{what}: p50 {half:.2} ms, p90 {nine:.2} ms, p99 {most:.2} ms, longest {last:.2} ms");
    }
    println!(
        "CPU of a core: etcd {:.1} %, the first ELB {:.1} % (it answers the watchers as well)",
        cpu_used.0 / took * 100.0,
        cpu_used.1 / took * 100.0
    );
    Ok(())
}
