//! tidewire-bench.
fn main() {}
