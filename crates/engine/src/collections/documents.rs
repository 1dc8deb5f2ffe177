//! Documents: their passages as records, replaced all together, and vectors that are kept until their passages come.
//!
//! Whoever reads files and computes vectors (the server's ingest) first asks which passages have no vector yet, brings
//! these in pieces, and then puts the whole document in one commit. A passage is known by the hash of what is embedded:
//! one that is there already, in this document or in another of the collection, is never embedded again. Vectors that
//! came wait in a collection of ours, so an ingest that was interrupted goes on where it was.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{Desk, MAX_EDITS, MAX_ID, check_count, check_name, check_record};
use crate::agent::retrieval::{DOCUMENTS, EMBEDDING, PARTS, TEXT, packed};
use crate::edit::Ttl;
use crate::error::{Code, Detail, Error, Result};
use crate::id::{RecordId, Timestamp};
use crate::identity::Identity;
use crate::query::{Body, Filter, Operator, Projection, Query, Record};
use crate::schema::{Field, FieldKind, Index, Metric, Schema};
use crate::store::{Change, Operation, Write};

/// The most passages of a document.
pub const MAX_PASSAGES: usize = MAX_EDITS / 2;
/// Where vectors wait for their passages, and for how long.
const VECTORS: &str = "_vectors";
const WAIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// So many records are asked for at once.
const PIECE: usize = 500;
/// Vectors keep so many decimal places: their cosines keep as many.
const DECIMALS: f64 = 1e6;

/// A document to be put.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Into which collection; it is made when it does not exist.
    pub collection: String,
    /// What it is known by: the same path is the same document.
    pub document: String,
    /// Its title.
    pub title: String,
    /// Where it comes from, for people.
    pub source: String,
    /// Where it can be opened.
    pub url: Option<String>,
    /// What it says, in order.
    pub passages: Vec<NewPassage>,
    /// Passages may do without a vector; they are then found by words alone.
    pub words_only: bool,
}

/// A passage of it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPassage {
    /// Its headings, outermost first, joined by ` › `.
    pub section: Option<String>,
    /// The page on which it begins, from 1.
    pub page: Option<u32>,
    /// What it says.
    pub text: String,
    /// What it is known by: a hash of all that is embedded, and of the model's name.
    pub hash: String,
    /// So many parts of it are embedded beside the whole; their vectors come under the names of [`part`].
    pub parts: usize,
}

/// The name under which the vector of a passage's part comes: the passage's hash, and the part's place.
pub fn part(hash: &str, place: usize) -> String {
    format!("{hash}/{place}")
}

/// Whether such a name is that of a part.
pub fn is_part(name: &str) -> bool {
    name.contains('/')
}

/// What putting a document did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// So many passages are new or changed.
    pub written: usize,
    /// So many were there as they are.
    pub kept: usize,
    /// So many are gone.
    pub removed: usize,
}

impl Desk {
    /// Those of the hashes (of passages, and names of parts) for which no vector is known, each once and in order.
    pub async fn missing_vectors(
        &self,
        identity: &Identity,
        collection: &str,
        hashes: Vec<String>,
    ) -> Result<Vec<String>> {
        check_name(collection)?;
        identity.check_write(collection)?;
        check_count(hashes.len(), "hashes")?;
        let mut seen = HashSet::new();
        let mut wanted: Vec<String> = hashes.into_iter().filter(|hash| seen.insert(hash.clone())).collect();
        let wholes: HashSet<String> = wanted.iter().map(|hash| whole(hash).to_owned()).collect();
        let there = self.of_passages(collection, wholes, &["hash"]).await?;
        wanted.retain(|hash| !there.contains_key(whole(hash)));
        let waiting = self.waiting(collection, &wanted, false).await?;
        wanted.retain(|hash| !waiting.contains_key(hash));
        Ok(wanted)
    }

