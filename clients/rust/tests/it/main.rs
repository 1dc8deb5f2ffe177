//! The client over a network in memory, with paused time and a test that plays the server.

mod calls;
mod changes;
mod chats;
mod server;
mod transcripts;
