//! Every domain with its rules, found by the host of a request.
//!
//! It owns the order of the search (as received, then normal, then by suffix, then the rest) and the sharing of what
//! did not change; never the rules. A search reads one line of a table of hashes and one line of the domain, which
//! holds its name and the way to its rules. Next: [`domains`](super::domains) keeps the editable one,
//! [`snapshot`](super::snapshot) a copy for the workers.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::host;
use super::ruleset::RuleSet;
use crate::semantics::RequestView;

/// Domains of a page, which is copied when one of them changes and is shared otherwise.
const PAGE: usize = 64;
/// Longest name that is kept beside the rules: what is left of a cache line. Hardly any host name is longer.
const SHORT: usize = 53;

/// All domains at one moment; a copy costs a pointer for each page. A slot is a domain's as long as it has rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    index: Arc<Index>,
    pages: Vec<Arc<Page>>,
    /// How many domains were removed until now: each has freed a slot, which may be another's since.
    removed: u64,
}

type Page = [Entry; PAGE];

#[derive(Debug, Clone, Default)]
#[repr(align(64))]
struct Entry {
    name: Name,
    /// None in a slot that is free.
    rules: Option<Arc<RuleSet>>,
}

const _: () = assert!(size_of::<Entry>() == 64, "a domain is one cache line");

#[derive(Debug, Clone)]
enum Name {
    Short {
        length: u8,
        bytes: [u8; SHORT],
    },
    Long(Arc<str>),
    /// One beyond ASCII, and its form of A-labels.
    Foreign(Box<(Arc<str>, Box<str>)>),
}

/// From names to slots. It is shared while the names stay.
#[derive(Debug, Clone, Default)]
struct Index {
    hasher: DefaultHashBuilder,
    /// Every name as written.
    exact: HashTable<Place>,
    /// Names that are not written so: in lower case, without trailing dot, of A-labels. Of several the first.
    aliases: HashTable<Place>,
    /// What follows `*.`, in lower case.
    suffixes: HashTable<Place>,
    /// The longest of them: no longer suffix of a host is looked up, so a long host costs no more than our own names.
    longest: usize,
    /// The domain `*`.
    rest: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u32,
    slot: u32,
}

impl Place {
    /// The table takes its place from the low bits and a tag from the high ones.
    fn spread(&self) -> u64 {
        u64::from(self.hash) << 32 | u64::from(self.hash)
    }
}

impl Default for Name {
    fn default() -> Self {
        Name::Short { length: 0, bytes: [0; SHORT] }
    }
}

impl Name {
    fn new(name: &Arc<str>) -> Name {
        if let Some(form) = (!name.is_ascii()).then(|| host::asked_as(name).ok()).flatten() {
            return Name::Foreign(Box::new((Arc::clone(name), form.into())));
        }
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..name.len()) {
            Some(room) => {
                room.copy_from_slice(name.as_bytes());
                Name::Short { length: name.len() as u8, bytes }
            }
            None => Name::Long(Arc::clone(name)),
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Name::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Name::Long(name) => name.as_bytes(),
            Name::Foreign(names) => names.0.as_bytes(),
        }
    }

    /// The other form by which it is found, but for case: without the dot at its end, and of A-labels.
    fn alias(&self) -> &[u8] {
        match self {
            Name::Foreign(names) => names.1.as_bytes(),
            _ => undotted(self.bytes()),
        }
    }
}

/// A name without the dot at its end.
fn undotted(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}

/// Is `lower` the name in lower case?
fn lowers(name: &[u8], lower: &[u8]) -> bool {
    name.len() == lower.len() && name.iter().zip(lower).all(|(a, b)| a.to_ascii_lowercase() == *b)
}

impl Hosts {
    /// The slot and the rules of a request's domain. `lowered` is room for the host in lower case; only hosts that are
    /// no name need it.
    #[inline(always)]
    pub(crate) fn find(&self, request: &RequestView<'_>, lowered: &mut Vec<u8>) -> Option<(u32, &RuleSet)> {
        let slot = self.find_slot(request, lowered)?;
        Some((slot, self.rules_of(slot)?))
    }

    /// The rules of the domain in a slot.
    #[inline]
    pub(crate) fn rules_of(&self, slot: u32) -> Option<&RuleSet> {
        self.entry(slot)?.rules.as_deref()
    }

    #[inline(always)]
    fn find_slot(&self, request: &RequestView<'_>, lowered: &mut Vec<u8>) -> Option<u32> {
        if let Some(slot) = self.named(request.host) {
            return Some(slot);
        }
        if request.host.iter().any(u8::is_ascii_uppercase) {
            lowered.clear();
            lowered.extend(request.host.iter().map(u8::to_ascii_lowercase));
            if let Some(slot) = self.named(lowered) {
                return Some(slot);
            }
        }
        // Most hosts are in normal form already.
        let again =
            if request.canonical_host == request.host { None } else { self.named(request.canonical_host) };
        again.or_else(|| self.by_suffix(request.canonical_host)).or(self.index.rest)
    }

