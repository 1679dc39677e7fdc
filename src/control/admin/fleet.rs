//! `/__erulb__/fleet`: all ELBs that share this configuration, whether they serve the same, and who lags behind and why.
//!
//! It owns the words of its query and the shape of the answer. What this node says of itself is what it knows now, not what others have
//! read of it. Next: [`judge`] judges, [`reading`](crate::control::fleet) reads.

use std::time::SystemTime;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::answer::{self, Answer, Failure};
use super::servers::word;
use super::times::Moment;
use crate::control::fleet::{Asked, Document, Judged, judge};
use crate::control::handle::HubHandle;
use crate::readiness::Readiness;

/// Digits of a digest that may be asked for: fewer would be met by chance.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=64;

/// `{"converged", "digest", "node", "why", "all", "lagging", "nodes": [{"id", "address", "elb", "started", "version", "digest",
/// "revision", "since", "unsaved", "health": {"ready", "reasons", "alarms"}, "lags"}, …]}`, those that lag first.
pub(super) async fn get(
    State(hub): State<HubHandle>,
    Extension(readiness): Extension<Readiness>,
    uri: Uri,
) -> Answer {
    let (asked, limit) = read(&uri)?;
    let fleet = hub.fleet();
    let others = fleet.read().await;
    let (unseen, identity) = (fleet.unseen(), fleet.identity().clone());
    let (node, measured) = hub.ask_now(move |hub, now| (hub.node(&readiness, now), now)).await?;
    let since = Moment { measured, calendar: SystemTime::now() }.text(node.served.since);
    let own = Document::of(&identity, &node, since);
    let shown = hub.aside(move || {
        // A node that is alone for good sees all there are.
        let (others, fault, is_whole) = match others {
            None => (Vec::new(), None, true),
            Some(Ok(read)) => {
                let others = read.iter().map(|(id, text)| Document::read(id, text)).collect();
                (others, None, unseen.is_none())
            }
            Some(Err(fault)) => (Vec::new(), Some(format!("the other nodes cannot be read: {fault}")), false),
        };
        let nodes = with(own, others);
        let judged = judge(&nodes, &asked);
        Shown { node: &identity.id, is_whole, why: fault.or(unseen), limit }.of(&nodes, &judged)
    });
    Ok(answer::json(&shown.await?))
}

/// What the answer is made of beside the nodes.
struct Shown<'a> {
    node: &'a str,
    /// All nodes are seen, and see this one. Who does not see all cannot say that they serve the same.
    is_whole: bool,
    why: Option<String>,
    limit: usize,
}

impl Shown<'_> {
    fn of(self, nodes: &[Document], judged: &Judged) -> Value {
        let mut rows: Vec<(&Document, &Option<String>)> = nodes.iter().zip(&judged.lags).collect();
        rows.sort_by(|(one, lag), (other, other_lag)| {
            (lag.is_none(), &one.id).cmp(&(other_lag.is_none(), &other.id))
        });
        let lagging = rows.iter().filter(|(_, lag)| lag.is_some()).count();
        let row = |(node, lag): (&Document, &Option<String>)| {
            let mut row = json!(node);
            row["lags"] = json!(lag);
            row
        };
        json!({
            "converged": self.is_whole && judged.is_converged(),
            "digest": judged.digest,
            "node": self.node,
            "why": self.why,
            "all": nodes.len(),
            "lagging": lagging,
            "nodes": rows.into_iter().take(self.limit).map(row).collect::<Value>(),
        })
    }
}

/// All nodes, of which this one says now what is true of it. Under its id there may be what another process says, or an earlier one.
fn with(own: Document, mut others: Vec<Document>) -> Vec<Document> {
    let is_own = |other: &Document| other.id == own.id && other.started == own.started;
    others.retain(|other| !is_own(other));
    others.push(own);
    others
}

