//! A server for one row, in this process, on a port of its own, and what is changed about it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidewire_engine::agent::Tool;
use tidewire_engine::agent::tool::function;
use tidewire_engine::model::choose::Chosen;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_engine::model::{Embedder, Status};
use tidewire_engine::{Error, Result};
use tidewire_server::start::{Started, start_with};
use tidewire_server::{Config, serve};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// No row may take longer, whatever the machine does beside.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The administrator's key.
pub(crate) const KEY: &str = "an admin key of the foreign tests";

/// The model, without its provider, which is `openai`.
pub(crate) const MODEL: &str = "gpt-tea";

/// A running server; it ends when this is dropped.
pub(crate) struct Rig {
    address: SocketAddr,
    pub(crate) model: Arc<ScriptedModel>,
    /// How often the scales were used.
    pub(crate) weighed: Arc<AtomicUsize>,
    _end: DropGuard,
    _folder: TempDir,
}

impl Rig {
    /// A server with a model that says `Hello there.` to whatever it is asked, and with scales as a tool.
    pub(crate) async fn open() -> Self {
        Self::with(|_| ()).await
    }

    /// As [`open`](Self::open), with something changed in its configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = ScriptedModel::new().named(format!("openai/{MODEL}")).otherwise(greeting());
        let (model, weighed) = (Arc::new(model), Arc::new(AtomicUsize::new(0)));
        let mut config = config(&folder);
        change(&mut config);
        let chosen = Chosen { model: Arc::clone(&model) as _, embedder: Some(Arc::new(Letters)) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let Started { house, .. } = start_with(config, chosen, vec![scales(&weighed)]).await.unwrap();
        let end = CancellationToken::new();
        tokio::spawn(serve(house, listener, end.clone().cancelled_owned()));
        Self { address, model, weighed, _end: end.drop_guard(), _folder: folder }
    }

    /// The base address for HTTP.
    pub(crate) fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many messages have come over sockets so far.
    pub(crate) async fn heard(&self) -> u64 {
        let client = reqwest_of_ekodb::Client::new();
        let asking = client.get(format!("{}/metrics", self.http())).bearer_auth(KEY).send();
        let figures = asking.await.unwrap().text().await.unwrap();
        let line = figures
            .lines()
            .find_map(|line| line.strip_prefix("tidewire_frames_in_total{dialect=\"live_data\"} "));
        line.and_then(|figure| figure.parse().ok()).unwrap_or_default()
    }

    /// The base address for sockets.
    pub(crate) fn ws(&self) -> String {
        format!("ws://{}", self.address)
    }
}

/// A tool of the server's own.
fn scales(weighed: &Arc<AtomicUsize>) -> Arc<dyn Tool> {
    let parameters = json!({
        "type": "object",
        "properties": {"grams": {"type": "integer"}},
        "required": ["grams"],
    });
    let weighed = Arc::clone(weighed);
    function("weigh", "Weighs tea", parameters, move |_, arguments| {
        weighed.fetch_add(1, Ordering::SeqCst);
        let grams = arguments["grams"].as_i64().unwrap_or_default();
        let light = Error::invalid("nothing weighs less than nothing; put something on the scales");
        async move { if grams < 0 { Err(light) } else { Ok(json!({"weighed": grams})) } }
    })
}

fn greeting() -> Script {
    Script::new().words("Hello there.")
}

fn config(folder: &TempDir) -> Config {
    let mut config = Config { api_keys: vec![KEY.to_owned()], ..Config::default() };
    config.data = folder.path().join("data");
    config.limits.message_burst = 1000;
    config
}

/// An embedding of three numbers: how many vowels, other letters and other characters a text has.
struct Letters;

#[async_trait]
impl Embedder for Letters {
    fn name(&self) -> &str {
        "letters"
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| count(text)).collect())
    }

    fn status(&self) -> Status {
        Status::Ready
    }
}

fn count(text: &str) -> Vec<f32> {
    let of = |fits: fn(char) -> bool| text.chars().filter(|letter| fits(*letter)).count() as f32;
    let vowels = of(|letter| "aeiouAEIOU".contains(letter));
    let letters = of(char::is_alphabetic);
    vec![vowels, letters - vowels, of(|letter| !letter.is_alphabetic())]
}

/// A value as replies show it.
pub(crate) fn typed(value: impl Into<Value>) -> Value {
    let value = value.into();
    let name = match &value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(number) if number.is_f64() => "Float",
        Value::Number(_) => "Integer",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Object",
    };
    json!({"type": name, "value": value})
}

/// The values of one member of many records, without their types.
pub(crate) fn column(records: &[Value], member: &str) -> Vec<Value> {
    let value = |record: &Value| record[member].get("value").unwrap_or(&record[member]).clone();
    records.iter().map(value).collect()
}

/// A condition of a filter.
pub(crate) fn condition(field: &str, operator: &str, value: impl Into<Value>) -> Value {
    json!({"type": "Condition", "content": {"field": field, "operator": operator, "value": value.into()}})
}

/// Looks until there is something to see.
pub(crate) async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let seen = async {
        loop {
            match look() {
                Some(seen) => return seen,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("it comes in time")
}
