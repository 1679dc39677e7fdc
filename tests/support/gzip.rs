//! Content that is worth compressing, and reading what was.
//!
//! It reads strictly: what stands behind the end of compressed content fails the test.

use std::io::Read;

use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress};

/// Text that is as compressible as pages are.
pub(crate) fn page(length: usize) -> String {
    let mut number = 1_u32;
    let mut page = String::with_capacity(length + 64);
    while page.len() < length {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        page += &format!("<p class=\"word\">{}</p>\n", number >> 12);
    }
    page.truncate(length);
    page
}

/// Content that is whole.
#[track_caller]
pub(crate) fn unpacked(body: &[u8]) -> String {
    let (mut text, mut decoder) = (String::new(), GzDecoder::new(body));
    decoder.read_to_string(&mut text).expect("gzip, whole");
    assert!(decoder.into_inner().is_empty(), "something behind its end");
    text
}

/// What can be read of content that may not be whole.
#[track_caller]
pub(crate) fn readable(body: &[u8]) -> String {
    let (mut decoder, mut text) = (Decompress::new_gzip(15), Vec::with_capacity(1 << 20));
    decoder.decompress_vec(body, &mut text, FlushDecompress::Sync).expect("gzip");
    String::from_utf8(text).expect("text")
}
