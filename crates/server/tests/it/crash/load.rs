//! Mixed load: records are written, updated and deleted one by one and in batches, chats stream, keys are set. Everybody
//! keeps a book of what was acknowledged, and of what was asked and not answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tidewire_engine::change::ChangeKind;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::client::Client;
use crate::proxy::Dice;

/// The collection that is written.
pub(crate) const COLLECTION: &str = "teas";
/// What its records are about.
pub(crate) const WORDS: [&str; 5] = ["green", "black", "white", "oolong", "mint"];
/// A batch has at most so many records.
const BATCH: u64 = 4;
/// Keys of one keeper.
const KEYS: u64 = 6;

/// So much was acknowledged to all together.
pub(crate) type Progress = Arc<AtomicU64>;

/// A busy machine may hold an answer up for so long.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// The next text; `None` when the connection is over.
pub(crate) async fn text(client: &mut Client) -> Option<Utf8Bytes> {
    loop {
        match tokio::time::timeout(LONG, client.socket.next()).await.expect("an answer comes") {
            Some(Ok(Message::Text(text))) => return Some(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(other)) => panic!("{other:?} is no answer"),
            Some(Err(_)) | None => return None,
        }
    }
}

/// One change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) kind: ChangeKind,
    pub(crate) id: String,
    /// The number of the operation that made the record what it is; a deletion has none.
    pub(crate) op: Option<u64>,
}

/// What an operation makes of a record; all of it follows from the operation's number.
pub(crate) fn body(op: u64) -> Value {
    let word = WORDS[usize::try_from(op).unwrap() % WORDS.len()];
    json!({"op": op, "n": op % 7, "text": format!("{word} tea number {op}"), "v": [op % 11, op % 3, 1]})
}

fn record(id: &str, op: u64) -> Value {
    let mut record = body(op);
    record["id"] = id.into();
    record
}

/// One who writes records of its own.
pub(crate) struct Writer {
    pub(crate) name: usize,
    dice: Dice,
    op: u64,
    /// The ids that are there, as far as was acknowledged.
    there: Vec<String>,
    /// So many are there at most.
    most: usize,
    /// What is done is written down.
    keeps_book: bool,
    /// Nothing more is asked.
    rests: Arc<AtomicBool>,
    /// The longest that an answer took.
    pub(crate) slowest: Duration,
    /// Acknowledged, in order.
    pub(crate) done: Vec<Step>,
    /// Asked and not answered.
    pub(crate) asked: Vec<Step>,
}

impl Writer {
    pub(crate) fn new(name: usize, seed: u64) -> Self {
        let (there, done, asked) = (Vec::new(), Vec::new(), Vec::new());
        let (rests, slowest) = (Arc::default(), Duration::ZERO);
        let (most, keeps_book) = (usize::MAX, true);
        Self { name, dice: Dice(seed), op: 0, there, most, keeps_book, rests, slowest, done, asked }
    }

    /// One who never has more than so many records, writes nothing down, and works until it `rests`.
    pub(crate) fn bounded(name: usize, seed: u64, most: usize, rests: Arc<AtomicBool>) -> Self {
        Self { most, keeps_book: false, rests, ..Self::new(name, seed) }
    }

    /// Whose records these are is in their ids.
    pub(crate) fn owns(&self, id: &str) -> bool {
        id.strip_prefix(&format!("w{}-", self.name)).is_some()
    }

    /// Writes until the server is gone, or it is time to rest.
    pub(crate) async fn work(mut self, server: SocketAddr, progress: Progress) -> Self {
        let Ok(mut client) = Client::connect_with(server, "/api/ws", &[]).await else { return self };
        while !self.rests.load(Ordering::Relaxed) {
            let (kind, payload) = self.draw();
            let frame = json!({"type": kind, "messageId": self.op.to_string(), "payload": payload});
            let asked_at = Instant::now();
            if client.socket.send(Message::text(frame.to_string())).await.is_err() {
                return self;
            }
            let Some(reply) = text(&mut client).await else { return self };
            self.slowest = self.slowest.max(asked_at.elapsed());
            let reply: Value = serde_json::from_str(&reply).unwrap();
            assert_eq!(reply["type"], "Success", "{frame} was answered with {reply}");
            assert_eq!(reply["payload"]["data"]["failed"].as_array().map_or(0, Vec::len), 0, "{reply}");
            progress.fetch_add(self.asked.len() as u64, Ordering::Relaxed);
            self.settle(self.asked.len());
        }
        self
    }

