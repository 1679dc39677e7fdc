//! The line in the log about each change of the configuration that took effect: what, by whom, and in which version.
//!
//! It owns the form of that line and what waits for its version, never a change. Each change by the API has a line of its own;
//! what comes from a store between two versions is one. Next: [`hub`](super::hub) notes changes and says when they are served.

use std::fmt::Write;
use std::net::IpAddr;

use tracing::{field, info};

use crate::model::{Counts, Differences, Digest};

/// Names that a line has; it counts the others.
const NAMES: usize = 5;
/// Characters of a name: a domain that can be asked for has no more than 253, and most have far less.
const CHARACTERS: usize = 64;
/// Changes that wait for their version: as many as the admin API takes at a time, for each of a few seconds in which no worker
/// can be given a snapshot.
const WAITING: usize = 256;

/// Who made a change, and by which way it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Author {
    /// The peer that asked for it; nobody for what comes from a store by itself.
    pub(super) who: Option<IpAddr>,
    pub(super) via: Via,
}

/// The way by which a change came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// The admin API.
    Api,
    Etcd,
    /// The file that is the store.
    File,
    /// What was kept from an earlier life.
    StateFile,
    /// What the process had whose place this one takes.
    Handover,
}

impl Via {
    /// Its word in the log.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Etcd => "etcd",
            Self::File => "file",
            Self::StateFile => "state-file",
            Self::Handover => "handover",
        }
    }

    /// The way of this word.
    pub(super) fn named(word: &str) -> Option<Self> {
        [Self::Api, Self::Etcd, Self::File, Self::StateFile, Self::Handover]
            .into_iter()
            .find(|via| via.word() == word)
    }

    /// It was served before this process was there.
    pub(super) const fn is_former(self) -> bool {
        matches!(self, Self::StateFile | Self::Handover)
    }

    /// A change that came this way, and that nobody asked this ELB for.
    pub(super) const fn by_nobody(self) -> Author {
        Author { who: None, via: self }
    }
}

/// What one author has changed.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) author: Author,
    pub(super) differences: Differences,
}

/// Changes that are accepted, and in no version yet.
#[derive(Debug, Default)]
pub(super) struct Changes {
    waiting: Vec<Made>,
}

impl Changes {
    /// These differences were made. `version` is the one that they are likely to be served in.
    pub(super) fn note(&mut self, author: Author, differences: Differences, version: u64) {
        if differences.is_empty() {
            return;
        }
        let is_full = self.waiting.len() >= WAITING;
        match self.waiting.last_mut() {
            Some(last) if last.author.via != Via::Api && last.author == author => {
                last.differences.add(differences);
            }
            // Its version is late; what is known is told now, and the history has it with the change before it.
            Some(last) if is_full => {
                tell(version, None, author, &differences);
                last.differences.add(differences);
            }
            _ => self.waiting.push(Made { author, differences }),
        }
    }

    /// All of them are in this version, which has this digest.
    pub(super) fn served(&mut self, version: u64, digest: Digest) -> Vec<Made> {
        for Made { author, differences } in &self.waiting {
            tell(version, Some(digest), *author, differences);
        }
        std::mem::take(&mut self.waiting)
    }

    /// Those that are in no version yet, in order.
    pub(super) fn waiting(&self) -> impl DoubleEndedIterator<Item = &Differences> {
        self.waiting.iter().map(|made| &made.differences)
    }
}

fn tell(version: u64, digest: Option<Digest>, author: Author, differences: &Differences) {
    let Counts { domains, upstreams } = differences.counts();
    let number = |count: usize| (count > 0).then_some(count);
    info!(
        version,
        who = %author.who.map_or("-".to_owned(), |who| who.to_canonical().to_string()),
        via = %author.via.word(),
        "+domains" = number(domains.added),
        "-domains" = number(domains.removed),
        "~domains" = number(domains.changed),
        "+upstreams" = number(upstreams.added),
        "-upstreams" = number(upstreams.removed),
        "~upstreams" = number(upstreams.changed),
        names = %names(differences),
        digest = digest.map(|digest| field::display(format!("{digest:.16}"))),
        "configuration changed"
    );
}

/// The first names, domains before upstreams, and how many there are besides.
fn names(differences: &Differences) -> String {
    let mut all = differences.names();
    let first: Vec<String> = all.by_ref().take(NAMES).map(shown).collect();
    let mut told = first.join(",");
    match all.count() {
        0 => {}
        // Writing to a string does not fail.
        more => drop(write!(told, ",… and {more} more")),
    }
    told
}

/// A name as one word, so that it looks like no other part of the line: what separates those is escaped, and so is what could
/// not be seen.
fn shown(name: &str) -> String {
    let mut shown = String::new();
    for character in name.chars().take(CHARACTERS) {
        if character.is_whitespace() || character == ',' {
            shown.extend(character.escape_unicode());
        } else {
            shown.extend(character.escape_debug());
        }
    }
    if name.chars().nth(CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Edit, State};

    fn upstreams(names: &[String]) -> Differences {
        let mut state = State::new();
        let all = names.iter().map(|name| (name.clone(), json!({"127.0.0.1:1": ""})));
        let Value::Object(all) = all.collect::<Value>() else { panic!("an object") };
        state.edit(Edit::PutUpstreams(all)).unwrap();
        state.take_differences()
    }

    #[test]
    fn a_few_names_are_told_and_the_others_counted() {
        let named = |count: usize| {
            let all: Vec<String> = (0..count).map(|number| format!("up{number}")).collect();
            names(&upstreams(&all))
        };
        assert_eq!(named(1), "up0");
        assert_eq!(named(5), "up0,up1,up2,up3,up4");
        assert_eq!(named(7), "up0,up1,up2,up3,up4,… and 2 more");
    }

    #[test]
    fn a_name_is_one_word_and_forges_nothing() {
        for (name, told) in [
            ("a.test", "a.test"),
            ("bücher.test", "bücher.test"),
            ("a\nb digest=1,c", "a\\u{a}b\\u{20}digest=1\\u{2c}c"),
            ("\u{1b}[31m\u{2028}\u{202e}", "\\u{1b}[31m\\u{2028}\\u{202e}"),
        ] {
            assert_eq!(shown(name), told);
        }
        assert_eq!(shown(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
    }

    #[test]
    fn each_change_of_the_api_waits_by_itself_and_those_of_a_store_together() {
        let mut changes = Changes::default();
        let (api, etcd) = (Via::Api.by_nobody(), Via::Etcd.by_nobody());
        changes.note(api, Differences::default(), 1);
        assert!(changes.waiting.is_empty(), "nothing is different");
        let one = |name: &str| upstreams(&[name.to_owned()]);
        for (author, name) in [(api, "a"), (api, "b"), (etcd, "c"), (etcd, "d"), (api, "e"), (etcd, "f")] {
            changes.note(author, one(name), 1);
        }
        let waiting: Vec<String> =
            changes.waiting.iter().map(|Made { differences, .. }| names(differences)).collect();
        assert_eq!(waiting, ["a", "b", "c,d", "e", "f"]);
        for number in 0..WAITING {
            changes.note(api, one(&number.to_string()), 1);
        }
        assert_eq!(changes.waiting.len(), WAITING, "the others were told of at once");
        changes.served(1, State::new().digest());
        assert!(changes.waiting.is_empty());
    }
}
