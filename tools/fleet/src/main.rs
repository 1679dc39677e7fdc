//! Measures a fleet on one real etcd.
//!
//! `simulate` holds the leases and documents of many nodes in one process, says what etcd's CPU is for at rest and when the
//! configuration changes, and how long it takes until all have told that they have it. `converge` starts two ELBs and measures from a
//! put until every worker of both serves it. Neither is part of the product. Next: `simulate` and `converge`.

use std::collections::BTreeMap;
use std::error::Error;

mod converge;
mod etcd;
mod simulate;

/// What a measurement may fail with: it ends there.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// `--name value` pairs with these defaults.
struct Flags(BTreeMap<String, String>);

impl Flags {
    fn read(words: impl Iterator<Item = String>, defaults: &[(&str, &str)]) -> Outcome<Flags> {
        let mut known: BTreeMap<String, String> =
            defaults.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let words: Vec<String> = words.collect();
        for pair in words.chunks(2) {
            match pair {
                [name, value] if known.contains_key(name) => drop(known.insert(name.clone(), value.clone())),
                _ => return Err(format!("unknown: {pair:?}; there is {known:?}").into()),
            }
        }
        Ok(Flags(known))
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn number(&self, name: &str) -> Outcome<u64> {
        Ok(self.text(name).parse().map_err(|error| format!("{name}: {error}"))?)
    }
}

fn main() -> Outcome {
    let mut words = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words.next().as_deref() {
        Some("simulate") => {
            let defaults = [
                ("--nodes", "1000"),
                ("--watch", "data"),
                ("--changes", "5"),
                ("--rest", "20"),
                ("--ttl", "15"),
                ("--write", "changed"),
            ];
            runtime.block_on(simulate::run(&Flags::read(words, &defaults)?))
        }
        Some("converge") => {
            let defaults = [
                ("--elb", "target/release/elb"),
                ("--rate", "100"),
                ("--seconds", "20"),
                ("--poll-us", "500"),
                ("--workers", "2"),
            ];
            runtime.block_on(converge::run(&Flags::read(words, &defaults)?))
        }
        _ => Err("simulate or converge".into()),
    }
}

/// That of sorted numbers below which this part of them is.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((last as f64) * part).round() as usize).copied().unwrap_or(f64::NAN)
}
