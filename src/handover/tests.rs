//! Both sides of the conversation, in two threads of one process, and peers that keep to nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::frame::{DESCRIPTORS, MESSAGE, Wire};
use super::*;

const WITHIN: Duration = Duration::from_secs(30);

fn soon() -> Instant {
    Instant::now() + WITHIN
}

fn queue(purpose: Use) -> Queue {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Queue { purpose, wanted: "127.0.0.1:0".parse().unwrap(), socket: listener.into() }
}

fn address(socket: &Socket) -> SocketAddr {
    socket.local_addr().unwrap().as_socket().unwrap()
}

/// A process that lets everything go, as far as it is told.
struct Willing {
    stock: Stock,
    steps: Vec<&'static str>,
    refuses: Option<&'static str>,
}

impl Willing {
    fn step(&mut self, step: &'static str) -> Result<(), Told> {
        self.steps.push(step);
        if self.refuses == Some(step) { Err(Told::stays("not now")) } else { Ok(()) }
    }
}

impl Desk for Willing {
    fn begin(&mut self, number: u32, _version: &str) -> Result<Stock, Told> {
        assert_eq!(number, std::process::id());
        self.step("begin")?;
        Ok(self.stock.copies().unwrap())
    }

    fn carry(&mut self) -> Result<Carried, Told> {
        self.step("carry")?;
        Ok(Carried { version: 7, ..Carried::default() })
    }

    fn ready(&mut self) -> Result<(), Told> {
        self.step("ready")
    }
}

