//! What is made from the definitions of the dialects: their messages, and clients of their sockets without the friendly
//! face. What lies here directly is of live data.

pub mod chat_service;
// The generator lays its lines out itself.
#[rustfmt::skip]
pub mod client;
#[rustfmt::skip]
pub mod wire;
