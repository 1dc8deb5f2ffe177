//! What must hold of a data folder and its server, whenever the process was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tidewire_client::{ChangeKind, Client, Notice, Query as ClientQuery, SubscribeOptions};
use tidewire_engine::change::Change;
use tidewire_engine::id::{Offset, Seq, Timestamp};
use tidewire_engine::identity::Subject;
use tidewire_engine::query::{Body, Filter, Query, Search, VectorSearch};
use tidewire_engine::store::Store;
use tidewire_engine::store::sqlite::{Settings, Sqlite};

use super::load::{COLLECTION, Step, Talk, Talker, WORDS, Writer, body, numbers};
use crate::client::{Client as Plain, PATIENCE};

/// The records, by id.
type Records = BTreeMap<String, Body>;

/// Looks at a copy of the folder as it was left, before any server has tidied it.
pub(super) async fn folder(data: &Path, writers: &mut [Writer], talkers: &[Talker]) {
    let copy = tempfile::tempdir().unwrap();
    for entry in data.read_dir().unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let store = Sqlite::open(Settings::new(copy.path())).unwrap();
    store.check().await.unwrap();
    let found = store.query(&Query::all(COLLECTION, usize::MAX)).await.unwrap();
    let records: Records = found.into_iter().map(|record| (record.id.0, record.body)).collect();
    log(&store, &records, writers).await;
    indexes(&store, &records).await;
    for talker in talkers {
        chat(&store, talker).await;
    }
    store.close().await.unwrap();
    drop(store);
    doctor(copy.path()).await;
}

/// The log has no gap, leads from nothing to the records, and has each acknowledged change once and in order. Of what
/// was asked last, a beginning may be there.
async fn log(store: &Sqlite, records: &Records, writers: &mut [Writer]) {
    let changes = store.changes(COLLECTION, Offset(0), usize::MAX).await.unwrap();
    assert!((1..=changes.len() as u64).eq(changes.iter().map(|change| change.offset.0)), "the log has a gap");
    let mut replayed = Records::new();
    for change in &changes {
        let id = change.id.0.clone();
        let before = match &change.after {
            Some(after) => replayed.insert(id, after.clone()),
            None => replayed.remove(&id),
        };
        assert_eq!(before, change.before, "{change:?} came upon something else");
    }
    assert_eq!(replayed, *records, "the log leads to other records");
    for writer in writers {
        let found: Vec<Step> = changes.iter().filter(|change| writer.owns(&change.id.0)).map(step).collect();
        let (sure, more) = found.split_at(writer.done.len().min(found.len()));
        assert_eq!(sure, writer.done, "acknowledged to writer {}", writer.name);
        assert!(writer.asked.starts_with(more), "writer {} asked {:?}: {more:?}", writer.name, writer.asked);
        writer.settle(more.len());
    }
}

fn step(change: &Change) -> Step {
    let op = change.after.as_ref().map(|after| after["op"].as_u64().unwrap());
    if let (Some(after), Some(op)) = (&change.after, op) {
        assert_eq!(Value::Object(after.clone()), body(op), "{change:?} is half of something");
    }
    Step { kind: change.kind, id: change.id.0.clone(), op }
}

