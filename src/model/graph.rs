//! The rules of a set as a graph that is checked once and then walked.
//!
//! It owns the links between rules and the order of a walk, never what a single rule does nor where a walk leads: the
//! ends are numbers here, so that sets that differ only in these share one graph. Next: [`ruleset`](super::ruleset)
//! reads the rules, and holds their ends.

use super::recorder::{Recorder, Step};
use super::rule::{Link, Rule, RuleRead, Terminal};
use super::scratch::Scratch;
use crate::semantics::RequestView;

/// Most rules of one set, and so most steps of one walk.
pub(crate) const RULES: usize = 1024;

/// The rules of a set without what is at the ends.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Graph {
    /// The rules that can be reached from the first one, which is at 0. Every link points to a higher number, so every walk
    /// ends.
    nodes: Box<[Node]>,
    /// The successors of all rules, those of one rule in a row. [`NOWHERE`] denies the request.
    links: Box<[u16]>,
    /// The names of all rules, concatenated.
    names: Box<str>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Node {
    task: Task,
    /// Where its links begin in [`Graph::links`], and how many are its own.
    first: u16,
    count: u16,
    /// Where its name ends in [`Graph::names`].
    name_end: u32,
}

const _: () = assert!(size_of::<Node>() == 32, "two rules are one cache line");

/// A link that is not there.
const NOWHERE: u16 = u16::MAX;
const _: () = assert!(RULES * Link::MOST < NOWHERE as usize, "every rule and every link has a number");

#[derive(Debug, PartialEq, Eq, Hash)]
enum Task {
    /// The rule is asked where to go on.
    Ask(Rule),
    /// The walk ends, with the terminal of this number.
    End(u16),
}

/// A rule that was read. Links name rules by their place in the JSON.
#[derive(Debug)]
pub(crate) struct Draft<'v> {
    /// The name by which links refer to it.
    pub(crate) name: &'v str,
    /// `None` when it is at fault.
    pub(crate) rule: Option<RuleRead>,
    /// Its successors.
    pub(crate) links: Vec<Link>,
}

/// The link that closes a circle.
#[derive(Debug)]
pub(crate) struct Circle {
    /// The rule that has it, by its number.
    pub(crate) rule: usize,
    /// Which of its links.
    pub(crate) link: usize,
}

/// The result of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    /// The last rule, by its number in the graph.
    pub(crate) last: u16,
    /// The number of its terminal; `None` when the rule had no link for its answer.
    pub(crate) end: Option<u16>,
}

impl Graph {
    /// Links the rules of `drafts` into a graph whose walks begin at `init`, and gives the terminals beside it. Each rule is
    /// moved out of its draft.
    ///
    /// # Errors
    /// Rules form a circle, even if no walk can reach it.
    pub(crate) fn build(drafts: &mut [Draft<'_>], init: usize) -> Result<(Graph, Box<[Terminal]>), Circle> {
        let order = order(drafts, init)?;
        let mut place = vec![NOWHERE; drafts.len()];
        for (number, &index) in (0..).zip(&order) {
            place[index] = number;
        }
        let (mut nodes, mut links, mut names, mut ends) =
            (Vec::with_capacity(order.len()), Vec::new(), String::new(), Vec::new());
        for &index in &order {
            let draft = &mut drafts[index];
            let task = match draft.rule.take() {
                None => continue,
                Some(RuleRead::Ask(rule)) => Task::Ask(rule),
                Some(RuleRead::End(terminal)) => {
                    ends.push(terminal);
                    Task::End((ends.len() - 1) as u16)
                }
            };
            let first = links.len() as u16;
            links.extend(draft.links.iter().map(|link| link.to.map_or(NOWHERE, |to| place[to])));
            names.push_str(draft.name);
            nodes.push(Node { task, first, count: draft.links.len() as u16, name_end: names.len() as u32 });
        }
        Ok((Graph { nodes: nodes.into(), links: links.into(), names: names.into() }, ends.into()))
    }

    /// Walks from the first rule to a terminal. `draw` is a random number, for rules that decide by chance.
    pub(crate) fn walk<R: Recorder>(
        &self,
        request: &RequestView<'_>,
        draw: u64,
        scratch: &mut Scratch,
        recorder: &mut R,
    ) -> Way {
        let mut last = 0;
        loop {
            let Some(node) = self.nodes.get(usize::from(last)) else { return Way { last, end: None } };
            let rule = match &node.task {
                Task::Ask(rule) => rule,
                Task::End(end) => return Way { last, end: Some(*end) },
            };
            let look = if R::WATCHES { Some(rule.look(request, scratch)) } else { None };
            let successor = rule.answer(request, draw, scratch);
            let next = self.successor(node, successor);
            if R::COUNTS {
                recorder.chose(last, successor);
            }
            if let Some(look) = look {
                recorder.step(Step {
                    rule: self.name(last),
                    kind: rule.kind(),
                    look,
                    successor,
                    branch: rule.branch(successor),
                    next: (next != NOWHERE).then(|| self.name(next)),
                    path: scratch.path(request).0,
                });
            }
            if next == NOWHERE {
                return Way { last, end: None };
            }
            debug_assert!(next > last, "links point further on");
            last = next;
        }
    }

    /// The rule that link `number` of a rule leads to.
    #[inline]
    fn successor(&self, node: &Node, number: usize) -> u16 {
        debug_assert!(number < usize::from(node.count), "an answer is one of the rule's own links");
        let own = number < usize::from(node.count);
        let link = if own { self.links.get(usize::from(node.first) + number) } else { None };
        link.copied().unwrap_or(NOWHERE)
    }

    /// The name of a rule.
    pub(crate) fn name(&self, number: u16) -> &str {
        let at = usize::from(number);
        let end = |at: usize| self.nodes.get(at).map_or(0, |node| node.name_end as usize);
        let begin = at.checked_sub(1).map_or(0, end);
        self.names.get(begin..end(at)).unwrap_or_default()
    }

    /// The names of all rules, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        (0..).zip(&self.nodes).map(|(number, _)| self.name(number))
    }

