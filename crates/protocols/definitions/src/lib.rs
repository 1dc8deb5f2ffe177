//! tidewire-definitions.
