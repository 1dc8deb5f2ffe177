//! Chats as things: opened, listed, changed, joined, and their messages.

use serde_json::{Map, Value, json};
use tidewire_engine::conversation::{ChatInfo, ChatMessage, ChatSettings, MergeStrategy, Role, ToolUse};
use tidewire_engine::query::Body;
use tidewire_engine::{ChatId, ChatRef, Code, Command, Detail, Error, Reply, Result, Seq};

use super::{Answer, Request, Started, Style, done, step};
use crate::live_data::chats::chat_ref;
use crate::live_data::{ask, spell, typed, wire};

/// What is kept with a chat for clients: whose model, and what else they said about it.
const KEPT: [&str; 4] = ["llm_provider", "agent_id", "tool_config", "memory"];
/// The collections as the client wrote them.
const COLLECTIONS: &str = "collections";
/// So many messages stay when a chat is compacted, unless the request says otherwise.
const KEEP_RECENT: u64 = 10;

/// The chat that the path names. Chats under a client's own name are spoken to, not managed.
fn chat(request: &Request<'_>) -> Result<ChatId> {
    named(&request.param("chat_id"), "chat_id")
}

fn named(name: &str, member: &str) -> Result<ChatId> {
    match chat_ref(name) {
        Ok(ChatRef::Id(id)) => Ok(id),
        Ok(ChatRef::Session(_) | ChatRef::Known(_)) | Err(_) => {
            let sentence = format!("there is no chat {name:?}; name it by the 32 hex of its chat_id");
            Err(Error::not_found(sentence).with(Detail::Field(member.to_owned())))
        }
    }
}

fn message(request: &Request<'_>) -> Result<Seq> {
    let text = request.param("message_id");
    text.parse()
        .map(Seq)
        .map_err(|_| Error::not_found(format!("this chat has no message {text:?}; list its messages")))
}

