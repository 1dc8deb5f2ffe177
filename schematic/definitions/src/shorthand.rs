//! Short ways to write what every definition repeats.

use schematic_define::prelude::*;

/// A message of the client whose type has the same name.
pub(crate) fn client(id: &str, description: &str) -> MessageSchema {
    message(id, description, MessageDirection::ClientToServer)
}

/// A message of the server whose type has the same name.
pub(crate) fn server(id: &str, description: &str) -> MessageSchema {
    message(id, description, MessageDirection::ServerToClient)
}

/// A message of both sides whose type has the same name.
pub(crate) fn both(id: &str, description: &str) -> MessageSchema {
    message(id, description, MessageDirection::Bidirectional)
}

/// The same message, but at most once in a session.
pub(crate) fn once(message: MessageSchema) -> MessageSchema {
    MessageSchema { repeatable: false, ..message }
}

fn message(id: &str, description: &str, direction: MessageDirection) -> MessageSchema {
    MessageSchema {
        id: id.into(),
        description: description.into(),
        direction,
        schema: Schema::new(id),
        repeatable: true,
    }
}

/// An optional query parameter.
pub(crate) fn param(name: &str, param_type: ParamType, default: Option<&str>) -> ConnectionParam {
    ConnectionParam { name: name.into(), param_type, required: false, default: default.map(Into::into) }
}

/// A path or a list of ids.
pub(crate) fn strings<const N: usize>(parts: [&str; N]) -> Vec<String> {
    parts.map(String::from).into()
}