    /// Keeps vectors until their document is put, by the hashes of their passages.
    pub async fn keep_vectors(
        &self,
        identity: &Identity,
        collection: &str,
        vectors: Vec<(String, Vec<f32>)>,
    ) -> Result<()> {
        check_name(collection)?;
        identity.check_write(collection)?;
        check_count(vectors.len(), "vectors")?;
        let writes = vectors.into_iter().map(|(hash, vector)| {
            let id = waiting_id(collection, &hash);
            let body = Body::from_iter([(EMBEDDING.to_owned(), numbers(&vector)?)]);
            check_record(&id, &body)?;
            let ttl = Ttl { after: WAIT, renewed_by_access: false };
            Ok(Write::new(VECTORS, id, Operation::Put(body)).ttl(Some(ttl)))
        });
        let writes = writes.collect::<Result<Vec<_>>>()?;
        let _: Vec<Change> = self.store.commit(&identity.subject, self.clock.now(), writes).await?;
        Ok(())
    }

    /// Puts a document in the place of what the collection has of it, all or nothing.
    ///
    /// # Errors
    /// `Conflict` if the vector of a passage is not known; `TooLarge` beyond [`MAX_PASSAGES`].
    pub async fn put_document(&self, identity: &Identity, document: Document) -> Result<Outcome> {
        check_name(&document.collection)?;
        identity.check_write(&document.collection)?;
        check(&document)?;
        self.prepare(&document.collection).await?;
        let mut old = self.passages(&document).await?;
        let (mut new, mut kept) = (Vec::new(), 0);
        for (position, passage) in document.passages.iter().enumerate() {
            let (id, body) = (record_id(&document.document, position), body(&document, position, passage));
            match old.remove(&id) {
                Some(known) if known == body => kept += 1,
                Some(_) | None => new.push((id, body, passage)),
            }
        }
        let outcome = Outcome { written: new.len(), kept, removed: old.len() };
        let mut writes = self.writes(&document, new).await?;
        let gone = old.into_keys().map(|id| Write::new(document.collection.as_str(), id, Operation::Delete));
        writes.extend(gone);
        let _: Vec<Change> = self.store.commit(&identity.subject, self.clock.now(), writes).await?;
        Ok(outcome)
    }

