//! From a definition to files.
