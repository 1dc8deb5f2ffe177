//! tidewire-engine.
