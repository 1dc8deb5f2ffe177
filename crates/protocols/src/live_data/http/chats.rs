//! What is said in a chat, answered whole or as it is written.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tidewire_engine::command::WhileRunning;
use tidewire_engine::conversation::RunOptions;
use tidewire_engine::event::{Amendment, Source, TextSpan, Usage};
use tidewire_engine::{
    AgentEvent, Answer as Said, ChatBody, ChatEvent, ChatId, ChatRef, Command, Detail, Error, Event,
    RecordId, Reply, Result, RunId,
};

use super::tools::{self, ToolConfig};
use super::{Call, Next, Request, Started, Style, managed, sse, step};
use crate::live_data::chats::{chat_ref, milliseconds};
use crate::live_data::codec::tool_answer;
use crate::live_data::{ask, spell, wire};

/// So many messages wait in a chat for their turn.
const QUEUE: usize = 16;
/// Events that wait for the answer that says whose run they are. Beyond them they are another's.
const EARLY: usize = 4096;

fn options(m: &wire::ChatMessageRequest) -> RunOptions {
    RunOptions {
        tools: ask::tools(m.client_tools.clone().unwrap_or_default()),
        confirm: m.confirm_tools.clone().unwrap_or_default(),
        exclude: m.exclude_tools.clone().unwrap_or_default(),
        max_rounds: m.max_iterations.map(|rounds| u32::try_from(rounds).unwrap_or(u32::MAX)),
        model: m.llm_model.clone(),
        ..RunOptions::default()
    }
}

fn talk(request: &Request<'_>, way: Way) -> Started {
    let m: wire::ChatMessageRequest = request.json()?;
    if m.message.trim().is_empty() {
        return Err(Error::invalid("message is empty; say something").with(Detail::Field("message".into())));
    }
    if m.attachments.as_ref().is_some_and(|attachments| !attachments.is_empty()) {
        return Err(managed::attachments());
    }
    let chat = chat_ref(&request.param("chat_id"))?;
    let command = Command::SendMessage {
        chat: chat.clone(),
        message_id: Some(RecordId::new().0),
        options: options(&m),
        content: m.message,
        while_running: WhileRunning::Queue(QUEUE),
    };
    let mut talk = Talk::new(chat, command, way);
    talk.config = m.tool_config.map(ToolConfig::read).transpose()?;
    Ok(Box::new(talk))
}

/// `POST /api/chat/{chat_id}/messages`
pub(super) fn send(request: &Request<'_>) -> Started {
    talk(request, Way::Whole(Style::of(request)))
}

/// `POST /api/chat/{chat_id}/messages/stream`
pub(super) fn stream(request: &Request<'_>) -> Started {
    talk(request, Way::Stream)
}

/// `POST /api/chat/{chat_id}/messages/{message_id}/regenerate`
pub(super) fn regenerate(request: &Request<'_>) -> Started {
    let (chat, message) = managed::answer_of(request)?;
    let command = Command::Regenerate { chat, message };
    Ok(Box::new(Talk::new(ChatRef::Id(chat), command, Way::Whole(Style::of(request)))))
}

/// `POST /api/chat/{chat_id}/tool-result`
pub(super) fn tool_result(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    let m: wire::ToolResult = request.json()?;
    let chat = chat_ref(&request.param("chat_id"))?;
    let answer = tool_answer(m.success, m.result, m.error, m.keepalive == Some(true));
    step(Command::AnswerTool { chat, call_id: m.call_id, answer }, move |reply| match reply {
        Reply::Answered(true) => style.json(&super::done()),
        Reply::Answered(false) => {
            Err(Error::not_found("no call of this call_id waits; it was answered, or its time is over"))
        }
        other => Err(ask::unexpected(&"a tool's answer", &other)),
    })
}

/// What an answer rests on, as clients read it.
fn snippet(source: &Source) -> Value {
    json!({
        "collection": source.source,
        "record": {"id": source.id, "title": source.title, "url": source.url},
        "score": source.score,
        "matched_fields": [],
    })
}

/// How the answer is given.
#[derive(Debug, Clone)]
enum Way {
    Whole(Style),
    Stream,
}

