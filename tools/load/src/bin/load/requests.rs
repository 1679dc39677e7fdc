//! The requests, rendered before the first is sent.
//!
//! It owns what a request looks like, never when it goes out. Next: `client` sends them in turn.

use std::fmt::Write;

/// What requests look like.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) path: String,
    pub(crate) host: String,
    /// Hosts that take turns, in the place of the one.
    pub(crate) hosts: Option<usize>,
    pub(crate) browser: bool,
    pub(crate) post: Option<usize>,
    pub(crate) once: bool,
}

/// What a browser says besides, some 650 bytes: with `Host`, twelve headers and one.
const BROWSER: &str = "Connection: keep-alive\r
Cache-Control: max-age=0\r
sec-ch-ua: \"Chromium\";v=\"124\", \"Google Chrome\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r
sec-ch-ua-mobile: ?0\r
sec-ch-ua-platform: \"Linux\"\r
Upgrade-Insecure-Requests: 1\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r
Sec-Fetch-Site: same-origin\r
Accept-Encoding: gzip, deflate, br, zstd\r
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r
Cookie: session=eyJhbGciOiJIUzI1NiJ9.eyJ1IjoxfQ; theme=dark; consent=2025-02-04\r
";

/// What everybody else says.
const PLAIN: &str = "User-Agent: load/1\r\nAccept: */*\r\n";

/// All of them.
#[derive(Debug)]
pub(crate) struct Requests {
    rendered: Vec<Vec<u8>>,
}

impl Requests {
    pub(crate) fn render(shape: &Shape) -> Self {
        let hosts: Vec<String> = match shape.hosts {
            None => vec![shape.host.clone()],
            Some(count) => (0..count).map(|number| format!("{number:05}.test")).collect(),
        };
        Self { rendered: hosts.iter().map(|host| shape.request(host)).collect() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rendered.len()
    }

    /// The bytes of one.
    pub(crate) fn get(&self, number: usize) -> &[u8] {
        &self.rendered[number]
    }
}

impl Shape {
    fn request(&self, host: &str) -> Vec<u8> {
        let method = if self.post.is_some() { "POST" } else { "GET" };
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: {host}\r\n", self.path);
        head.push_str(if self.browser { BROWSER } else { PLAIN });
        if self.once {
            head.push_str("Connection: close\r\n");
        }
        if let Some(length) = self.post {
            // Writing into a String cannot fail.
            let _ = write!(head, "Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.resize(bytes.len() + self.post.unwrap_or(0), b'x');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_request_and_each_body_its_length() {
        let shape = Shape {
            path: "/128".to_owned(),
            host: String::new(),
            hosts: Some(3),
            browser: true,
            post: Some(10),
            once: false,
        };
        let requests = Requests::render(&shape);
        assert_eq!(requests.len(), 3);
        let text = String::from_utf8_lossy(requests.get(2));
        assert!(
            text.starts_with("POST /128 HTTP/1.1\r\nHost: 00002.test\r\nConnection: keep-alive\r\n"),
            "{text}"
        );
        assert!(text.ends_with("Content-Length: 10\r\n\r\nxxxxxxxxxx"), "{text}");
    }
}
