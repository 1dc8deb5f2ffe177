//! Fetching the embedded models.

use std::path::PathBuf;

use crate::run::{Result, cache};

/// Where the model files lie: `TIDEWIRE_MODELS`, else the cache folder.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("TIDEWIRE_MODELS").map_or_else(|| cache().join("models"), PathBuf::from)
}

/// Fetches what is missing.
pub(crate) fn ensure() -> Result {
    Ok(())
}
