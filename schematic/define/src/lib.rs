//! schematic-define.