/// Counts, words, vectors and the ordered index find what the records say.
async fn indexes(store: &Sqlite, records: &Records) {
    let with = |fits: &dyn Fn(&Body) -> bool| -> BTreeSet<String> {
        records.iter().filter(|(_, body)| fits(body)).map(|(id, _)| id.clone()).collect()
    };
    assert_eq!(store.count(COLLECTION, None).await.unwrap(), records.len() as u64);
    for word in WORDS {
        let expected = with(&|body| body["text"].as_str().unwrap().starts_with(word));
        let found = store.search(&Search::words(COLLECTION, word, 1_000_000)).await.unwrap();
        let found: BTreeSet<_> = found.into_iter().map(|hit| hit.record.id.0).collect();
        assert_eq!(found, expected, "full text disagrees on {word}");
    }
    for n in 0..7 {
        let query = Query { filter: Some(Filter::eq("n", n)), ..Query::all(COLLECTION, usize::MAX) };
        let found = store.query(&query).await.unwrap();
        let found: BTreeSet<_> = found.into_iter().map(|record| record.id.0).collect();
        assert_eq!(found, with(&|body| body["n"] == n), "the ordered index disagrees on {n}");
    }
    let near = store.search(&nearest()).await.unwrap();
    for hit in &near {
        // What the index holds is the vector of the record as it is now: its score is the record's own.
        let expected = cosine(&records[&hit.record.id.0]);
        assert!((hit.score - expected).abs() < 1e-3, "{} has {} for {expected}", hit.record.id.0, hit.score);
    }
    let found: BTreeSet<_> = near.into_iter().map(|hit| hit.record.id.0).collect();
    assert_eq!(found, with(&|_| true), "vectors disagree");
}

fn nearest() -> Search {
    let vector = VectorSearch {
        field: "v".into(),
        vector: vec![1.0, 1.0, 1.0],
        metric: None,
        k: 1_000_000,
        threshold: None,
        weight: 1.0,
    };
    Search { text: None, vector: Some(vector), ..Search::words(COLLECTION, "", 1_000_000) }
}

