//! What takes whatever a fuzzer says. A conversation: nothing panics, and what is asked is answered once. A request:
//! it is refused in a sentence or begins. A filter: the store and the watches agree about it. A definition: what is
//! accepted survives being written, and everything can be generated from it.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use schematic_define::Definition;
use schematic_gen::{Provenance, asyncapi, markdown, openapi, rust, typescript};
use serde_json::{Value, json};
use tidewire_engine::collections::matches::Matcher;
use tidewire_engine::query::{Body, Filter};
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::store::{Operation, Store, Write};
use tidewire_engine::{Error, Identity, RecordId, Timestamp};
use tidewire_protocols::chat_service::ChatService;
use tidewire_protocols::live_data::LiveData;
use tidewire_protocols::live_data::http::{ROUTES, Request};
use tidewire_protocols::live_data::spell::Format;
use tidewire_protocols::session_chat::SessionChat;
use tidewire_protocols::{Frame, Incoming, Session, Switches};

/// Says one frame on `live_data`, and answers what it asks for.
pub fn live_data(frame: Incoming<'_>) {
    let now = Instant::now();
    let mut session = LiveData::new(Arc::new(Switches::default()), now);
    let step = session.decode(frame, now);
    let mut replies = step.frames;
    for (ticket, _) in step.commands {
        session.reply(ticket, Err(Error::unavailable("nothing is served here")), now, &mut replies);
    }
    assert!(replies.len() <= 2, "{replies:?}");
}

/// Says one frame on `chat_service`, and refuses what it asks for: an answer that was asked for ends once.
pub fn chat_service(text: &str) {
    let now = Instant::now();
    let mut session = ChatService::new(&Identity::local(), None);
    let step = session.decode(Incoming::Text(text), now);
    let mut replies = step.frames;
    for (ticket, _) in step.commands {
        session.reply(ticket, Err(Error::unavailable("nothing is served here")), now, &mut replies);
    }
    let is_end = |frame: &Frame| matches!(frame, Frame::Text(text) if text.starts_with(br#"{"type":"end""#));
    assert!(replies.len() <= 2 && replies.iter().filter(|frame| is_end(frame)).count() <= 1, "{replies:?}");
}

/// Says one frame on `session_chat`, and refuses what it asks for.
pub fn session_chat(text: &str) {
    let now = Instant::now();
    let Ok(name) = "s".parse() else { return };
    let mut session = SessionChat::new(name);
    for frame in [Incoming::Text(text), Incoming::Binary(text.as_bytes())] {
        let step = session.decode(frame, now);
        let (mut replies, asked) = (step.frames, step.commands.len());
        for (ticket, _) in step.commands {
            session.reply(ticket, Err(Error::unavailable("nothing is served here")), now, &mut replies);
        }
        assert!(replies.len() <= asked + 1, "{replies:?}");
    }
}

/// Asks one address: its number, then how the body and the answer are written, then the body.
pub fn live_data_http(bytes: &[u8]) {
    let [number, formats, body @ ..] = bytes else { return };
    let route = &ROUTES[usize::from(*number) % ROUTES.len()];
    let format = |packed: bool| if packed { Format::MessagePack } else { Format::Json };
    let names = ["collection", "id", "chat_id", "message_id", "key", "field", "action", "provider"];
    let params = names.map(|name| (name, "1"));
    let switches = Switches::default();
    let started = route.call(&Request {
        params: &params,
        query: &[],
        content: format(formats & 1 == 1),
        accept: format(formats & 2 == 2),
        body,
        last_event_id: None,
        identity: &Identity::local(),
        switches: &switches,
        now: Instant::now(),
    });
    match started.and_then(|mut call| call.begin()) {
        Ok(_) => {}
        Err(error) => assert!(!error.message.is_empty() && error.message.len() < 2000, "{error:?}"),
    }
}

/// Reads a definition; one that is accepted is written and read without loss, and generated from.
pub fn definition(text: &str) {
    let read = Definition::from_json(text).ok().or_else(|| Definition::from_yaml(text).ok());
    let Some(definition) = read else { return };
    assert_eq!(Definition::from_json(&definition.to_json()).as_ref().ok(), Some(&definition));
    if definition.check().is_err() {
        return;
    }
    let provenance = Provenance::new("fuzz", "definition");
    // What a kind of output cannot say, it says; it never panics.
    drop(rust::wire_types(&definition, &provenance));
    drop(typescript::client(&definition, &provenance));
    drop(asyncapi::document(&definition));
    drop(openapi::document(&definition));
    drop(markdown::reference(&definition, &provenance));
}

/// Reads a filter, and asks the store and the matcher of watches which records fit.
pub fn filter(text: &str) {
    let Ok(written) = serde_json::from_str::<Value>(text) else { return };
    let Ok(Some(filter)) = tidewire_protocols::live_data::filter::filter(Some(written)) else { return };
    let counted = SHELF.runtime.block_on(SHELF.store.count("c", Some(&filter)));
    let matched = Matcher::new(&filter).map(|matcher| SHELF.fitting(&matcher));
    assert_eq!(counted.ok(), matched.ok(), "{filter:?}");
    drop::<Filter>(filter);
}

/// A store with a record of each kind.
struct Shelf {
    runtime: tokio::runtime::Runtime,
    store: Sqlite,
    records: Vec<(RecordId, Body)>,
}

impl Shelf {
    fn fitting(&self, matcher: &Matcher) -> u64 {
        let fits = |(id, body): &&(RecordId, Body)| matcher.fits(id, body);
        self.records.iter().filter(fits).count().try_into().unwrap_or(u64::MAX)
    }
}

static SHELF: LazyLock<Shelf> = LazyLock::new(|| {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let store = Sqlite::in_memory().expect("a store opens");
    let bodies = [
        json!({"a": 1, "b": "text", "c": [1, "x", null], "d": {"e": true}}),
        json!({"a": 1.5, "b": null, "c": [], "d": {"e": {"f": "deep"}}}),
        json!({"a": "1", "b": "Text with more", "c": {"x": 1}, "d": 0}),
        json!({"a": -9_007_199_254_740_993_i64, "b": "", "c": false}),
        json!({}),
    ];
    let records: Vec<(RecordId, Body)> = bodies
        .into_iter()
        .enumerate()
        .filter_map(|(number, body)| Some((RecordId(format!("r{number}")), body.as_object()?.clone())))
        .collect();
    let batch = records
        .iter()
        .map(|(id, body)| Write::new("c", id.clone(), Operation::Insert(body.clone())))
        .collect();
    runtime.block_on(store.commit(&"fuzz".into(), Timestamp(0), batch)).expect("the records are written");
    Shelf { runtime, store, records }
});