    /// Where a rule leads, by its answer; numbers that are none are links that are not there.
    pub(crate) fn links(&self, number: u16) -> &[u16] {
        let node = self.nodes.get(usize::from(number));
        let own = node.map(|node| usize::from(node.first)..usize::from(node.first + node.count));
        own.and_then(|own| self.links.get(own)).unwrap_or_default()
    }

    /// A rule that is asked, by its number.
    pub(crate) fn rule(&self, number: u16) -> Option<&Rule> {
        match &self.nodes.get(usize::from(number))?.task {
            Task::Ask(rule) => Some(rule),
            Task::End(_) => None,
        }
    }

    /// The ends with the names of their rules.
    pub(crate) fn named_ends(&self) -> impl Iterator<Item = (&str, u16)> {
        (0..).zip(&self.nodes).filter_map(|(number, node)| match node.task {
            Task::End(end) => Some((self.name(number), end)),
            Task::Ask(_) => None,
        })
    }

    /// Whether every link points further on.
    #[cfg(test)]
    pub(crate) fn is_in_order(&self) -> bool {
        (0_u16..).zip(&self.nodes).all(|(number, _)| self.links(number).iter().all(|next| *next > number))
    }
}

/// The rules that can be reached from `init`, each before those it links to (the reverse of the order in which a
/// depth-first search leaves them).
fn order(drafts: &[Draft<'_>], init: usize) -> Result<Vec<usize>, Circle> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnTheWay,
        Left,
    }
    let mut marks = vec![Mark::New; drafts.len()];
    let mut order = Vec::with_capacity(drafts.len());
    let mut reached = 0;
    for root in std::iter::once(init).chain(0..drafts.len()) {
        if marks[root] != Mark::New {
            continue;
        }
        // Rules on the way, each with the link to look at next.
        let mut way = vec![(root, 0)];
        while let Some((rule, link)) = way.last_mut() {
            marks[*rule] = Mark::OnTheWay;
            let Some(next) = drafts[*rule].links.get(*link) else {
                marks[*rule] = Mark::Left;
                order.push(*rule);
                way.pop();
                continue;
            };
            let here = Circle { rule: *rule, link: *link };
            *link += 1;
            match next.to.map(|to| (to, marks[to])) {
                Some((_, Mark::OnTheWay)) => return Err(here),
                Some((to, Mark::New)) => way.push((to, 0)),
                _ => {}
            }
        }
        if root == init {
            reached = order.len();
        }
    }
    order.truncate(reached);
    order.reverse();
    Ok(order)
}
