//! Checks of servers that behave, and of servers that do not.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::control::checks::order::{Opening, Ticket};
use crate::model::{ServerIds, UpstreamOptions};

fn order(endpoint: Endpoint, question: Option<Question>) -> Order {
    let ticket = Ticket { server: ServerIds::default().give(), number: 1 };
    Order { ticket, endpoint, opening: Opening::default(), question, within: Duration::from_secs(10) }
}

/// Who trusts nobody, which only matters to TLS.
fn toward() -> Toward {
    crate::tls::Trust::nobody().toward().unwrap()
}

fn question() -> Option<Question> {
    Some(Question { target: "/healthz?x".into(), host: "a.test".into(), status: (200, 399) })
}

/// What a check says of a server that answers with this, whatever it is asked, and closes; and what that was asked.
async fn said(answer: &'static str, question: Option<Question>) -> (bool, String, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::Inet(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                break;
            }
            asked.push(byte[0]);
        }
        // The other end may have gone.
        let _ = stream.write_all(answer.as_bytes()).await;
        String::from_utf8(asked).unwrap()
    });
    let Finding { ok, what, .. } = probe(order(endpoint, question), &toward()).await;
    (ok, what.into(), server.await.unwrap())
}

#[tokio::test]
async fn an_answer_is_judged_by_its_status_and_has_to_come_whole() {
    let rows = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, "status 200"),
        ("HTTP/1.0 204 No Content\r\n\r\n", true, "status 204"),
        ("HTTP/1.1 302 Found\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", true, "status 302"),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", true, "status 200"),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n", false, "status 500"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false, "status 404"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", false, "ended before the answer did"),
        ("", false, "ended before the answer did"),
        ("SSH-2.0-OpenSSH\r\n", false, "invalid HTTP version parsed"),
    ];
    for (answer, good, told) in rows {
        let (ok, what, asked) = said(answer, question()).await;
        assert!(ok == good && what.contains(told), "{answer:?}: {ok} {what}");
        assert!(asked.starts_with("GET /healthz?x HTTP/1.1\r\n"), "{asked}");
        let asked = asked.to_ascii_lowercase();
        assert!(asked.contains("host: a.test\r\n") && asked.contains("connection: close\r\n"), "{asked}");
        assert!(
            asked.contains(&format!("user-agent: elb/{} (check)\r\n", env!("CARGO_PKG_VERSION"))),
            "{asked}"
        );
    }
}

#[test]
fn of_every_path_that_an_option_may_have_a_request_can_be_made() {
    for byte in (b'!'..=b'~').map(char::from) {
        let path = format!("/a{byte}b?c{byte}d");
        if UpstreamOptions::parse(&format!("check={path}")).is_ok() {
            assert!(Request::get(&path).body(()).is_ok(), "{path}");
        }
    }
}

#[tokio::test]
async fn a_connection_is_enough_where_nothing_is_asked() {
    let (ok, what, asked) = said("", None).await;
    assert_eq!((ok, what.as_str(), asked.as_str()), (true, "connected", ""));
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = probe(order(Endpoint::Inet(gone), None), &toward()).await;
    assert_eq!((refused.ok, &*refused.what), (false, "connection refused"));
}

#[tokio::test]
async fn a_unix_socket_is_asked_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let endpoint = Endpoint::Unix(path.display().to_string().into());
    let missing = probe(order(endpoint.clone(), question()), &toward()).await;
    assert_eq!((missing.ok, &*missing.what), (false, "no such socket"));
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        stream
    });
    let found = probe(order(endpoint, question()), &toward()).await;
    assert!(found.ok, "{}", found.what);
    drop(server.join().unwrap());
}

#[tokio::test]
async fn an_endless_answer_is_read_to_its_bound() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::Inet(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 1 << 16]).await.is_ok() {}
    });
    assert!(probe(order(endpoint, question()), &toward()).await.ok);
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn silence_is_over_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Inet(listener.local_addr().unwrap());
    let begun = Instant::now();
    let found =
        probe(Order { within: Duration::from_secs(3), ..order(endpoint, question()) }, &toward()).await;
    assert_eq!((found.ok, &*found.what), (false, "no answer within 3s"));
    assert_eq!(begun.elapsed().as_secs(), 3);
}

/// The thread does something else for longer than the check may take, and then finds that the server has answered; or that it
/// waits for the rest of the question.
#[tokio::test(start_paused = true)]
async fn what_this_thread_is_late_for_is_no_fault_of_the_server() {
    const WITHIN: Duration = Duration::from_secs(1);
    let (mut late, mut steps) = (Duration::ZERO, 0);
    let attempt = async {
        for _ in 0..5 {
            // The answer to each step is there at once, and is looked at when all the time of the check has passed.
            tokio::task::yield_now().await;
            tokio::time::advance(WITHIN * 2).await;
            late += WITHIN * 2;
            steps += 1;
        }
    };
    assert_eq!(patiently(WITHIN, attempt).await, Some(()));
    assert_eq!((steps, late), (5, WITHIN * 10));
    assert_eq!(patiently(WITHIN, std::future::pending::<()>()).await, None);
}