fn count(number: Option<u64>) -> Option<u32> {
    number.map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// The names of collections: `["a"]` or `[{"collection_name": "a", …}]`.
fn collections(written: Option<&Value>) -> Result<Vec<String>> {
    let unfit = || {
        Error::invalid("collections is an array of names, or of objects with a collection_name")
            .with(Detail::Field(COLLECTIONS.into()))
    };
    let list = match written {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(unfit()),
    };
    let name = |one: &Value| {
        let name = one.as_str().or_else(|| one.get("collection_name")?.as_str());
        name.map(str::to_owned).ok_or_else(unfit)
    };
    list.iter().map(name).collect()
}

/// What is kept: the members of these that are there.
fn kept(pairs: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Map<String, Value> {
    let there = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    there.filter(|(_, value)| !value.is_null()).collect()
}

fn settings(m: &wire::ChatRequest) -> Result<ChatSettings> {
    let text = |text: &Option<String>| text.clone().map(Value::String);
    Ok(ChatSettings {
        title: m.title.clone(),
        system_prompt: m.system_prompt.clone(),
        model: m.llm_model.clone(),
        collections: collections(m.collections.as_ref())?,
        max_context_messages: count(m.max_context_messages),
        max_tokens: count(m.max_tokens),
        temperature: m.temperature,
        extra: kept([
            ("llm_provider", text(&m.llm_provider)),
            ("agent_id", text(&m.agent_id)),
            ("tool_config", m.tool_config.clone()),
            (COLLECTIONS, m.collections.clone()),
        ]),
        ..ChatSettings::default()
    })
}

/// Answers to a chat that was opened: it has no words yet.
fn opened(request: &Request<'_>, command: Command) -> Started {
    let style = Style::of(request);
    step(command, move |reply| match reply {
        Reply::Chat(info) => {
            style.json(&wire::ChatResponse { chat_id: info.chat.to_string(), ..Default::default() })
        }
        other => Err(ask::unexpected(&"a chat", &other)),
    })
}

/// `POST /api/chat`, `POST /api/chat/sessions`
pub(super) fn create(request: &Request<'_>) -> Started {
    let wanted: wire::ChatRequest = request.json()?;
    if wanted.parent_id.is_some() {
        return branch(request);
    }
    opened(request, Command::OpenChat { settings: settings(&wanted)? })
}

/// `POST /api/chat/branch`
pub(super) fn branch(request: &Request<'_>) -> Started {
    let wanted: wire::ChatRequest = request.json()?;
    let Some(parent) = &wanted.parent_id else {
        return Err(Error::invalid("parent_id names the chat to branch from; it is missing"));
    };
    let parent = named(parent, "parent_id")?;
    let messages = wanted.branch_point_idx.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    opened(request, Command::BranchChat { parent, messages, settings: settings(&wanted)? })
}

fn report(request: &Request<'_>, command: Command) -> Started {
    let style = Style::of(request);
    step(command, move |reply| match reply {
        Reply::Chat(info) => style.report(*info),
        other => Err(ask::unexpected(&"a chat", &other)),
    })
}

/// `POST /api/chat/merge`
pub(super) fn merge(request: &Request<'_>) -> Started {
    let wanted: wire::MergeRequest = request.json()?;
    if wanted.source_chat_ids.is_empty() {
        return Err(Error::invalid("source_chat_ids names at least one chat"));
    }
    let sources = wanted.source_chat_ids.iter().map(|id| named(id, "source_chat_ids"));
    report(
        request,
        Command::MergeChats {
            sources: sources.collect::<Result<_>>()?,
            target: named(&wanted.target_chat_id, "target_chat_id")?,
            strategy: strategy(&wanted.merge_strategy)?,
        },
    )
}

fn strategy(written: &wire::MergeStrategy) -> Result<MergeStrategy> {
    match written {
        wire::MergeStrategy::Chronological => Ok(MergeStrategy::Chronological),
        wire::MergeStrategy::Summarized => Ok(MergeStrategy::Summarized),
        wire::MergeStrategy::LatestOnly => Ok(MergeStrategy::LatestOnly),
        wire::MergeStrategy::Interleaved => Ok(MergeStrategy::Interleaved),
        wire::MergeStrategy::Unknown(name) => Err(Error::invalid(format!(
            "{name:?} is no merge_strategy; use Chronological, Summarized, LatestOnly or Interleaved"
        ))),
    }
}

/// Whether the oldest come first. Clients write `asc`, `desc`, and some name the member, too.
fn ascending(request: &Request<'_>, usual: bool) -> Result<bool> {
    let Some(sort) = request.query("sort") else { return Ok(usual) };
    let sort = sort.to_ascii_lowercase();
    match (sort.ends_with("asc") || sort == "oldest", sort.ends_with("desc") || sort == "newest") {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        (false, false) => Err(Error::invalid("sort takes asc or desc").with(Detail::Field("sort".into()))),
    }
}

fn page(request: &Request<'_>) -> Result<(Option<u64>, u64)> {
    Ok((request.number("limit")?, request.number("skip")?.unwrap_or(0)))
}

/// A limit; absent is all.
fn limit(written: Option<u64>) -> usize {
    crate::live_data::filter::limit(written)
}

/// `GET /api/chat`
pub(super) fn list(request: &Request<'_>) -> Started {
    let (style, (most, skip)) = (Style::of(request), page(request)?);
    let command = Command::FindChats {
        limit: limit(most),
        skip: limit(Some(skip)),
        ascending: ascending(request, false)?,
    };
    step(command, move |reply| match reply {
        Reply::FoundChats { chats, total } => {
            let returned = chats.len() as u64;
            style.json(&wire::ChatList {
                sessions: chats.into_iter().map(summary).collect(),
                total,
                returned,
            })
        }
        other => Err(ask::unexpected(&"chats", &other)),
    })
}

/// `GET /api/chat/{chat_id}`
pub(super) fn get(request: &Request<'_>) -> Started {
    report(request, Command::GetChat { chat: chat(request)? })
}

/// `PUT /api/chat/{chat_id}`
pub(super) fn update(request: &Request<'_>) -> Started {
    let wanted: wire::ChatUpdate = request.json()?;
    let settings = ChatSettings {
        title: wanted.title,
        system_prompt: wanted.system_prompt,
        model: wanted.llm_model,
        collections: collections(wanted.collections.as_ref())?,
        max_context_messages: count(wanted.max_context_messages),
        extra: kept([("memory", wanted.memory), (COLLECTIONS, wanted.collections)]),
        ..ChatSettings::default()
    };
    report(request, Command::UpdateChat { chat: chat(request)?, settings })
}

fn only_done(request: &Request<'_>, command: Command) -> Started {
    let style = Style::of(request);
    step(command, move |_| style.json(&done()))
}

/// `DELETE /api/chat/{chat_id}`
pub(super) fn delete(request: &Request<'_>) -> Started {
    only_done(request, Command::DeleteChat { chat: chat(request)? })
}

/// `POST /api/chat/{chat_id}/compact`
pub(super) fn compact(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    let wanted: wire::CompactRequest = request.json()?;
    let keep_recent = limit(Some(wanted.keep_recent.unwrap_or(KEEP_RECENT)));
    step(Command::CompactChat { chat: chat(request)?, keep_recent }, move |reply| match reply {
        Reply::Compacted { folded, kept, summary_chars, summary } => style.json(&wire::CompactReply {
            folded,
            kept_recent: kept,
            summary_chars,
            summary_message_id: summary.map(|seq| seq.to_string()),
            already_compact: folded == 0,
        }),
        other => Err(ask::unexpected(&"a summary", &other)),
    })
}

/// `GET /api/chat/{chat_id}/messages`
pub(super) fn messages(request: &Request<'_>) -> Started {
    let (style, chat, (most, skip)) = (Style::of(request), chat(request)?, page(request)?);
    let command = Command::ListMessages {
        chat,
        limit: limit(most),
        skip: limit(Some(skip)),
        ascending: ascending(request, true)?,
    };
    step(command, move |reply| match reply {
        Reply::Messages { messages, total } => style.messages(chat, &messages, total, (most, skip)),
        other => Err(ask::unexpected(&"messages", &other)),
    })
}

fn one_message(request: &Request<'_>, chat: ChatId, command: Command) -> Started {
    let style = Style::of(request);
    step(command, move |reply| match reply {
        Reply::Message(message) => {
            let mut out = Vec::new();
            style.put_message(&mut out, chat, &message);
            style.answer(out)
        }
        other => Err(ask::unexpected(&"a message", &other)),
    })
}

/// `GET /api/chat/{chat_id}/messages/{message_id}`
pub(super) fn get_message(request: &Request<'_>) -> Started {
    let (chat, message) = (chat(request)?, message(request)?);
    one_message(request, chat, Command::GetMessage { chat, message })
}

/// `PUT /api/chat/{chat_id}/messages/{message_id}`
pub(super) fn edit_message(request: &Request<'_>) -> Started {
    let (chat, message) = (chat(request)?, message(request)?);
    let wire::MessageEdit { content } = request.json()?;
    one_message(request, chat, Command::EditMessage { chat, message, content })
}

/// `PATCH /api/chat/{chat_id}/messages/{message_id}/forgotten`
pub(super) fn forget_message(request: &Request<'_>) -> Started {
    let (chat, message) = (chat(request)?, message(request)?);
    let wire::ForgetRequest { forgotten } = request.json()?;
    one_message(request, chat, Command::ForgetMessage { chat, message, forgotten })
}

/// `DELETE /api/chat/{chat_id}/messages/{message_id}`
pub(super) fn delete_message(request: &Request<'_>) -> Started {
    only_done(request, Command::DeleteMessage { chat: chat(request)?, message: message(request)? })
}

/// Which chat and which answer are to be given anew.
pub(super) fn answer_of(request: &Request<'_>) -> Result<(ChatId, Seq)> {
    Ok((chat(request)?, message(request)?))
}

fn provider(info: &ChatInfo) -> String {
    let named = info.settings.extra.get("llm_provider").and_then(Value::as_str);
    let of_model = || Some(info.settings.model.as_deref()?.split_once('/')?.0);
    named.or_else(of_model).unwrap_or_default().to_owned()
}

fn shown_collections(settings: &ChatSettings) -> Vec<Value> {
    match settings.extra.get(COLLECTIONS) {
        Some(Value::Array(written)) => written.clone(),
        Some(_) | None => {
            settings.collections.iter().map(|name| json!({ "collection_name": name })).collect()
        }
    }
}

fn summary(info: ChatInfo) -> wire::ChatSummary {
    wire::ChatSummary {
        chat_id: info.chat.to_string(),
        created_at: info.created_at.to_rfc3339(),
        updated_at: info.updated_at.to_rfc3339(),
        llm_provider: provider(&info),
        collections: shown_collections(&info.settings),
        agent_id: info.settings.extra.get("agent_id").and_then(Value::as_str).map(str::to_owned),
        llm_model: info.settings.model.unwrap_or_default(),
        system_prompt: info.settings.system_prompt,
        title: info.settings.title,
        message_count: info.message_count,
    }
}

/// A chat as a record.
fn session(info: &ChatInfo) -> Body {
    let settings = &info.settings;
    let mut body = kept([
        ("chat_id", Some(json!(info.chat.to_string()))),
        ("title", settings.title.clone().map(Value::from)),
        ("llm_provider", Some(json!(provider(info)))),
        ("llm_model", settings.model.clone().map(Value::from)),
        ("system_prompt", settings.system_prompt.clone().map(Value::from)),
        (COLLECTIONS, Some(json!(shown_collections(settings)))),
        ("max_context_messages", settings.max_context_messages.map(Value::from)),
        ("max_tokens", settings.max_tokens.map(Value::from)),
        ("temperature", settings.temperature.map(Value::from)),
        ("parent_id", info.parent.map(|parent| json!(parent.to_string()))),
        ("message_count", Some(json!(info.message_count))),
        ("created_at", Some(json!(info.created_at.to_rfc3339()))),
        ("updated_at", Some(json!(info.updated_at.to_rfc3339()))),
    ]);
    for name in KEPT {
        if let Some(value) = settings.extra.get(name) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    body
}

/// A message as a record, without its id.
fn body(chat: ChatId, message: &ChatMessage) -> Body {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    kept([
        ("chat_id", Some(json!(chat.to_string()))),
        ("role", Some(json!(role))),
        ("content", Some(json!(message.content))),
        ("forgotten", Some(json!(message.forgotten))),
        ("created_at", Some(json!(message.created_at.to_rfc3339()))),
        ("updated_at", Some(json!(message.updated_at.to_rfc3339()))),
        ("context_snippets", Some(json!([]))),
        ("token_usage", message.usage.map(|usage| json!(spell::usage(usage)))),
        ("tool_call_count", Some(json!(message.tools.len()))),
        ("tool_call_history", Some(json!(message.tools.iter().map(tool_use).collect::<Vec<_>>()))),
    ])
}

fn tool_use(tool: &ToolUse) -> wire::ToolCallRecord {
    wire::ToolCallRecord {
        call_id: tool.call_id.clone(),
        tool_name: tool.name.clone(),
        arguments: tool.arguments.clone(),
        result: tool
            .result
            .as_ref()
            .map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()))),
        error: tool.error.clone(),
    }
}

