//! Many nodes in one process, each with a connection, a lease, a document and a watch of its own, as an ELB has them.
//!
//! It owns what a node does, and the phases that are measured. `--watch` says what each node watches: `none`, `data` (the range of rules
//! and upstreams, as ELB does) or `all` (the whole prefix, documents of others included, as ELB did). `--write beat` writes the
//! document at each keep-alive instead of only when it has changed, which is what the lease saves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp, WatchOptions};
use tokio::sync::watch;
use tokio::time::{interval_at, sleep};

use crate::etcd::{Etcd, cpu};
use crate::{Flags, Outcome, quantile};

/// How often each ELB asks etcd whether it is still there.
const PULSE: Duration = Duration::from_secs(2);

/// What is counted of all nodes.
#[derive(Default)]
struct Counts {
    joined: AtomicUsize,
    /// Events that came to watches.
    events: AtomicUsize,
    failed: AtomicUsize,
}

struct Plan {
    address: String,
    ttl: u64,
    watches: String,
    beats_write: bool,
}

fn document(id: usize, change: usize) -> String {
    let digest = format!("{change:064x}");
    format!(
        "{{\"id\":\"node-{id}\",\"address\":\"node-{id}.example.com:8080\",\"elb\":\"0.1.0\",\"started\":\"2026-01-01T00:00:00.000Z\",\
         \"version\":{change},\"digest\":\"{digest}\",\"revision\":{change},\"since\":\"2026-01-01T00:00:00.000Z\",\"unsaved\":0,\
         \"health\":{{\"ready\":true,\"reasons\":[],\"alarms\":[]}}}}"
    )
}

/// One node, until the process ends. Tells `told` each change that it has written.
async fn node(
    id: usize,
    plan: Arc<Plan>,
    counts: Arc<Counts>,
    mut changes: watch::Receiver<usize>,
    told: tokio::sync::mpsc::UnboundedSender<(usize, Instant)>,
) -> Outcome {
    let client = etcd_client::Client::connect([plan.address.as_str()], None).await?;
    let (mut kv, mut leases, mut watches) =
        (client.kv_client(), client.lease_client(), client.watch_client());
    let lease = leases.grant(i64::try_from(plan.ttl)?, None).await?.id();
    let (mut keeper, mut answers) = leases.keep_alive(lease).await?;
    let key = format!("/ELB/@nodes/node-{id}");
    let (from, end) = match plan.watches.as_str() {
        "all" => ("/ELB/", "/ELB0"),
        _ => ("/ELB/rules/", "/ELB/upstreams0"),
    };
    let mut stream = match plan.watches.as_str() {
        "none" => None,
        _ => Some(watches.watch(from, Some(WatchOptions::new().with_range(end))).await?.split()),
    };
    let write = |change: usize| {
        let put =
            || TxnOp::put(key.as_str(), document(id, change), Some(PutOptions::new().with_lease(lease)));
        let if_new = Txn::new()
            .when([Compare::create_revision(key.as_str(), CompareOp::Equal, 0)])
            .and_then([put()])
            .or_else([TxnOp::get(key.as_str(), None)]);
        Txn::new()
            .when([Compare::lease(key.as_str(), CompareOp::Equal, lease)])
            .and_then([put()])
            .or_else([TxnOp::txn(if_new)])
    };
    let mut known = 0;
    kv.txn(write(known)).await?;
    counts.joined.fetch_add(1, Ordering::Relaxed);
    let third = Duration::from_secs(plan.ttl) / 3;
    let spread = |every: Duration| tokio::time::Instant::now() + every.mul_f64((id % 997) as f64 / 997.0);
    let (mut beat, mut pulse) = (interval_at(spread(third), third), interval_at(spread(PULSE), PULSE));
    loop {
        let has_stream = stream.is_some();
        tokio::select! {
            _ = beat.tick() => {
                if plan.beats_write {
                    kv.txn(write(known)).await?;
                }
                keeper.keep_alive().await?;
                answers.message().await?.ok_or("the lease's stream ended")?;
            }
            _ = pulse.tick(), if has_stream => {
                if let Some((sender, _)) = &mut stream {
                    sender.request_progress().await?;
                }
            }
            message = async { match &mut stream { Some((_, stream)) => stream.message().await, None => std::future::pending().await } } => {
                let message = message?.ok_or("the watch ended")?;
                counts.events.fetch_add(message.events().len(), Ordering::Relaxed);
                let news = message.events().iter().filter_map(etcd_client::Event::kv).filter(|pair| pair.key().starts_with(b"/ELB/rules/"));
                if let Some(change) = news.filter_map(|pair| std::str::from_utf8(pair.value()).ok()?.parse().ok()).next_back() {
                    known = change;
                    // An ELB groups changes for so long.
                    sleep(Duration::from_millis(5)).await;
                    kv.txn(write(known)).await?;
                    told.send((known, Instant::now()))?;
                }
            }
            changed = changes.changed(), if !has_stream => {
                changed?;
                known = *changes.borrow_and_update();
                sleep(Duration::from_millis(5)).await;
                kv.txn(write(known)).await?;
                told.send((known, Instant::now()))?;
            }
        }
    }
}

