//! A request in the library's words.

use genai::chat::{
    ChatMessage, ChatRequest, ContentPart, MessageContent, Tool, ToolCall as TheirCall, ToolResponse,
};

use crate::model::{Message, Request, ToolCall, ToolDefinition};

pub(super) fn chat(request: Request) -> ChatRequest {
    let messages = request.messages.into_iter().map(message).collect();
    let mut chat = ChatRequest::new(messages);
    if !request.system.is_empty() {
        chat = chat.with_system(request.system);
    }
    if request.tools.is_empty() {
        return chat;
    }
    chat.with_tools(request.tools.iter().cloned().map(tool).collect::<Vec<_>>())
}

/// About four characters make a token. It stands until the provider says better, or for good where it does not.
pub(super) fn estimated_tokens(request: &Request) -> u64 {
    let of = |message: &Message| match message {
        Message::User(text) | Message::Assistant { text, .. } => text.len(),
        Message::Tool { content, .. } => content.len(),
    };
    let tools = request.tools.iter().map(|tool| tool.description.len() + tool.parameters.to_string().len());
    let bytes = request.system.len() + request.messages.iter().map(of).sum::<usize>() + tools.sum::<usize>();
    bytes.div_ceil(4) as u64
}

fn message(message: Message) -> ChatMessage {
    match message {
        Message::User(text) => ChatMessage::user(text),
        Message::Assistant { text, calls } => {
            let text = (!text.is_empty()).then_some(ContentPart::Text(text));
            let calls = calls.into_iter().map(|call| ContentPart::ToolCall(their_call(call)));
            let parts: Vec<ContentPart> = text.into_iter().chain(calls).collect();
            ChatMessage::assistant(MessageContent::from_parts(parts))
        }
        Message::Tool { call_id, name, content, is_error } => {
            let content = if is_error { format!("Error: {content}") } else { content };
            ChatMessage::from(ToolResponse::new(call_id, content).with_fn_name(name))
        }
    }
}

fn their_call(call: ToolCall) -> TheirCall {
    TheirCall { call_id: call.id, fn_name: call.name, fn_arguments: call.arguments, thought_signatures: None }
}

fn tool(definition: ToolDefinition) -> Tool {
    Tool::new(definition.name).with_description(definition.description).with_schema(definition.parameters)
}