    #[inline]
    fn named(&self, name: &[u8]) -> Option<u32> {
        let index = &*self.index;
        let hash = index.hash(name);
        let exact =
            index.exact.find(hash.spread(), |place| place.hash == hash.hash && self.name(place.slot) == name);
        if exact.is_none() && !index.aliases.is_empty() {
            return index.get(&index.aliases, name, |slot| lowers(self.alias(slot), name));
        }
        exact.map(|place| place.slot)
    }

    fn by_suffix(&self, host: &[u8]) -> Option<u32> {
        let index = &*self.index;
        if index.suffixes.is_empty() {
            return None;
        }
        let is = |slot: u32, suffix: &[u8]| {
            self.alias(slot).strip_prefix(b"*.").is_some_and(|name| lowers(name, suffix))
        };
        memchr::memchr_iter(b'.', host)
            .filter_map(|dot| host.get(dot + 1..))
            .filter(|suffix| suffix.len() <= index.longest)
            .find_map(|suffix| index.get(&index.suffixes, suffix, |slot| is(slot, suffix)))
    }

    #[inline]
    fn entry(&self, slot: u32) -> Option<&Entry> {
        self.pages.get(slot as usize / PAGE)?.get(slot as usize % PAGE)
    }

    #[inline]
    fn name(&self, slot: u32) -> &[u8] {
        self.entry(slot).map_or(&[], |entry| entry.name.bytes())
    }

    fn alias(&self, slot: u32) -> &[u8] {
        self.entry(slot).map_or(&[], |entry| entry.name.alias())
    }

    /// The name of the domain in a slot, as the operator wrote it; empty when there is none.
    pub(crate) fn name_of(&self, slot: u32) -> &str {
        std::str::from_utf8(self.name(slot)).unwrap_or_default()
    }

    /// The slot of the domain of that name, as the operator wrote it.
    pub(crate) fn slot_of(&self, name: &str) -> Option<u32> {
        let name = name.as_bytes();
        self.index.get(&self.index.exact, name, |slot| self.name(slot) == name)
    }

    /// How many domains there are.
    pub(crate) fn count(&self) -> usize {
        self.index.exact.len()
    }

    /// The number of slots: every slot is below it.
    pub(crate) fn slots(&self) -> usize {
        self.pages.len() * PAGE
    }

    /// Whether every slot that names a domain in `former` names the same one here: none was removed since.
    pub(crate) fn keeps_slots_of(&self, former: &Hosts) -> bool {
        self.removed == former.removed
    }
}

impl Index {
    #[inline]
    fn hash(&self, name: &[u8]) -> Place {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name);
        // 32 of the 64 bits are enough, and either half is as good.
        Place { hash: (hasher.finish() >> 32) as u32, slot: 0 }
    }

    fn get(&self, table: &HashTable<Place>, name: &[u8], is: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = self.hash(name);
        let place = table.find(hash.spread(), |place| place.hash == hash.hash && is(place.slot))?;
        Some(place.slot)
    }
}

/// The domains as they are edited.
#[derive(Debug, Default)]
pub(crate) struct EditableHosts {
    hosts: Hosts,
    free: Vec<u32>,
    /// Names with a second form, in order.
    special: BTreeMap<Arc<str>, u32>,
    /// Names that requests ask for in another form: that form, then the name.
    forms: BTreeSet<(Box<str>, Arc<str>)>,
    /// The names have changed since the index was built.
    stale: bool,
}

impl EditableHosts {
    /// Those of `hosts`, in their slots. What comes gets a slot that none has there, and twins are not looked for.
    pub(crate) fn of(hosts: &Hosts) -> EditableHosts {
        let named = (0_u32..).take(hosts.slots()).map(|slot| (hosts.name_of(slot), slot));
        let special = named.filter(|(name, _)| is_special(name)).map(|(name, slot)| (name.into(), slot));
        EditableHosts { special: special.collect(), hosts: hosts.clone(), ..EditableHosts::default() }
    }

    /// The domain has these rules now, or (`None`) is gone.
    pub(crate) fn set(&mut self, name: &Arc<str>, rules: Option<Arc<RuleSet>>) {
        match (self.hosts.slot_of(name), rules) {
            (Some(slot), Some(rules)) => {
                if let Some(entry) = self.entry_mut(slot) {
                    entry.rules = Some(rules);
                }
            }
            (Some(slot), None) => self.remove(name, slot),
            (None, Some(rules)) => self.add(name, rules),
            (None, None) => {}
        }
    }

