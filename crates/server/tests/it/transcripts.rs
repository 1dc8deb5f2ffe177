//! The dialect's written conversations, played against the server over real sockets.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use tidewire_engine::model::scripted::{Script, ScriptedModel};

use crate::client::Client;
use crate::house::House;

/// What the names in a transcript stand for.
type Bindings = HashMap<String, Value>;

#[tokio::test]
async fn session_chat_is_spoken_as_written() {
    let transcripts = read("session_chat");
    assert!(transcripts.len() >= 7, "only {} transcripts were found", transcripts.len());
    for (name, text) in transcripts {
        let house = House::with(|plan| plan.demo = true).await;
        play(&house, &Stage { path: &format!("/ws/{name}"), packed: false }, &name, &text).await;
    }
}

#[tokio::test]
async fn live_data_is_spoken_as_written_in_text_frames() {
    play_live_data(false).await;
}

#[tokio::test]
async fn live_data_is_spoken_as_written_in_binary_frames() {
    play_live_data(true).await;
}

#[tokio::test]
async fn chat_service_is_spoken_as_written() {
    let transcripts = read("chat_service");
    assert!(transcripts.len() >= 9, "only {} transcripts were found", transcripts.len());
    for (name, text) in transcripts {
        let opens = Script::new().call("open_file", json!({"path": "keys.md"}));
        let house = House::with(|plan| {
            plan.demo = true;
            plan.model = ScriptedModel::demo()
                .when("open keys.md", opens)
                .after("open_file", Script::new().words("It is open."));
        })
        .await;
        play(&house, &Stage { path: "/chat/ws", packed: false }, &name, &text).await;
    }
}

async fn play_live_data(packed: bool) {
    let transcripts = read("live_data");
    assert!(transcripts.len() >= 9, "only {} transcripts were found", transcripts.len());
    for (name, text) in transcripts {
        let house = House::open().await;
        // How the two agree on a format is written as it is.
        let packed = packed && name != "hello";
        play(&house, &Stage { path: "/api/ws", packed }, &name, &text).await;
    }
}

/// A dialect's transcripts by name.
fn read(dialect: &str) -> Vec<(String, String)> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../protocols/src/{dialect}/transcripts"));
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let name = |file: &Path| file.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|file| (name(file), std::fs::read_to_string(file).unwrap())).collect()
}

/// Where a conversation is held.
struct Stage<'a> {
    path: &'a str,
    /// In MessagePack, after a Hello.
    packed: bool,
}

impl Stage<'_> {
    async fn enter(&self, house: &House) -> Client {
        let mut client = Client::connect(house.address, self.path).await;
        if self.packed {
            client.send(json!({"type": "Hello", "payload": {"formats": ["msgpack", "json"]}})).await;
            assert_eq!(client.next().await["payload"]["format"], "msgpack");
        }
        client
    }

    async fn send(&self, client: &mut Client, text: &str) {
        if self.packed {
            client.send_packed(text).await;
        } else {
            client.send_text(text).await;
        }
    }
}

async fn play(house: &House, stage: &Stage<'_>, name: &str, text: &str) {
    let mut tabs: HashMap<String, Client> = HashMap::new();
    let mut tab = String::from("tab1");
    let mut bound = Bindings::new();
    let mut partials = false;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}.txt:{}", number + 1);
        let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
        if sign == "@" {
            tab = rest.to_owned();
            continue;
        }
        if !tabs.contains_key(&tab) {
            tabs.insert(tab.clone(), stage.enter(house).await);
        }
        let client = tabs.get_mut(&tab).unwrap();
        match sign {
            ">" => stage.send(client, &filled(rest, &bound)).await,
            "<*" => partials = true,
            "<" => {
                let frame = next(client, partials).await;
                partials = false;
                let pattern = serde_json::from_str(rest).unwrap_or_else(|e| panic!("{place}: {e}"));
                check(&pattern, &frame, &mut bound)
                    .unwrap_or_else(|why| panic!("{place}: {why}\n  got {frame}"));
            }
            "#" | "" => {}
            other => panic!("{place}: what is {other:?}?"),
        }
    }
}

/// What the client sends, with what the server has said in place of the names that stand for it.
fn filled(text: &str, bound: &Bindings) -> String {
    let names = bound.iter().filter(|(_, value)| value.is_string());
    names
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("\"{name}\""), &value.to_string()))
}

/// Frames of which nobody can say how many there are.
const PARTIALS: &[&str] = &["agent_partial", "ChatStreamChunk", "text", "thinking", "workflow_step"];

async fn next(client: &mut Client, skip_partials: bool) -> Value {
    loop {
        let frame = client.next().await;
        let partial = frame["type"].as_str().is_some_and(|kind| PARTIALS.contains(&kind));
        if !(skip_partials && partial) {
            return frame;
        }
    }
}

fn check(pattern: &Value, found: &Value, bound: &mut Bindings) -> Result<(), String> {
    match (pattern, found) {
        (Value::String(text), _) if text == "$*" => Ok(()),
        (Value::String(text), Value::Number(_)) if text.starts_with("$#") => bind(text, found, bound),
        (Value::String(text), Value::String(_)) if text.starts_with('$') && !text.starts_with("$#") => {
            bind(text, found, bound)
        }
        (Value::Object(members), Value::Object(got)) => {
            for (name, pattern) in members.iter().filter(|(name, _)| *name != "…") {
                let value = got.get(name).ok_or_else(|| format!("{name:?} is missing"))?;
                check(pattern, value, bound).map_err(|why| format!("{name}: {why}"))?;
            }
            match got.keys().find(|name| !members.contains_key(*name)) {
                Some(more) if !members.contains_key("…") => Err(format!("{more:?} is too much")),
                Some(_) | None => Ok(()),
            }
        }
        (Value::Array(patterns), Value::Array(got)) if patterns.len() == got.len() => {
            patterns.iter().zip(got).try_for_each(|(pattern, value)| check(pattern, value, bound))
        }
        _ if pattern == found => Ok(()),
        _ => Err(format!("expected {pattern}")),
    }
}

fn bind(name: &str, found: &Value, bound: &mut Bindings) -> Result<(), String> {
    let known = bound.entry(name.to_owned()).or_insert_with(|| found.clone());
    if known == found { Ok(()) } else { Err(format!("{name} was {known} before")) }
}
