//! Passages as a client sees them.

use super::passage::Passage;
use super::quote::highlights;
use super::words::beginning;
use crate::event::Source;

/// What an answer's sources have together at most, in bytes of text.
pub const MAX_SOURCES: usize = 16 << 10;
/// An answer has at most so many sources.
const MOST: usize = 10;
/// The longest title, path, address or section that is shown, in bytes.
const NAME: usize = 200;

/// The passages as sources, in their order; source `n` is the one that the mark `[n]` names. Together they have at
/// most [`MAX_SOURCES`] bytes of text: long passages lose their ends.
pub fn sources(question: &str, passages: &[Passage]) -> Vec<Source> {
    let kept = &passages[..passages.len().min(MOST)];
    let named: Vec<Source> = kept.iter().map(named).collect();
    let names: usize = named.iter().map(size).sum();
    let room = MAX_SOURCES.saturating_sub(names) / kept.len().max(1);
    let pairs = kept.iter().zip(named);
    pairs.map(|(passage, source)| with_passage(question, passage, source, room)).collect()
}

/// The source without its passage.
fn named(passage: &Passage) -> Source {
    let name = |text: &str| beginning(text, NAME).to_owned();
    let page = passage.page.map(|page| format!("page {page}"));
    let section = passage.section.as_deref().map(name);
    Source {
        id: passage.record.0.clone(),
        title: name(&passage.title),
        source: name(&passage.source),
        url: passage.url.clone().filter(|url| url.len() <= NAME),
        score: passage.score.clamp(0.0, 1.0),
        record: Some((passage.collection.clone(), passage.record.clone())),
        section: match (section, page) {
            (Some(section), Some(page)) => Some(format!("{section}, {page}")),
            (section, page) => section.or(page),
        },
        ..Source::default()
    }
}

fn with_passage(question: &str, passage: &Passage, source: Source, room: usize) -> Source {
    let text = beginning(&passage.text, room).to_owned();
    let shown = Passage { text, ..passage.clone() };
    Source { highlights: highlights(question, &shown), passage: shown.text, ..source }
}

/// The bytes of its texts.
fn size(source: &Source) -> usize {
    let record = source.record.as_ref().map_or(0, |(collection, id)| collection.len() + id.0.len());
    let optional = [&source.url, &source.section].into_iter().flatten().map(String::len).sum::<usize>();
    source.id.len() + source.title.len() + source.source.len() + record + optional + source.passage.len()
}
