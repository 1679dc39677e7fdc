//! As much of RFC 6455 as an echo needs: the handshake of its example, and frames both ways.
//!
//! It owns the bytes of frames; it never opens a socket. Next: `client` and `server` carry them.

/// The handshake of RFC 6455, section 1.3, for `host`.
pub(crate) fn handshake(host: &str) -> String {
    format!(
        "GET /echo HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// The answer that the RFC gives to that handshake.
pub(crate) const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                                   Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A whole binary message in one frame. A client masks what it sends, a server does not.
pub(crate) fn frame(payload: &[u8], masked: bool) -> Vec<u8> {
    let mut frame = vec![0x82];
    let mask = if masked { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..126 => frame.push(mask | short as u8),
        middle @ 126..65_536 => {
            frame.push(mask | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(mask | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    let key = if masked { [0x37, 0xfa, 0x21, 0x3d] } else { [0; 4] };
    if masked {
        frame.extend(key);
    }
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The payload of the next frame, given a way to read exactly so many bytes.
pub(crate) fn payload<E>(mut read: impl FnMut(usize) -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
    let start = read(2)?;
    let length = match start[1] & 0x7f {
        126 => read(2)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        127 => read(8)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        short => usize::from(short),
    };
    let key = if start[1] & 0x80 == 0 { vec![0; 4] } else { read(4)? };
    Ok(read(length)?.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect())
}
