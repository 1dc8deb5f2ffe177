//! What is made from the definition of the chat service.

#[rustfmt::skip]
pub mod client;
#[rustfmt::skip]
pub mod wire;
