//! What the kernel says of this process: memory, time, descriptors.
//!
//! It owns the reading of `/proc/self` (proc(5)); what cannot be read is left out. Next: [`metrics`](super::metrics) shows it.

use std::fs;

/// What was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Process {
    /// User and system time of all threads, in seconds.
    pub(super) cpu: Option<f64>,
    /// Memory that is not swapped out, in bytes.
    pub(super) resident: Option<f64>,
    /// Open descriptors.
    pub(super) open: Option<f64>,
    /// How many there may be.
    pub(super) most: Option<f64>,
    /// When it began, in seconds since 1970.
    pub(super) began: Option<f64>,
}

/// Reads all of it, which is up to a millisecond with ten thousand descriptors.
pub(super) fn read() -> Process {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let (cpu, ticks) = times(&stat).map_or((None, None), |(cpu, began)| (Some(cpu), Some(began)));
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    let booted = fs::read_to_string("/proc/stat").ok().and_then(|stat| boot_time(&stat));
    Process {
        cpu: cpu.map(|ticks| ticks / per_second),
        resident: pages.map(|pages| pages * rustix::param::page_size() as f64),
        // The one that reads the folder is among them.
        open: fs::read_dir("/proc/self/fd").ok().map(|open| open.count().saturating_sub(1) as f64),
        most: rlimit::Resource::NOFILE.get().ok().map(|(soft, _)| soft as f64),
        began: booted.zip(ticks).map(|(booted, ticks)| booted + ticks / per_second),
    }
}

/// The time that was taken and when it began since the machine did, both in ticks. The name of the program, in brackets, may hold
/// anything.
fn times(stat: &str) -> Option<(f64, f64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let field = |number: usize| rest.split_ascii_whitespace().nth(number - 3)?.parse::<f64>().ok();
    Some((field(14)? + field(15)?, field(22)?))
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 120 34 0 0 20 0 1 0 5000 1 2 3";
        assert_eq!(times(stat), Some((154.0, 5000.0)));
        assert_eq!(times("7 (a"), None);
        assert_eq!(boot_time("cpu 1\nbtime 17\n"), Some(17.0));
    }

    #[test]
    fn this_process_has_all_of_it() {
        let Process { cpu, resident, open, most, began } = read();
        for value in [resident, open, most, began] {
            assert!(value.is_some_and(|value| value > 1.0), "{value:?}");
        }
        assert!(cpu.is_some());
    }
}
