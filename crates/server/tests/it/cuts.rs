//! Two hundred lost connections: what was said arrives whole, and once.

use serde_json::{Value, json};
use tidewire_engine::model::scripted::{Script, ScriptedModel};

use crate::client::Client;
use crate::house::House;
use crate::proxy::Dice;

const CUTS: usize = 200;

/// A reader that comes back where it was.
#[derive(Default)]
struct Reader {
    seq: u64,
    text: String,
    answers: usize,
    /// The message that was sent and not echoed yet; it is sent again under its id.
    unconfirmed: Option<String>,
}

impl Reader {
    async fn ask_again(&self, client: &mut Client) {
        if let Some(id) = &self.unconfirmed {
            client.send(json!({"content": "go on", "message_id": id})).await;
        }
    }

    /// Takes a frame. Nothing comes twice, nothing is left out, and a repeated text begins with what was shown.
    fn take(&mut self, frame: &Value, expected: &str) {
        if frame["type"] == "ready" {
            assert_eq!(frame["reset"], false, "{frame}");
            return;
        }
        let seq = frame["seq"].as_u64().unwrap_or_else(|| panic!("{frame} has no seq"));
        if frame["type"] == "user" && seq <= self.seq {
            return; // the echo of a message that was sent again
        }
        assert!(seq > self.seq, "{seq} came after {}: {frame}", self.seq);
        self.seq = seq;
        match frame["type"].as_str().unwrap() {
            "user" => {
                self.text.clear();
                self.unconfirmed = None;
            }
            "agent_partial" => {
                match (frame["delta"].as_str(), frame["content"].as_str()) {
                    (Some(delta), None) => self.text.push_str(delta),
                    (None, Some(whole)) => {
                        assert!(whole.starts_with(&self.text), "{whole:?} forgets {:?}", self.text);
                        self.text = whole.to_owned();
                    }
                    both => panic!("{both:?} in {frame}"),
                }
                assert!(expected.starts_with(&self.text), "{:?} was never said", self.text);
            }
            "agent" => {
                assert_eq!(frame["content"], expected);
                self.answers += 1;
            }
            "run" => {}
            other => panic!("{other} was not expected: {frame}"),
        }
    }
}

/// `most` frames are read at most between two cuts; snapshots come twenty times a second and not faster.
async fn cut_and_come_back(partials: &str, most: u64) {
    let words: String = (0..300).map(|number| format!("w{number} ")).collect();
    let script = Script::new().pace(std::time::Duration::from_millis(1)).words(&words);
    let house = House::with(|plan| plan.model = ScriptedModel::new().otherwise(script)).await;
    let (mut reader, mut dice, mut asked) = (Reader::default(), Dice(most), 0);
    for cut in 0..CUTS {
        let mut client = house.client("s").await;
        client.send(json!({"after_seq": reader.seq, "partials": partials})).await;
        if reader.answers == asked {
            asked += 1;
            reader.unconfirmed = Some(format!("m{cut}"));
        }
        reader.ask_again(&mut client).await;
        read(&mut client, &mut reader, dice.roll(most + 1), &words).await;
    }
    let mut client = house.client("s").await;
    client.send(json!({"after_seq": reader.seq, "partials": partials})).await;
    reader.ask_again(&mut client).await;
    while reader.answers < asked {
        let frame = client.next().await;
        reader.take(&frame, &words);
    }
    assert_eq!(house.model.requests().len(), asked, "every message was answered once");
    assert!(asked < CUTS / 2, "most cuts were in mid-answer");
}

/// Reads so many frames, then loses the connection without a word.
async fn read(client: &mut Client, reader: &mut Reader, frames: u64, expected: &str) {
    for _ in 0..frames {
        let frame = client.next().await;
        reader.take(&frame, expected);
        if frame["type"] == "agent" {
            return;
        }
    }
}

#[tokio::test]
async fn two_hundred_cuts_of_a_client_that_appends() {
    cut_and_come_back("delta", 6).await;
}

#[tokio::test]
async fn two_hundred_cuts_of_a_client_that_replaces() {
    cut_and_come_back("snapshot", 2).await;
}
