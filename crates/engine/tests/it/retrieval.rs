//! Retrieval over a real store, with an embedder whose vectors are plain to see.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use tidewire_engine::agent::SharedRecords;
use tidewire_engine::agent::retrieval::*;
use tidewire_engine::collections::Desk;
use tidewire_engine::edit::Edit;
use tidewire_engine::id::ManualClock;
use tidewire_engine::identity::{Grant, Grants};
use tidewire_engine::model::{Embedder, Status};
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::{Code, Error, Identity, RecordId, Result, Timestamp};

/// A text's vector counts some words: texts that share them are near.
struct Counting;

const COUNTED: [&str; 6] = ["socket", "cat", "kitten", "proxy", "table", "answer"];

fn counted(text: &str) -> Vec<f32> {
    let text = text.to_lowercase();
    let meaning = COUNTED.map(|word| text.matches(word).count() as f32);
    // A kitten is a cat.
    vec![meaning[0], meaning[1] + meaning[2], meaning[3], meaning[4], meaning[5]]
}

#[async_trait]
impl Embedder for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| counted(text)).collect())
    }

    fn status(&self) -> Status {
        Status::Ready
    }
}

/// It always fails.
struct Broken;

#[async_trait]
impl Embedder for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    async fn embed(&self, _: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Err(Error::unavailable("it cannot work"))
    }

    fn status(&self) -> Status {
        Status::Ready
    }
}

const TEXTS: [(&str, &str, &str); 5] = [
    ("guide.md", "Sockets", "A socket that is idle for a minute is closed. Send a ping to keep it."),
    ("guide.md", "Proxies", "Put a TLS proxy in front. Its idle timeout is longer than ours."),
    ("pets.md", "Kittens", "A kitten sleeps most of the day. It drinks milk."),
    ("pets.md", "Dogs", "A dog is walked twice a day."),
    ("pets.md", "Furniture", "The table has four legs."),
];

async fn desk(collection: &str) -> Arc<Desk> {
    let desk = Desk::new(Arc::new(Sqlite::in_memory().unwrap()), Arc::new(ManualClock::new(Timestamp(0))));
    fill(&desk, collection).await;
    Arc::new(desk)
}

async fn fill(desk: &Desk, collection: &str) {
    let edit = |(number, (document, section, text)): (usize, &(&str, &str, &str))| Edit::Insert {
        id: Some(RecordId(format!("{document}-{number:05}"))),
        body: body(json!({
            "document": document, "title": document, "source": document, "section": section, "page": number + 1,
            "text": text, "embedding": counted(text),
        })),
        ttl: None,
    };
    let edits = TEXTS.iter().enumerate().map(edit).collect();
    desk.edit(&Identity::local(), collection, edits, true).await.unwrap();
}

fn body(value: Value) -> tidewire_engine::query::Body {
    value.as_object().unwrap().clone()
}

fn retriever(desk: &Arc<Desk>) -> Retriever {
    Retriever::new(Arc::clone(desk) as SharedRecords, Some(Arc::new(Counting)))
}

async fn found(retriever: &Retriever, question: &str, breadth: Breadth) -> Vec<String> {
    let passages = retriever.retrieve(&Identity::local(), question, breadth).await.unwrap();
    assert!(passages.iter().all(|passage| (0.0..=1.0).contains(&passage.score)));
    assert!(passages.is_sorted_by(|a, b| a.score >= b.score));
    passages.into_iter().filter_map(|passage| passage.section).collect()
}

#[tokio::test]
async fn words_and_meaning_find_passages() {
    let retriever = retriever(&desk(DOCUMENTS).await);
    assert_eq!(found(&retriever, "What does a cat drink?", Breadth::Narrow).await[0], "Kittens");
    assert_eq!(found(&retriever, "How long may a socket be idle?", Breadth::Narrow).await[0], "Sockets");
    let words = retriever.clone().by(Ways::Words);
    assert_eq!(found(&words, "feline cat", Breadth::Narrow).await, Vec::<String>::new());
    let nearness = retriever.by(Ways::Nearness);
    assert_eq!(found(&nearness, "feline cat", Breadth::Narrow).await, ["Kittens"]);
}

#[tokio::test]
async fn a_widening_forgives_typing_errors() {
    let retriever = retriever(&desk(DOCUMENTS).await);
    assert_eq!(found(&retriever, "furnitrue", Breadth::Narrow).await, Vec::<String>::new());
    assert_eq!(found(&retriever, "furnitrue", Breadth::Wide).await, ["Furniture"]);
}

