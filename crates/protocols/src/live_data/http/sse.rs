//! Server-sent events (HTML standard §9.2).

use tidewire_engine::Error;

use crate::live_data::chats::{error_kind, retry_after_s};
use crate::live_data::typed::put_json;

/// What is written into a stream in which nothing happens: a comment, which readers pass over.
pub const KEEP_ALIVE: &[u8] = b": nothing happened\n\n";

/// What begins a stream before there is anything to tell.
pub(super) const ACCEPTED: &[u8] = b": accepted\n\n";

/// Writes an event. `data` writes one line; JSON always is one.
pub(super) fn put(out: &mut Vec<u8>, name: Option<&str>, id: Option<u64>, data: impl FnOnce(&mut Vec<u8>)) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    data(out);
    if let Some(id) = id {
        out.extend_from_slice(format!("\nid: {id}").as_bytes());
    }
    out.extend_from_slice(b"\n\n");
}

/// Writes an event whose data is this value.
pub(super) fn put_value<T: serde::Serialize>(out: &mut Vec<u8>, name: Option<&str>, value: &T) {
    put(out, name, None, |out| put_json(out, value));
}

/// Writes the event that ends a stream with an error.
pub(super) fn put_error(out: &mut Vec<u8>, error: &Error) {
    let mut data = serde_json::json!({
        "error": error.message,
        "message": error.message,
        "code": error.code.http_status(),
    });
    if let Some(kind) = error_kind(error) {
        data["error_kind"] = kind.into();
    }
    if let Some(after) = retry_after_s(error) {
        data["retry_after_secs"] = after.into();
    }
    put_value(out, Some("error"), &data);
}
