//! schematic-runtime.
