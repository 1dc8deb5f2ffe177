//! The definitions of Tidewire's dialects, for the generator alone.
//!
//! The files lie in their dialects' folders and are included from there, so that generating never builds the
//! engine or the generator's own output.

#[path = "../../src/session_chat/definition.rs"]
pub mod session_chat;

#[path = "../../src/live_data/definition.rs"]
pub mod live_data;

#[path = "../../src/chat_service/definition.rs"]
pub mod chat_service;