/// A message from when it is said until it is answered.
struct Talk {
    chat: ChatRef,
    command: Option<Command>,
    /// Which tools may be used, if the message says it. Otherwise the chat may say it.
    config: Option<ToolConfig>,
    allowed: Vec<String>,
    way: Way,
    id: Option<ChatId>,
    run: Option<RunId>,
    /// What came before it was known which run is ours.
    early: Vec<Arc<ChatEvent>>,
    /// Bytes of the answer that were told.
    shown: usize,
    calls: Vec<wire::ToolCallRecord>,
    /// What the answer rests on.
    snippets: Vec<Value>,
}

impl Talk {
    fn new(chat: ChatRef, command: Command, way: Way) -> Self {
        Self {
            chat,
            command: Some(command),
            config: None,
            allowed: Vec::new(),
            way,
            id: None,
            run: None,
            early: Vec::new(),
            shown: 0,
            calls: Vec::new(),
            snippets: Vec::new(),
        }
    }
}

impl Call for Talk {
    fn begin(&mut self) -> Result<Next> {
        let says = matches!(self.command, Some(Command::SendMessage { .. }));
        match (self.config.take(), &self.chat) {
            (Some(config), _) => Ok(self.configure(&config)),
            (None, ChatRef::Id(chat)) if says => Ok(Next::Execute(Command::GetChat { chat: *chat })),
            (None, ChatRef::Id(_) | ChatRef::Session(_) | ChatRef::Known(_)) => Ok(self.follow()),
        }
    }

    fn reply(&mut self, reply: Result<Reply>, _now: Instant, out: &mut Vec<u8>) -> Result<Next> {
        match reply? {
            Reply::Chat(mut info) => {
                // What was kept may be older than what is read today.
                let config = info.settings.extra.remove("tool_config").map(ToolConfig::read);
                Ok(self.configure(&config.and_then(Result::ok).unwrap_or_default()))
            }
            Reply::Tools(tools) => {
                let allowed = std::mem::take(&mut self.allowed);
                self.with_options(|options| tools::exclude(options, tools, &allowed));
                Ok(self.follow())
            }
            Reply::Following { chat, .. } => {
                self.id = Some(chat);
                Ok(self.command.take().map_or(Next::End, Next::Execute))
            }
            Reply::Accepted { run, .. } => {
                self.run = Some(run);
                if self.is_stream() {
                    // What goes wrong from here on goes wrong in the answer.
                    out.extend_from_slice(sse::ACCEPTED);
                }
                for event in std::mem::take(&mut self.early) {
                    match self.hear(&event, out)? {
                        Next::Listen => {}
                        over => return Ok(over),
                    }
                }
                Ok(Next::Listen)
            }
            other => Err(ask::unexpected(&"a message", &other)),
        }
    }

    fn is_stream(&self) -> bool {
        matches!(self.way, Way::Stream)
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<Next> {
        let Event::Chat(event) = event else { return Ok(Next::Listen) };
        if self.run.is_some() {
            return self.hear(event, out);
        }
        if self.early.len() < EARLY {
            self.early.push(Arc::clone(event));
        }
        Ok(Next::Listen)
    }
}

impl Talk {
    fn with_options(&mut self, change: impl FnOnce(&mut RunOptions)) {
        if let Some(Command::SendMessage { options, .. }) = &mut self.command {
            change(options);
        }
    }

    /// Which tools may be used. Those that may not have to be known by name.
    fn configure(&mut self, config: &ToolConfig) -> Next {
        self.with_options(|options| config.limit_rounds(options));
        match config.allowed() {
            Some(allowed) => {
                self.allowed = allowed;
                Next::Execute(Command::ListTools)
            }
            None => self.follow(),
        }
    }

    /// It listens before it speaks, so that nothing of the answer is missed.
    fn follow(&self) -> Next {
        Next::Execute(Command::FollowChat { chat: self.chat.clone(), after: None })
    }

    fn hear(&mut self, event: &ChatEvent, out: &mut Vec<u8>) -> Result<Next> {
        match &event.body {
            ChatBody::Run { run, event: said, text } if Some(*run) == self.run => {
                self.run_event(event, *run, said, text.as_ref(), out)
            }
            ChatBody::Amended { amendment: Amendment::ChatDeleted, .. } => {
                Err(Error::not_found("the chat was deleted before it could answer"))
            }
            ChatBody::Run { .. } | ChatBody::UserMessage { .. } | ChatBody::Amended { .. } => {
                Ok(Next::Listen)
            }
        }
    }

