//! A passage, and the record that it is.

use serde_json::Value;

use crate::id::RecordId;
use crate::query::{Body, Record};

/// Where documents go unless somebody says otherwise.
pub const DOCUMENTS: &str = "documents";
/// The member that holds a passage's text.
pub const TEXT: &str = "text";
/// The member that holds what a passage means, as numbers.
pub const EMBEDDING: &str = "embedding";

/// A piece of a document, short enough to be read at a glance.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The collection that it is in.
    pub collection: String,
    /// Its record.
    pub record: RecordId,
    /// Of which document, as the collection knows it.
    pub document: String,
    /// The document's title.
    pub title: String,
    /// Where the document comes from, for people: a path.
    pub source: String,
    /// Where it can be opened.
    pub url: Option<String>,
    /// Under which headings it stands, outermost first, joined by ` › `.
    pub section: Option<String>,
    /// On which page it begins, from 1.
    pub page: Option<u32>,
    /// What it says.
    pub text: String,
    /// How well it fits, 0 to 1.
    pub score: f64,
}

impl Passage {
    /// The passage that a record is; `None` if it is none. Its score is 0.
    pub fn read(collection: &str, record: Record) -> Option<Self> {
        let mut body = record.body;
        let text = take(&mut body, TEXT)?;
        let source = take(&mut body, "source");
        let document = take(&mut body, "document").or_else(|| source.clone()).unwrap_or_default();
        let source = source.unwrap_or_else(|| document.clone());
        Some(Self {
            collection: collection.to_owned(),
            title: take(&mut body, "title").unwrap_or_else(|| source.clone()),
            url: take(&mut body, "url"),
            section: take(&mut body, "section"),
            page: body.get("page").and_then(Value::as_u64).and_then(|page| page.try_into().ok()),
            record: record.id,
            document,
            source,
            text,
            score: 0.0,
        })
    }

    /// The innermost heading above it.
    pub fn heading(&self) -> Option<&str> {
        self.section.as_deref()?.rsplit(" › ").next()
    }

    /// Title, headings and text: all in which words of a question are looked for.
    pub(super) fn everything(&self) -> String {
        format!("{}\n{}\n{}", self.title, self.section.as_deref().unwrap_or_default(), self.text)
    }
}

fn take(body: &mut Body, name: &str) -> Option<String> {
    match body.shift_remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}
