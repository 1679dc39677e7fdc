//! The driver that needs only Rust: random changes of a corpus from a seed, and the replay of one input.
//!
//! `tools/fuzz` calls it: `random NAME CORPUS CRASHES SEED RUNS`, or `random NAME FILE`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use elb::targets::{TARGETS, Target, random};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [name, file] => replay(name, Path::new(file)),
        [name, corpus, crashes, seed, runs] => many(name, Path::new(corpus), Path::new(crashes), seed, runs),
        _ => Err("random NAME CORPUS CRASHES SEED RUNS, or random NAME FILE".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

fn target(name: &str) -> Result<Target, String> {
    let known = TARGETS.iter().find(|(known, _)| *known == name);
    known.map(|(_, target)| *target).ok_or_else(|| format!("there is no target {name}"))
}

/// Runs one input; a panic ends the process and says why.
fn replay(name: &str, file: &Path) -> Result<(), String> {
    let input = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    target(name)?(&input);
    println!("{name}: {} bytes, nothing wrong", input.len());
    Ok(())
}

fn many(name: &str, corpus: &Path, crashes: &Path, seed: &str, runs: &str) -> Result<(), String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
    let (seed, runs, begun) = (number(seed)?, number(runs)?, Instant::now());
    let inputs = read_all(corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    match random::run(target(name)?, &inputs, seed, runs) {
        Ok(()) => {
            println!("{name}: {runs} runs in {:.1} s, nothing found", begun.elapsed().as_secs_f64());
            Ok(())
        }
        Err(failure) => {
            let file = crashes.join(format!("seed-{seed}-run-{}", failure.number));
            let kept = fs::create_dir_all(crashes).and_then(|()| fs::write(&file, &failure.input));
            kept.map_err(|error| format!("{}: {error}", file.display()))?;
            Err(format!("{name} fails on {}", file.display()))
        }
    }
}

/// The inputs of a corpus in the order of their names, so that a seed means the same everywhere.
fn read_all(corpus: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths =
        fs::read_dir(corpus)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    paths.iter().map(fs::read).collect()
}
