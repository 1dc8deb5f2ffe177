//! tidewire-server.
fn main() {}
