//! Search by words.
//!
//! FTS5 says which records have the words, best first by its BM25 over all their texts. Of those, each member is
//! scored here by Okapi BM25 (Robertson & Zaragoza 2009, k1 = 1.2, b = 0.75) with its own weight and length, so that members,
//! weights, letter case and phrases count although the index knows none of them. Words that are meant beside the one
//! that was typed (stems, typing errors) come from the index's own vocabulary.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::query::{Body, Projection, TextSearch};

use super::super::{jsonb, records};
use super::vectors::Fields;
use super::words::{self, Alternative, Stems};
use super::{Collection, Found};

/// So many words of a search count.
const MAX_WORDS: usize = 32;
/// So many words of the index stand for one that was typed.
const MAX_ALTERNATIVES: usize = 64;
/// At most so many records are looked at in one step, and at most so many altogether.
const STEP: usize = 1_000;
const MAX_LOOKED_AT: usize = 20_000;

const K1: f64 = 1.2;
const B: f64 = 0.75;
/// What a stem counts beside the word itself.
const STEM: f64 = 0.9;
/// What the exact phrase makes of a member's score.
const PHRASE: f64 = 2.0;

/// A word that was typed.
struct Word {
    /// As it was typed.
    typed: String,
    /// What is meant by it.
    alternatives: Vec<Alternative>,
    /// How telling it is: the logarithm of how rare it is.
    idf: f64,
    /// In about so many records one of the alternatives is.
    spread: i64,
}

/// What is searched for.
struct Request<'a> {
    search: &'a TextSearch,
    words: Vec<Word>,
    /// The whole text, folded, for the phrase.
    phrase: Vec<String>,
}

/// One member of a record with its words.
struct Member<'a> {
    name: &'a str,
    weight: f64,
    /// Each folded, and as it stands there.
    words: Vec<(Cow<'a, str>, &'a str)>,
}

/// So many records are ranked at once, where some of the words alone find enough.
const MAX_RANKED: i64 = 3_000;

/// The records that fit, best first, at most `limit`. Where the words are in very many records, those that have none but
/// the more frequent of them are looked at only if the rarer ones do not find enough.
pub(super) fn find(
    connection: &Connection,
    collection: &Collection,
    search: &TextSearch,
    allowed: Option<&HashSet<i64>>,
    limit: usize,
) -> Result<Vec<Found>> {
    let words = meant(connection, collection, search)?;
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let phrase = words::words(&search.text).map(|(word, _)| word.into_owned()).collect();
    let request = Request { search, words, phrase };
    if let Some(telling) = request.telling() {
        let found = ranked(connection, collection, &request, &telling, allowed, limit)?;
        if found.len() >= limit {
            return Ok(found);
        }
    }
    let all = request.expression(&request.words.iter().collect::<Vec<_>>());
    ranked(connection, collection, &request, &all, allowed, limit)
}

/// The records that FTS5 finds and that fit, best first, at most `limit`.
fn ranked(
    connection: &Connection,
    collection: &Collection,
    request: &Request<'_>,
    expression: &str,
    allowed: Option<&HashSet<i64>>,
    limit: usize,
) -> Result<Vec<Found>> {
    let (mut found, step) = (Vec::new(), step(request.search, limit));
    for skip in (0..MAX_LOOKED_AT).step_by(step) {
        let keys = candidates(connection, collection.key, expression, skip..skip + step)?;
        let is_last = keys.len() < step;
        let keys = keys.into_iter().filter(|key| allowed.is_none_or(|allowed| allowed.contains(key)));
        score(connection, collection, request, keys, &mut found)?;
        if is_last || found.len() >= limit {
            break;
        }
    }
    super::best_first(&mut found);
    found.truncate(limit);
    Ok(found)
}

