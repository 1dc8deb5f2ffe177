//! The direction of the house's arrows, checked, and where unsafe code may be.
//!
//! Between crates the compiler keeps it, but for the manifest's own additions; inside the engine nothing does but this.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Result, root};

/// Who must not name whom: a folder or manifest, the words that must not occur in it, and why.
const WALLS: &[(&str, &[&str], &str)] = &[
    (
        "crates/engine/src/agent",
        &["crate::store", "crate::bus", "crate::hub", "crate::collections", "crate::chat"],
        "what an agent's tools need is handed to them",
    ),
    (
        "crates/engine/src/model",
        &["crate::store", "crate::bus", "crate::hub", "crate::collections", "crate::chat"],
        "a model knows the conversation and nothing else",
    ),
    (
        "crates/engine/src/mcp",
        &["crate::store", "crate::bus", "crate::hub", "crate::collections", "crate::chat"],
        "tools of other programs are tools, and know nothing of who calls them",
    ),
    (
        "crates/engine/Cargo.toml",
        &["tidewire-protocols", "tidewire-server", "axum", "tungstenite"],
        "the engine knows no socket and no wire",
    ),
    ("crates/protocols/Cargo.toml", &["tidewire-server", "axum", "tungstenite"], "a dialect knows no socket"),
    (
        "schematic/define/Cargo.toml",
        &["tidewire", "tokio", "schematic-gen"],
        "the words know nothing of those who use them",
    ),
    (
        "clients/rust/Cargo.toml",
        &["tidewire-server", "tidewire-engine", "tidewire-protocols"],
        "a client knows the wire alone; the server's command line uses it, and never the other way",
    ),
    ("schematic/gen/Cargo.toml", &["tidewire"], "Schematic knows nothing of Tidewire"),
    (
        "crates/protocols/definitions/Cargo.toml",
        &["tidewire-engine", "tidewire-protocols"],
        "generation never builds its own output",
    ),
];

/// Where code of ours lies.
const HOUSE: &[&str] = &["crates", "clients/rust", "schematic", "bench", "xtask", "fuzz"];

/// The only files with unsafe code, how often they have it, and why.
const UNSAFE: &[(&str, usize, &str)] = &[(
    "crates/engine/src/model/choose.rs",
    1,
    "a library reads its number of threads from the environment alone",
)];

/// Fails with every place where an arrow points the wrong way, or that has unsafe code and may not.
pub(crate) fn check() -> Result {
    let broken: Vec<String> = WALLS.iter().flat_map(breaches).collect();
    if !broken.is_empty() {
        return Err(format!("arrows point the wrong way:\n{}", broken.join("\n")));
    }
    let unsafe_code: Vec<String> = HOUSE
        .iter()
        .flat_map(|place| files(&root().join(place)))
        .filter_map(|file| unsafe_breach(&file))
        .collect();
    if !unsafe_code.is_empty() {
        let all = unsafe_code.join("\n");
        return Err(format!(
            "unsafe code stands where it may not; find another way, or name it in walls.rs:\n{all}"
        ));
    }
    Ok(())
}

/// More or less unsafe code than a file may have: one that has none any more loses its place in the list.
fn unsafe_breach(file: &Path) -> Option<String> {
    let path = file.strip_prefix(root()).unwrap_or(file).to_string_lossy().into_owned();
    let allowed = UNSAFE.iter().find(|(known, _, _)| *known == path).map_or(0, |(_, count, _)| *count);
    let text = fs::read_to_string(file).unwrap_or_default();
    let found = text.lines().filter(|line| begins_unsafe(line)).count();
    (found != allowed).then(|| format!("  {path}: {found} times, and {allowed} are named"))
}

/// Whether unsafe code begins on this line: not the word in a comment, a text, or a lint's name.
fn begins_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let mut rest = code;
    while let Some(at) = rest.find("unsafe") {
        let before = &code[..code.len() - rest.len() + at];
        let quoted = before.replace("\\\"", "").matches('"').count() % 2 == 1;
        let after = rest[at + "unsafe".len()..].trim_start();
        let begins = ["{", "fn ", "impl ", "trait ", "extern "].iter().any(|word| after.starts_with(word));
        if begins && !quoted {
            return true;
        }
        rest = &rest[at + "unsafe".len()..];
    }
    false
}

fn breaches((place, forbidden, why): &(&str, &[&str], &str)) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(&root().join(place)) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            let named = forbidden.iter().find(|word| is_named(line, word, &file));
            found.extend(
                named.map(|word| format!("  {}:{}: names {word}, but {why}", file.display(), number + 1)),
            );
        }
    }
    found
}

/// Comments may speak of anything; a manifest names a dependency at the start of a line.
fn is_named(line: &str, word: &str, file: &Path) -> bool {
    let line = line.trim_start();
    match file.extension().is_some_and(|e| e == "toml") {
        true => line.starts_with(word),
        false => !line.starts_with("//") && line.contains(word),
    }
}

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_path_buf()];
    }
    if place.file_name().is_some_and(|name| name == "target") {
        return Vec::new();
    }
    let children = fs::read_dir(place).into_iter().flatten().flatten();
    children
        .flat_map(|entry| files(&entry.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "rs" || e == "toml"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_arrow_points_the_wrong_way() {
        check().unwrap();
    }

    #[test]
    fn a_breach_is_found_and_a_comment_is_none() {
        assert!(is_named("use crate::store::Store;", "crate::store", Path::new("a.rs")));
        assert!(!is_named("// see crate::store", "crate::store", Path::new("a.rs")));
        assert!(is_named("axum = { workspace = true }", "axum", Path::new("Cargo.toml")));
    }

    #[test]
    fn unsafe_code_is_found_and_the_word_alone_is_none() {
        for line in
            ["    unsafe {", "pub unsafe fn a() {", "unsafe impl Send for A {}", "unsafe extern \"C\" {"]
        {
            assert!(begins_unsafe(line), "{line}");
        }
        for line in
            ["// unsafe { }", "#[allow(unsafe_code)]", "\"style-src 'unsafe-inline'\"", "\"unsafe {\""]
        {
            assert!(!begins_unsafe(line), "{line}");
        }
    }

    #[test]
    fn every_place_that_is_watched_exists() {
        for (place, _, _) in WALLS {
            assert!(root().join(place).exists(), "{place}");
        }
    }
}
