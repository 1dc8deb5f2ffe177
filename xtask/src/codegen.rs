//! Writing the generated code, or checking that it is fresh.

use std::fs;
use std::path::Path;

use schematic_define::Definition;
use schematic_gen::{File, Problem, Provenance, asyncapi, markdown, openapi, rust, typescript};

use crate::run::{Result, cannot_write, root};

/// The command that generated files name.
const COMMAND: &str = "cargo xtask codegen";

/// Writes every generated file, or with `check` fails if one would change.
pub(crate) fn run(check: bool) -> Result {
    let stale: Vec<_> = files()?.into_iter().filter(|(path, text)| !is_fresh(path, text)).collect();
    if !check {
        return stale.iter().try_for_each(|(path, text)| write(path, text));
    }
    if stale.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = stale.iter().map(|(path, _)| path.as_str()).collect();
    Err(format!("generated files are stale: {}; run `cargo xtask codegen` and commit", names.join(", ")))
}

fn is_fresh(path: &str, text: &str) -> bool {
    fs::read_to_string(root().join(path)).is_ok_and(|found| found == text)
}

fn write(path: &str, text: &str) -> Result {
    let full = root().join(path);
    fs::create_dir_all(full.parent().unwrap_or(Path::new("."))).map_err(|e| cannot_write(&full, e))?;
    fs::write(&full, text).map_err(|e| cannot_write(&full, e))?;
    eprintln!("wrote {path}");
    Ok(())
}

/// Every generated file: its path from the root, and its text.
fn files() -> Result<Vec<File>> {
    let session_chat = tidewire_definitions::session_chat::definition();
    let live_data = tidewire_definitions::live_data::definition();
    let chat_service = tidewire_definitions::chat_service::definition();
    Ok([
        dialect("session_chat", &session_chat)?,
        dialect("live_data", &live_data)?,
        dialect("chat_service", &chat_service)?,
        client("session_chat", &session_chat)?,
        client("live_data", &live_data)?,
        client("chat_service", &chat_service)?,
        below("clients/rust/src/generated", rust_client("live_data", &live_data)?),
        below("clients/rust/src/generated/chat_service", rust_client("chat_service", &chat_service)?),
    ]
    .concat())
}

/// The TypeScript client of a dialect. Seen from it, the definition is in another folder.
fn client(name: &str, definition: &Definition) -> Result<Vec<File>> {
    let provenance = Provenance::new(COMMAND, format!("crates/protocols/src/{name}/definition.rs"));
    let files = typescript::client(definition, &provenance).map_err(|problems| list(&problems))?;
    Ok(below("clients/typescript/src/generated", files))
}

/// The wire types of a dialect and a client of its socket.
fn rust_client(name: &str, definition: &Definition) -> Result<Vec<File>> {
    let provenance = Provenance::new(COMMAND, format!("crates/protocols/src/{name}/definition.rs"));
    let wire = rust::wire_types(definition, &provenance).map_err(|problems| list(&problems))?;
    let client = rust::client(definition, &provenance).map_err(|problems| list(&problems))?;
    Ok([wire, client].concat())
}

/// What every dialect has: its wire types beside its definition, and its reference.
fn dialect(name: &str, definition: &Definition) -> Result<Vec<File>> {
    let provenance = Provenance::new(COMMAND, "definition.rs");
    let wire = rust::wire_types(definition, &provenance).map_err(|problems| list(&problems))?;
    let page = markdown::reference(definition, &provenance).map_err(|problems| list(&problems))?;
    let mut documents = asyncapi::document(definition).map_err(|problems| list(&problems))?;
    if definition.rest.is_some() {
        documents.extend(openapi::document(definition).map_err(|problems| list(&problems))?);
    }
    let documents = documents.into_iter().map(|(path, text)| (format!("{name}.{path}"), text)).collect();
    Ok([
        below(&format!("crates/protocols/src/{name}"), wire),
        below("docs/protocols", page),
        below("docs/protocols", documents),
    ]
    .concat())
}

/// The files of an output, from the root.
fn below(folder: &str, files: Vec<File>) -> Vec<File> {
    files.into_iter().map(|(path, text)| (format!("{folder}/{path}"), text)).collect()
}

/// All problems of a definition, one a line.
fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    /// Our own dialects are the generator's hardest customers.
    #[test]
    fn every_dialect_has_a_rust_client() {
        let provenance = super::Provenance::new("a test", "definition.rs");
        let dialects = [
            (tidewire_definitions::session_chat::definition(), "pub struct SessionClient<"),
            (tidewire_definitions::live_data::definition(), "pub struct LiveClient<"),
            (tidewire_definitions::chat_service::definition(), "pub struct ChatClient<"),
        ];
        for (definition, expected) in dialects {
            let files = super::rust::client(&definition, &provenance).unwrap();
            assert!(files[0].1.contains(expected), "{}", definition.name);
        }
    }

    #[test]
    fn generated_code_is_fresh() {
        assert_eq!(super::run(true), Ok(()));
    }
}
