//! Who watches a request on its way through the rules.
//!
//! It owns these words and nothing that happens. Next: [`graph`](super::graph) tells of every rule,
//! [`route`](mod@super::route) of the domain; `explain` shows what it was told.

/// Watches one request on its way; what is not of interest is ignored and costs nothing.
pub trait Recorder {
    /// Whether it is told anything at all.
    const WATCHES: bool = true;
    /// Whether it is told the numbers of rules and of the successors that they choose, which costs next to nothing.
    const COUNTS: bool = false;
    /// The rule of this number was asked, and chose this one of its successors, counted from 0.
    fn chose(&mut self, _rule: u16, _successor: usize) {}
    /// The request belongs to this domain, named as the operator wrote it.
    fn domain(&mut self, _name: &str, _found: Lookup) {}
    /// A rule was asked.
    fn step(&mut self, _step: Step<'_>) {}
    /// The walk ends at this rule, which is of this type and says what becomes of the request.
    fn end(&mut self, _rule: &str, _kind: &'static str) {}
}

/// By which of the four look-ups a domain was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// The host as received, its port included.
    AsReceived,
    /// The host in lower case, without port and trailing dot.
    Normal,
    /// A suffix, as `*.example.com`.
    Suffix,
    /// `*`, which takes the rest.
    Rest,
}

impl Lookup {
    /// A word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::AsReceived => "as received",
            Self::Normal => "normal form",
            Self::Suffix => "suffix",
            Self::Rest => "the rest",
        }
    }
}

/// What a rule was asked, and how the walk goes on.
#[derive(Debug)]
pub struct Step<'a> {
    /// The name of the rule.
    pub rule: &'a str,
    /// Its type.
    pub kind: &'static str,
    /// What it looked at.
    pub look: Look,
    /// Which of its successors it chose, counted from 0.
    pub successor: usize,
    /// The argument that names that one: `succ`, `fail`.
    pub branch: String,
    /// The rule that follows; none is a denial.
    pub next: Option<&'a str>,
    /// The path as rules after this one see it.
    pub path: &'a [u8],
}

/// What a rule looks at in a request, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What it looks at: `path`, `user agent`, `header X-User`.
    pub what: String,
    /// What stands there; nothing when it is not there.
    pub value: Option<String>,
    /// What it is compared with, as the operator wrote it.
    pub test: String,
}

impl Look {
    /// Bytes of a request as text.
    pub(crate) fn new(what: impl Into<String>, value: Option<&[u8]>, test: impl Into<String>) -> Look {
        let value = value.map(|value| String::from_utf8_lossy(value).into_owned());
        Look { what: what.into(), value, test: test.into() }
    }
}

/// Records nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Recorder for Silent {
    const WATCHES: bool = false;
}
