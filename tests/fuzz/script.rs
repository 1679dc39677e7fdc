//! The language of exchange inputs: a line an event, so that a failing input can be read and written by hand.
//!
//! `c TEXT` and `s TEXT` are what client and server send, with the escapes `\r`, `\n`, `\\` and `\xHH`; every other
//! event is a letter, in two cases a number behind it. What is none of these is skipped, so every input is a script.

/// Something that happens to an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// `c TEXT`
    ClientSends(Vec<u8>),
    /// `s TEXT`
    ServerSends(Vec<u8>),
    /// `C`
    ClientEnds,
    /// `S`
    ServerEnds,
    /// `x`
    ClientResets,
    /// `X`
    ServerResets,
    /// `a N`: the client takes so many bytes a write from now on; 0: none.
    ClientTakes(usize),
    /// `b N`: the same of the server.
    ServerTakes(usize),
    /// `t`: nothing happens until the deadline.
    TimePasses,
    /// `w`, `W`: the stock of windows is used up, or filled again.
    Windows(bool),
    /// `d`: rules deny from now on.
    Deny,
    /// `r`: the process drains.
    Drain,
    /// `n`, `p`, `f`, `l`, `q`: how servers are connected from now on.
    Servers(Servers),
    /// `y`, `z`: the connection that was to come later is there, or is refused.
    Connects(bool),
}

/// How servers are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Servers {
    /// At once, by a new connection.
    New,
    /// At once, from the pool.
    Pooled,
    /// Refused at once.
    Refused,
    /// Later.
    Later,
    /// There are none.
    None,
}

/// The events of a script.
pub(super) fn events(script: &[u8]) -> impl Iterator<Item = Event> {
    script.split(|byte| *byte == b'\n').filter_map(event)
}

fn event(line: &[u8]) -> Option<Event> {
    let (letter, rest) = line.split_first()?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    Some(match letter {
        b'c' => Event::ClientSends(unescaped(rest)),
        b's' => Event::ServerSends(unescaped(rest)),
        b'C' => Event::ClientEnds,
        b'S' => Event::ServerEnds,
        b'x' => Event::ClientResets,
        b'X' => Event::ServerResets,
        b'a' => Event::ClientTakes(number(rest)),
        b'b' => Event::ServerTakes(number(rest)),
        b't' => Event::TimePasses,
        b'w' => Event::Windows(false),
        b'W' => Event::Windows(true),
        b'd' => Event::Deny,
        b'r' => Event::Drain,
        b'n' => Event::Servers(Servers::New),
        b'p' => Event::Servers(Servers::Pooled),
        b'f' => Event::Servers(Servers::Refused),
        b'l' => Event::Servers(Servers::Later),
        b'q' => Event::Servers(Servers::None),
        b'y' => Event::Connects(true),
        b'z' => Event::Connects(false),
        _ => return None,
    })
}

fn number(digits: &[u8]) -> usize {
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        let (byte, length) = match (byte, after) {
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b'x', high, low, ..]) if digit(*high).is_some() && digit(*low).is_some() => {
                (digit(*high).unwrap_or(0) << 4 | digit(*low).unwrap_or(0), 4)
            }
            (b'\\', [b'\\', ..]) => (b'\\', 2),
            _ => (*byte, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