/// How many records are looked at for those that are wanted: the index's own order is nearly ours where all members
/// count alike, and farther from it where they do not.
fn step(search: &TextSearch, limit: usize) -> usize {
    let is_plain = search.fields.is_empty() && !search.case_sensitive && !search.boost_exact;
    let (times, least) = if is_plain { (2, 80) } else { (20, 200) };
    limit.saturating_mul(times).clamp(least, STEP)
}

/// The records that FTS5 finds in this range of its order, best first.
fn candidates(
    connection: &Connection,
    collection: i64,
    expression: &str,
    range: std::ops::Range<usize>,
) -> Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT rowid FROM search_{collection} WHERE search_{collection} MATCH ? ORDER BY rank, rowid LIMIT ? OFFSET ?"
    ))?;
    let (limit, skip) = (records::limit(range.len()), records::limit(range.start));
    let rows = statement.query_map(params![expression, limit, skip], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Scores records, and appends those that fit.
fn score(
    connection: &Connection,
    collection: &Collection,
    request: &Request<'_>,
    keys: impl Iterator<Item = i64>,
    found: &mut Vec<Found>,
) -> Result<()> {
    let bodies = bodies(connection, collection, keys)?;
    let members: Vec<(i64, Vec<Member<'_>>)> =
        bodies.iter().map(|(key, body)| (*key, members(body, &request.search.fields))).collect();
    let averages = averages(members.iter().flat_map(|(_, list)| list));
    found.extend(members.iter().filter_map(|(key, list)| request.judge(*key, list, &averages)));
    Ok(())
}

/// How many words each member has on average: a title is short beside titles, not beside texts.
fn averages<'a>(members: impl Iterator<Item = &'a Member<'a>>) -> HashMap<&'a str, f64> {
    let mut sums: HashMap<&str, (usize, usize)> = HashMap::new();
    for member in members {
        let (count, total) = sums.entry(member.name).or_default();
        (*count, *total) = (*count + 1, *total + member.words.len());
    }
    let average = |(count, total): (usize, usize)| (total as f64 / count.max(1) as f64).max(1.0);
    sums.into_iter().map(|(name, sum)| (name, average(sum))).collect()
}

/// The records without their vectors, which are long and have no words.
fn bodies(
    connection: &Connection,
    collection: &Collection,
    keys: impl Iterator<Item = i64>,
) -> Result<Vec<(i64, Body)>> {
    let searched = Fields::load(connection, collection.key)?;
    let vectors = searched.names().chain(collection.rules.vectors()).map(str::to_owned).collect();
    let projection = Projection::Without(vectors);
    let mut statement = connection.prepare_cached("SELECT body FROM records WHERE key = ?")?;
    let read = keys.map(|key| {
        let mut rows = statement.query([key])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let body = row.get_ref(0)?.as_blob().map_err(Error::internal)?;
        Ok((key, jsonb::body(body, &projection)?))
    });
    read.collect()
}

impl Request<'_> {
    /// As FTS5 wants it: each word quoted.
    fn expression(&self, words: &[&Word]) -> String {
        let groups = words.iter().map(|word| {
            let terms: Vec<String> = word.alternatives.iter().map(quoted).collect();
            format!("({})", terms.join(" OR "))
        });
        let between = if self.search.prefix { " AND " } else { " OR " };
        groups.collect::<Vec<_>>().join(between)
    }

    /// The same of the rarest words alone, as many as are ranked quickly; `None` if that is all of them.
    fn telling(&self) -> Option<String> {
        let mut words: Vec<&Word> = self.words.iter().filter(|word| word.spread > 0).collect();
        words.sort_by_key(|word| word.spread);
        let mut records = 0;
        let is_ranked = |(place, word): &(usize, &&Word)| {
            records += word.spread;
            *place == 0 || records <= MAX_RANKED
        };
        let count = words.iter().enumerate().take_while(is_ranked).count();
        (!self.search.prefix && count < words.len()).then(|| self.expression(&words[..count]))
    }

    /// How well a record fits; `None` if it does not.
    fn judge(&self, key: i64, members: &[Member<'_>], averages: &HashMap<&str, f64>) -> Option<Found> {
        let mut hit = vec![false; self.words.len()];
        let (mut score, mut fields) = (0.0, Vec::new());
        for member in members {
            let average = averages.get(member.name).copied().unwrap_or(1.0);
            let of_member = self.score(member, average, &mut hit);
            if of_member > 0.0 {
                score += of_member * member.weight;
                fields.push(member.name.to_owned());
            }
        }
        let fits = if self.search.prefix { hit.iter().all(|hit| *hit) } else { !fields.is_empty() };
        fits.then_some(Found { key, score, fields })
    }

    fn score(&self, member: &Member<'_>, average: f64, hit: &mut [bool]) -> f64 {
        let length = B.mul_add(member.words.len() as f64 / average - 1.0, 1.0);
        let mut score = 0.0;
        for (word, hit) in self.words.iter().zip(hit) {
            let often: f64 =
                member.words.iter().map(|(folded, as_is)| self.weight(word, folded, as_is)).sum();
            if often > 0.0 {
                *hit = true;
                score += word.idf * often * (K1 + 1.0) / K1.mul_add(length, often);
            }
        }
        if self.search.boost_exact && score > 0.0 && self.has_phrase(member) { score * PHRASE } else { score }
    }

    /// How much a word of a member counts for a word that was typed.
    fn weight(&self, word: &Word, folded: &str, as_is: &str) -> f64 {
        if self.search.case_sensitive {
            let fits = word.typed == as_is || (self.is_prefix(word) && as_is.starts_with(&word.typed));
            return if fits { 1.0 } else { 0.0 };
        }
        let fits = |meant: &&Alternative| {
            meant.term == folded || (meant.is_prefix && folded.starts_with(meant.term.as_str()))
        };
        word.alternatives.iter().find(fits).map_or(0.0, |meant| meant.weight)
    }

    fn is_prefix(&self, word: &Word) -> bool {
        word.alternatives.iter().any(|meant| meant.is_prefix)
    }

    fn has_phrase(&self, member: &Member<'_>) -> bool {
        let is_here = |window: &[(Cow<'_, str>, &str)]| {
            window.iter().map(|(folded, _)| folded.as_ref()).eq(self.phrase.iter().map(String::as_str))
        };
        !self.phrase.is_empty() && member.words.windows(self.phrase.len()).any(is_here)
    }
}

fn quoted(meant: &Alternative) -> String {
    let star = if meant.is_prefix { "*" } else { "" };
    format!("\"{}\"{star}", meant.term.replace('"', "\"\""))
}

/// The members of a record that are searched, with their words.
fn members<'a>(body: &'a Body, fields: &'a [(String, f64)]) -> Vec<Member<'a>> {
    if fields.is_empty() {
        return body.iter().map(|(name, value)| member(name, value, 1.0)).collect();
    }
    let named = fields.iter().filter_map(|(name, weight)| Some((name, value_at(body, name)?, *weight)));
    named.map(|(name, value, weight)| member(name, value, weight)).collect()
}

fn member<'a>(name: &'a str, value: &'a Value, weight: f64) -> Member<'a> {
    let mut list = Vec::new();
    gather(value, &mut list);
    Member { name, weight, words: list }
}

fn gather<'a>(value: &'a Value, list: &mut Vec<(Cow<'a, str>, &'a str)>) {
    match value {
        Value::String(text) => list.extend(words::words(text)),
        Value::Array(values) => values.iter().for_each(|value| gather(value, list)),
        Value::Object(members) => members.values().for_each(|value| gather(value, list)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A member by its name, or by a path with dots.
pub(super) fn value_at<'a>(body: &'a Body, name: &str) -> Option<&'a Value> {
    if let Some(value) = body.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    rest.split('.').try_fold(body.get(first)?, |value, step| value.get(step))
}

/// What is meant by the words that were typed.
fn meant(connection: &Connection, collection: &Collection, search: &TextSearch) -> Result<Vec<Word>> {
    let typed: Vec<(String, String)> = words::words(&search.text)
        .take(MAX_WORDS)
        .map(|(folded, as_is)| (folded.into_owned(), as_is.to_owned()))
        .collect();
    let vocabulary = Vocabulary { connection, collection };
    let last = typed.len().saturating_sub(1);
    let words = typed.into_iter().enumerate().map(|(place, (folded, as_is))| {
        let alternatives = vocabulary.alternatives(&folded, search, search.prefix && place == last)?;
        let (idf, spread) = vocabulary.rarity(&alternatives)?;
        Ok(Word { typed: as_is, alternatives, idf, spread })
    });
    words.collect()
}

/// The words of a collection's index.
struct Vocabulary<'a> {
    connection: &'a Connection,
    collection: &'a Collection,
}

impl Vocabulary<'_> {
    fn alternatives(&self, word: &str, search: &TextSearch, is_prefix: bool) -> Result<Vec<Alternative>> {
        let mut meant: HashMap<String, f64> = HashMap::new();
        if search.stemming {
            self.add_stems(word, &mut meant)?;
        }
        let edits = words::edits_allowed(word, search.max_edits);
        if edits > 0 {
            self.add_near(word, edits, &mut meant)?;
        }
        meant.remove(word);
        let mut list: Vec<Alternative> =
            meant.into_iter().map(|(term, weight)| Alternative { term, weight, is_prefix: false }).collect();
        list.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.term.cmp(&b.term)));
        list.truncate(MAX_ALTERNATIVES);
        list.insert(0, Alternative { term: word.to_owned(), weight: 1.0, is_prefix });
        Ok(list)
    }

    /// Words with the same stem. They share its beginning, so only these are read.
    fn add_stems(&self, word: &str, meant: &mut HashMap<String, f64>) -> Result<()> {
        let Some(stems) = Stems::of(&self.collection.language) else { return Ok(()) };
        let stem = stems.stem(word).into_owned();
        // A stem may end otherwise than its words (`happy`, `happi`): its beginning is looked for.
        let begin: String = stem.chars().take(stem.chars().count().saturating_sub(1).max(1)).collect();
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT term FROM search_{}_words WHERE term >= ?1 AND term < ?1 || char(1114111)",
            self.collection.key
        ))?;
        let mut rows = statement.query([&begin])?;
        while let Some(row) = rows.next()? {
            let term: String = row.get(0)?;
            if stems.stem(&term) == stem {
                meant.insert(term, STEM);
            }
        }
        Ok(())
    }

    fn add_near(&self, word: &str, most: usize, meant: &mut HashMap<String, f64>) -> Result<()> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT term FROM search_{}_words", self.collection.key))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let term = row.get_ref(0)?.as_str().unwrap_or_default();
            if let Some(edits) = words::edits(word, term, most) {
                let weight = 1.0 / (1.0 + edits as f64);
                let known = meant.entry(term.to_owned()).or_insert(weight);
                *known = known.max(weight);
            }
        }
        Ok(())
    }

    /// Okapi's inverse document frequency, never negative, and in about how many records one of these words is. A
    /// beginning counts as rare as its own word.
    fn rarity(&self, alternatives: &[Alternative]) -> Result<(f64, i64)> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT doc FROM search_{}_words WHERE term = ?",
            self.collection.key
        ))?;
        let (mut most, mut spread) = (0_i64, 0_i64);
        for meant in alternatives {
            let found: Option<i64> = statement.query_row([&meant.term], |row| row.get(0)).optional()?;
            most = most.max(found.unwrap_or(0));
            spread += found.unwrap_or(0);
        }
        let (all, having) = (self.collection.count as f64, most as f64);
        Ok(((1.0 + (all - having + 0.5).max(0.5) / (having + 0.5)).ln(), spread))
    }
}
