//! Heads and whole messages, as a test looks at them.
//!
//! It owns a strict reading of heads: one space here, CRLF there, nothing forgiven, because ELB wrote them. It never
//! touches a socket. Next: `wire` reads messages from one.

/// A request or response head: its first line and its fields, in order, spelled as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The request line or status line.
    pub(crate) line: String,
    /// Names and values.
    pub(crate) fields: Vec<(String, String)>,
    /// The exact bytes, with the empty line.
    pub(crate) bytes: Vec<u8>,
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    Close,
}

/// A whole request or response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) head: Head,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// The body as it stood on the wire, chunks and trailers and all.
    pub(crate) raw: Vec<u8>,
    /// Trailer fields of a chunked body.
    pub(crate) trailers: Vec<(String, String)>,
}

impl Head {
    /// Reads a head from its bytes, empty line included; the error says what is wrong.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Head, String> {
        // A head of a test may have 60 kB, and a storm has hundreds of them a second: byte by byte they would take more
        // than ELB does.
        let text = match str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => text.to_owned(),
            _ => bytes.iter().map(|byte| *byte as char).collect(),
        };
        let lines = text.strip_suffix("\r\n\r\n").ok_or("a head without its end")?;
        let mut lines = lines.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
        let parts = line.splitn(3, ' ').collect::<Vec<_>>();
        let versions = ["HTTP/1.1", "HTTP/1.0"];
        match parts[..] {
            [version, status, _] if versions.contains(&version) && is_status(status) => {}
            [_, target, version] if versions.contains(&version) && !target.is_empty() => {}
            _ => return Err(format!("not a first line: {line:?}")),
        }
        Ok(Head { line, fields, bytes: bytes.to_vec() })
    }

    /// The value of the only field of this name, whatever its case; `None` when there is none. Two are a fault.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} appears more than once in {self:?}");
        all.first().copied()
    }

    /// The values of all fields of this name, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let matches = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        matches.map(|(_, value)| value.as_str()).collect()
    }

    /// The number in a status line.
    pub(crate) fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    /// The first word of a request line.
    pub(crate) fn method(&self) -> &str {
        self.word(0)
    }

    /// The second word of a request line.
    pub(crate) fn target(&self) -> &str {
        self.word(1)
    }

    fn word(&self, index: usize) -> &str {
        self.line.split(' ').nth(index).unwrap_or_default()
    }

    /// Which body follows this request head.
    pub(crate) fn request_framing(&self) -> Result<Framing, String> {
        Ok(self.declared()?.unwrap_or(Framing::None))
    }

    /// Which body follows this response head, given the method of the request.
    pub(crate) fn response_framing(&self, method: &str) -> Result<Framing, String> {
        let declared = self.declared()?;
        let status = self.status();
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Ok(Framing::None);
        }
        Ok(declared.unwrap_or(Framing::Close))
    }

    fn declared(&self) -> Result<Option<Framing>, String> {
        match (self.all("Content-Length")[..].to_vec(), self.all("Transfer-Encoding")[..].to_vec()) {
            (lengths, codings) if lengths.is_empty() && codings.is_empty() => Ok(None),
            (lengths, codings) if lengths.is_empty() && codings == ["chunked"] => Ok(Some(Framing::Chunked)),
            (lengths, codings) if lengths.len() == 1 && codings.is_empty() => {
                let length = lengths[0].parse().map_err(|_| format!("bad length {:?}", lengths[0]))?;
                Ok(Some(Framing::Length(length)))
            }
            (lengths, codings) => Err(format!("framing in doubt: {lengths:?} with {codings:?}")),
        }
    }
}

impl Message {
    /// The exact bytes, from the first of the head to the last of the body.
    pub(crate) fn wire(&self) -> Vec<u8> {
        [&self.head.bytes[..], &self.raw].concat()
    }

    /// The number in a status line.
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }
}

fn is_status(word: &str) -> bool {
    word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// One field line, without its line end.
pub(crate) fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("no colon in {line:?}"))?;
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty()
        || !name.chars().all(token)
        || memchr::memchr3(b'\r', b'\n', 0, value.as_bytes()).is_some()
    {
        return Err(format!("not a field line: {line:?}"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}
