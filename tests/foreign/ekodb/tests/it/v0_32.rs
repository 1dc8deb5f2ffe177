//! Version 0.32.0: greets the server and speaks MessagePack on the socket.
#![expect(clippy::duplicate_mod, reason = "each row is compiled once a version")]

pub(crate) use ekodb_client_32 as ekodb;

/// As the registry knows it.
pub(crate) const VERSION: &str = "0.32.0";

#[path = "later/mod.rs"]
pub(crate) mod later;
#[path = "rows/mod.rs"]
pub(crate) mod rows;
#[path = "scenes.rs"]
mod scenes;
#[path = "unbuilt.rs"]
pub(crate) mod unbuilt;