fn cosine(body: &Body) -> f64 {
    let v: Vec<f64> = body["v"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.iter().sum::<f64>() / (length * 3_f64.sqrt())
}

/// The rows of a chat's log tile it from its beginning to its end.
async fn chat(store: &Sqlite, talker: &Talker) {
    let session = talker.session.parse().unwrap();
    let head = store.open_session(&Subject::LOCAL.into(), &session, Timestamp(0)).await.unwrap();
    let rows = store.read(head.chat, Seq::START, usize::MAX).await.unwrap();
    let mut next = 1;
    for row in &rows {
        assert_eq!(row.from.0, next, "{} has a hole or a fold", talker.session);
        next = row.to.0 + 1;
    }
    assert_eq!(next, head.last_seq.0 + 1, "{} ends elsewhere", talker.session);
}

/// What an operator would be told.
async fn doctor(data: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    command.args(["doctor", "--model", "scripted", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    let output =
        tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Reads the whole log through the started server, as one who was away since the beginning. What piled up may be summed
/// up, record by record; it leads to what is there, and to the log's end.
pub(super) async fn changes(server: SocketAddr, writers: &[Writer]) {
    let client = Client::connect(format!("http://{server}")).await.unwrap();
    let steps = || writers.iter().flat_map(|writer| &writer.done);
    let options = SubscribeOptions { after_offset: Some(0), filter: None };
    let mut subscription = client.subscribe_with(COLLECTION, options).await.unwrap();
    let mut replica = Replica::default();
    while subscription.offset() < steps().count() as u64 {
        let notice = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("the log goes on");
        let Some(Ok(Notice::Changes(changes))) = notice else { panic!("{notice:?}") };
        replica.apply(&changes);
    }
    assert_eq!(subscription.offset(), steps().count() as u64);
    let mut expected = BTreeMap::new();
    for step in steps() {
        match step.op {
            Some(op) => expected.insert(step.id.clone(), op),
            None => expected.remove(&step.id),
        };
    }
    let expected = Replica(expected);
    assert_eq!(replica.unlike(&expected), [], "the log is told otherwise");
    let query = ClientQuery::new(COLLECTION).limit(1_000_000);
    let found: Vec<tidewire_client::Record> = client.query(query).await.unwrap();
    assert_eq!(Replica::of(&found).unlike(&expected), [], "other records are there");
    client.close();
}

/// What somebody who hears changes knows: each record's last operation.
#[derive(Default)]
pub(crate) struct Replica(BTreeMap<String, u64>);

impl Replica {
    /// What these records are.
    pub(crate) fn of(records: &[tidewire_client::Record]) -> Self {
        let known = |record: &tidewire_client::Record| {
            (record["id"].as_str().unwrap().to_owned(), record["op"].as_u64().unwrap())
        };
        Self(records.iter().map(known).collect())
    }

    /// Records that are not the same in both, with their operations here and there.
    pub(crate) fn unlike(&self, other: &Self) -> Vec<(String, Option<u64>, Option<u64>)> {
        let ids: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let both = ids.into_iter().map(|id| (id.clone(), self.0.get(id).copied(), other.0.get(id).copied()));
        both.filter(|(_, here, there)| here != there).collect()
    }

    /// Takes changes; a record never becomes what it was before.
    pub(crate) fn apply(&mut self, changes: &tidewire_client::Changes) {
        if changes.kind == ChangeKind::Delete {
            self.0.retain(|id, _| !changes.ids.contains(id));
            return;
        }
        assert_eq!(changes.ids.len(), changes.records.len(), "{changes:?}");
        for (id, op) in Self::of(&changes.records).0 {
            let before = self.0.insert(id, op);
            assert!(before.is_none_or(|before| before < op), "{op} came after {before:?}: {changes:?}");
        }
    }
}

/// Reads a chat from its beginning: each message that was taken has one answer, which begins with what was shown.
pub(super) async fn talks(server: SocketAddr, talker: &mut Talker) {
    let mut client = Plain::connect(server, &format!("/ws/{}", talker.session)).await;
    client.send(json!({"after_seq": 0, "partials": "delta"})).await;
    let ready = client.until("ready").await;
    assert_eq!(ready["reset"], false, "{ready}");
    let last = ready["last_seq"].as_u64().unwrap();
    let (mut seq, mut open, mut answers) = (0, BTreeMap::new(), BTreeMap::new());
    while seq < last || !open.is_empty() {
        let frame = client.next().await;
        let told = frame["seq"].as_u64().unwrap_or_else(|| panic!("{frame} has no seq"));
        assert!(told > seq, "{told} came after {seq}: {frame}");
        seq = told;
        let run = frame["run_id"].to_string();
        match frame["type"].as_str().unwrap() {
            "user" => assert!(open.insert(run, frame["message_id"].clone()).is_none(), "{frame}"),
            "agent" => {
                let message =
                    open.remove(&run).unwrap_or_else(|| panic!("a second end, or of nothing: {frame}"));
                assert!(answers.insert(message.to_string(), frame).is_none(), "two answers to {message}");
            }
            "run" | "agent_partial" => {}
            other => panic!("{other} was not expected: {frame}"),
        }
    }
    for talk in &mut talker.talks {
        let frame = answers.remove(&json!(talk.message).to_string());
        check_talk(&talker.session, talk, frame.as_ref());
    }
    assert!(answers.is_empty(), "nobody asked for {answers:?}");
    // What was never taken is not in the log, and its name is free again.
    talker.talks.retain(|talk| talk.taken);
}

fn check_talk(session: &str, talk: &mut Talk, frame: Option<&Value>) {
    let Some(frame) = frame else {
        assert!(!talk.taken && talk.shown.is_empty(), "{session} has lost {talk:?}");
        return;
    };
    talk.taken = true;
    let (content, status) = (frame["content"].as_str().unwrap(), frame["status"].as_str().unwrap());
    if let Some((seen, how)) = &talk.answer {
        assert_eq!((seen.as_str(), how.as_str()), (content, status), "an answer has changed");
    }
    assert!(
        content.starts_with(&talk.shown),
        "{session} forgets {:?} of {talk:?}",
        &talk.shown[content.len().min(talk.shown.len())..]
    );
    let whole = numbers(talk.numbers);
    match status {
        "finished" => assert_eq!(content, whole),
        "interrupted" => assert!(whole.starts_with(content), "{content:?} was never said"),
        other => panic!("{other} was not asked for: {frame}"),
    }
    talk.shown = content.to_owned();
    talk.answer = Some((content.to_owned(), status.to_owned()));
}
