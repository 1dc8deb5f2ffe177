//! A synthesis of 200 pieces in all three patterns, whole and cut: before the opening, at pieces, after the close.
//!
//! Whatever happens, each message that was said is acknowledged or handed back, in order, and the audio is what the
//! server sent up to the cut.

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};
use schematic_mock::{Mock, audio};
use schematic_runtime::{Failure, State};

use crate::eleven_labs::client::{StreamTextToSpeechClient as Client, StreamTextToSpeechParams as Params};
use crate::eleven_labs::wire::{
    CloseConnectionMessage, InitializeConnectionMessage, SendTextMessage,
    StreamTextToSpeechClientMessage as Says, StreamTextToSpeechServerMessage as Hears,
};
use crate::support::{mock, options, patiently, received};

const CHUNKS: u64 = 200;

/// After how many messages the server cuts, and how many pieces it has spoken by then.
const CUTS: [(u64, u64); 5] = [(0, 0), (2, 1), (101, 100), (200, 199), (202, 200)];

/// What came of a synthesis.
#[derive(Debug, Default)]
struct Outcome {
    said: Vec<Says>,
    unsent: Vec<Says>,
    audio: Vec<Vec<u8>>,
    finished: bool,
}

impl Outcome {
    fn hear(&mut self, told: Result<Hears, Failure<Says>>) {
        match told {
            Ok(Hears::AudioOutput(piece)) => self.audio.push(piece.audio.0),
            Ok(Hears::FinalOutput(_)) => self.finished = true,
            Ok(other) => panic!("{other:?}"),
            Err(failure) => self.unsent.extend(failure.into_unsent()),
        }
    }
}

fn params() -> Params {
    Params { voice_id: "a voice/with signs".into(), auto_mode: Some(true), ..Params::default() }
}

fn opening() -> InitializeConnectionMessage {
    InitializeConnectionMessage::default()
}

fn chunk(n: u64) -> SendTextMessage {
    SendTextMessage { text: format!("word{n} "), ..SendTextMessage::default() }
}

/// Everything that a whole synthesis says.
fn everything() -> Vec<Says> {
    let chunks = (1..=CHUNKS).map(|n| Says::SendText(chunk(n)));
    let ends = (Says::InitializeConnection(opening()), Says::CloseConnection(CloseConnectionMessage {}));
    std::iter::once(ends.0).chain(chunks).chain([ends.1]).collect()
}

/// The explicit state machine: one step after the other, then everything that is still to be heard.
async fn stepwise(mock: &Mock) -> Outcome {
    let client = Client::connect_with(params(), options(mock)).await.unwrap();
    let mut outcome = Outcome { said: vec![Says::InitializeConnection(opening())], ..Outcome::default() };
    let client = match client.initialize_connection(opening()).await {
        Ok(client) => client,
        Err(interrupted) => {
            outcome.unsent = interrupted.failure.into_unsent();
            return hear_all(*interrupted.client, outcome).await;
        }
    };
    for n in 1..=CHUNKS {
        outcome.said.push(Says::SendText(chunk(n)));
        if let Err(failure) = client.send_text(chunk(n)).await {
            assert!(matches!(failure, Failure::Disconnected { .. }), "{failure}");
            outcome.unsent = failure.into_unsent();
            return hear_all(client, outcome).await;
        }
    }
    outcome.said.push(Says::CloseConnection(CloseConnectionMessage {}));
    match client.close_connection(CloseConnectionMessage {}).await {
        Ok(client) => hear_all(client, outcome).await,
        Err(interrupted) => {
            outcome.unsent = interrupted.failure.into_unsent();
            hear_all(*interrupted.client, outcome).await
        }
    }
}

async fn hear_all<Phase>(mut client: Client<Phase>, mut outcome: Outcome) -> Outcome {
    while let Some(told) = client.next().await {
        outcome.hear(told);
    }
    assert_eq!(client.state(), State::Closed);
    outcome
}

