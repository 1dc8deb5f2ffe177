//! What is made from the definition of the dialect: its messages, and a client of its socket without the friendly face.

// The generator lays its lines out itself.
#[rustfmt::skip]
pub mod client;
#[rustfmt::skip]
pub mod wire;
