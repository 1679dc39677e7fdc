//! Reads the rules that the store brings before the hub is told of them, on a thread that nobody waits for.
//!
//! It owns the order: events reach the hub one after the other as they came, each with what was read of it. Never the
//! store, and never what the rules mean. Next: [`hub`](super::hub) takes the events, [`crate::model::Foreseen`] says
//! what is held.

use tokio::sync::mpsc;

use super::reader::Reader;
use super::store::StoreEvent;
use crate::model::{Foreseen, KeyChange, Library};

/// An event of the store, and what was read of it; to be dropped when the hub has taken the event.
pub(super) type Ahead = (StoreEvent, Foreseen);

/// Events that were read and wait for the hub.
const READY: usize = 1;

/// Reads ahead on the current tokio runtime, until the store ends.
pub(super) fn read_ahead(
    mut events: mpsc::Receiver<StoreEvent>,
    library: Library,
    reader: Reader,
) -> mpsc::Receiver<Ahead> {
    let (ready, taken) = mpsc::channel(READY);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let library = library.clone();
            let read = reader.read(move || {
                let foreseen = library.foresee(texts(&event));
                (event, foreseen)
            });
            // Nobody takes it when the process is ending.
            let Ok(read) = read.await else { return };
            if ready.send(read).await.is_err() {
                return;
            }
        }
    });
    taken
}

/// The rule sets of an event.
fn texts(event: &StoreEvent) -> Vec<&str> {
    match event {
        StoreEvent::Loaded { contents, .. } => contents.rules.values().map(String::as_str).collect(),
        StoreEvent::Changed { changes, .. } => changes
            .iter()
            .filter_map(|change| match change {
                KeyChange::Rule { text, .. } => text.as_deref(),
                KeyChange::Server { .. } => None,
            })
            .collect(),
        StoreEvent::Down { .. } | StoreEvent::Dumped(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"{"init":"a","rules":{"a":{"type":"backend","args":{"servername":"up"}}}}"#;

    #[tokio::test]
    async fn what_the_store_brings_is_read_when_the_hub_is_told_of_it() {
        let library = Library::default();
        let (store, events) = mpsc::channel(4);
        let mut ahead = read_ahead(events, library.clone(), Reader::start().unwrap());
        let rule = |domain: &str, text: Option<&str>| KeyChange::Rule {
            domain: domain.to_owned(),
            text: text.map(str::to_owned),
        };
        let changes = vec![rule("a", Some(RULES)), rule("b", Some("{}")), rule("c", None)];
        store.send(StoreEvent::Changed { changes, revision: 5 }).await.unwrap();
        store.send(StoreEvent::Down { reason: "gone".to_owned() }).await.unwrap();
        let (event, foreseen) = ahead.recv().await.unwrap();
        assert!(matches!(event, StoreEvent::Changed { revision: 5, .. }));
        assert!(library.is_known(RULES), "it need not be read again");
        drop(foreseen);
        assert!(!library.is_known(RULES), "nobody took it");
        let (event, _) = ahead.recv().await.unwrap();
        assert!(matches!(event, StoreEvent::Down { .. }), "in order");
        drop(store);
        assert!(ahead.recv().await.is_none());
    }
}