/// Sink and stream: one task says, the other hears.
async fn split(mock: &Mock) -> Outcome {
    let client = Client::connect_with(params(), options(mock)).await.unwrap();
    let (sink, mut incoming) = client.split();
    let hearing = tokio::spawn(async move {
        let mut outcome = Outcome::default();
        while let Some(told) = incoming.next().await {
            outcome.hear(told);
        }
        outcome
    });
    let (said, refused) = say_all(sink).await;
    let mut outcome = hearing.await.unwrap();
    outcome.said = said;
    // Who asks first gets what was not sent; the refused message itself is the sink's and the last.
    outcome.unsent.extend(refused);
    outcome
}

/// Builder with callbacks, and the text as a stream.
async fn callbacks(mock: &Mock) -> Outcome {
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let (pieces, last) = (outcome.clone(), outcome.clone());
    let client = Client::builder(params())
        .options(options(mock))
        .on_audio_output(move |piece| pieces.lock().unwrap().audio.push(piece.audio.0))
        .on_final_output(move |_| last.lock().unwrap().finished = true)
        .on_failure(|failure| panic!("{failure}"))
        .connect()
        .await
        .unwrap();
    let mut said = vec![Says::InitializeConnection(opening())];
    let client = match client.initialize_connection(opening()).await {
        Ok(client) => client,
        Err(interrupted) => return finish(outcome, said, interrupted.failure, *interrupted.client).await,
    };
    let noted = Arc::new(Mutex::new(Vec::new()));
    let note = noted.clone();
    let chunks = stream::iter((1..=CHUNKS).map(chunk))
        .inspect(move |chunk| note.lock().unwrap().push(Says::SendText(chunk.clone())));
    let sent = client.send_text_stream(chunks).await;
    said.append(&mut noted.lock().unwrap());
    if let Err(failure) = sent {
        return finish(outcome, said, failure, client).await;
    }
    said.push(Says::CloseConnection(CloseConnectionMessage {}));
    match client.close_connection(CloseConnectionMessage {}).await {
        Ok(client) => {
            let finished = client.finished().await;
            let mut outcome = take(&outcome);
            outcome.unsent = finished.err().map_or_else(Vec::new, Failure::into_unsent);
            Outcome { said, ..outcome }
        }
        Err(interrupted) => finish(outcome, said, interrupted.failure, *interrupted.client).await,
    }
}

/// The callbacks have heard everything; the failed call has what was not sent, and nothing comes twice.
async fn finish<Phase>(
    outcome: Arc<Mutex<Outcome>>,
    said: Vec<Says>,
    failure: Failure<Says>,
    client: Client<Phase, schematic_runtime::Handled<Says>>,
) -> Outcome {
    let unsent = failure.into_unsent();
    let ended = client.finished().await.unwrap_err();
    assert_eq!(ended.into_unsent(), vec![]);
    Outcome { said, unsent, ..take(&outcome) }
}

fn take(outcome: &Mutex<Outcome>) -> Outcome {
    std::mem::take(&mut *outcome.lock().unwrap())
}

/// Says everything until something is refused; gives what was tried, and what came back.
async fn say_all<Half>(sink: Client<schematic_runtime::New, Half>) -> (Vec<Says>, Vec<Says>) {
    let mut said = vec![Says::InitializeConnection(opening())];
    let sink = match sink.initialize_connection(opening()).await {
        Ok(sink) => sink,
        Err(interrupted) => return (said, interrupted.failure.into_unsent()),
    };
    for n in 1..=CHUNKS {
        said.push(Says::SendText(chunk(n)));
        if let Err(failure) = sink.send_text(chunk(n)).await {
            return (said, failure.into_unsent());
        }
    }
    said.push(Says::CloseConnection(CloseConnectionMessage {}));
    let closed = sink.close_connection(CloseConnectionMessage {}).await;
    (said, closed.err().map_or_else(Vec::new, |interrupted| interrupted.failure.into_unsent()))
}

fn text_of(message: Says) -> Option<SendTextMessage> {
    match message {
        Says::SendText(text) => Some(text),
        _ => None,
    }
}

