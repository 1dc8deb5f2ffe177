#[allow(dead_code, unused_imports)]
#[path = "../../../gen/tests/golden/elevenlabs"]
mod elevenlabs {
    pub mod client;
    pub mod wire;
}

#[allow(unused_imports)]
use elevenlabs::wire::{CloseConnectionMessage, SendTextMessage};
use elevenlabs::client::StreamTextToSpeechClient;

async fn connected() -> StreamTextToSpeechClient {
    StreamTextToSpeechClient::connect(Default::default()).await.unwrap()
}

async fn run() {
    let client = connected().await;
    client.send_text(SendTextMessage::default()).await.ok();
}

fn main() {
    drop(run());
}
