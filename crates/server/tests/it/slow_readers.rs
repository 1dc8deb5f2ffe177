//! Subscribers that stop reading for a while, beside others that go on: whoever reads again misses nothing.

use std::net::SocketAddr;

use futures_util::StreamExt;
use serde_json::json;
use tokio::net::TcpSocket;
use tokio_tungstenite::{MaybeTlsStream, client_async};

use crate::client::{Client, PATIENCE};
use crate::house::House;

const READERS: usize = 12;
const SLOW: usize = 4;
/// Each commit has one, ten or thirty records of a kilobyte.
const COMMITS: usize = 150;
const BATCHES: [usize; 3] = [1, 10, 30];
/// What the kernel keeps for one who does not read is small, so that the server sees it soon.
const KERNEL_BUFFER: u32 = 4 * 1024;

async fn subscribe(address: SocketAddr) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(KERNEL_BUFFER).unwrap();
    let stream = MaybeTlsStream::Plain(socket.connect(address).await.unwrap());
    let (socket, _) = client_async(format!("ws://{address}/api/ws"), stream).await.unwrap();
    let mut client = Client { socket };
    client.send(json!({"type": "Subscribe", "messageId": "s", "payload": {"collection": "c"}})).await;
    assert_eq!(client.next().await["type"], "Success");
    client
}

/// Reads up to this offset. Nothing is missing, nothing comes twice, each record is its own.
async fn read_on(client: &mut Client, last: u64) {
    let mut read = 0;
    while read < last {
        let frame = client.until("MutationNotification").await;
        let payload = &frame["payload"];
        assert_eq!(payload["from_offset"], read + 1, "the next one follows the last one");
        let to = payload["offset"].as_u64().unwrap();
        let ids = payload["record_ids"].as_array().unwrap();
        let expected: Vec<_> = (read..to).map(|number| json!(format!("r{number}"))).collect();
        assert_eq!(*ids, expected);
        read = to;
    }
    assert_eq!(read, last);
}

async fn write_all(writer: &mut Client) -> u64 {
    let mut written = 0;
    for commit in 0..COMMITS {
        let next = written + BATCHES[commit % BATCHES.len()];
        let records: Vec<_> = (written..next).map(record).collect();
        let payload = json!({"collection": "c", "records": records});
        writer.send(json!({"type": "BatchInsert", "messageId": "b", "payload": payload})).await;
        assert_eq!(writer.next().await["type"], "Success");
        written = next;
    }
    written as u64
}

fn record(number: usize) -> serde_json::Value {
    json!({"id": format!("r{number}"), "text": "x".repeat(1_000)})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn who_stopped_reading_misses_nothing_and_delays_nobody() {
    let house = House::open().await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(subscribe(house.address).await);
    }
    let mut writer = Client::connect(house.address, "/api/ws").await;
    let mut quick = tokio::task::JoinSet::new();
    let last = (COMMITS / BATCHES.len() * BATCHES.iter().sum::<usize>()) as u64;
    for _ in SLOW..READERS {
        let mut client = subscribe(house.address).await;
        quick.spawn(async move { read_on(&mut client, last).await });
    }
    assert_eq!(write_all(&mut writer).await, last);
    // Those who read have everything while the others have hardly begun.
    let others = async { while quick.join_next().await.transpose().unwrap().is_some() {} };
    tokio::time::timeout(3 * PATIENCE, others).await.expect("those who read are served");
    for client in &mut slow {
        read_on(client, last).await;
    }
    // They are served at once again.
    writer
        .send(json!({"type": "Insert", "messageId": "i", "payload": {"collection": "c", "record": {}}}))
        .await;
    for client in &mut slow {
        let frame = client.until("MutationNotification").await;
        assert_eq!(frame["payload"]["offset"], last + 1);
    }
}

/// Answers to pings share the way out with everything else.
#[tokio::test]
async fn a_ping_is_answered_between_the_frames_of_a_large_answer() {
    use futures_util::SinkExt;
    use tokio_tungstenite::tungstenite::Message;

    let house = House::open().await;
    let mut client = subscribe(house.address).await;
    let text = "x".repeat(300_000);
    for number in 0..8 {
        let record = json!({"id": format!("r{number}"), "text": text});
        let payload = json!({"collection": "c", "record": record});
        client.send(json!({"type": "Insert", "messageId": number, "payload": payload})).await;
        client.socket.send(Message::Ping(vec![number as u8].into())).await.unwrap();
    }
    let (mut pongs, mut told, mut confirmed) = (0, 0, 0);
    while (pongs, told, confirmed) != (8, 8, 8) {
        let message = tokio::time::timeout(PATIENCE, client.socket.next()).await.unwrap();
        match message.unwrap().unwrap() {
            Message::Pong(payload) => {
                assert_eq!(payload[..], [pongs]);
                pongs += 1;
            }
            Message::Text(text) => {
                let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
                match frame["type"].as_str() {
                    Some("Success") => confirmed += 1,
                    Some("MutationNotification") => {
                        told += frame["payload"]["record_ids"].as_array().unwrap().len();
                    }
                    _ => panic!("{frame}"),
                }
            }
            other => panic!("{other:?}"),
        }
    }
}
