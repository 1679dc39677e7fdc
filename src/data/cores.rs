//! Which core a worker belongs to, and whether connections can be steered there.
//!
//! It owns the choice and the warnings about it, never a thread or a socket. Next: [`super::listen`] gives listeners
//! their core, [`mod@super::spawn`] pins the thread.

use std::collections::BTreeSet;
use std::fs;

use crate::settings::Settings;

/// Since then the kernel looks at the core of a listener when several share a port.
const STEERING_KERNEL: (u32, u32) = (6, 2);

/// The core of each worker: the operator's choice, or the cores that the process may use, in order.
pub(super) fn of_workers(settings: &Settings) -> Vec<Option<usize>> {
    let available = available_cores();
    let core = |index: usize| match &settings.cpus {
        _ if !settings.pin => None,
        Some(cpus) => cpus.get(index).copied(),
        None => available.get(index.checked_rem(available.len())?).copied(),
    };
    (0..settings.workers).map(core).collect()
}

/// The cores that the process may use, in order; none when the kernel does not say.
#[must_use]
pub fn available_cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Says where steering does not do what it is meant to.
pub(super) fn warn_of_steering(cores: &[Option<usize>]) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    for warning in warnings(cores, &available_cores(), release.trim()) {
        tracing::warn!("{warning}");
    }
}

fn warnings(cores: &[Option<usize>], available: &[usize], release: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    if version(release).is_none_or(|version| version < STEERING_KERNEL) {
        let (major, minor) = STEERING_KERNEL;
        warnings.push(format!("--steer needs Linux {major}.{minor}, and may do nothing on {release}"));
    }
    let own: BTreeSet<usize> = cores.iter().flatten().copied().collect();
    if own.len() < cores.len() {
        warnings.push(format!("--steer with {} workers on {} cores: some share one", cores.len(), own.len()));
    }
    let others = available.iter().filter(|core| !own.contains(core)).count();
    if others > 0 {
        warnings.push(format!(
            "--steer: {others} cores have no worker; connections whose packets arrive there are spread as without it"
        ));
    }
    warnings
}

/// The first two numbers of a kernel's release, as in `6.2.0-39-generic`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_get_the_cores_that_they_are_given() {
        let cores = |flags: &[&str]| of_workers(&Settings::from_flags(flags).unwrap());
        assert_eq!(cores(&["--cpus=3,1"]), [Some(3), Some(1)]);
        assert_eq!(cores(&["--workers=2", "--no-pin"]), [None, None]);
        let many = cores(&["--workers=1000"]);
        assert!(many.len() == 1000 && many[0] == available_cores().first().copied());
        assert_eq!(many.iter().collect::<BTreeSet<_>>().len(), available_cores().len().clamp(1, 1000));
    }

    #[test]
    fn steering_is_warned_of_where_it_may_do_nothing_or_half() {
        let told = |cores: &[usize], release| {
            let cores: Vec<Option<usize>> = cores.iter().copied().map(Some).collect();
            warnings(&cores, &[0, 1], release).join("; ")
        };
        assert_eq!(told(&[0, 1], "6.2.0-39-generic"), "");
        assert_eq!(told(&[1, 0], "10.0"), "");
        for (cores, release, reason) in [
            (&[0, 1][..], "6.1.0", "may do nothing on 6.1.0"),
            (&[0, 1], "5.15.0-91", "do nothing"),
            (&[0, 1], "", "do nothing"),
            (&[0, 1, 0], "6.18.1", "3 workers on 2 cores"),
            (&[1], "6.18.1", "1 cores have no worker"),
        ] {
            assert!(
                told(cores, release).contains(reason),
                "{cores:?} on {release}: {}",
                told(cores, release)
            );
        }
    }
}
