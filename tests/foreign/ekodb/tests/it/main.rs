//! The published `ekodb_client`, two versions of it, unmodified, against a server in this process.
//!
//! `rows` holds one function a public method of the crate: it says what the call does here, asserts it, and hands back
//! how the call fails. Each is compiled once a version. `table` compares them with what the crates' sources offer, so
//! that no call is forgotten. `later` are the calls that only the newer version has, `unbuilt` those that the server
//! answers with 501, and `scenes` what happens between several calls, streams and clients.

mod rig;
mod table;
mod v0_18;
mod v0_32;
