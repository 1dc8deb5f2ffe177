//! The server's side, said line by line.

use std::time::Duration;

use schematic_runtime::{Dial, MemoryServer, Peer, memory};
use serde_json::{Value, json};
use tidewire_client::{Builder, Client};

/// A client over a network in memory, with its first link.
pub(crate) async fn open(choose: impl FnOnce(Builder) -> Builder) -> (Client, MemoryServer, Server) {
    let (transport, mut network) = memory();
    let builder = choose(Client::builder("ws://localhost")).policy(|policy| {
        policy.ping = None;
        policy.backoff.initial = Duration::from_millis(10);
    });
    let (client, server) = tokio::join!(builder.connect_over(transport), Server::accept(&mut network));
    (client.unwrap(), network, server)
}

/// The server's end of a link.
pub(crate) struct Server {
    peer: Peer,
}

impl Server {
    pub(crate) async fn accept(network: &mut MemoryServer) -> Self {
        Self { peer: network.accept().await.unwrap() }
    }

    pub(crate) fn accepted(dial: Dial) -> Self {
        Self { peer: dial.accept() }
    }

    /// The next request, which is of this type: its id and its payload.
    #[track_caller]
    pub(crate) fn expect(&mut self, kind: &'static str) -> impl Future<Output = (Value, Value)> {
        let caller = std::panic::Location::caller();
        async move {
            let frame = self.next().await;
            assert_eq!(frame["type"], kind, "{frame} at {caller}");
            parts(frame)
        }
    }

    /// The next request of this type, after the end of a watch whose place among requests is left open.
    pub(crate) async fn until(&mut self, kind: &str) -> (Value, Value) {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return parts(frame);
            }
            assert_eq!(frame["type"], "Unsubscribe", "{frame}");
        }
    }

    async fn next(&mut self) -> Value {
        serde_json::from_str(&self.peer.text().await.unwrap()).unwrap()
    }

    pub(crate) fn say(&self, frame: Value) {
        self.peer.say(frame.to_string());
    }

    pub(crate) fn succeed(&self, id: &Value, data: Value) {
        self.say(json!({"type": "Success", "messageId": id, "payload": {"data": data}}));
    }

    pub(crate) fn fail(&self, id: &Value, code: u16, message: &str) {
        self.say(json!({"type": "Error", "messageId": id, "code": code, "message": message}));
    }

    pub(crate) fn agree(&self, id: &Value, offset: u64, gap: bool) {
        let data = json!({"subscribed": true, "collection": "c", "subscription_id": "s", "offset": offset, "gap": gap});
        self.succeed(id, data);
    }

    /// Inserts with these offsets; the ids are the offsets.
    pub(crate) fn insert(&self, from: u64, to: u64) {
        let ids: Vec<_> = (from..=to).map(|n| n.to_string()).collect();
        let records: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
        self.say(json!({"type": "MutationNotification", "payload": {"collection": "c", "event": "insert",
            "record_ids": ids, "records": records, "timestamp": "2026-01-02T03:04:05Z",
            "from_offset": from, "offset": to}}));
    }
}

/// A request's id and payload.
fn parts(mut frame: Value) -> (Value, Value) {
    (frame["messageId"].take(), frame["payload"].take())
}