pub(crate) async fn run(flags: &Flags) -> Outcome {
    let nodes = usize::try_from(flags.number("--nodes")?)?;
    let (changes, rest) = (flags.number("--changes")?, Duration::from_secs(flags.number("--rest")?));
    let etcd = Etcd::start().await?;
    let plan = Arc::new(Plan {
        address: etcd.address.clone(),
        ttl: flags.number("--ttl")?,
        watches: flags.text("--watch"),
        beats_write: flags.text("--write") == "beat",
    });
    let counts = Arc::new(Counts::default());
    let (announce, announced) = watch::channel(0_usize);
    let (told, mut telling) = tokio::sync::mpsc::unbounded_channel();
    let begun = (Instant::now(), etcd.cpu()?);
    let tasks = tokio::task::LocalSet::new();
    for id in 0..nodes {
        let (plan, own, announced, told) =
            (Arc::clone(&plan), Arc::clone(&counts), announced.clone(), told.clone());
        tasks.spawn_local(async move {
            if let Err(error) = node(id, plan, Arc::clone(&own), announced, told).await
                && own.failed.fetch_add(1, Ordering::Relaxed) < 5
            {
                eprintln!("node {id}: {error}");
            }
        });
    }
    tasks
        .run_until(async {
            while counts.joined.load(Ordering::Relaxed) + counts.failed.load(Ordering::Relaxed) < nodes {
                sleep(Duration::from_millis(20)).await;
            }
            println!(
                "{nodes} nodes, each watching {}: joined in {:.2} s, for {:.2} s of etcd's CPU",
                plan.watches,
                begun.0.elapsed().as_secs_f64(),
                etcd.cpu()? - begun.1
            );
            sleep(Duration::from_secs(3)).await;
            let (own, before, at) = (cpu(std::process::id())?, etcd.cpu()?, Instant::now());
            sleep(rest).await;
            let took = at.elapsed().as_secs_f64();
            println!(
                "at rest for {took:.0} s: etcd uses {:.1} % of a core (this simulator {:.1} %)",
                (etcd.cpu()? - before) / took * 100.0,
                (cpu(std::process::id())? - own) / took * 100.0
            );
            let mut client = etcd.client().await?;
            for change in 1..=usize::try_from(changes)? {
                let (before, events, at) = (etcd.cpu()?, counts.events.load(Ordering::Relaxed), Instant::now());
                client.put("/ELB/rules/a.test", change.to_string(), None).await?;
                announce.send_replace(change);
                let mut times = Vec::with_capacity(nodes);
                let alive = nodes - counts.failed.load(Ordering::Relaxed);
                while times.len() < alive {
                    let (known, when) = telling.recv().await.ok_or("no node is left")?;
                    if known == change {
                        times.push(when.saturating_duration_since(at).as_secs_f64() * 1e3);
                    }
                }
                times.sort_by(f64::total_cmp);
                let read = client.get("/ELB/@nodes/", Some(etcd_client::GetOptions::new().with_prefix())).await?;
                let whole = at.elapsed().as_secs_f64() * 1e3;
                let current = read.kvs().iter().filter(|pair| pair.value_str().is_ok_and(|text| text.contains(&format!("{change:064x}"))));
                let current = current.count();
                sleep(Duration::from_secs(2)).await;
                println!(
                    "change {change}: half of the nodes have told it after {:.0} ms, all after {:.0} ms, and all {current} were read after {whole:.0} ms; \
                     {:.0} ms of etcd's CPU in these and the next 2 s, {} events to watches",
                    quantile(&times, 0.5),
                    quantile(&times, 1.0),
                    (etcd.cpu()? - before) * 1e3,
                    counts.events.load(Ordering::Relaxed) - events
                );
            }
            println!("{} nodes failed", counts.failed.load(Ordering::Relaxed));
            Ok(())
        })
        .await
}
