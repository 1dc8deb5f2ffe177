//! An answer while it streams: the library's events become ours.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use genai::chat::{ChatStream, ChatStreamEvent, StopReason as TheirReason, StreamEnd, ToolCall as TheirCall};
use serde_json::{Map, Value};

use super::cumulative::Deltas;
use super::failure::Blame;
use crate::error::Result;
use crate::event::Usage;
use crate::model::{ModelEvent, StopReason, ToolCall};

/// An estimate of the usage is told every so many deltas, so that a stopped answer has one.
const ESTIMATE_EVERY: u64 = 16;

/// A stream of ours over a stream of theirs.
pub(super) struct Answer {
    /// `None` when it is over: dropping theirs closes the request.
    theirs: Option<ChatStream>,
    blame: Arc<Blame>,
    text: Deltas,
    usage: Usage,
    ready: VecDeque<Result<ModelEvent>>,
}

impl Answer {
    pub(super) fn new(
        theirs: ChatStream,
        blame: Arc<Blame>,
        input_tokens: u64,
        context_window: Option<u64>,
    ) -> Self {
        let usage = Usage { input_tokens, output_tokens: 0, context_window };
        Self { theirs: Some(theirs), blame, text: Deltas::default(), usage, ready: VecDeque::new() }
    }

    pub(super) async fn next(mut self) -> Option<(Result<ModelEvent>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((event, self));
            }
            let theirs = self.theirs.as_mut()?;
            match theirs.next().await {
                Some(Ok(event)) => self.take(event),
                Some(Err(error)) => self.fail(self.blame.judge(error)),
                None => self.fail(self.blame.broke_off()),
            }
        }
    }

    fn take(&mut self, event: ChatStreamEvent) {
        match event {
            ChatStreamEvent::Start => self.tell(ModelEvent::Usage(self.usage)),
            ChatStreamEvent::Chunk(chunk) => {
                let text = self.text.add(chunk.content);
                self.said(text, ModelEvent::Text);
            }
            ChatStreamEvent::ReasoningChunk(chunk) => self.said(chunk.content, ModelEvent::Reasoning),
            ChatStreamEvent::ToolCallChunk(chunk) => self.progress(chunk.tool_call),
            ChatStreamEvent::End(end) => self.end(end),
            ChatStreamEvent::ThoughtSignatureChunk(_) | ChatStreamEvent::Heartbeat => {}
        }
    }

    fn said(&mut self, text: String, event: fn(String) -> ModelEvent) {
        if text.is_empty() {
            return;
        }
        self.usage.output_tokens += 1;
        if self.usage.output_tokens % ESTIMATE_EVERY == 1 {
            self.tell(ModelEvent::Usage(self.usage));
        }
        self.tell(event(text));
    }

    /// A chunk carries all the arguments so far, not what is new.
    fn progress(&mut self, call: TheirCall) {
        if call.fn_name.is_empty() {
            return;
        }
        let so_far = match call.fn_arguments {
            Value::String(text) => text,
            other => other.to_string(),
        };
        self.tell(ModelEvent::CallProgress { id: call.call_id, name: call.fn_name, so_far });
    }

    fn end(&mut self, mut end: StreamEnd) {
        let held = self.text.finish();
        self.said(held, ModelEvent::Text);
        self.counted(&end);
        let is_cut = matches!(end.captured_stop_reason, Some(TheirReason::MaxTokens(_)));
        let calls = end.captured_content.take().map(|content| content.into_tool_calls()).unwrap_or_default();
        match self.whole_calls(calls, is_cut) {
            Ok(calls) => {
                let reason = reason(end.captured_stop_reason.as_ref(), !calls.is_empty());
                let calls: Vec<_> = calls.into_iter().map(ModelEvent::Call).collect();
                calls.into_iter().for_each(|call| self.tell(call));
                self.tell(ModelEvent::Usage(self.usage));
                self.tell(ModelEvent::End(reason));
            }
            Err(error) => {
                self.tell(ModelEvent::Usage(self.usage));
                self.ready.push_back(Err(error));
            }
        }
        self.theirs = None;
    }

    /// The provider's own count, where it gives one, instead of our estimate.
    fn counted(&mut self, end: &StreamEnd) {
        let Some(usage) = &end.captured_usage else { return };
        let count = |tokens: Option<i32>| tokens.and_then(|tokens| u64::try_from(tokens).ok());
        self.usage.input_tokens = count(usage.prompt_tokens).unwrap_or(self.usage.input_tokens);
        self.usage.output_tokens = count(usage.completion_tokens).unwrap_or(self.usage.output_tokens);
    }

    /// The calls with unique ids; an error if one is not whole.
    fn whole_calls(&self, calls: Vec<TheirCall>, is_cut: bool) -> Result<Vec<ToolCall>> {
        let mut ids = HashSet::new();
        let mut whole = Vec::new();
        for (at, call) in calls.into_iter().enumerate() {
            let shown = call.fn_arguments.to_string();
            let arguments = arguments(call.fn_arguments, is_cut);
            let Some(arguments) = arguments.filter(|_| !call.fn_name.is_empty()) else {
                return Err(self.blame.half_a_call(&call.fn_name, &shown));
            };
            let is_new = !call.call_id.is_empty() && ids.insert(call.call_id.clone());
            let id = if is_new { call.call_id } else { format!("{}_{at}", call.call_id) };
            whole.push(ToolCall { id, name: call.fn_name, arguments: Value::Object(arguments) });
        }
        Ok(whole)
    }

    fn tell(&mut self, event: ModelEvent) {
        self.ready.push_back(Ok(event));
    }

    fn fail(&mut self, error: crate::Error) {
        let held = self.text.finish();
        self.said(held, ModelEvent::Text);
        self.ready.push_back(Err(error));
        self.theirs = None;
    }
}

/// An object, or what providers send for none; `None` if it is not whole.
fn arguments(value: Value, is_cut: bool) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        Value::Null => Some(Map::new()),
        Value::String(text) if text.trim().is_empty() && !is_cut => Some(Map::new()),
        // Some servers encode the object twice.
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(Value::Object(members)) => Some(members),
            Ok(_) | Err(_) => None,
        },
        Value::Array(_) | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn reason(theirs: Option<&TheirReason>, has_calls: bool) -> StopReason {
    match theirs {
        _ if has_calls => StopReason::ToolCalls,
        Some(TheirReason::MaxTokens(_)) => StopReason::Length,
        Some(TheirReason::ContentFilter(_)) => StopReason::Refused,
        Some(
            TheirReason::Completed(_)
            | TheirReason::ToolCall(_)
            | TheirReason::StopSequence(_)
            | TheirReason::Other(_),
        )
        | None => StopReason::Finished,
    }
}
