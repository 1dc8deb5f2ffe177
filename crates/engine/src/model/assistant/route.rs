//! The router: of which kind a question is.
//!
//! With an embedder a kind's score is how near its two nearest examples are; without one it is how many telling words
//! the question has. What was mentioned has a say in both: nobody asks for the columns of nothing.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::slots::Mentions;
use super::words::stem;
use super::{Embedder, Intent, examples, query};
use crate::error::Result;
use crate::model::{NameKind, Status};

/// A question that is less like every example than this is small talk.
const THRESHOLD: f32 = 0.32;
/// What a telling word adds to a likeness. Likenesses of neighbouring kinds differ by a few hundredths.
const WORD_WEIGHT: f32 = 0.06;

/// Decides of which kind a question is.
pub(super) struct Router {
    embedder: Option<Arc<dyn Embedder>>,
    examples: OnceCell<Vec<(Intent, Vec<f32>)>>,
}

impl Router {
    pub(super) fn new(embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self { embedder, examples: OnceCell::new() }
    }

    pub(super) fn status(&self) -> Status {
        self.embedder.as_ref().map_or(Status::Ready, |embedder| embedder.status())
    }

    /// The kind. An embedder that is not ready or fails is done without.
    pub(super) async fn route(&self, mentions: &Mentions<'_>) -> Intent {
        match self.likeness(mentions).await {
            Some(likeness) => by_likeness(&likeness, mentions),
            None => by_words(mentions),
        }
    }

    async fn likeness(&self, mentions: &Mentions<'_>) -> Option<Vec<(Intent, f32)>> {
        let embedder = self.embedder.as_ref().filter(|embedder| embedder.status() == Status::Ready)?;
        let near = async {
            let examples = self.examples.get_or_try_init(|| embed_examples(embedder.as_ref())).await?;
            let question = embedder.embed(vec![mentions.masked()]).await?;
            Result::<_>::Ok(question.first().map(|question| likeness(question, examples)))
        };
        near.await.inspect_err(|error| tracing::warn!(%error, "routing without embeddings")).ok().flatten()
    }
}

async fn embed_examples(embedder: &dyn Embedder) -> Result<Vec<(Intent, Vec<f32>)>> {
    let labelled: Vec<(Intent, &str)> = Intent::ALL
        .into_iter()
        .flat_map(|intent| examples::of(intent).iter().map(move |text| (intent, *text)))
        .collect();
    let vectors = embedder.embed(labelled.iter().map(|(_, text)| (*text).to_owned()).collect()).await?;
    Ok(labelled.into_iter().map(|(intent, _)| intent).zip(vectors).collect())
}

/// For each kind the mean of its two nearest examples.
fn likeness(question: &[f32], examples: &[(Intent, Vec<f32>)]) -> Vec<(Intent, f32)> {
    let of = |intent: Intent| {
        let kin = examples.iter().filter(|(kind, _)| *kind == intent);
        let mut near: Vec<f32> = kin.map(|(_, vector)| inner(question, vector)).collect();
        near.sort_by(|a, b| b.total_cmp(a));
        (intent, near.iter().take(2).sum::<f32>() / 2.0)
    };
    Intent::ALL.into_iter().map(of).collect()
}

