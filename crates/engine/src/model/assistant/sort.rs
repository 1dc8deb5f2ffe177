//! Sorting questions before anybody is asked: small talk, and questions about the data that there is.

use std::sync::Arc;

use super::route::Router;
use super::slots::Mentions;
use super::words::{stem, tokens};
use super::{Embedder, Intent};
use crate::model::{Name, NameKind};

/// Small talk has no more words than this.
const TALK_WORDS: usize = 9;

/// Words of which small talk is made.
const TALK: [&str; 74] = [
    "hello",
    "hi",
    "hey",
    "hallo",
    "servus",
    "moin",
    "greetings",
    "good",
    "guten",
    "morning",
    "morgen",
    "evening",
    "abend",
    "day",
    "tag",
    "afternoon",
    "night",
    "nacht",
    "thanks",
    "thank",
    "thx",
    "danke",
    "cheers",
    "bye",
    "goodbye",
    "tschüss",
    "ciao",
    "see",
    "you",
    "later",
    "how",
    "are",
    "is",
    "it",
    "going",
    "wie",
    "geht",
    "s",
    "dir",
    "ok",
    "okay",
    "great",
    "nice",
    "cool",
    "super",
    "perfect",
    "please",
    "sorry",
    "yes",
    "no",
    "ja",
    "nein",
    "very",
    "much",
    "a",
    "lot",
    "so",
    "for",
    "the",
    "help",
    "that",
    "was",
    "there",
    "who",
    "what",
    "can",
    "do",
    "your",
    "name",
    "sehr",
    "vielen",
    "dank",
    "everyone",
    "again",
];

/// Words that small talk has at least one of.
const TALKATIVE: [&str; 38] = [
    "hello",
    "hi",
    "hey",
    "hallo",
    "servus",
    "moin",
    "greetings",
    "morning",
    "morgen",
    "evening",
    "abend",
    "afternoon",
    "night",
    "nacht",
    "thanks",
    "thank",
    "thx",
    "danke",
    "dank",
    "cheers",
    "bye",
    "goodbye",
    "tschüss",
    "ciao",
    "ok",
    "okay",
    "great",
    "nice",
    "cool",
    "super",
    "perfect",
    "sorry",
    "yes",
    "no",
    "ja",
    "nein",
    "you",
    "geht",
];

/// What only a catalogue has, as stems. Documents speak of such things too, so that one of them alone says something
/// only where there are tables.
const CATALOG: [&str; 10] = [
    "table",
    "column",
    "schema",
    "lineage",
    "catalog",
    "catalogue",
    "erd",
    "upstream",
    "downstream",
    "dimension",
];

/// Whether somebody only says something kind: nothing has to be looked up for it.
pub fn is_small_talk(text: &str) -> bool {
    let words = tokens(text);
    let all = |list: &[&str]| words.iter().all(|word| list.contains(&word.as_str()));
    let any = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    words.len() <= TALK_WORDS && all(&TALK) && any(&TALKATIVE)
}

/// Tells questions about tables and records from others, as the assistant's own router does.
pub struct Sorter {
    router: Router,
}

impl Sorter {
    /// By words, and by nearness to examples as soon as the embedder is ready.
    pub fn new(embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self { router: Router::new(embedder) }
    }

    /// Whether a question is about these names or what holds them: it names a table or a collection and asks for what
    /// a catalogue or a query tells, or it asks of tables and columns where there are tables.
    pub async fn is_about_data(&self, question: &str, names: &[Name]) -> bool {
        if names.is_empty() {
            return false;
        }
        let mentions = Mentions::exact(question, names);
        let is_named =
            mentions.first(NameKind::Table).is_some() || mentions.first(NameKind::Collection).is_some();
        let has_tables = names.iter().any(|name| name.kind == NameKind::Table);
        let speaks_of_tables = mentions.words().iter().any(|word| CATALOG.contains(&stem(word).as_str()));
        let may_be = is_named || (has_tables && speaks_of_tables);
        if !may_be {
            return false;
        }
        let intent = self.router.route(&mentions).await;
        intent != Intent::Chat && (speaks_of_tables || super::route::is_told(intent, &mentions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: NameKind, name: &str, words: &[&str]) -> Name {
        Name { kind, name: name.into(), words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    #[test]
    fn kindness_is_small_talk_and_a_question_is_not() {
        for kind in [
            "Hello!",
            "hi there",
            "Thank you very much",
            "Good morning",
            "Vielen Dank!",
            "ok, thanks",
            "How are you?",
        ] {
            assert!(is_small_talk(kind), "{kind}");
        }
        for question in
            ["How are watches resumed?", "Hello, which port is used?", "What is it?", "no tables?", ""]
        {
            assert!(!is_small_talk(question), "{question}");
        }
    }

    #[tokio::test]
    async fn a_question_about_data_names_it_or_speaks_of_tables() {
        let names = [
            name(NameKind::Table, "mart.factv_purchase_order", &["purchase orders", "purchase order"]),
            name(NameKind::Collection, "orders", &["orders", "order"]),
        ];
        let sorter = Sorter::new(None);
        for about in [
            "How are purchase orders related to suppliers?",
            "Which tables are there?",
            "How many orders are there?",
            "Describe the purchase order table",
        ] {
            assert!(sorter.is_about_data(about, &names).await, "{about}");
            assert!(!sorter.is_about_data(about, &[]).await, "there is no data: {about}");
        }
        for other in [
            "How long are change logs kept?",
            "In which order are events delivered?",
            "How is a key revoked?",
        ] {
            assert!(!sorter.is_about_data(other, &names).await, "{other}");
        }
        let records = [name(NameKind::Collection, "teas", &["teas", "tea"])];
        assert!(!sorter.is_about_data("Which tables are there?", &records).await, "there are no tables");
    }
}
