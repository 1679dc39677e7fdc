//! The bodies of the fuzz targets: one function a file, from bytes to nothing, which panics when a promise is broken.
//!
//! They are compiled twice: here, where `fuzz_corpus.rs` runs the committed corpora and random changes of them with the
//! ordinary tests, and by `tools/fuzzing`, where libFuzzer looks for new inputs. They use ELB's pure rooms only.

pub mod chunked_body;
pub mod exchange;
pub mod proxy_header;
pub mod random;
pub mod request_head;
pub mod response_head;
pub mod rule_set;
pub mod server_params;
pub mod target;

#[allow(dead_code, reason = "others have more use of it")]
#[path = "../support/chance.rs"]
mod chance;
mod script;
mod streams;

/// A target: it panics when an input makes ELB break a promise.
pub type Target = fn(&[u8]);

/// Every target by name; its corpus is the folder of that name.
pub const TARGETS: [(&str, Target); 8] = [
    ("chunked_body", chunked_body::run),
    ("exchange", exchange::run),
    ("proxy_header", proxy_header::run),
    ("request_head", request_head::run),
    ("response_head", response_head::run),
    ("rule_set", rule_set::run),
    ("server_params", server_params::run),
    ("target", target::run),
];

/// Sizes of the pieces that an input is cut into. The answer must not depend on it.
const CUTS: [usize; 4] = [1, 2, 7, 1000];

/// Bytes as a failure should show them.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 600;
    match bytes.get(..MOST) {
        Some(start) if bytes.len() > MOST => {
            format!("{} and so on, {} bytes", start.escape_ascii(), bytes.len())
        }
        _ => bytes.escape_ascii().to_string(),
    }
}