    fn run_event(
        &mut self,
        event: &ChatEvent,
        run: RunId,
        said: &AgentEvent,
        span: Option<&TextSpan>,
        out: &mut Vec<u8>,
    ) -> Result<Next> {
        match said {
            AgentEvent::TextDelta { text } => self.delta(text, span, out),
            AgentEvent::ToolCall { call_id, name, arguments } => self.calls.push(wire::ToolCallRecord {
                call_id: call_id.clone(),
                tool_name: name.clone(),
                arguments: arguments.clone(),
                ..wire::ToolCallRecord::default()
            }),
            AgentEvent::ToolResult { call_id, content, error, .. } => {
                let answered = self.calls.iter_mut().rfind(|call| call.call_id == *call_id);
                if let Some(call) = answered {
                    call.result =
                        Some(serde_json::from_str(content).unwrap_or_else(|_| Value::from(content.as_str())));
                    call.error = error.as_ref().map(|error| error.message.to_string());
                }
            }
            AgentEvent::ClientToolRequested { call_id, name, arguments, .. }
            | AgentEvent::ApprovalRequested { call_id, name, arguments, .. } => {
                self.tool_call(call_id, name, arguments, out);
            }
            AgentEvent::RunFinished { answer, usage } | AgentEvent::RunStopped { answer, usage } => {
                return self.end(event, run, answer, *usage, out);
            }
            AgentEvent::RunFailed { error, .. } => return Err(error.clone()),
            AgentEvent::Sources(sources) => self.snippets.extend(sources.iter().map(snippet)),
            AgentEvent::RunQueued { .. }
            | AgentEvent::RunStarted
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::ToolCallArgs { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::Step { .. }
            | AgentEvent::Checkpoint(_)
            | AgentEvent::Diagram { .. } => {}
        }
        Ok(Next::Listen)
    }

    /// More text; who lacks what is before it gets that too.
    fn delta(&mut self, text: &str, span: Option<&TextSpan>, out: &mut Vec<u8>) {
        let end = span.map_or(self.shown + text.len(), |span| span.end);
        if end <= self.shown {
            return;
        }
        match span.filter(|_| self.shown + text.len() != end) {
            None => self.token(text, out),
            Some(span) => {
                let whole = span.so_far();
                self.token(whole.get(self.shown..).unwrap_or(text), out);
            }
        }
        self.shown = end;
    }

    fn token(&self, text: &str, out: &mut Vec<u8>) {
        if let Way::Stream = self.way {
            let token = wire::ChatStreamEvent { token: Some(text.to_owned()), ..Default::default() };
            sse::put_value(out, None, &token);
        }
    }

    fn tool_call(&self, call_id: &str, name: &str, arguments: &Value, out: &mut Vec<u8>) {
        if let Way::Stream = self.way {
            let call = wire::ChatStreamEvent {
                event: Some("tool_call".into()),
                tool: Some(name.to_owned()),
                call_id: Some(call_id.to_owned()),
                args: Some(arguments.clone()),
                ..Default::default()
            };
            sse::put_value(out, None, &call);
        }
    }

    fn end(
        &mut self,
        event: &ChatEvent,
        run: RunId,
        answer: &Said,
        usage: Usage,
        out: &mut Vec<u8>,
    ) -> Result<Next> {
        let (message_id, took) = (event.to.to_string(), milliseconds(event, run));
        match &self.way {
            Way::Whole(style) => {
                let response = wire::ChatResponse {
                    chat_id: self.id.map_or_else(String::new, |id| id.to_string()),
                    message_id,
                    responses: vec![answer.text.clone()],
                    context_snippets: std::mem::take(&mut self.snippets),
                    execution_time_ms: took,
                    token_usage: Some(spell::usage(usage)),
                };
                style.json(&response).map(Next::Answer)
            }
            Way::Stream => {
                let end = wire::ChatStreamEvent {
                    content: Some(answer.text.clone()),
                    message_id: Some(message_id),
                    execution_time_ms: Some(took),
                    context_window: usage.context_window.map(|window| window.min(u32::MAX.into())),
                    token_usage: Some(spell::usage(usage)),
                    tool_call_history: Some(std::mem::take(&mut self.calls)),
                    ..Default::default()
                };
                sse::put_value(out, None, &end);
                Ok(Next::End)
            }
        }
    }
}