impl Style {
    fn report(&self, info: ChatInfo) -> Result<Answer> {
        let mut out = b"{\"session\":".to_vec();
        typed::put(&mut out, &info.chat.to_string(), &session(&info), None, self.values);
        out.extend_from_slice(format!(",\"message_count\":{}}}", info.message_count).as_bytes());
        self.answer(out)
    }

    fn put_message(&self, out: &mut Vec<u8>, chat: ChatId, message: &ChatMessage) {
        typed::put(out, &message.seq.to_string(), &body(chat, message), None, self.values);
    }

    fn messages(
        &self,
        chat: ChatId,
        messages: &[ChatMessage],
        total: u64,
        (most, skip): (Option<u64>, u64),
    ) -> Result<Answer> {
        let mut out = b"{\"messages\":".to_vec();
        spell::put_list(&mut out, messages, |out, message| self.put_message(out, chat, message));
        let (limit, returned) = (json!(most), messages.len());
        let rest = format!(",\"total\":{total},\"skip\":{skip},\"limit\":{limit},\"returned\":{returned}}}");
        out.extend_from_slice(rest.as_bytes());
        self.answer(out)
    }
}

/// What is not built.
pub(super) fn attachments() -> Error {
    Error::new(Code::Unimplemented, "attachments are not built; put what matters into the message")
}
