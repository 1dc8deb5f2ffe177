//! The embedded models with their real files: `TIDEWIRE_MODELS`, else the cache folder.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::*;
use crate::event::Usage;
use crate::model::Embedder;
use crate::model::choose::models_dir;
use crate::model::{Message, Model, ModelEvent, Request, StopReason};

fn file(name: &str) -> PathBuf {
    let path = models_dir().join(name);
    assert!(
        path.exists(),
        "{} is not there; run `cargo xtask test`, which fetches it, or set TIDEWIRE_MODELS",
        path.display()
    );
    path
}

fn asked(question: &str) -> Request {
    Request { messages: vec![Message::User(question.into())], ..Request::default() }
}

#[test]
fn the_tokenizer_gives_the_ids_of_the_original() {
    let mut gguf = std::fs::File::open(file(CHAT_FILE)).unwrap();
    let content = candle_core::quantized::gguf_file::Content::read(&mut gguf).unwrap();
    let tokenizer = tokenizer::from_gguf(&content).unwrap();
    for (text, expected) in FIXTURES {
        let encoding = tokenizer.encode(*text, false).unwrap();
        assert_eq!(encoding.get_ids(), *expected, "{text:?}");
        assert_eq!(tokenizer.decode(expected, false).unwrap(), *text);
    }
}

/// Made by a naive implementation of the scheme from the file's own vocabulary and merges, apart from the library.
const FIXTURES: &[(&str, &[u32])] = &[
    ("Hello, world!", &[19556, 28, 905, 17]),
    (
        "It's 2026: 1,234.5 tables\tof  café data at 東京 🙂",
        &[
            1589, 506, 216, 34, 32, 34, 38, 42, 216, 33, 28, 34, 35, 36, 30, 37, 8158, 197, 1714, 216, 37366,
            940, 418, 17097, 247, 126, 16736, 122, 47526,
        ],
    ),
    (
        "<|im_start|>user\nHow are you?<|im_end|>\n<|im_start|>assistant\n",
        &[1, 4093, 198, 2020, 359, 346, 47, 2, 198, 1, 520, 9531, 198],
    ),
    (
        "factv_purchase_order has 99997 rows",
        &[2160, 102, 79, 96, 22359, 79, 2559, 553, 216, 41, 41, 41, 41, 39, 10055],
    ),
];

