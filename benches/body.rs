//! Finding the end of a chunked body. Good: 20 ns a chunk, so 50 GB/s for chunks of a kilobyte: content is stepped over.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use elb::http1::body::{Body, Piece};
use elb::http1::framing::Framing;

/// Content of each body.
const CONTENT: usize = 64 * 1024;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunks");
    for size in [16, 1024, 16 * 1024] {
        let bytes = chunked(size);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("of {size} bytes"), |bencher| bencher.iter(|| scan(black_box(&bytes))));
    }
    group.finish();
}

fn chunked(size: usize) -> Vec<u8> {
    let chunk = [format!("{size:x}\r\n").as_bytes(), &vec![b'x'; size], b"\r\n"].concat();
    [chunk.repeat(CONTENT / size).as_slice(), b"0\r\n\r\n"].concat()
}

/// The length of the body.
fn scan(bytes: &[u8]) -> usize {
    let mut body = Body::new(Framing::Chunked, u64::MAX);
    let mut at = 0;
    loop {
        match body.next(&bytes[at..]) {
            Ok(Piece::Data(n) | Piece::Line(n) | Piece::Trailer(n) | Piece::Drop(n)) => at += n,
            Ok(Piece::Done) => return at,
            Ok(Piece::More) | Err(_) => panic!("a sample is not a body"),
        }
    }
}
