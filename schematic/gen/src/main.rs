//! schematic-gen.
fn main() {}
