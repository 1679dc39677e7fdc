//! Tells people when all servers of an upstream have failed, once, and when one of them answers again.
//!
//! It owns who said what, never the state of a server. Each worker has its own view of servers; an outage begins with
//! the first that finds nobody to ask, and ends when no worker is left that does. Next: `data::outages` finds them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::{info, warn};

use crate::model::UpstreamName;

/// The upstreams that are out, by worker.
#[derive(Debug, Default)]
pub(super) struct Outages(Vec<BTreeSet<String>>);

/// What is different now.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    begun: Vec<String>,
    over: Vec<String>,
}

impl Outages {
    /// A worker says which upstreams are out.
    pub(super) fn told(&mut self, worker: usize, upstreams: &[Arc<UpstreamName>]) {
        let change = self.change(worker, upstreams.iter().map(|name| name.key().to_owned()).collect());
        for name in change.begun {
            warn!(
                "upstream {name:?}: every server has failed and is put aside; they are asked all the same until one of them answers"
            );
        }
        for name in change.over {
            info!("upstream {name:?}: a server answers again");
        }
    }

    fn change(&mut self, worker: usize, now: BTreeSet<String>) -> Change {
        if self.0.len() <= worker {
            self.0.resize_with(worker + 1, BTreeSet::new);
        }
        let before =
            self.0.get_mut(worker).map(|own| std::mem::replace(own, now.clone())).unwrap_or_default();
        let elsewhere = |name: &&String| {
            self.0.iter().enumerate().any(|(other, out)| other != worker && out.contains(*name))
        };
        let new = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
            a.difference(b).filter(|name| !elsewhere(name)).cloned().collect()
        };
        Change { begun: new(&now, &before), over: new(&before, &now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_ends_with_the_last_worker_that_sees_it() {
        let mut outages = Outages::default();
        let mut said = |worker, names: &[&str]| {
            let Change { begun, over } =
                outages.change(worker, names.iter().map(ToString::to_string).collect());
            (begun.join(" "), over.join(" "))
        };
        let told = |begun: &str, over: &str| (begun.to_owned(), over.to_owned());
        assert_eq!(said(1, &["a"]), told("a", ""));
        assert_eq!(said(0, &["a", "b"]), told("b", ""));
        assert_eq!(said(0, &["a", "b"]), told("", ""));
        assert_eq!(said(1, &[]), told("", ""));
        assert_eq!(said(0, &["b"]), told("", "a"));
        assert_eq!(said(0, &[]), told("", "b"));
        assert_eq!(said(1, &["b"]), told("b", ""), "another one");
    }
}
