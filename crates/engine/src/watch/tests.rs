//! What those who watch may rely on, over a real store.

mod random;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::agent::{Agent, Agents, Events, Turn};
use crate::change::{Change, Notice};
use crate::command::{Command, Reply};
use crate::engine::{Engine, Parts, Settings};
use crate::error::Result;
use crate::event::{AgentEvent, Answer, Event, Usage};
use crate::id::{Clock, Offset, RecordId, SystemClock, Timestamp};
use crate::identity::Identity;
use crate::model::{Models, scripted::ScriptedModel};
use crate::query::{Body, Filter};
use crate::store::sqlite::Sqlite;
use crate::store::{Operation, Store, Write};
use crate::{Connection, LocalBus};

/// An engine over a store that tests write to directly, as imports and expiry do.
struct House {
    engine: Arc<Engine>,
    store: Arc<Sqlite>,
}

/// Says a hundred words and finishes.
struct Talker;

#[async_trait]
impl Agent for Talker {
    fn name(&self) -> &str {
        "talker"
    }

    async fn run(&self, _: Turn, events: Events) {
        events.send(AgentEvent::RunStarted).await.ok();
        for number in 0..100 {
            events.send(AgentEvent::TextDelta { text: format!("{number} ") }).await.ok();
        }
        let (answer, usage) = (Answer::default(), Usage::default());
        events.send(AgentEvent::RunFinished { answer, usage }).await.ok();
    }
}

/// Small enough that everything that can fall behind does.
fn tight() -> Settings {
    Settings { outbox_events: 8, watch_bytes: 4 << 10, batch: 16, ..Settings::default() }
}

impl House {
    async fn new(settings: Settings) -> Self {
        let store = Arc::new(Sqlite::in_memory().unwrap());
        let parts = Parts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            bus: Arc::new(LocalBus::default()),
            agents: Agents::new(Arc::new(Talker)),
            models: Models::new(Arc::new(ScriptedModel::new())),
            embedder: None,
            clock: Arc::new(SystemClock),
            settings,
        };
        Self { engine: Engine::start(parts).await.unwrap(), store }
    }

    async fn commit(&self, writes: Vec<Write>) -> Vec<Change> {
        self.store.commit(&"ann".into(), now(), writes).await.unwrap()
    }

    /// One commit with one record.
    async fn put(&self, collection: &str, id: impl ToString, value: Value) -> Offset {
        self.commit(vec![put(collection, id, value)]).await[0].offset
    }

    fn watcher(&self) -> Watcher {
        Watcher::new(self.engine.connect(Identity::local()))
    }
}

/// Old changes are pruned while tests run, so theirs are new.
fn now() -> Timestamp {
    SystemClock.now()
}

fn put(collection: &str, id: impl ToString, value: Value) -> Write {
    let body = value.as_object().unwrap().clone();
    Write::new(collection, RecordId(id.to_string()), Operation::Put(body))
}

/// A client that keeps what it is told.
struct Watcher {
    connection: Connection,
    /// The offsets of the changes that it was told of, in order.
    offsets: Vec<u64>,
    /// What it knows of the collection.
    records: BTreeMap<String, Body>,
    gaps: usize,
    schemas: Vec<u64>,
    /// The offset from which it would go on.
    last: Offset,
    snapshot_under_way: bool,
}

impl Watcher {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            offsets: Vec::new(),
            records: BTreeMap::new(),
            gaps: 0,
            schemas: Vec::new(),
            last: Offset(0),
            snapshot_under_way: false,
        }
    }

    async fn try_watch(
        &self,
        house: &House,
        watch: u64,
        filter: Option<Filter>,
        after: Option<u64>,
    ) -> Result<(Offset, bool)> {
        let after = after.map(Offset);
        let command = Command::Watch { collection: "c".into(), watch, filter, after };
        match house.engine.execute(&self.connection, command).await? {
            Reply::Watching { after, gap } => Ok((after, gap)),
            other => panic!("a watch is answered by Watching, not by {other:?}"),
        }
    }

    async fn watch(
        &self,
        house: &House,
        watch: u64,
        filter: Option<Filter>,
        after: Option<u64>,
    ) -> (Offset, bool) {
        self.try_watch(house, watch, filter, after).await.unwrap()
    }

    async fn unwatch(&self, house: &House, watch: Option<u64>) -> bool {
        let command = Command::Unwatch { collection: "c".into(), watch };
        matches!(house.engine.execute(&self.connection, command).await.unwrap(), Reply::Unwatched(true))
    }

    /// Takes what comes next, if it comes soon. Whether something came.
    async fn step(&mut self) -> bool {
        let mut events = Vec::new();
        let came = tokio::time::timeout(Duration::from_millis(200), self.connection.next(&mut events)).await;
        events.into_iter().for_each(|event| self.hear(event));
        came.is_ok()
    }

    /// Takes everything up to a change with this offset.
    async fn until(&mut self, offset: Offset) {
        while self.last < offset || self.snapshot_under_way {
            let mut events = Vec::new();
            let next = self.connection.next(&mut events);
            let came = tokio::time::timeout(Duration::from_secs(20), next).await;
            came.unwrap_or_else(|_| panic!("offset {offset} does not come; {} is the last", self.last));
            events.into_iter().for_each(|event| self.hear(event));
        }
    }

    fn hear(&mut self, event: Event) {
        let Event::Data(notice) = event else { return };
        match notice {
            Notice::Changes { batch, selection } => {
                assert!(!self.snapshot_under_way, "a snapshot comes in one piece");
                batch.selected(&selection).for_each(|change| self.apply(change));
                self.last = self.last.max(batch.to());
            }
            Notice::Gap { resume, .. } => {
                self.gaps += 1;
                self.records.clear();
                self.offsets.clear();
                (self.last, self.snapshot_under_way) = (resume, true);
            }
            Notice::Snapshot { records, last, .. } => {
                assert!(self.snapshot_under_way, "a gap comes first");
                self.records.extend(records.into_iter().map(|record| (record.id.0, record.body)));
                self.snapshot_under_way = !last;
            }
            Notice::Schema { version, .. } => self.schemas.push(version),
        }
    }

    fn apply(&mut self, change: &Change) {
        self.offsets.push(change.offset.0);
        match &change.after {
            Some(body) => self.records.insert(change.id.0.clone(), body.clone()),
            None => self.records.remove(&change.id.0),
        };
    }
}

fn at_least(field: &str, value: i64) -> Filter {
    Filter::compare(field, crate::query::Operator::Gte, json!(value))
}
