//! The fuzz targets, and where their inputs lie.

use std::fs;
use std::path::{Path, PathBuf};

use tidewire_corpus as targets;
use tidewire_protocols::Incoming;

/// A target's name, and what it does with an input.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Each target and its function, as `fuzz/fuzz_targets` has them.
pub(crate) const TARGETS: &[Target] = &[
    ("chat_service", |bytes| targets::chat_service(text(bytes))),
    ("definition", |bytes| targets::definition(text(bytes))),
    ("filter", |bytes| targets::filter(text(bytes))),
    ("live_data_http", targets::live_data_http),
    ("live_data_msgpack", |bytes| targets::live_data(Incoming::Binary(bytes))),
    ("live_data_text", |bytes| targets::live_data(Incoming::Text(text(bytes)))),
    ("session_chat", |bytes| targets::session_chat(text(bytes))),
];

/// As far as it is text, which is what a target of text is given.
fn text(bytes: &[u8]) -> &str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

pub(crate) fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// What lies in a folder; nothing if it is not there, as nothing was found by a fuzzer yet.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