    fn add(&mut self, name: &Arc<str>, rules: Arc<RuleSet>) {
        let slot = self.free_slot();
        if let Some(entry) = self.entry_mut(slot) {
            *entry = Entry { name: Name::new(name), rules: Some(rules) };
        }
        self.forms.extend(other_form(name).map(|form| (form, Arc::clone(name))));
        let index = Arc::make_mut(&mut self.hosts.index);
        let place = Place { slot, ..index.hash(name.as_bytes()) };
        index.exact.insert_unique(place.spread(), place, Place::spread);
        if is_special(name) {
            self.special.insert(Arc::clone(name), slot);
            self.stale = true;
        }
    }

    fn remove(&mut self, name: &Arc<str>, slot: u32) {
        if let Some(form) = other_form(name) {
            self.forms.remove(&(form, Arc::clone(name)));
        }
        let index = Arc::make_mut(&mut self.hosts.index);
        let hash = index.hash(name.as_bytes());
        if let Ok(found) = index.exact.find_entry(hash.spread(), |place| place.slot == slot) {
            found.remove();
        }
        if let Some(entry) = self.entry_mut(slot) {
            *entry = Entry::default();
        }
        self.free.push(slot);
        self.hosts.removed += 1;
        self.stale |= self.special.remove(name).is_some();
    }

    /// Another name of the domain that `name` would be, which is asked for as `form`.
    pub(crate) fn twin(&self, name: &str, form: &str) -> Option<&str> {
        let others = self.forms.range::<(Box<str>, Arc<str>), _>((form.into(), "".into())..);
        let mut alike = others.take_while(|(other, _)| &**other == form).map(|(_, name)| &**name);
        let plain = self.hosts.slot_of(form).map(|slot| self.hosts.name_of(slot));
        plain.filter(|plain| *plain != name).or_else(|| alike.find(|other| *other != name))
    }

    fn entry_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        let page = self.hosts.pages.get_mut(slot as usize / PAGE)?;
        Arc::make_mut(page).get_mut(slot as usize % PAGE)
    }

    fn free_slot(&mut self) -> u32 {
        if self.free.is_empty() {
            let first = self.hosts.slots() as u32;
            self.hosts.pages.push(Arc::new(std::array::from_fn(|_| Entry::default())));
            self.free.extend((first..first + PAGE as u32).rev());
        }
        self.free.pop().unwrap_or_default()
    }

    /// All of them, for a snapshot.
    pub(crate) fn hosts(&mut self) -> Hosts {
        if std::mem::take(&mut self.stale) {
            self.index_special();
        }
        self.hosts.clone()
    }

    fn index_special(&mut self) {
        let index = Arc::make_mut(&mut self.hosts.index);
        (index.aliases, index.suffixes) = Default::default();
        (index.longest, index.rest) = (0, self.special.get("*").copied());
        // Of two that are alike the first is found.
        for (name, slot) in self.special.iter().rev() {
            let form = (!name.is_ascii()).then(|| other_form(name)).flatten();
            let alias = form.as_deref().unwrap_or(name.strip_suffix('.').unwrap_or(name));
            if let Some(suffix) = alias.strip_prefix("*.") {
                index.longest = index.longest.max(suffix.len());
                let place = Place { slot: *slot, ..index.hash(suffix.to_ascii_lowercase().as_bytes()) };
                insert_first(&mut index.suffixes, place, &self.hosts.pages);
            }
            let place = Place { slot: *slot, ..index.hash(alias.to_ascii_lowercase().as_bytes()) };
            insert_first(&mut index.aliases, place, &self.hosts.pages);
        }
    }
}

/// Puts a place in, instead of one whose name is alike.
fn insert_first(table: &mut HashTable<Place>, place: Place, pages: &[Arc<Page>]) {
    let name = |place: &Place| {
        let entry =
            pages.get(place.slot as usize / PAGE).and_then(|page| page.get(place.slot as usize % PAGE));
        entry.map_or(&[][..], |entry| entry.name.alias())
    };
    let alike = |known: &Place| known.hash == place.hash && name(known).eq_ignore_ascii_case(name(&place));
    match table.find_mut(place.spread(), alike) {
        Some(known) => *known = place,
        None => drop(table.insert_unique(place.spread(), place, Place::spread)),
    }
}

/// The form in which requests ask for a domain, if it is not its name.
fn other_form(name: &str) -> Option<Box<str>> {
    host::asked_as(name).ok().filter(|form| form != name).map(Into::into)
}

/// Whether a name has a second form.
fn is_special(name: &str) -> bool {
    name == "*"
        || name.starts_with("*.")
        || name.ends_with('.')
        || name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
}

#[cfg(test)]
mod tests;
