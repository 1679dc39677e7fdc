//! A second opinion: tiny, strict parsers that share no line with the ones under test.
//!
//! They are slow, take whole slices, and accept exactly what a careful sender writes.

/// A head: its first line, its field lines, and the bytes it takes.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) first: &'a str,
    pub(crate) lines: Vec<&'a str>,
    pub(crate) length: usize,
}

impl<'a> Head<'a> {
    /// The head that `bytes` begin with, once it is whole.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let text = std::str::from_utf8(&bytes[..end]).expect("a head of text");
        let mut lines = text.split("\r\n");
        let first = lines.next().expect("a first line");
        let lines: Vec<&str> = lines.collect();
        for line in &lines {
            assert!(line.split_once(": ").is_some() && !line.contains(['\r', '\n']), "line {line:?}");
        }
        Some(Self { first, lines, length: end + 4 })
    }

    /// The value of the only field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&'a str> {
        let mut values =
            self.lines.iter().filter_map(|line| line.split_once(": ")).filter(|(n, _)| *n == name);
        let value = values.next().map(|(_, value)| value);
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    /// `Content-Length`, as a number.
    pub(crate) fn length_field(&self) -> Option<usize> {
        self.field("Content-Length").map(|value| value.parse().expect("a number"))
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.field("Transfer-Encoding").is_some_and(|coding| {
            assert_eq!(coding, "chunked");
            true
        })
    }
}

/// A chunked body: what it holds, and whether it is whole.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    pub(crate) content: Vec<u8>,
    pub(crate) trailers: Vec<u8>,
    /// Bytes of the whole body; only when it is whole.
    pub(crate) length: Option<usize>,
}

impl Chunks {
    /// Reads a chunked body as far as it has come.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut chunks = Self::default();
        let mut at = 0;
        loop {
            let Some(line) = line(&bytes[at..]) else { return chunks };
            at += line.len() + 2;
            let text = std::str::from_utf8(line).expect("digits and nothing else");
            let size = usize::from_str_radix(text, 16).expect("a hexadecimal size");
            if size == 0 {
                break;
            }
            let have = size.min(bytes.len() - at);
            chunks.content.extend(&bytes[at..at + have]);
            at += have;
            if have < size || bytes.len() < at + 2 {
                return chunks;
            }
            assert_eq!(&bytes[at..at + 2], b"\r\n", "the end of a chunk");
            at += 2;
        }
        loop {
            let Some(line) = line(&bytes[at..]) else { return chunks };
            at += line.len() + 2;
            if line.is_empty() {
                chunks.length = Some(at);
                return chunks;
            }
            chunks.trailers.extend(line);
            chunks.trailers.extend(b"\r\n");
        }
    }
}

/// The first line, without its CRLF, when it is whole.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    assert!(!bytes[..end].contains(&b'\n'), "a bare line feed");
    Some(&bytes[..end])
}

/// Reads one whole request and says what it asks: first line, body, and the bytes that it takes.
pub(crate) fn request(bytes: &[u8]) -> Option<(String, Vec<u8>, usize)> {
    let head = Head::read(bytes)?;
    let rest = &bytes[head.length..];
    let (body, length) = match (head.is_chunked(), head.length_field()) {
        (true, None) => {
            let chunks = Chunks::read(rest);
            assert!(chunks.trailers.is_empty(), "trailers reached a server");
            (chunks.content, chunks.length?)
        }
        (false, Some(length)) => (rest.get(..length)?.to_vec(), length),
        (false, None) => (Vec::new(), 0),
        (true, Some(_)) => panic!("two framings in one request"),
    };
    Some((head.first.to_owned(), body, head.length + length))
}