/// The words of the query.
fn read(uri: &Uri) -> Result<(Asked, usize), Failure> {
    let refuse = |error: String| Failure::new(StatusCode::BAD_REQUEST, error);
    let digest = word(uri, "digest").map(|digest| digest.to_ascii_lowercase());
    let is_digest = |digest: &String| {
        DIGITS.contains(&digest.len()) && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if !digest.as_ref().is_none_or(is_digest) {
        let (least, most) = (DIGITS.start(), DIGITS.end());
        return Err(refuse(format!("digest is {least} to {most} hexadecimal digits")));
    }
    let revision = word(uri, "revision").map_or(Ok(0), |text| text.parse());
    let revision = revision.ok().filter(|revision| *revision >= 0);
    let revision = revision.ok_or_else(|| refuse("revision is a number".to_owned()))?;
    let limit = word(uri, "limit").map_or(Ok(usize::MAX), |text| text.parse());
    let limit = limit.map_err(|_| refuse("limit is a number".to_owned()))?;
    Ok((Asked { digest, revision }, limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fleet::Health;
    use crate::control::tests::Rig;

    fn node(id: &str, started: &str, digest: &str) -> Document {
        let health = Health { ready: true, ..Health::default() };
        let (id, started, digest) = (id.to_owned(), started.to_owned(), Some(digest.repeat(64)));
        Document { id, started, digest, health, ..Document::default() }
    }

    fn shown(nodes: &[Document], is_whole: bool, limit: usize) -> Value {
        let judged = judge(nodes, &Asked::default());
        Shown { node: "a", is_whole, why: None, limit }.of(nodes, &judged)
    }

    #[test]
    fn who_lags_comes_first_and_counts_are_of_all() {
        let mut nodes = vec![node("a", "1", "1"), node("b", "1", "2"), node("c", "1", "1")];
        let told = shown(&nodes, true, 1);
        assert_eq!(
            (&told["converged"], &told["all"], &told["lagging"]),
            (&json!(false), &json!(3), &json!(1))
        );
        assert_eq!((told["nodes"].as_array().map(Vec::len), &told["nodes"][0]["id"]), (Some(1), &json!("b")));
        nodes.remove(1);
        assert_eq!(shown(&nodes, true, 9)["converged"], true);
        assert_eq!(shown(&nodes, false, 9)["converged"], false, "there may be others");
    }

    #[test]
    fn this_node_says_what_is_true_now_and_another_process_of_its_id_is_another() {
        let own = node("a", "2", "3");
        let all = with(own.clone(), vec![node("a", "2", "1"), node("a", "1", "1"), node("b", "2", "1")]);
        assert_eq!(all, [node("a", "1", "1"), node("b", "2", "1"), own]);
    }

    #[test]
    fn the_words_of_the_query() {
        let read = |query: &str| read(&format!("/__erulb__/fleet{query}").parse().unwrap());
        assert_eq!(read("").unwrap(), (Asked::default(), usize::MAX));
        let asked = Asked { digest: Some("abcdef01".to_owned()), revision: 7 };
        assert_eq!(read("?digest=ABCDEF01&revision=7&limit=3").unwrap(), (asked, 3));
        for query in ["?digest=abcdef0", "?digest=ghijklmn", "?revision=-1", "?revision=x", "?limit=-1"] {
            assert!(read(query).is_err(), "{query}");
        }
    }

    #[tokio::test]
    async fn a_node_with_a_file_is_alone_and_says_so() {
        let rig = Rig::obedient();
        let told = rig.ask("GET", "/__erulb__/fleet", "").await.json();
        assert_eq!(
            (&told["converged"], &told["all"], &told["nodes"][0]["lags"]),
            (&json!(true), &json!(1), &Value::Null)
        );
        assert!(told["why"].as_str().unwrap().contains("only node"), "{told}");
        rig.ask("PUT", "/__erulb__/upstream", r#"{"up": {"127.0.0.1:1": ""}}"#).await;
        let told = rig.ask("GET", "/__erulb__/fleet", "").await.json();
        assert_eq!((&told["converged"], &told["nodes"][0]["unsaved"]), (&json!(false), &json!(1)));
    }
}
