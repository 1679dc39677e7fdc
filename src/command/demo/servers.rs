//! Two sample servers that say which of them was asked, and for what.
//!
//! It owns two listeners on loopback ports of the kernel's choice and the one thread that answers on both, until the
//! process ends. They know nothing of the balancer in front of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::{Method, Uri};

/// Starts both and says where they are.
pub(super) fn start() -> io::Result<[SocketAddr; 2]> {
    // hyper dates what they send, and panics at such a time.
    if SystemTime::now() < UNIX_EPOCH {
        return Err(io::Error::other("the clock of this machine shows a time before 1970, set it first"));
    }
    let listeners = [listener()?, listener()?];
    let addresses = [listeners[0].local_addr()?, listeners[1].local_addr()?];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = move || {
        let [first, second] = listeners;
        runtime.block_on(async { tokio::join!(answer(1, first), answer(2, second)) })
    };
    thread::Builder::new().name("sample servers".to_owned()).spawn(serve)?;
    Ok(addresses)
}

fn listener() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn answer(number: u8, listener: TcpListener) -> io::Result<()> {
    let saw = move |method: Method, uri: Uri| async move { format!("server {number} saw {method} {uri}\n") };
    axum::serve(tokio::net::TcpListener::from_std(listener)?, Router::new().fallback(saw)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    #[test]
    fn each_says_its_number_and_the_request() {
        for (number, address) in (1..).zip(start().unwrap()) {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /blog/x?y=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
            assert!(text.ends_with(&format!("\r\n\r\nserver {number} saw GET /blog/x?y=1\n")), "{text}");
        }
    }
}
