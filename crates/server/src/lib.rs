//! The Tidewire server: it listens, authenticates, and pumps frames.
//!
//! A request passes three rooms. `handshake` asks whether it may come in and in whose name; `socket` owns the
//! connection and moves frames between the client, its dialect (crate `tidewire-protocols`) and the engine (crate
//! `tidewire-engine`); `http` answers what needs no socket. What is said on a socket is the dialect's, what is done
//! about it the engine's.
//!
//! The binary `tidewire` is a thin shell around [`cli`]. Tests start [`serve`] in their own process.

pub mod assets;
mod calls;
pub mod cli;

pub mod config;
pub mod start;

pub mod telemetry;

mod auth;
mod backup;
mod body;
mod figures;
mod handshake;
mod http;
mod import;
mod ingest;
mod limits;
#[cfg(feature = "mcp")]
mod mcp;
#[cfg(not(feature = "mcp"))]
#[path = "mcp_absent.rs"]
mod mcp;
mod owner;
mod pipe;
mod server;
mod socket;
mod target;
mod wire;

pub use config::Config;
pub use server::{House, serve};

use std::fmt::Write as _;

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
