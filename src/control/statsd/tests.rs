//! The lines, as a real socket receives them.

use super::*;
use crate::stats::{Counted, Stats};

/// A statsd that keeps what it receives.
struct Receiver(tokio::net::UdpSocket);

impl Receiver {
    async fn start() -> Receiver {
        Receiver(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap())
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// The next datagram's lines.
    async fn lines(&self) -> Vec<String> {
        let mut buffer = vec![0; 65_536];
        let received = timeout(Duration::from_secs(20), self.0.recv(&mut buffer)).await;
        let length = received.expect("a datagram in time").unwrap();
        assert!(length <= DATAGRAM, "{length} bytes");
        String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned).collect()
    }

    /// Lines until `count` of them have come, sorted.
    async fn collect(&self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            lines.extend(self.lines().await);
        }
        lines.sort();
        lines
    }
}

fn count(stats: &mut Stats, domain: u32, status: u16, cost: u64) {
    let begun = std::time::Instant::now();
    stats.record(&Counted {
        domain,
        upstream: Some(0),
        server: 0,
        status,
        received: 0,
        sent: 0,
        begun,
        routed: begun,
        connected: None,
        answered: None,
        ended: begun + Duration::from_millis(cost),
    });
}

fn one(status: u16, cost: u64) -> Taken {
    let mut stats = Stats::new(true);
    count(&mut stats, 0, status, cost);
    stats.take()
}

#[tokio::test]
async fn a_single_request_gives_the_three_lines_of_old_in_one_packet() {
    let receiver = Receiver::start().await;
    let mut statsd = Statsd::start(&receiver.address(), "ELB");
    statsd.counted(&one(200, 12), |_| "www.Example.com:8080");
    assert_eq!(
        receiver.lines().await,
        [
            "ELB.www_example_com.total:1|c",
            "ELB.www_example_com.status.200:1|c",
            "ELB.www_example_com.cost:12|ms",
        ]
    );
}

#[tokio::test]
async fn workers_are_merged_by_name_and_equal_costs_are_sampled() {
    let receiver = Receiver::start().await;
    let mut statsd = Statsd::start(&receiver.address(), "ELB");
    let mut first = Stats::new(true);
    (0..9).for_each(|_| count(&mut first, 1, 200, 3));
    count(&mut first, 1, 502, 1234);
    statsd.counted(&first.take(), |slot| ["b.com", "a.com"][slot as usize]);
    // Another snapshot, another numbering, the same domain.
    statsd.counted(&one(200, 3), |_| "a.com");
    statsd.finish().await;
    assert_eq!(
        receiver.collect(5).await,
        [
            "ELB.a_com.cost:1230|ms",
            "ELB.a_com.cost:3|ms|@0.1",
            "ELB.a_com.status.200:10|c",
            "ELB.a_com.status.502:1|c",
            "ELB.a_com.total:11|c",
        ]
    );
}

#[tokio::test]
async fn many_domains_are_many_small_packets() {
    let receiver = Receiver::start().await;
    let mut statsd = Statsd::start(&receiver.address(), "ELB");
    let mut stats = Stats::new(true);
    (0..200).for_each(|slot| (0..2).for_each(|_| count(&mut stats, slot, 200, 1)));
    let names: Vec<String> = (0..200).map(|slot| format!("domain{slot}.example.com")).collect();
    statsd.counted(&stats.take(), |slot| &names[slot as usize]);
    let lines = receiver.collect(600).await;
    assert_eq!(lines.len(), 600);
    assert_eq!(lines[0], "ELB.domain0_example_com.cost:1|ms|@0.5");
}

#[tokio::test]
async fn what_came_last_is_sent_at_the_end() {
    let receiver = Receiver::start().await;
    let mut statsd = Statsd::start(&receiver.address(), "ELB");
    // More than may wait, before the sender has had a turn.
    (0..20).for_each(|_| statsd.counted(&one(200, 1), |_| "a.com"));
    statsd.finish().await;
    assert!(receiver.collect(3).await.contains(&"ELB.a_com.total:20|c".to_owned()));
}

#[tokio::test]
async fn nothing_counted_is_nothing_sent() {
    let receiver = Receiver::start().await;
    let mut statsd = Statsd::start(&receiver.address(), "ELB");
    statsd.counted(&Taken::default(), |_| "a.com");
    statsd.finish().await;
    let mut buffer = [0; 16];
    assert_eq!(receiver.0.try_recv(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_target_that_does_not_exist_harms_nobody() {
    let mut statsd = Statsd::start("no such host:8125", "ELB");
    statsd.counted(&one(200, 1), |_| "a.com");
    timeout(Duration::from_secs(20), statsd.finish()).await.expect("an end in time");
}

#[test]
fn sample_rates_give_the_count_back() {
    for times in 2..2000_u64 {
        let rate: f64 = (1.0 / float(times)).to_string().parse().unwrap();
        assert!((1.0 / rate - float(times)).abs() < 1e-9, "{times}");
    }
}

#[test]
fn names_cannot_break_a_line() {
    for (domain, name) in [
        ("www.example.com", "www_example_com"),
        ("WWW.example.com:8080", "www_example_com"),
        ("a-b_c.com", "a-b_c_com"),
        ("[::1]", "___1_"),
        ("[::1]:8080", "___1_"),
        ("127.0.0.1", "127_0_0_1"),
        ("*.example.com", "__example_com"),
        ("a.com/path", "a_com_path"),
        ("evil:1|c\nELB.x", "evil_1_c_elb_x"),
        ("a b@0.1|ms", "a_b_0_1_ms"),
        ("bücher.de", "bücher_de"),
    ] {
        assert_eq!(shown(domain), name, "{domain}");
    }
    assert_eq!(clean("my.ELB:1", "."), "my.ELB_1");
}

#[test]
fn the_port_may_be_left_out() {
    for (target, meant) in [
        ("statsd", "statsd:8125"),
        ("statsd:9125", "statsd:9125"),
        ("10.0.0.1", "10.0.0.1:8125"),
        ("10.0.0.1:9125", "10.0.0.1:9125"),
        ("::1", "[::1]:8125"),
        ("[::1]", "[::1]:8125"),
        ("[::1]:9125", "[::1]:9125"),
    ] {
        assert_eq!(with_port(target), meant, "{target}");
    }
}