async fn ready(status: impl Fn() -> Status) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while status() == Status::Loading {
        assert!(Instant::now() < deadline, "it should have loaded within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(), Status::Ready);
}

/// The text, the last usage and why it ended.
async fn answer(model: &SmolLm, request: Request) -> (String, Usage, StopReason) {
    let mut stream = model.stream(request).await.unwrap();
    let (mut text, mut usage) = (String::new(), Usage::default());
    loop {
        match stream.next().await.expect("it ends with End").unwrap() {
            ModelEvent::Text(more) => text.push_str(&more),
            ModelEvent::Usage(so_far) => usage = so_far,
            ModelEvent::End(reason) => return (text, usage, reason),
            other => panic!("{other:?} was not expected"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_talk_is_answered() {
    let begun = Instant::now();
    let model = SmolLm::open(&file(CHAT_FILE));
    ready(|| model.status()).await;
    eprintln!("loaded in {:?}, {} MB resident", begun.elapsed(), resident_mb());

    let begun = Instant::now();
    let request = Request { temperature: Some(0.0), ..asked("hello") };
    let (text, usage, reason) = answer(&model, request).await;
    eprintln!("{text:?} {usage:?} in {:?}", begun.elapsed());
    assert_eq!(reason, StopReason::Finished);
    assert!(text.chars().count() > 5 && text.is_char_boundary(text.len()), "{text:?}");
    assert!(usage.input_tokens > 20 && usage.output_tokens > 2, "{usage:?}");

    let request =
        Request { temperature: Some(0.0), max_tokens: Some(60), ..asked("Tell me a very long story.") };
    let begun = Instant::now();
    let (_, usage, reason) = answer(&model, request).await;
    let speed = usage.output_tokens as f64 / begun.elapsed().as_secs_f64();
    eprintln!("{} tokens at {speed:.1}/s, {} MB resident", usage.output_tokens, resident_mb());
    assert_eq!((usage.output_tokens, reason), (60, StopReason::Length));
}

/// Stopping is prompt if the next answer does not wait for the stopped one.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_answer_stops_in_prefill_and_in_decoding() {
    let model = SmolLm::open(&file(CHAT_FILE));
    ready(|| model.status()).await;
    let long = asked(&"tell me everything about purchase orders and suppliers ".repeat(8));

    let mut stream = model.stream(long.clone()).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    let ModelEvent::Usage(prompt) = first else { panic!("the prompt's length comes first, not {first:?}") };
    drop(stream);
    let prefill = until_free(&model).await;

    let mut stream = model.stream(long).await.unwrap();
    while !matches!(stream.next().await.unwrap().unwrap(), ModelEvent::Text(_)) {}
    drop(stream);
    let decoding = until_free(&model).await;
    eprintln!(
        "stopped in prefill of {} tokens after {prefill:?}, in decoding after {decoding:?}",
        prompt.input_tokens
    );
    // Machines that test are busy: there the whole prompt would take ten seconds, a whole answer half a minute.
    assert!(prefill < Duration::from_secs(2) && decoding < Duration::from_secs(2));
}

/// How long the thread takes to begin another job, which tells its prompt's length before it computes anything.
async fn until_free(model: &SmolLm) -> Duration {
    let begun = Instant::now();
    let mut stream = model.stream(asked("hi")).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert!(matches!(first, ModelEvent::Usage(_)), "{first:?}");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answers_at_a_time_and_the_others_know() {
    let model = SmolLm::open(&file(CHAT_FILE));
    ready(|| model.status()).await;
    let mut first = model.stream(asked("Tell me a long story")).await.unwrap();
    assert!(matches!(first.next().await.unwrap().unwrap(), ModelEvent::Usage(_)));
    let mut second = model.stream(asked("hello")).await.unwrap();
    assert_eq!(second.next().await.unwrap().unwrap(), ModelEvent::Queued { position: 1 });
    let mut third = model.stream(asked("hello")).await.unwrap();
    assert_eq!(third.next().await.unwrap().unwrap(), ModelEvent::Queued { position: 2 });
    drop(first);
    assert!(matches!(second.next().await.unwrap().unwrap(), ModelEvent::Usage(_)));
    assert_eq!(third.next().await.unwrap().unwrap(), ModelEvent::Queued { position: 1 });
}

#[tokio::test]
async fn a_missing_file_is_a_status() {
    let folder = tempfile::tempdir().unwrap();
    let model = SmolLm::open(&folder.path().join("none.gguf"));
    assert!(matches!(model.status(), Status::Missing(why) if why.contains("none.gguf")));
    assert_eq!(model.stream(asked("hi")).await.err().unwrap().code, crate::Code::Unavailable);
    assert!(
        matches!(MiniLm::open(folder.path()).status(), Status::Missing(why) if why.contains("config.json"))
    );
}

#[tokio::test]
async fn a_broken_file_is_a_status() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.gguf");
    std::fs::write(&path, b"GGUF but not really").unwrap();
    let model = SmolLm::open(&path);
    let deadline = Instant::now() + Duration::from_secs(10);
    while model.status() == Status::Loading && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(model.status(), Status::Failed(_)), "{:?}", model.status());
}

#[tokio::test]
async fn near_meanings_have_near_vectors() {
    let embedder = MiniLm::open(&file(EMBEDDER_DIR));
    ready(|| embedder.status()).await;
    let texts =
        ["list all tables", "show me every table there is", "what a lovely morning"].map(String::from);
    let vectors = embedder.embed(texts.to_vec()).await.unwrap();
    let near = |a: usize, b: usize| -> f32 { vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum() };
    assert!((near(0, 0) - 1.0).abs() < 1e-4);
    assert!(near(0, 1) > 0.6 && near(0, 2) < 0.3, "{} {}", near(0, 1), near(0, 2));
    let begun = Instant::now();
    embedder.embed(vec![String::from("how many orders are there")]).await.unwrap();
    eprintln!("one question took {:?}, {} MB resident", begun.elapsed(), resident_mb());
}

#[tokio::test]
async fn embeddings_route_questions() {
    let embedder = Arc::new(MiniLm::open(&file(EMBEDDER_DIR)));
    ready(|| embedder.status()).await;
    crate::model::assistant::tests::score_with(embedder).await;
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() / 1024
}
