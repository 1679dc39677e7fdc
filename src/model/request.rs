//! What a rule may look at.
//!
//! It owns the view of a request that routing reads, never the request's bytes or their parsing: `http1::target` made
//! path and host canonical before. Next: `route` decides with it.

/// The parts of one request that rules decide on.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The host as received, port included: the `Host` field, or the authority of an absolute target.
    pub host: &'a [u8],
    /// The host in lower case, without port and trailing dot; ASCII, already validated.
    pub host_normal: &'a [u8],
    /// The path decoded and normalised, beginning with `/`, without the query.
    pub path: &'a [u8],
    /// The first `User-Agent` as received.
    pub user_agent: Option<&'a [u8]>,
}
