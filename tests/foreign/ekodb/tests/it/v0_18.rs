//! Version 0.18.0: JSON text on the socket, MessagePack in the bodies over HTTP.

pub(crate) use ekodb_client_18 as ekodb;

/// As the registry knows it.
pub(crate) const VERSION: &str = "0.18.0";

#[path = "earlier/mod.rs"]
pub(crate) mod earlier;
#[path = "rows/mod.rs"]
pub(crate) mod rows;
#[path = "scenes.rs"]
mod scenes;
#[path = "unbuilt.rs"]
pub(crate) mod unbuilt;
