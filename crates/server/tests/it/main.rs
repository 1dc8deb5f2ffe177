//! The server over real sockets and as a process, with the real store in a temporary folder and a scripted model.

mod attack;
mod auth;
mod backup;
mod bad_input;
mod binary;
mod chat_client;
mod chat_service;
mod client;
mod commands;
mod conformance;
mod crash;
mod cuts;
mod data_cli;
mod data_client;
mod disconnects;
mod disk;
mod door;
mod drain;
mod faults;
mod house;
mod http;
mod import;
mod ingest;
mod live_data;
mod live_http;
mod matrix;
#[cfg(feature = "mcp")]
mod mcp;
mod operations;
mod pdf;
mod proxy;
mod slow_readers;
mod soak;
mod talk;
mod transcripts;
