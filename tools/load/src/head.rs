//! As much of a head as the ends of a measurement must know: where it stops, and how long the body is.
//!
//! It owns these two questions for heads that well-behaved programs write, never a check: the proxies between are what
//! is tested for that. Next: `bin/origin` reads requests with it, `bin/load` responses.

use memchr::memmem;

/// The length of the head that `bytes` begin with, its empty line included, once it is whole.
#[must_use]
pub fn end(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of `Content-Length`; proxies may change the case of a name, never its meaning.
#[must_use]
pub fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    memchr::memchr_iter(b'\n', head).find_map(|feed| {
        let line = &head[feed + 1..];
        let value = line.get(NAME.len()..).filter(|_| line[..NAME.len()].eq_ignore_ascii_case(NAME))?;
        let digits = value.trim_ascii_start().iter().take_while(|byte| byte.is_ascii_digit());
        Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_found_in_any_case() {
        let head = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-Length:  128\r\n\r\nbody";
        assert_eq!((end(head), content_length(head)), (Some(head.len() - 4), Some(128)));
        assert_eq!(content_length(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), None);
        assert_eq!(end(b"GET / HTTP/1.1\r\nHost: a\r\n\r"), None);
    }
}
