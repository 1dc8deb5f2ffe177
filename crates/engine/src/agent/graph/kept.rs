//! A run's state as its checkpoints keep it: JSON with a version, which another version of the program reads or refuses.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Route, State};
use crate::agent::retrieval::Passage;
use crate::event::{Answer, Usage};
use crate::id::RecordId;
use crate::model::{Message, ToolCall};

/// It goes up when the meaning of a member changes.
const VERSION: u8 = 1;

/// The twin of [`State`]. The answer's parts beside its diagram are made by the last node and not kept.
#[derive(Serialize, Deserialize)]
struct KeptState {
    v: u8,
    question: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    search: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<KeptRoute>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passages: Vec<KeptPassage>,
    #[serde(default)]
    widened: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    context: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<KeptCall>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    messages: Vec<KeptMessage>,
    #[serde(default)]
    rounds: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    without: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diagram: Option<String>,
    #[serde(default)]
    usage: (u64, u64, Option<u64>),
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    spent_us: BTreeMap<String, u64>,
    #[serde(default)]
    steered: usize,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum KeptRoute {
    Talk,
    Tools,
    Documents,
    Explore,
}

#[derive(Serialize, Deserialize)]
struct KeptPassage {
    collection: String,
    record: String,
    document: String,
    title: String,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    section: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    text: String,
    score: f64,
}

#[derive(Serialize, Deserialize)]
struct KeptCall {
    id: String,
    name: String,
    arguments: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
enum KeptMessage {
    User { text: String },
    Assistant { text: String, calls: Vec<KeptCall> },
    Tool { call_id: String, name: String, content: String, is_error: bool },
}

/// The JSON that is kept of a state.
pub(super) fn keep(state: &State) -> Value {
    let Usage { input_tokens, output_tokens, context_window } = state.usage;
    let kept = KeptState {
        v: VERSION,
        question: state.question.clone(),
        search: state.search.clone(),
        route: state.route.map(KeptRoute::of),
        passages: state.passages.iter().map(KeptPassage::of).collect(),
        widened: state.widened,
        context: state.context.clone(),
        calls: state.calls.iter().map(KeptCall::of).collect(),
        messages: state.messages.iter().map(KeptMessage::of).collect(),
        rounds: state.rounds,
        without: state.without.clone(),
        diagram: state.answer.diagram.clone(),
        usage: (input_tokens, output_tokens, context_window),
        spent_us: state.spent.iter().map(|(name, time)| (name.clone(), micros(*time))).collect(),
        steered: state.steered,
        extra: state.extra.clone(),
    };
    serde_json::to_value(kept).expect("plain data whose map keys are text is always JSON")
}

/// The state that was kept; `None` if another version kept it, or it is damaged.
pub(super) fn read(kept: &Value) -> Option<State> {
    let kept: KeptState = KeptState::deserialize(kept).ok().filter(|kept| kept.v == VERSION)?;
    let (input_tokens, output_tokens, context_window) = kept.usage;
    let spent = kept.spent_us.into_iter().map(|(name, time)| (name, Duration::from_micros(time)));
    Some(State {
        question: kept.question,
        search: kept.search,
        route: kept.route.map(KeptRoute::into_route),
        passages: kept.passages.into_iter().map(KeptPassage::into_passage).collect(),
        widened: kept.widened,
        context: kept.context,
        calls: kept.calls.into_iter().map(KeptCall::into_call).collect(),
        messages: kept.messages.into_iter().map(KeptMessage::into_message).collect(),
        rounds: kept.rounds,
        without: kept.without,
        answer: Answer { diagram: kept.diagram, ..Answer::default() },
        usage: Usage { input_tokens, output_tokens, context_window },
        spent: spent.collect(),
        steered: kept.steered,
        extra: kept.extra,
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl KeptRoute {
    fn of(route: Route) -> Self {
        match route {
            Route::Talk => Self::Talk,
            Route::Tools => Self::Tools,
            Route::Documents => Self::Documents,
            Route::Explore => Self::Explore,
        }
    }

    fn into_route(self) -> Route {
        match self {
            Self::Talk => Route::Talk,
            Self::Tools => Route::Tools,
            Self::Documents => Route::Documents,
            Self::Explore => Route::Explore,
        }
    }
}

impl KeptPassage {
    fn of(passage: &Passage) -> Self {
        let Passage { collection, record, document, title, source, url, section, page, text, score } =
            passage.clone();
        Self { collection, record: record.0, document, title, source, url, section, page, text, score }
    }

    fn into_passage(self) -> Passage {
        let Self { collection, record, document, title, source, url, section, page, text, score } = self;
        let record = RecordId(record);
        Passage { collection, record, document, title, source, url, section, page, text, score }
    }
}

impl KeptCall {
    fn of(call: &ToolCall) -> Self {
        let ToolCall { id, name, arguments } = call.clone();
        Self { id, name, arguments }
    }

    fn into_call(self) -> ToolCall {
        let Self { id, name, arguments } = self;
        ToolCall { id, name, arguments }
    }
}

impl KeptMessage {
    fn of(message: &Message) -> Self {
        match message.clone() {
            Message::User(text) => Self::User { text },
            Message::Assistant { text, calls } => {
                Self::Assistant { text, calls: calls.iter().map(KeptCall::of).collect() }
            }
            Message::Tool { call_id, name, content, is_error } => {
                Self::Tool { call_id, name, content, is_error }
            }
        }
    }

    fn into_message(self) -> Message {
        match self {
            Self::User { text } => Message::User(text),
            Self::Assistant { text, calls } => {
                Message::Assistant { text, calls: calls.into_iter().map(KeptCall::into_call).collect() }
            }
            Self::Tool { call_id, name, content, is_error } => {
                Message::Tool { call_id, name, content, is_error }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_comes_back() {
        let call = ToolCall { id: "c1".into(), name: "look".into(), arguments: json!({"at": [1, null]}) };
        let passage = Passage {
            collection: "documents".into(),
            record: "d-00001".into(),
            document: "d".into(),
            title: "Tea".into(),
            source: "tea.md".into(),
            url: Some("https://example.com/tea".into()),
            section: Some("Tea › Green".into()),
            page: Some(3),
            text: "Green tea is steeped at 70 °C.".into(),
            score: 0.5,
        };
        let state = State {
            question: "and green?".into(),
            search: "How hot is green tea?".into(),
            route: Some(Route::Documents),
            passages: vec![passage],
            widened: true,
            context: "[1] Tea".into(),
            calls: vec![call.clone()],
            messages: vec![
                Message::User("quickly".into()),
                Message::Assistant { text: String::new(), calls: vec![call] },
                Message::Tool {
                    call_id: "c1".into(),
                    name: "look".into(),
                    content: "1".into(),
                    is_error: false,
                },
            ],
            rounds: 1,
            without: vec!["I could not look.".into()],
            answer: Answer { diagram: Some("erDiagram".into()), ..Answer::default() },
            usage: Usage { input_tokens: 1, output_tokens: 2, context_window: Some(3) },
            spent: [("retrieval".to_owned(), Duration::from_millis(1500))].into(),
            steered: 1,
            extra: json!({"mood": "good"}).as_object().cloned().unwrap_or_default(),
        };
        assert_eq!(read(&keep(&state)), Some(state));
        assert_eq!(read(&keep(&State::new("tea?"))), Some(State::new("tea?")));
    }

    #[test]
    fn a_long_question_is_kept_by_its_beginning() {
        let state = State::new(&"täglich ".repeat(100_000));
        assert!(state.question.starts_with("täglich täglich "));
        assert!((16_000..=16 * 1024).contains(&state.question.len()), "{}", state.question.len());
        assert_eq!(read(&keep(&state)), Some(state));
    }

    #[test]
    fn what_another_version_kept_is_refused() {
        assert_eq!(read(&json!({"v": 2, "question": "tea?"})), None);
        assert_eq!(read(&json!({"v": 1})), None);
        assert_eq!(read(&Value::Null), None);
    }
}
