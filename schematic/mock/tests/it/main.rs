//! The mock server from outside: a WebSocket client of its own against every promise that it makes.

mod breaches;
mod client;
mod discord;
mod elevenlabs;
mod faults;
mod others;
mod upgrade;