    /// So many of the steps that were asked for have happened.
    pub(crate) fn settle(&mut self, happened: usize) {
        for step in self.asked.drain(..).take(happened).collect::<Vec<_>>() {
            match step.kind {
                ChangeKind::Insert => self.there.push(step.id.clone()),
                ChangeKind::Delete => self.there.retain(|id| *id != step.id),
                _ => {}
            }
            if self.keeps_book {
                self.done.push(step);
            }
        }
    }

    /// The next request and its payload; its steps are noted as asked.
    fn draw(&mut self) -> (&'static str, Value) {
        let many = 2 + self.dice.roll(BATCH - 1);
        match self.dice.roll(10) {
            0..=3 if self.there.len() >= self.most => self.draw(),
            0..=2 => {
                let (id, op) = self.new_id();
                ("Insert", json!({"collection": COLLECTION, "record": record(&id, op)}))
            }
            3 => {
                let records: Vec<_> =
                    (0..many).map(|_| self.new_id()).map(|(id, op)| record(&id, op)).collect();
                ("BatchInsert", json!({"collection": COLLECTION, "records": records}))
            }
            _ if self.there.len() < 8 => self.draw(),
            4..=6 => {
                let (id, op) = self.known_id();
                ("Update", json!({"collection": COLLECTION, "id": id, "record": body(op)}))
            }
            7 => {
                let updates: Vec<_> =
                    (0..many).map(|_| self.known_id()).map(|(id, op)| json!([id, body(op)])).collect();
                ("BatchUpdate", json!({"collection": COLLECTION, "updates": updates}))
            }
            8 => ("Delete", json!({"collection": COLLECTION, "id": self.gone_ids(1)[0]})),
            _ => ("BatchDelete", json!({"collection": COLLECTION, "ids": self.gone_ids(many)})),
        }
    }

    fn new_id(&mut self) -> (String, u64) {
        self.op += 1;
        let id = format!("w{}-{}", self.name, self.op);
        self.asked.push(Step { kind: ChangeKind::Insert, id: id.clone(), op: Some(self.op) });
        (id, self.op)
    }

    fn known_id(&mut self) -> (String, u64) {
        self.op += 1;
        let place = self.dice.roll(self.there.len() as u64);
        let id = self.there[usize::try_from(place).unwrap()].clone();
        self.asked.push(Step { kind: ChangeKind::Update, id: id.clone(), op: Some(self.op) });
        (id, self.op)
    }

    /// The oldest ones.
    fn gone_ids(&mut self, many: u64) -> Vec<String> {
        let ids: Vec<_> = self.there.iter().take(usize::try_from(many).unwrap()).cloned().collect();
        self.asked.extend(ids.iter().map(|id| Step { kind: ChangeKind::Delete, id: id.clone(), op: None }));
        ids
    }
}

/// One message of a talker, and what it has seen of the answer.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    pub(crate) message: String,
    pub(crate) numbers: u64,
    /// The server has said that it took it.
    pub(crate) taken: bool,
    pub(crate) shown: String,
    /// The whole answer, if it was seen, and how it ended.
    pub(crate) answer: Option<(String, String)>,
}

/// What an answer of so many numbers is.
pub(crate) fn numbers(count: u64) -> String {
    (1..=count).map(|number| format!("{number} ")).collect()
}

/// One who talks in a chat of its own.
pub(crate) struct Talker {
    pub(crate) session: String,
    dice: Dice,
    /// So many questions are asked.
    most: usize,
    pub(crate) talks: Vec<Talk>,
}

impl Talker {
    pub(crate) fn new(name: usize, seed: u64) -> Self {
        Self { session: format!("talk-{name}"), dice: Dice(seed), most: usize::MAX, talks: Vec::new() }
    }

    /// One who asks so many questions.
    pub(crate) fn brief(name: usize, seed: u64, most: usize) -> Self {
        Self { most, ..Self::new(name, seed) }
    }

