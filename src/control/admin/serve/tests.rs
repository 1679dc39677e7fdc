//! Admin connections over real sockets: conversations between a scripted client and the admin.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{AdminServer, LAST_SECOND, Stage, gets_on, is_datable};
use crate::control::admin::Access;
use crate::control::admin::room::PLACES;
use crate::control::tests::{Rig, SOON, local};
use crate::explain::Explainer;
use crate::link::Adopted;
use crate::readiness::Readiness;
use crate::settings::AllowList;

const GET: &[u8] = b"GET /__erulb__/domain HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn admin(rig: &Rig) -> AdminServer {
    AdminServer::new(
        rig.hub.clone(),
        Access::new(&local(), None),
        Explainer::usual().unwrap(),
        Readiness::default(),
    )
}

/// A client, and its connection as a worker hands it over after it read `bytes`.
async fn handed_over(bytes: &[u8]) -> (TcpStream, Adopted) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    (client, Adopted { stream: stream.into_std().unwrap(), peer, bytes: bytes.to_vec() })
}

async fn heard(mut client: TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(SOON, client.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_connection_is_answered_wherever_the_worker_stopped_reading() {
    let rig = Rig::obedient();
    let admin = admin(&rig);
    for split in [0, 1, 20, GET.len() - 1, GET.len()] {
        let (mut client, adopted) = handed_over(&GET[..split]).await;
        admin.adopt(adopted);
        client.write_all(&GET[split..]).await.unwrap();
        let answer = heard(client).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "split {split}: {answer}");
        assert!(
            answer.contains("connection: close\r\n") && answer.ends_with("\r\n\r\n{}\n"),
            "split {split}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_pipelined_second_request_is_not_answered() {
    let rig = Rig::obedient();
    let (client, adopted) = handed_over(&GET.repeat(2)).await;
    admin(&rig).adopt(adopted);
    assert_eq!(heard(client).await.matches("HTTP/1.1 ").count(), 1);
}

#[tokio::test]
async fn a_client_that_is_done_sending_is_answered() {
    let rig = Rig::obedient();
    let (mut client, adopted) = handed_over(GET).await;
    client.shutdown().await.unwrap();
    admin(&rig).adopt(adopted);
    assert!(heard(client).await.ends_with("\r\n\r\n{}\n"));
}

#[tokio::test]
async fn an_answer_arrives_even_if_the_body_was_refused_unread() {
    let rig = Rig::obedient();
    let head = b"POST /__erulb__/dump HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
    let (mut client, adopted) = handed_over(head).await;
    admin(&rig).adopt(adopted);
    client.write_all(&[b'x'; 100_000]).await.unwrap();
    let answer = heard(client).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_end_costs_its_client_the_connection_only() {
    let rig = Rig::obedient();
    let mut admin = admin(&rig);
    admin.handler.head_timeout = Duration::from_millis(100);
    let (client, adopted) = handed_over(b"GET /__erulb__/domain HTT").await;
    admin.adopt(adopted);
    assert!(!admin.is_idle());
    assert!(!heard(client).await.contains("200"));
    is_idle(&admin).await;
}

async fn is_idle(admin: &AdminServer) {
    timeout(SOON * 4, async {
        while !admin.is_idle() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

/// A change that owes a byte of its body.
const HALF: &[u8] = b"PUT /__erulb__/upstream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n{}";

#[tokio::test]
async fn whoever_has_sent_a_whole_request_is_served_before_those_who_drip() {
    let rig = Rig::obedient();
    let admin = admin(&rig);
    let mut drips = Vec::new();
    for round in 0..3 {
        for _ in 0..PLACES {
            let (client, adopted) = handed_over(HALF).await;
            admin.adopt(adopted);
            drips.push(client);
        }
        assert!(admin.has_room(), "round {round}");
        let (client, adopted) = handed_over(GET).await;
        admin.adopt(adopted);
        assert!(heard(client).await.starts_with("HTTP/1.1 200 OK\r\n"), "round {round}");
    }
    let gone = heard(drips.swap_remove(0)).await;
    assert!(
        gone.starts_with("HTTP/1.1 408 Request Timeout\r\n") && gone.contains("the slowest goes first"),
        "{gone}"
    );
    // Whoever is there still and sends the rest is answered.
    let mut last = drips.pop().unwrap();
    last.write_all(b" ").await.unwrap();
    assert!(heard(last).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn a_client_that_does_not_get_on_is_told_so_and_gives_its_place_back() {
    let rig = Rig::obedient();
    let mut admin = admin(&rig);
    (admin.handler.patience, admin.handler.head_timeout) =
        (Duration::from_millis(100), Duration::from_millis(100));
    for begun in [HALF, &HALF[..HALF.len() - 20], &HALF[..10]] {
        let (client, adopted) = handed_over(begun).await;
        admin.adopt(adopted);
        let told = heard(client).await;
        assert!(told.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{told}");
        assert!(
            told.contains("\r\nContent-Type: application/json\r\n") && told.contains("1 KiB of its body")
        );
    }
    // One that says nothing.
    let (client, adopted) = handed_over(b"").await;
    admin.adopt(adopted);
    assert_eq!(heard(client).await, "");
    // One that takes nothing of an answer that its socket and ours, made small, cannot hold: it repeats the name.
    let body = format!("{{\"{}\": 5}}", "x".repeat(1 << 20));
    let (mut client, adopted) = handed_over(
        format!(
            "PUT /__erulb__/domain HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .as_bytes(),
    )
    .await;
    socket2::SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
    socket2::SockRef::from(&adopted.stream).set_send_buffer_size(4096).unwrap();
    admin.adopt(adopted);
    client.write_all(body.as_bytes()).await.unwrap();
    is_idle(&admin).await;
}

#[test]
fn a_client_gets_on_when_a_kibibyte_moved_or_it_is_not_its_turn() {
    use Stage::{Answering, Reading, Writing};
    for (before, now, on) in [
        ((Reading, 0), (Reading, 0), false),
        ((Reading, 0), (Reading, 1023), false),
        ((Reading, 5000), (Reading, 6024), true),
        ((Reading, 5000), (Answering, 5000), true),
        ((Answering, 5000), (Answering, 5000), true),
        ((Answering, 5000), (Writing, 5000), true),
        ((Writing, 5000), (Writing, 5001), false),
        ((Writing, 5000), (Writing, 9000), true),
    ] {
        assert_eq!(gets_on(before, now), on, "{before:?} {now:?}");
    }
}

#[tokio::test]
async fn strangers_at_the_listener_are_told_so_and_get_no_place() {
    let rig = Rig::obedient();
    let mut nobody = local();
    nobody.allow = AllowList::default();
    let mut admin = AdminServer::new(
        rig.hub.clone(),
        Access::new(&nobody, None),
        Explainer::usual().unwrap(),
        Readiness::default(),
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    admin.listen(listener).unwrap();
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(address).await.unwrap());
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(GET).await.unwrap();
        let told = heard(client).await;
        assert!(told.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{told}");
        assert!(
            told.ends_with("{\"error\":\"127.0.0.1 is not in --admin-allow\",\"code\":\"forbidden\"}\n"),
            "{told}"
        );
        assert!(admin.is_idle());
    }
}

#[tokio::test]
async fn a_listener_of_its_own_serves_until_it_is_closed() {
    let rig = Rig::obedient();
    let mut admin = admin(&rig);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    admin.listen(listener).unwrap();
    for (path, status) in [
        ("/__erulb__/domain", "200 OK"),
        ("//__erulb__/domain", "404 Not Found"),
        ("/__erulb__/%64omain", "404 Not Found"),
        ("http://127.0.0.1/__erulb__/domain", "404 Not Found"),
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let answer = heard(client).await;
        assert!(answer.starts_with(&format!("HTTP/1.0 {status}\r\n")), "{path}: {answer}");
    }
    admin.close();
    timeout(SOON, async { while TcpStream::connect(address).await.is_ok() {} }).await.unwrap();
}

#[test]
fn a_time_that_hyper_would_panic_at_is_known() {
    for (time, datable) in [
        (UNIX_EPOCH - Duration::from_secs(1), false),
        (UNIX_EPOCH, true),
        (SystemTime::now(), true),
        (UNIX_EPOCH + LAST_SECOND + Duration::from_secs(1), false),
    ] {
        assert_eq!(is_datable(time), datable, "{time:?}");
    }
}