#[tokio::test]
async fn nothing_fits_is_an_answer() {
    let retriever = retriever(&desk(DOCUMENTS).await);
    for question in ["quantum chromodynamics", "", "   ", "?!", "\u{0}", "\"", "NEAR(a, b) OR *"] {
        assert_eq!(found(&retriever, question, Breadth::Narrow).await, Vec::<String>::new(), "{question:?}");
    }
    let empty = Desk::new(Arc::new(Sqlite::in_memory().unwrap()), Arc::new(ManualClock::new(Timestamp(0))));
    let retriever = Retriever::new(Arc::new(empty), None);
    assert_eq!(found(&retriever, "socket", Breadth::Wide).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_question_of_megabytes_is_looked_at_in_part() {
    let retriever = retriever(&desk(DOCUMENTS).await);
    let question = format!("idle socket {}", "ä ".repeat(5_000_000));
    assert_eq!(found(&retriever, &question, Breadth::Narrow).await[0], "Sockets");
}

#[tokio::test]
async fn an_embedder_that_fails_leaves_the_words() {
    let desk = desk(DOCUMENTS).await;
    let retriever = Retriever::new(desk, Some(Arc::new(Broken)));
    assert_eq!(found(&retriever, "idle socket", Breadth::Narrow).await[0], "Sockets");
}

#[tokio::test]
async fn vectors_of_another_model_leave_the_words() {
    let desk = desk(DOCUMENTS).await;
    let odd = Edit::Insert { id: None, body: body(json!({"text": "idle", "embedding": [1.0]})), ttl: None };
    desk.edit(&Identity::local(), "odd", vec![odd], true).await.unwrap();
    let names = vec![String::from("odd")];
    let found =
        retriever(&desk).retrieve_in(&Identity::local(), &names, "idle", Breadth::Narrow).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn who_may_not_read_a_collection_gets_nothing_out_of_it() {
    let desk = desk(DOCUMENTS).await;
    let grant = |collection: &str| Grant { collection: collection.into(), write: false };
    let of = |grants| Identity { key: None, subject: "ann".into(), grants: Grants::Collections(grants) };
    let retriever = retriever(&desk);
    for identity in [of(vec![]), of(vec![grant("others")])] {
        for breadth in [Breadth::Narrow, Breadth::Wide] {
            let found = retriever.retrieve(&identity, "idle socket", breadth).await.unwrap();
            assert_eq!(found, []);
        }
        let named = vec![DOCUMENTS.to_owned()];
        let error = retriever.retrieve_in(&identity, &named, "socket", Breadth::Narrow).await.unwrap_err();
        assert_eq!(error.code, Code::Forbidden);
    }
    let reader = of(vec![grant(DOCUMENTS)]);
    assert!(!retriever.retrieve(&reader, "idle socket", Breadth::Narrow).await.unwrap().is_empty());
}

fn passage(section: &str, text: &str, score: f64) -> Passage {
    Passage {
        collection: DOCUMENTS.into(),
        record: RecordId(section.into()),
        document: "a.md".into(),
        title: "A".into(),
        source: "a.md".into(),
        url: None,
        section: Some(section.into()),
        page: Some(3),
        text: text.into(),
        score,
    }
}

#[test]
fn reranking_prefers_what_is_asked_and_repeats_nothing() {
    let twice = "The proxy closes idle sockets after a minute.";
    let passages = vec![
        passage("Weather", "It rains.", 0.6),
        passage("Idle", twice, 0.85),
        passage("Idle again", twice, 0.84),
        passage("Proxy settings", "The idle time of the proxy is a setting.", 0.8),
    ];
    let best = rerank("When does the proxy close an idle socket?", passages, 2);
    let sections: Vec<_> = best.iter().filter_map(Passage::heading).collect();
    assert_eq!(sections, ["Idle", "Proxy settings"]);
    assert!(best.is_sorted_by(|a, b| a.score >= b.score) && best[0].score <= 1.0);
    assert_eq!(rerank("anything", Vec::new(), 5), []);
}

#[test]
fn a_quotation_names_its_passages() {
    let passages = [
        passage("Idle", "Sockets are cheap. An idle socket is closed after a minute. Tea is hot.", 0.9),
        passage("Proxy", "A proxy may close an idle socket sooner.\nAsk its owner.", 0.5),
    ];
    let answer = quote("When is an idle socket closed?", &passages);
    assert!(answer.contains("> An idle socket is closed after a minute. [1]"), "{answer}");
    assert!(answer.contains("[2]") && !answer.contains("Tea"), "{answer}");
    assert_eq!(unknown_citations(&answer, passages.len()), []);
    assert!(quote("Why?", &[]).contains("nothing"));
}

#[test]
fn sources_show_where_the_answer_stands() {
    let passages = [passage("Idle", "Öl ist teuer. An idle socket is closed after a minute.", 0.9)];
    let sources = sources("When is an idle socket closed?", &passages);
    let source = &sources[0];
    let marked: Vec<&str> = source.highlights.iter().map(|range| &source.passage[range.clone()]).collect();
    assert!(marked.contains(&"An idle socket is closed after a minute."), "{marked:?}");
    assert_eq!(source.section.as_deref(), Some("Idle, page 3"));
    assert_eq!(source.record, Some((DOCUMENTS.into(), RecordId("Idle".into()))));
}

#[test]
fn sources_are_bounded_whatever_the_passages_are() {
    let long = "ä".repeat(100_000);
    let passages: Vec<Passage> = (0..40)
        .map(|_| Passage { title: long.clone(), source: long.clone(), ..passage("Idle", &long, 7.0) })
        .collect();
    let sources = sources("ä", &passages);
    let bytes = |source: &tidewire_engine::event::Source| {
        source.title.len() + source.source.len() + source.passage.len()
    };
    assert!(sources.iter().map(bytes).sum::<usize>() <= MAX_SOURCES);
    assert!(sources.iter().all(|source| source.score <= 1.0 && !source.passage.is_empty()));
}

async fn put(desk: &Desk, id: &str, members: Value) {
    let edit = Edit::Insert { id: Some(RecordId(id.to_owned())), body: body(members), ttl: None };
    desk.edit(&Identity::local(), DOCUMENTS, vec![edit], true).await.unwrap();
}

#[tokio::test]
async fn a_passage_is_as_near_as_its_nearest_sentence() {
    let desk = desk(DOCUMENTS).await;
    for (number, section) in ["Zoo", "Shelter"].into_iter().enumerate() {
        let sentence =
            if section == "Shelter" { [0.0, 1.0, 0.0, 0.0, 0.0] } else { [1.0, 0.0, 1.0, 0.0, 1.0] };
        let parts = [packed(&sentence), packed(&[1.0; 5])].concat();
        let members = json!({
            "document": section, "section": section, "text": format!("About many things, {number}."),
            "embedding": [1, 2, 1, 1, 1], "parts": parts,
        });
        put(&desk, section, members).await;
    }
    let nearness = retriever(&desk).by(Ways::Nearness);
    assert_eq!(found(&nearness, "kitten", Breadth::Narrow).await, ["Kittens", "Shelter", "Zoo"]);
}

#[tokio::test]
async fn a_passage_comes_with_its_neighbours_of_the_section() {
    let desk = desk(DOCUMENTS).await;
    let lines = [
        ("Before", "Elsewhere."),
        ("Cut", "First."),
        ("Cut", "A cat."),
        ("Cut", "Last."),
        ("After", "Not this."),
    ];
    for (number, (section, text)) in lines.into_iter().enumerate() {
        let members =
            json!({"document": "long.md", "section": section, "text": text, "embedding": counted(text)});
        put(&desk, &format!("long.md-{number:05}"), members).await;
    }
    let found = retriever(&desk).retrieve(&Identity::local(), "A cat", Breadth::Narrow).await.unwrap();
    let cut: Vec<_> = found.iter().filter(|passage| passage.document == "long.md").collect();
    assert_eq!(cut.len(), 1, "neighbours are not shown again");
    assert_eq!((cut[0].text.as_str(), cut[0].record.0.as_str()), ("First.\nA cat.\nLast.", "long.md-00002"));
}

#[tokio::test]
async fn what_is_near_to_everything_comes_after_what_is_not() {
    let desk = desk(DOCUMENTS).await;
    let passage = |document: &str, section: String, text: &str| json!({"document": document, "section": section, "text": text, "embedding": counted(text)});
    let order = async || {
        let found = retriever(&desk).retrieve(&Identity::local(), "socket", Breadth::Narrow).await.unwrap();
        let of_both =
            found.into_iter().filter(|passage| ["a.md", "b.md"].contains(&passage.document.as_str()));
        of_both.map(|passage| passage.document).collect::<Vec<_>>()
    };
    put(&desk, "a.md-00000", passage("a.md", "One".into(), "cat socket table")).await;
    put(&desk, "b.md-00000", passage("b.md", "One".into(), "answer socket proxy")).await;
    assert_eq!(order().await, ["a.md", "b.md"], "both are as near, and nothing is known of the others");
    for number in 0..120 {
        let text = "A cat on a table.";
        let section = format!("Part {number}");
        put(&desk, &format!("many.md-{number:05}"), passage("many.md", section, text)).await;
    }
    assert_eq!(order().await, ["b.md", "a.md"], "the first is near to all that came");
}