    /// Asks one question after the other until the server is gone, or all are answered.
    pub(crate) async fn work(mut self, server: SocketAddr, progress: Progress) -> Self {
        let path = format!("/ws/{}", self.session);
        let Ok(mut client) = Client::connect_with(server, &path, &[]).await else { return self };
        while self.talks.len() < self.most {
            let (message, numbers) = (format!("m{}", self.talks.len()), 20 + self.dice.roll(200));
            let frame = json!({"content": format!("{numbers} numbers every 1 ms"), "message_id": message,
                               "partials": "delta"});
            self.talks.push(Talk { message, numbers, ..Talk::default() });
            if client.socket.send(Message::text(frame.to_string())).await.is_err() {
                return self;
            }
            let talk = self.talks.last_mut().unwrap();
            while talk.answer.is_none() {
                let Some(text) = text(&mut client).await else { return self };
                let frame: Value = serde_json::from_str(&text).unwrap();
                talk.hear(&frame);
                progress.fetch_add(u64::from(frame["type"] == "agent_partial"), Ordering::Relaxed);
            }
        }
        self
    }
}

impl Talk {
    fn hear(&mut self, frame: &Value) {
        match frame["type"].as_str().unwrap() {
            "user" if frame["message_id"] == *self.message => self.taken = true,
            "agent_partial" => self.shown.push_str(frame["delta"].as_str().unwrap()),
            "agent" => {
                let said = |member: &str| frame[member].as_str().unwrap().to_owned();
                self.answer = Some((said("content"), said("status")));
            }
            "run" | "ready" | "ping" => {}
            other => panic!("{other} was not expected: {frame}"),
        }
    }
}

/// One who sets and removes keys of its own.
pub(crate) struct Keeper {
    name: usize,
    dice: Dice,
    op: u64,
    /// What each key has, as far as was acknowledged.
    pub(crate) sure: BTreeMap<String, Option<u64>>,
    /// Asked and not answered.
    pub(crate) asked: Option<(String, Option<u64>)>,
}

impl Keeper {
    pub(crate) fn new(name: usize, seed: u64) -> Self {
        Self { name, dice: Dice(seed), op: 0, sure: BTreeMap::new(), asked: None }
    }

    /// Sets and removes until the server is gone.
    pub(crate) async fn work(mut self, server: SocketAddr, progress: Progress) -> Self {
        let http = reqwest::Client::new();
        loop {
            self.op += 1;
            let key = format!("k{}-{}", self.name, self.dice.roll(KEYS));
            let goes = self.sure.get(&key).is_some_and(Option::is_some) && self.dice.roll(3) == 0;
            let value = (!goes).then_some(self.op);
            self.asked = Some((key.clone(), value));
            let request = match value {
                Some(op) => http.post(url(server, "set", &key)).json(&json!({"value": op})),
                None => http.delete(url(server, "delete", &key)),
            };
            let Ok(response) = request.send().await else { return self };
            assert!(
                response.status().is_success(),
                "{key} = {value:?} was answered with {}",
                response.status()
            );
            self.asked = None;
            self.sure.insert(key, value);
            progress.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is there now must be what was acknowledged, or what was asked last.
    pub(crate) async fn check(&mut self, server: SocketAddr) {
        let asked = self.asked.take();
        if let Some((key, _)) = &asked {
            self.sure.entry(key.clone()).or_default();
        }
        for (key, sure) in &mut self.sure {
            let response = reqwest::get(url(server, "get", key)).await.unwrap();
            let found = match response.status().as_u16() {
                404 => None,
                200 => response.json::<Value>().await.unwrap()["value"]["value"].as_u64(),
                other => panic!("{key} was answered with {other}"),
            };
            let may_be = asked.as_ref().filter(|(name, _)| name == key).map(|(_, value)| *value);
            assert!(
                found == *sure || Some(found) == may_be,
                "{key} is {found:?}, was {sure:?}, asked {may_be:?}"
            );
            *sure = found;
        }
    }
}

pub(crate) fn url(server: SocketAddr, verb: &str, key: &str) -> String {
    format!("http://{server}/api/kv/{verb}/{key}")
}