/// What one process heard of the other: how the new one ended, and how the old one did with the steps that it took.
type Both = (Result<Vec<SocketAddr>, Trouble>, Result<(), (Step, Trouble)>, Vec<&'static str>);

/// One hand-over, in which the old one refuses a step.
fn conversation(refuses: Option<&'static str>, name: &str) -> Both {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::at(&folder.path().join("next"));
    let mut claim = place.claim().unwrap();
    let listener = claim.listener().unwrap();
    let stock = Stock::new(vec![queue(Use::Data), queue(Use::Data), queue(Use::Admin)]);
    let old = thread::spawn(move || {
        let mut desk = Willing { stock, steps: Vec::new(), refuses };
        let (stream, _) = listener.accept().unwrap();
        let outcome = give(stream, soon(), "ELB", &mut desk);
        (outcome, desk.steps)
    });
    let new = || {
        let (mut heir, mut stock) = take(&place, WITHIN, name)?.unwrap();
        let wanted = "127.0.0.1:0".parse().unwrap();
        let all: Vec<Socket> =
            [Use::Data, Use::Data, Use::Admin].into_iter().flat_map(|one| stock.take(one, wanted)).collect();
        assert!(stock.is_empty());
        assert_eq!(heir.carry()?.version, 7);
        heir.ready()?;
        for socket in &all {
            TcpStream::connect(address(socket)).unwrap();
            socket.accept().unwrap();
        }
        Ok(all.iter().map(address).collect())
    };
    let new = new();
    let (old, steps) = old.join().unwrap();
    (new, old, steps)
}

#[test]
fn sockets_and_memory_go_over_and_both_sides_know_it() {
    let (new, old, steps) = conversation(None, "ELB");
    assert!(old.is_ok(), "{old:?}");
    assert_eq!((new.unwrap().len(), steps), (3, vec!["begin", "carry", "ready"]));
}

#[test]
fn the_old_one_may_refuse_at_each_step_and_the_new_one_hears_why() {
    for (step, reached) in [("begin", Step::Hello), ("carry", Step::Offered), ("ready", Step::Carried)] {
        let (new, old, _) = conversation(Some(step), "ELB");
        assert_eq!(new.unwrap_err().to_string(), "not now", "{step}");
        assert_eq!(old.unwrap_err().0, reached);
    }
    let (new, _, steps) = conversation(None, "other");
    let told = new.unwrap_err().to_string();
    assert_eq!(told, "the other process is called other, and this one ELB");
    assert_eq!(steps, [""; 0]);
}

#[test]
fn a_peer_that_says_nothing_is_waited_for_until_the_deadline_and_no_longer() {
    let (near, far) = UnixStream::pair().unwrap();
    let mut desk = Willing { stock: Stock::default(), steps: Vec::new(), refuses: None };
    let deadline = Instant::now() + Duration::from_millis(20);
    let (step, trouble) = give(near, deadline, "ELB", &mut desk).unwrap_err();
    assert_eq!(
        (step, trouble.to_string().as_str()),
        (Step::Hello, "the other process did not answer in time")
    );
    assert!(Instant::now() >= deadline);
    let mut last = Vec::new();
    (&far).read_to_end(&mut last).unwrap();
    assert!(String::from_utf8_lossy(&last).contains("did not answer in time"), "it is told why");
}

#[test]
fn whatever_bytes_come_are_an_error_and_take_no_memory() {
    let chance =
        |seed: u64| (0..64_u64).map(move |at| (seed.wrapping_mul(0x9e37_79b9) >> (at % 29)) as u8 ^ at as u8);
    for seed in 0..200 {
        let (near, far) = UnixStream::pair().unwrap();
        let mut bytes: Vec<u8> = chance(seed).collect();
        // Half of them have a length that may be, so that what follows is looked at.
        if seed % 2 == 0 {
            bytes.splice(..4, 60_u32.to_be_bytes());
        }
        (&far).write_all(&bytes).unwrap();
        drop(far);
        assert!(Wire::new(near, soon()).unwrap().receive::<say::Say>().is_err());
    }
    let (near, far) = UnixStream::pair().unwrap();
    (&far).write_all(&u32::MAX.to_be_bytes()).unwrap();
    let error = Wire::new(near, soon()).unwrap().receive::<say::Say>().unwrap_err();
    assert!(error.to_string().contains(&MESSAGE.to_string()), "{error}");
}

#[test]
fn more_descriptors_than_a_message_takes_come_in_groups_and_no_more_than_may_be() {
    let (near, far) = UnixStream::pair().unwrap();
    let many: Vec<Queue> = (0..300).map(|_| queue(Use::Data)).collect();
    let stock = Stock::new(many);
    let sender = thread::spawn(move || {
        let (offered, descriptors) = stock.offer();
        assert_eq!(offered.len(), 1);
        Wire::new(far, soon()).unwrap().send_descriptors(&descriptors).unwrap();
        stock.left()
    });
    let mut wire = Wire::new(near, soon()).unwrap();
    let descriptors = wire.receive_descriptors(300).unwrap();
    assert_eq!(descriptors.len(), 300);
    let mut there: Vec<SocketAddr> = descriptors.into_iter().map(|one| address(&Socket::from(one))).collect();
    there.sort_unstable();
    assert_eq!(there, sender.join().unwrap());
    assert!(
        wire.receive_descriptors(DESCRIPTORS + 1).unwrap_err().to_string().contains("may be handed over")
    );
    assert!(wire.receive_descriptors(1).is_err(), "nobody sends more");
}

#[test]
fn a_stock_is_asked_by_address_or_by_what_was_wanted() {
    let all = [queue(Use::Data), queue(Use::Data), queue(Use::Tls)];
    let there: Vec<SocketAddr> = all.iter().map(|one| address(&one.socket)).collect();
    let mut stock = Stock::new(all.into());
    let any = "127.0.0.1:0".parse().unwrap();
    assert!(stock.take(Use::Admin, any).is_empty(), "port 0 is another for each purpose");
    assert_eq!(address(&stock.take(Use::Admin, there[1])[0]), there[1], "a port is what it is");
    assert_eq!(address(&stock.take(Use::Data, any)[0]), there[0]);
    assert!(stock.take(Use::Data, any).is_empty());
    assert_eq!(stock.left(), [there[2]]);
}
