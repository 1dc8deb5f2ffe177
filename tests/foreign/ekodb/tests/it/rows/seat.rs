//! Where a row sits: a server of its own, and one client of each kind.

use serde_json::{Value, json};

use super::ekodb::{Client, Record, WebSocketClient};
use crate::rig::{KEY, Rig};

/// A server, an administrator's client over HTTP, and its socket, which connects at the first call.
pub(crate) struct Seat {
    pub(crate) client: Client,
    pub(crate) socket: WebSocketClient,
    pub(crate) rig: Rig,
}

impl Seat {
    /// A seat at a server of its own.
    pub(crate) async fn open() -> Self {
        Self::at(Rig::open().await).await
    }

    /// A seat at this server.
    pub(crate) async fn at(rig: Rig) -> Self {
        let client = client(&rig, KEY);
        let socket = client.connect_ws().await.unwrap();
        Self { client, socket, rig }
    }

    /// Another connection of the same administrator.
    pub(crate) async fn another(&self) -> WebSocketClient {
        self.client.connect_ws().await.unwrap()
    }

    /// Three people, whose ids are `a`, `b` and `e`.
    pub(crate) async fn people(&self) {
        let records = vec![
            json!({"id": "a", "name": "Ada", "age": 36, "town": "London"}),
            json!({"id": "b", "name": "Bob", "age": 20, "town": "Paris"}),
            json!({"id": "e", "name": "Eve", "age": 28, "town": "London"}),
        ];
        let reply = self.socket.batch_insert("people", records, None).await.unwrap();
        assert_eq!(reply["successful"], json!(["a", "b", "e"]), "{reply}");
    }

    /// One person as it is stored now.
    pub(crate) async fn person(&self, id: &str) -> Value {
        self.socket.find_by_id("people", id).await.unwrap()
    }
}

/// A client that has this key.
pub(crate) fn client(rig: &Rig, key: &str) -> Client {
    Client::builder().base_url(rig.http()).api_key(key).build().unwrap()
}

/// A record as it lay on the wire.
pub(crate) fn raw(record: &Record) -> Value {
    serde_json::to_value(record).unwrap()
}

/// A record of these members.
pub(crate) fn record(members: Value) -> Record {
    serde_json::from_value(members).unwrap()
}