    /// The collections of documents among these.
    pub(super) async fn of_documents(&self, names: Vec<String>) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for name in names {
            if name == DOCUMENTS || self.store.schema(&name).await.is_ok_and(|schema| has_passages(&schema)) {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// Gives the collection its schema, if it has none.
    async fn prepare(&self, collection: &str) -> Result<()> {
        match self.store.schema(collection).await {
            Err(error) if error.code == Code::NotFound => {}
            Err(error) => return Err(error),
            Ok(schema) if schema.fields.is_empty() => {}
            Ok(_) => return Ok(()),
        }
        match self.store.create_collection(collection, Some(schema()), self.clock.now()).await {
            // Somebody else just did.
            Err(error) if error.code == Code::Conflict => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    /// What the collection has of the document, without vectors.
    async fn passages(&self, document: &Document) -> Result<BTreeMap<RecordId, Body>> {
        let query = Query {
            projection: Projection::Without(vec![EMBEDDING.to_owned(), PARTS.to_owned()]),
            ..Query::all(document.collection.as_str(), usize::MAX)
        };
        let records =
            self.store.query(&query.filter(Filter::eq("document", document.document.as_str()))).await?;
        Ok(records.into_iter().map(|record| (record.id, record.body)).collect())
    }

    /// The new passages with their vectors, which then wait no longer.
    async fn writes(
        &self,
        document: &Document,
        new: Vec<(RecordId, Body, &NewPassage)>,
    ) -> Result<Vec<Write>> {
        let collection = document.collection.as_str();
        let hashes = new.iter().map(|(_, _, passage)| passage.hash.clone()).collect();
        let there = self.of_passages(collection, hashes, &["hash", EMBEDDING, PARTS]).await?;
        let names: Vec<String> = new.iter().flat_map(|(_, _, passage)| passage.names()).collect();
        let waiting = self.waiting(collection, &names, true).await?;
        let mut writes = Vec::with_capacity(new.len() * 2);
        for (id, mut body, passage) in new {
            match there.get(&passage.hash).cloned().or_else(|| meaning(passage, &waiting)) {
                Some(meaning) => body.extend(meaning),
                None if document.words_only => {}
                None => return Err(no_vector()),
            }
            check_record(&id, &body)?;
            writes.push(Write::new(collection, id, Operation::Put(body)));
        }
        let waited = waiting.keys().map(|name| waiting_id(collection, name));
        writes.extend(waited.map(|id| Write::new(VECTORS, id, Operation::Delete)));
        Ok(writes)
    }

    /// Passages by their hashes: these members of them, without the hash.
    async fn of_passages(
        &self,
        collection: &str,
        hashes: HashSet<String>,
        give: &[&str],
    ) -> Result<HashMap<String, Body>> {
        let hashes: Vec<String> = hashes.into_iter().collect();
        let mut found = HashMap::new();
        for piece in hashes.chunks(PIECE) {
            let records = self.among(collection, "hash", piece, give).await?;
            found.extend(records.into_iter().filter_map(|Record { mut body, .. }| {
                let Some(Value::String(hash)) = body.shift_remove("hash") else { return None };
                Some((hash, body))
            }));
        }
        Ok(found)
    }

    /// Vectors that wait for their passages, by name; without `values` only that they are there.
    async fn waiting(
        &self,
        collection: &str,
        names: &[String],
        values: bool,
    ) -> Result<HashMap<String, Value>> {
        let members: &[&str] = if values { &[EMBEDDING] } else { &["hash"] };
        let mut found = HashMap::new();
        for piece in names.chunks(PIECE) {
            let ids: Vec<String> = piece.iter().map(|name| waiting_id(collection, name).0).collect();
            let records = self.among(VECTORS, "id", &ids, members).await?;
            found.extend(records.into_iter().filter_map(|Record { id, mut body, .. }| {
                let name = id.0.strip_prefix(collection)?.strip_prefix(':')?.to_owned();
                Some((name, body.shift_remove(EMBEDDING).unwrap_or_default()))
            }));
        }
        Ok(found)
    }

    /// The records of which a member is one of these.
    async fn among(
        &self,
        collection: &str,
        member: &str,
        values: &[String],
        give: &[&str],
    ) -> Result<Vec<Record>> {
        let filter = Filter::Compare { field: member.into(), operator: Operator::In, value: json!(values) };
        let projection = Projection::Only(give.iter().map(|name| (*name).to_owned()).collect());
        let query = Query { projection, ..Query::all(collection, usize::MAX) };
        self.store.query(&query.filter(filter)).await
    }
}

impl NewPassage {
    /// The names of its vectors: its own, then those of its parts.
    fn names(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(self.hash.clone()).chain((0..self.parts).map(|place| part(&self.hash, place)))
    }
}

/// The passage that a name of a vector is about.
fn whole(name: &str) -> &str {
    name.split_once('/').map_or(name, |(hash, _)| hash)
}

/// What a passage and its parts mean, as its record says it; `None` if a vector has not come.
fn meaning(passage: &NewPassage, waiting: &HashMap<String, Value>) -> Option<Body> {
    let mut vectors = passage.names().map(|name| waiting.get(&name));
    let own = vectors.next()??.clone();
    let parts = vectors.map(|vector| Some(packed(&floats(vector?)?))).collect::<Option<Vec<_>>>()?;
    let parts = (!parts.is_empty()).then(|| (PARTS.to_owned(), Value::from(parts.concat())));
    Some(std::iter::once((EMBEDDING.to_owned(), own)).chain(parts).collect())
}

fn floats(vector: &Value) -> Option<Vec<f32>> {
    vector.as_array()?.iter().map(|number| number.as_f64().map(|number| number as f32)).collect()
}

fn waiting_id(collection: &str, hash: &str) -> RecordId {
    RecordId(format!("{collection}:{hash}"))
}

/// A passage's record: the document's name, and its place.
fn record_id(document: &str, position: usize) -> RecordId {
    RecordId(format!("{document}-{position:05}"))
}

fn no_vector() -> Error {
    Error::new(Code::Conflict, "a passage has no vector yet; run the ingest again")
}

fn check(document: &Document) -> Result<()> {
    let count = document.passages.len();
    if count > MAX_PASSAGES {
        let message =
            format!("a document has at most {MAX_PASSAGES} passages and this one has {count}; split it");
        return Err(Error::new(Code::TooLarge, message));
    }
    let name = &document.document;
    if name.is_empty() || name.len() + 6 > MAX_ID || name.chars().any(char::is_control) {
        let message = format!("a document's name has 1 to {} bytes and no control characters", MAX_ID - 6);
        return Err(Error::invalid(message).with(Detail::Field("document".into())));
    }
    Ok(())
}

fn body(document: &Document, position: usize, passage: &NewPassage) -> Body {
    let members = [
        ("document", Some(json!(document.document))),
        ("title", Some(json!(document.title))),
        ("source", Some(json!(document.source))),
        ("url", document.url.as_ref().map(|url| json!(url))),
        ("section", passage.section.as_ref().map(|section| json!(section))),
        ("position", Some(json!(position))),
        ("page", passage.page.map(|page| json!(page))),
        (TEXT, Some(json!(passage.text))),
        ("hash", Some(json!(passage.hash))),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn numbers(vector: &[f32]) -> Result<Value> {
    if vector.is_empty() || vector.iter().any(|number| !number.is_finite()) {
        return Err(
            Error::invalid("a vector is a list of finite numbers").with(Detail::Field("vectors".into()))
        );
    }
    Ok(vector.iter().map(|number| json!((f64::from(*number) * DECIMALS).round() / DECIMALS)).collect())
}

/// Whether retrieval finds something in such a collection.
fn has_passages(schema: &Schema) -> bool {
    let index = |name: &str| schema.fields.get(name).and_then(|field| field.index.as_ref());
    matches!(index(TEXT), Some(Index::Text { .. })) && matches!(index(EMBEDDING), Some(Index::Vector { .. }))
}

fn schema() -> Schema {
    let field = |kind, index| Field { kind, index, ..Field::default() };
    let text = Index::Text { language: "english".into() };
    let vector = Index::Vector { metric: Metric::Cosine, dimension: None };
    let fields = [
        ("document", field(FieldKind::String, Some(Index::Hash))),
        (TEXT, Field { required: true, ..field(FieldKind::String, Some(text)) }),
        ("hash", field(FieldKind::String, Some(Index::Hash))),
        (EMBEDDING, field(FieldKind::Vector, Some(vector))),
        (PARTS, field(FieldKind::Vector, None)),
    ];
    Schema {
        fields: IndexMap::from_iter(fields.map(|(name, field)| (name.to_owned(), field))),
        primary_key: "id".into(),
        version: 0,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::agent::Records;
    use crate::id::SystemClock;
    use crate::identity::{Grant, Grants};
    use crate::store::sqlite::Sqlite;

    fn desk() -> Desk {
        Desk::new(Arc::new(Sqlite::in_memory().unwrap()), Arc::new(SystemClock))
    }

    fn document(texts: &[&str]) -> Document {
        let passage = |text: &&str| NewPassage {
            section: Some("S".into()),
            page: None,
            text: (*text).to_owned(),
            hash: format!("hash of {text}"),
            parts: text.len() % 2, // some have one
        };
        Document {
            collection: "documents".into(),
            document: "docs/a.md".into(),
            title: "A".into(),
            source: "docs/a.md".into(),
            url: None,
            passages: texts.iter().map(passage).collect(),
            words_only: false,
        }
    }

    /// Puts a document as an ingest does; gives how many passages were embedded.
    async fn ingest(desk: &Desk, document: Document) -> (usize, Outcome) {
        let (local, collection) = (Identity::local(), document.collection.clone());
        let names = document.passages.iter().flat_map(NewPassage::names).collect();
        let missing = desk.missing_vectors(&local, &collection, names).await.unwrap();
        let count = missing.iter().filter(|name| !is_part(name)).count();
        let vectors = missing.into_iter().map(|name| (name, vec![0.5, 0.25])).collect();
        desk.keep_vectors(&local, &collection, vectors).await.unwrap();
        (count, desk.put_document(&local, document).await.unwrap())
    }

    async fn texts(desk: &Desk) -> Vec<String> {
        let records = desk.query(&Identity::local(), Query::all("documents", 100)).await.unwrap();
        records.iter().map(|record| record.body["text"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn what_did_not_change_is_never_embedded_again() {
        let desk = desk();
        assert_eq!(ingest(&desk, document(&["one", "two", "three"])).await.0, 3);
        let (embedded, outcome) = ingest(&desk, document(&["one", "two", "three"])).await;
        assert_eq!((embedded, outcome), (0, Outcome { written: 0, kept: 3, removed: 0 }));
        // A passage before them moves all others.
        let (embedded, outcome) = ingest(&desk, document(&["zero", "one", "two", "three"])).await;
        assert_eq!((embedded, outcome), (1, Outcome { written: 4, kept: 0, removed: 0 }));
        let (embedded, outcome) = ingest(&desk, document(&["zero", "two"])).await;
        assert_eq!((embedded, outcome), (0, Outcome { written: 1, kept: 1, removed: 2 }));
        assert_eq!(texts(&desk).await, ["zero", "two"]);
        let elsewhere = Document { document: "b.md".into(), ..document(&["two"]) };
        assert_eq!(ingest(&desk, elsewhere).await.0, 0);
        assert_eq!(desk.store.count(VECTORS, None).await.unwrap(), 0, "nothing waits");
    }

    #[tokio::test]
    async fn vectors_wait_for_their_document() {
        let (desk, local) = (desk(), Identity::local());
        let wanted = || vec!["hash of one".to_owned(), "hash of two".to_owned(), "hash of one".to_owned()];
        desk.keep_vectors(&local, "documents", vec![("hash of one".into(), vec![1.0])]).await.unwrap();
        assert_eq!(desk.missing_vectors(&local, "documents", wanted()).await.unwrap(), ["hash of two"]);
        let others = desk.missing_vectors(&local, "others", wanted()).await.unwrap();
        assert_eq!(others.len(), 2, "vectors are the collection's own");
        let error = desk.put_document(&local, document(&["one", "two"])).await.unwrap_err();
        assert_eq!(error.code, Code::Conflict);
        assert_eq!(texts(&desk).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_collection_of_documents_is_known_as_one() {
        let desk = desk();
        ingest(&desk, Document { collection: "manuals".into(), ..document(&["one"]) }).await;
        let insert = crate::edit::Edit::Insert { id: None, body: Body::new(), ttl: None };
        desk.edit(&Identity::local(), "orders", vec![insert], true).await.unwrap();
        assert_eq!(desk.documents(&Identity::local()).await.unwrap(), ["manuals"]);
        let stranger = Identity { key: None, subject: "ann".into(), grants: Grants::Collections(vec![]) };
        assert_eq!(desk.documents(&stranger).await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn who_may_not_write_may_not_ingest() {
        let grant = Grant { collection: "documents".into(), write: false };
        let ann = Identity { key: None, subject: "ann".into(), grants: Grants::Collections(vec![grant]) };
        let desk = desk();
        let codes = [
            desk.missing_vectors(&ann, "documents", vec![]).await.unwrap_err().code,
            desk.keep_vectors(&ann, "documents", vec![]).await.unwrap_err().code,
            desk.put_document(&ann, document(&[])).await.unwrap_err().code,
        ];
        assert_eq!(codes, [Code::Forbidden; 3]);
    }

    #[tokio::test]
    async fn what_is_no_document_is_refused() {
        let (desk, local) = (desk(), Identity::local());
        let passage = NewPassage { section: None, page: None, text: "x".into(), hash: "h".into(), parts: 0 };
        let large = Document { passages: vec![passage; MAX_PASSAGES + 1], ..document(&[]) };
        assert_eq!(desk.put_document(&local, large).await.unwrap_err().code, Code::TooLarge);
        for name in ["", "a\nb", &"x".repeat(300)] {
            let named = Document { document: name.into(), ..document(&[]) };
            assert_eq!(desk.put_document(&local, named).await.unwrap_err().code, Code::Invalid);
        }
        let empty = vec![("h".to_owned(), vec![]), ("i".to_owned(), vec![f32::NAN])];
        for vector in empty {
            let error = desk.keep_vectors(&local, "documents", vec![vector]).await.unwrap_err();
            assert_eq!(error.code, Code::Invalid);
        }
    }
}