fn check(outcome: &Outcome, mock: &Mock, spoken: u64, pattern: &str) {
    let acknowledged = outcome.said.len() - outcome.unsent.len();
    assert_eq!(outcome.said, everything()[..outcome.said.len()], "{pattern}");
    assert_eq!(outcome.unsent, outcome.said[acknowledged..], "{pattern}: handed back in order");
    let arrived = received(mock).len();
    assert!(acknowledged <= arrived, "{pattern}: {acknowledged} acknowledged, {arrived} arrived");
    assert_eq!(outcome.audio, (1..=spoken).map(audio).collect::<Vec<_>>(), "{pattern}");
}

#[tokio::test]
async fn a_whole_synthesis_says_everything_and_hears_everything() {
    for pattern in ["stepwise", "split", "callbacks"] {
        let mock = mock("elevenlabs", "").await;
        let outcome = patiently(synthesis(pattern, &mock)).await;
        check(&outcome, &mock, CHUNKS, pattern);
        assert_eq!((outcome.said.len(), outcome.unsent.len()), (202, 0), "{pattern}");
        assert!(outcome.finished, "{pattern}");
    }
}

#[tokio::test]
async fn a_cut_leaves_each_message_acknowledged_or_handed_back() {
    for pattern in ["stepwise", "split", "callbacks"] {
        for (after, spoken) in CUTS {
            let mock = mock("elevenlabs", &format!("drop:{after}")).await;
            let outcome = patiently(synthesis(pattern, &mock)).await;
            check(&outcome, &mock, spoken, &format!("{pattern}, cut after {after}"));
            assert_eq!(outcome.finished, after == 202, "{pattern}, cut after {after}");
        }
    }
}

async fn synthesis(pattern: &str, mock: &Mock) -> Outcome {
    match pattern {
        "stepwise" => stepwise(mock).await,
        "split" => split(mock).await,
        _ => callbacks(mock).await,
    }
}

#[tokio::test]
async fn what_was_handed_back_can_be_said_in_a_new_session() {
    let mock = mock("elevenlabs", "drop:101,connections=1").await;
    let client = Client::connect_with(params(), options(&mock)).await.unwrap();
    let client = client.initialize_connection(opening()).await.unwrap();
    let mut unsent = Vec::new();
    for n in 1..=CHUNKS {
        if let Err(failure) = client.send_text(chunk(n)).await {
            unsent = failure.into_unsent();
            break;
        }
    }
    if unsent.is_empty() {
        client.flushed().await;
        unsent = client.send_text(chunk(CHUNKS + 1)).await.unwrap_err().into_unsent();
    }
    let again = client.reconnect().await.unwrap().initialize_connection(opening()).await.unwrap();
    // The opening may be among them, and has been said anew.
    let texts: Vec<SendTextMessage> = unsent.into_iter().filter_map(text_of).collect();
    let count = texts.len() as u64;
    assert!(count > 0);
    again.send_text_stream(stream::iter(texts)).await.unwrap();
    let closed = again.close_connection(CloseConnectionMessage {}).await.unwrap();
    let outcome = patiently(hear_all(closed, Outcome::default())).await;
    assert_eq!(outcome.audio, (1..=count).map(audio).collect::<Vec<_>>());
    assert!(outcome.finished && outcome.unsent.is_empty());
}

#[tokio::test]
async fn a_missing_credential_is_told_with_the_servers_word() {
    let mock = mock("elevenlabs", "").await;
    let without = schematic_runtime::Options::new().base_url(mock.url());
    let client = Client::connect_with(params(), without).await.unwrap();
    let mut client = client.initialize_connection(opening()).await.unwrap();
    let failure = patiently(client.next()).await.unwrap().unwrap_err();
    let Failure::Disconnected { ending, .. } = failure else { panic!("{failure}") };
    assert_eq!((ending.code, ending.reason.contains("credential")), (1008, true), "{ending}");
}
