//! schematic-definitions.
