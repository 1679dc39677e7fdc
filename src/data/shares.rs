//! Which worker takes from which queue of an address.
//!
//! It owns this division. A socket that shares its port has a queue of its own into which the kernel puts its part of the connections, so
//! every queue must have a worker; and a worker without a queue would have nothing to do. Next: [`listen`](super::listen) has the sockets.

/// Pairs of a worker and a queue, in the order of the workers: every queue is in one at least, and so is every worker. One worker takes
/// from several queues where there are fewer workers, and several from one where there are fewer queues.
pub(super) fn shares(queues: usize, workers: usize) -> Vec<(usize, usize)> {
    if queues == 0 || workers == 0 {
        return Vec::new();
    }
    let mut pairs: Vec<(usize, usize)> =
        (0..queues.max(workers)).map(|number| (number % workers, number % queues)).collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_queue_has_a_worker_and_every_worker_a_queue() {
        for queues in 1..20 {
            for workers in 1..20 {
                let pairs = shares(queues, workers);
                let of_workers: BTreeSet<usize> = pairs.iter().map(|(worker, _)| *worker).collect();
                let of_queues: BTreeSet<usize> = pairs.iter().map(|(_, queue)| *queue).collect();
                assert_eq!((of_workers.len(), of_queues.len()), (workers, queues), "{queues} {workers}");
                assert_eq!(pairs.len(), queues.max(workers), "and nobody more than is needed");
            }
        }
        assert_eq!(shares(6, 4), [(0, 0), (0, 4), (1, 1), (1, 5), (2, 2), (3, 3)]);
        assert_eq!(shares(0, 2), []);
    }
}
