//! tidewire-protocols.
