//! Who watches a request on its way through the rules.
//!
//! It owns these words and nothing that happens. Next: [`graph`](super::graph) tells of every rule,
//! [`route`](mod@super::route) of the domain.

/// Watches one request on its way; what is not of interest is ignored and costs nothing.
pub trait Recorder {
    /// Whether it is told anything at all.
    const WATCHES: bool = true;
    /// The request belongs to this domain, named as the operator wrote it.
    fn domain(&mut self, _name: &str) {}
    /// A rule was asked and chose one of its successors, counted from 0: the walk goes on at the rule `next`, or ends in a
    /// denial where there is none.
    fn step(&mut self, _rule: &str, _successor: usize, _next: Option<&str>) {}
    /// The walk ends at this rule, which says what becomes of the request.
    fn end(&mut self, _rule: &str) {}
}

/// Records nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Recorder for Silent {
    const WATCHES: bool = false;
}
