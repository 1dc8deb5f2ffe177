//! Documents become passages.
//!
//! Each kind of file is read by a file here (`markdown`, `html`, `rows`, `pdf`, `text`) into headings and what stands
//! under them; `chunk` cuts that into passages. PDFs are taken apart in a process of their own: `extract` is what it
//! does, `pdf` listens to it. `paths` finds the files, `target` brings passages into a data folder or to the server that owns it,
//! `wire` is what that server hears. What a document means is the engine's (`tidewire_engine::collections::documents`).

mod chunk;
pub(crate) mod extract;
mod html;
mod markdown;
mod parts;
pub(crate) mod paths;
pub(crate) mod pdf;
mod quotes;
mod rows;
mod target;
pub(crate) mod text;
mod wire;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tidewire_engine::{Code, Error, Result};

use crate::import::Format;
pub(crate) use chunk::{Chunk, chunks};
pub(crate) use extract::Limits;
use text::Text;
pub(crate) use wire::{MAX_BODY, PATH, accept};

/// The largest file, in bytes; tables and lists of any length are `tidewire import`'s.
const MAX_FILE: u64 = 64 << 20;
/// The largest PDF: its pictures are not read.
const MAX_PDF: u64 = 1 << 30;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Text,
    Markdown,
    Html,
    Pdf,
    Csv,
    Json,
    JsonLines,
}

impl Content {
    /// By the file's ending; `None` if that says nothing.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "txt" | "text" | "rst" | "adoc" | "org" => Self::Text,
            "md" | "markdown" | "mdx" => Self::Markdown,
            "html" | "htm" | "xhtml" => Self::Html,
            "pdf" => Self::Pdf,
            "csv" | "tsv" => Self::Csv,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::JsonLines,
            _ => return None,
        })
    }
}

/// Reads a document. `program` is this program, which is its own child for PDFs, with these limits.
pub(crate) async fn read(program: &Path, path: &Path, limits: Limits) -> Result<Text> {
    let content = Content::of(path).map_or_else(|| sniff(path), Ok)?;
    check_size(path, if content == Content::Pdf { MAX_PDF } else { MAX_FILE })?;
    let (program, file) = (program.to_owned(), path.to_owned());
    let read = tokio::task::spawn_blocking(move || read_here(content, &program, &file, limits));
    let text = read.await.map_err(Error::internal)??;
    if text.is_empty() {
        return Err(Error::invalid(format!("{} has no text; leave it out", path.display())));
    }
    Ok(text)
}

fn read_here(content: Content, program: &Path, path: &Path, limits: Limits) -> Result<Text> {
    Ok(match content {
        Content::Pdf => pdf::read(program, path, limits)?,
        Content::Text => text::read(&source(path)?),
        Content::Markdown => markdown::read(&source(path)?),
        Content::Html => html::read(&source(path)?),
        Content::Csv => rows::read(path, Format::Csv)?,
        Content::JsonLines => rows::read(path, Format::Ndjson)?,
        Content::Json => {
            let value = serde_json::from_str(&source(path)?);
            rows::read_json(&value.map_err(|error| {
                Error::invalid(format!("{} is no JSON ({error}); check the file", path.display()))
            })?)
        }
    })
}

/// What a file of unknown ending is.
fn sniff(path: &Path) -> Result<Content> {
    let mut begin = [0; 5];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut begin));
    let read = read.map_err(|cause| unreadable(path, cause))?;
    Ok(if begin[..read] == *b"%PDF-" { Content::Pdf } else { Content::Text })
}

fn check_size(path: &Path, most: u64) -> Result<()> {
    let size = fs::metadata(path).map_err(|cause| unreadable(path, cause))?.len();
    if size > most {
        let message = format!("{} is larger than {} MiB; split it", path.display(), most >> 20);
        return Err(Error::new(Code::TooLarge, message));
    }
    Ok(())
}

/// The file's text.
fn source(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|cause| unreadable(path, cause))?;
    let no_text =
        || Error::invalid(format!("{} is not UTF-8 text; convert it or leave it out", path.display()));
    let text = String::from_utf8(bytes).map_err(|_| no_text())?;
    if text.contains('\0') {
        return Err(no_text());
    }
    // Some editors begin a file with a mark of the byte order.
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::invalid(format!("{} cannot be read ({cause}); check the path", path.display())).caused_by(cause)
}

/// The program that runs.
pub(crate) fn this_program() -> Result<PathBuf> {
    std::env::current_exe()
        .map_err(|cause| Error::unavailable("this program's own file is not found").caused_by(cause))
}

/// What is embedded of a passage: where it stands and what it says, and then its parts by themselves.
pub(crate) fn embedded(title: &str, chunk: &Chunk) -> Vec<String> {
    let section = chunk.section.as_deref().unwrap_or_default();
    let before = if section.starts_with(title) { "" } else { title };
    let place: Vec<&str> = [before, section].into_iter().filter(|part| !part.is_empty()).collect();
    let whole = format!("{}\n{}", place.join(" › "), chunk.text);
    std::iter::once(whole).chain(parts::parts(title, chunk)).collect()
}

/// What a passage is known by: 32 hex digits of what is embedded by whom.
pub(crate) fn hash(model: &str, embedded: &[String]) -> String {
    let mut digest = Sha256::new().chain_update(model);
    embedded.iter().for_each(|text| {
        digest.update([0]);
        digest.update(text);
    });
    crate::hex(&digest.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory: 2048, seconds: 120 };

    async fn refusal(name: &str, bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        read(Path::new("/nonexistent"), &path, LIMITS).await.unwrap_err().message.into_owned()
    }

    #[tokio::test]
    async fn files_that_cannot_be_read_say_why() {
        for (name, bytes, word) in [
            ("a.txt", &b"\xff\xfe\x00a"[..], "not UTF-8 text"),
            ("a.md", b"a\0b", "not UTF-8 text"),
            ("a.bin", b"\x7fELF\x02\x01\xff", "not UTF-8 text"),
            ("a.json", b"{\"a\": ", "is no JSON"),
            ("a.html", b"<script>x</script>", "has no text"),
            ("empty.md", b"", "has no text"),
        ] {
            let message = refusal(name, bytes).await;
            assert!(message.contains(word) && message.contains(name), "{message}");
        }
        let missing =
            read(Path::new("/nonexistent"), Path::new("/nonexistent/a.md"), LIMITS).await.unwrap_err();
        assert!(missing.message.contains("check the path"));
    }

    #[tokio::test]
    async fn a_deep_json_is_refused_and_not_followed() {
        let message = refusal("deep.json", "[".repeat(100_000).as_bytes()).await;
        assert!(message.contains("is no JSON"), "{message}");
    }

    #[test]
    fn a_passage_is_known_by_its_place_and_text() {
        let chunk =
            Chunk { section: Some("Guide › Keys".into()), page: None, text: "A key opens doors.".into() };
        assert_eq!(embedded("Guide", &chunk), ["Guide › Keys\nA key opens doors."]);
        assert_eq!(embedded("Manual", &chunk), ["Manual › Guide › Keys\nA key opens doors."]);
        let hash = |model: &str, texts: &[&str]| {
            super::hash(model, &texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        assert_ne!(hash("one", &["x"]), hash("other", &["x"]));
        assert_ne!(hash("one", &["x", "y"]), hash("one", &["xy"]));
        assert_eq!(hash("one", &["x"]).len(), 32);
    }
}
