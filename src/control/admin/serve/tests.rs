//! Admin connections over real sockets: conversations between a scripted client and the desk.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::Desk;
use crate::control::admin::Access;
use crate::control::tests::{Rig, SOON, local};
use crate::link::Adopted;

const GET: &[u8] = b"GET /__erulb__/domain HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn desk(rig: &Rig) -> Desk {
    Desk::new(rig.hub.clone(), Access::new(&local(), None))
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
    let desk = desk(&rig);
    for split in [0, 1, 20, GET.len() - 1, GET.len()] {
        let (mut client, adopted) = handed_over(&GET[..split]).await;
        desk.adopt(adopted);
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
    desk(&rig).adopt(adopted);
    assert_eq!(heard(client).await.matches("HTTP/1.1 ").count(), 1);
}

#[tokio::test]
async fn a_client_that_is_done_sending_is_answered() {
    let rig = Rig::obedient();
    let (mut client, adopted) = handed_over(GET).await;
    client.shutdown().await.unwrap();
    desk(&rig).adopt(adopted);
    assert!(heard(client).await.ends_with("\r\n\r\n{}\n"));
}

#[tokio::test]
async fn an_answer_arrives_even_if_the_body_was_refused_unread() {
    let rig = Rig::obedient();
    let head = b"POST /__erulb__/dump HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
    let (mut client, adopted) = handed_over(head).await;
    desk(&rig).adopt(adopted);
    client.write_all(&[b'x'; 100_000]).await.unwrap();
    let answer = heard(client).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_end_costs_its_client_the_connection_only() {
    let rig = Rig::obedient();
    let mut desk = desk(&rig);
    desk.clerk.head_timeout = Duration::from_millis(100);
    let (client, adopted) = handed_over(b"GET /__erulb__/domain HTT").await;
    desk.adopt(adopted);
    assert!(!desk.is_idle());
    assert!(!heard(client).await.contains("200"));
    timeout(SOON, async {
        while !desk.is_idle() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_listener_of_its_own_serves_until_it_is_closed() {
    let rig = Rig::obedient();
    let mut desk = desk(&rig);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    desk.listen(listener).unwrap();
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
    desk.close();
    timeout(SOON, async { while TcpStream::connect(address).await.is_ok() {} }).await.unwrap();
}