fn inner(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn by_likeness(likeness: &[(Intent, f32)], mentions: &Mentions<'_>) -> Intent {
    let nearest = likeness.iter().map(|(_, near)| *near).fold(f32::MIN, f32::max);
    if nearest < THRESHOLD && mentions.is_empty() {
        return Intent::Chat;
    }
    let scored = likeness.iter().map(|(intent, near)| {
        let words = words_for(*intent, mentions).min(3) as f32;
        (*intent, near + WORD_WEIGHT * words + prior(*intent, mentions))
    });
    best(scored)
}

fn by_words(mentions: &Mentions<'_>) -> Intent {
    let scored = Intent::ALL.into_iter().map(|intent| {
        let words = words_for(intent, mentions) as f32;
        let base = if intent == Intent::Chat { 0.5 } else { 0.0 };
        (intent, base + words + 10.0 * prior(intent, mentions))
    });
    best(scored)
}

/// The first of the highest.
fn best(scored: impl Iterator<Item = (Intent, f32)>) -> Intent {
    let first = (Intent::Chat, f32::MIN);
    scored.fold(first, |best, next| if next.1 > best.1 { next } else { best }).0
}

/// How much what was mentioned speaks for a kind, in likeness.
fn prior(intent: Intent, mentions: &Mentions<'_>) -> f32 {
    let has_table = mentions.first(NameKind::Table).is_some();
    let has_collection = mentions.first(NameKind::Collection).is_some();
    let is_named = has_table || has_collection;
    let words: Vec<&str> = mentions.words().iter().map(String::as_str).collect();
    match intent {
        Intent::Query if has_collection && query::is_count(&words) => 0.4,
        Intent::Query if has_collection => 0.05,
        Intent::Query => -0.15,
        Intent::TableDetails if is_named => 0.06,
        Intent::TableDetails => -0.05,
        Intent::Relationships if mentions.two_tables().is_some() => 0.15,
        Intent::Relationships | Intent::Lineage if is_named => 0.03,
        Intent::Chat if is_named => -0.2,
        Intent::Relationships
        | Intent::Lineage
        | Intent::Chat
        | Intent::ListTables
        | Intent::SearchColumns => 0.0,
    }
}

/// How many of the question's words tell of this kind; decisive ones count twice.
fn words_for(intent: Intent, mentions: &Mentions<'_>) -> usize {
    let stems: Vec<String> = mentions.words().iter().map(|word| stem(word)).collect();
    let many = |list: &[&str]| stems.iter().filter(|word| list.contains(&word.as_str())).count();
    many(telling(intent)) + many(decisive(intent))
}

/// Whether one of the question's words tells of this kind.
pub(super) fn is_told(intent: Intent, mentions: &Mentions<'_>) -> bool {
    let words: Vec<&str> = mentions.words().iter().map(String::as_str).collect();
    words_for(intent, mentions) > 0 || (intent == Intent::Query && query::is_count(&words))
}

/// Stems that are hardly ever said in another kind of question.
fn decisive(intent: Intent) -> &'static [&'static str] {
    match intent {
        Intent::TableDetails => &["describe", "grain", "structure"],
        Intent::Relationships => &["related", "relationship", "join", "diagram", "erd"],
        Intent::SearchColumns => &["search", "match", "find"],
        Intent::Lineage => &["lineage", "upstream", "downstream"],
        Intent::Query => &["top"],
        Intent::Chat => &["hello", "joke", "poem", "weather"],
        Intent::ListTables => &[],
    }
}

/// Whether a word tells of this kind of question, rather than naming what it is about.
pub(super) fn is_telling(intent: Intent, word: &str) -> bool {
    telling(intent).contains(&stem(word).as_str())
}

/// Stems.
fn telling(intent: Intent) -> &'static [&'static str] {
    match intent {
        Intent::ListTables => &[
            "table",
            "view",
            "dimension",
            "fact",
            "catalog",
            "catalogue",
            "dataset",
            "warehouse",
            "available",
            "overview",
            "everything",
            "schema",
            "list",
        ],
        Intent::TableDetails => &[
            "describe",
            "detail",
            "structure",
            "column",
            "field",
            "attribute",
            "grain",
            "measure",
            "key",
            "business",
            "explain",
            "contain",
            "definition",
            "meaning",
            "mean",
            "store",
            "granularity",
            "metric",
        ],
        Intent::Relationships => &[
            "relate",
            "related",
            "relation",
            "relationship",
            "join",
            "joined",
            "connect",
            "connected",
            "connection",
            "link",
            "linked",
            "reference",
            "referenced",
            "foreign",
            "diagram",
            "er",
            "erd",
            "associated",
            "belong",
            "tied",
        ],
        Intent::SearchColumns => &[
            "column",
            "field",
            "search",
            "find",
            "named",
            "called",
            "stored",
            "contain",
            "containing",
            "matching",
            "like",
            "ending",
            "starting",
            "name",
            "hold",
            "saved",
            "kept",
        ],
        Intent::Lineage => &[
            "lineage",
            "upstream",
            "downstream",
            "feed",
            "fed",
            "source",
            "origin",
            "originate",
            "derived",
            "depend",
            "dependency",
            "refresh",
            "refreshed",
            "loaded",
            "populated",
            "come",
            "built",
            "updated",
            "impact",
            "break",
        ],
        Intent::Query => &[
            "top", "latest", "newest", "oldest", "largest", "biggest", "highest", "lowest", "smallest",
            "record", "row", "sample", "count", "number", "entry", "cheapest", "recent",
        ],
        Intent::Chat => &[
            "hello", "hi", "hey", "thank", "thanks", "joke", "bye", "goodbye", "morning", "evening",
            "weather", "poem", "you", "please", "sorry", "great", "cool", "sing", "story",
        ],
    }
}
