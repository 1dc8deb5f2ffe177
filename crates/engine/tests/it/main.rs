//! The engine from outside: what only the parts together, or whole processes, can show.

mod assistant;
mod chat;
mod clock;
mod crash;
mod direct;
mod explorer;
#[cfg(feature = "mcp")]
mod mcp;
mod retrieval;
