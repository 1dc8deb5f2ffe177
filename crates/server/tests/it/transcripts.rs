//! The dialect's written conversations, played against the server over real sockets.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use crate::client::Client;
use crate::house::House;

/// What the names in a transcript stand for.
type Bindings = HashMap<String, Value>;

#[tokio::test]
async fn session_chat_is_spoken_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocols/src/session_chat/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(files.len() >= 7, "only {} transcripts were found", files.len());
    for file in files {
        let house = House::with(|plan| plan.demo = true).await;
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        play(&house, &name, &std::fs::read_to_string(&file).unwrap()).await;
    }
}

async fn play(house: &House, name: &str, text: &str) {
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
            tabs.insert(tab.clone(), house.client(name).await);
        }
        let client = tabs.get_mut(&tab).unwrap();
        match sign {
            ">" => client.send_text(rest).await,
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

async fn next(client: &mut Client, skip_partials: bool) -> Value {
    loop {
        let frame = client.next().await;
        if !(skip_partials && frame["type"] == "agent_partial") {
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
