//! A generated client at work: text goes in piece by piece, audio comes out while it is written.
//!
//! It talks to a mock server in the same process. With `ELEVENLABS_API_KEY` set, leave the options out and it talks to
//! the real one.

use std::error::Error;

use schematic_mock::{Faults, Mock};
use schematic_runtime::{Credential, Options};

use elevenlabs::client::{StreamTextToSpeechClient, StreamTextToSpeechParams};
use elevenlabs::wire::{
    CloseConnectionMessage, InitializeConnectionMessage, SendTextMessage, StreamTextToSpeechServerMessage,
};

/// Written by `schematic generate elevenlabs --output rust-wire --output rust-client`.
#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../../gen/tests/golden/elevenlabs"]
mod elevenlabs {
    pub(crate) mod client;
    pub(crate) mod wire;
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mock = Mock::start(schematic_definitions::elevenlabs::elevenlabs(), Faults::none()).await?;
    let options = Options::new().base_url(mock.url()).credential(Credential::new("any"));

    let params = StreamTextToSpeechParams { voice_id: "a-voice".into(), ..Default::default() };
    let client = StreamTextToSpeechClient::connect_with(params, options).await?;
    // Each step gives a client with the next phase's methods: `send_text` does not exist before this one.
    let client = client.initialize_connection(InitializeConnectionMessage::default()).await?;
    for word in ["Hello ", "from ", "a ", "typed ", "client. "] {
        client.send_text(SendTextMessage { text: word.into(), ..Default::default() }).await?;
    }
    let mut client = client.close_connection(CloseConnectionMessage {}).await?;

    while let Some(message) = client.next().await {
        match message? {
            StreamTextToSpeechServerMessage::AudioOutput(piece) => println!("{} bytes", piece.audio.0.len()),
            StreamTextToSpeechServerMessage::FinalOutput(_) => println!("all is spoken"),
            StreamTextToSpeechServerMessage::ErrorOutput(error) => println!("failed: {}", error.message),
            StreamTextToSpeechServerMessage::Unknown { raw, .. } => println!("something new: {raw}"),
        }
    }
    Ok(())
}
