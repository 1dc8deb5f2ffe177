//! The words that people have for tables and collections, and which table they mean.
//!
//! `factv_purchase_order` is "purchase orders" in a question. Exact names win, then words, and what is only near is
//! offered, never taken.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{self, Table};
use crate::query::CollectionInfo;

/// Prefixes that say what a table is and not what it is about.
const PREFIXES: [&str; 12] =
    ["factv_", "fact_", "fct_", "f_", "dimv_", "dim_", "d_", "repv_", "view_", "vw_", "v_", "stg_"];

/// What people may call a table, lowercase, most telling first.
pub(super) fn table_words(table: &Table) -> Vec<String> {
    let label = table.label.as_deref().map(str::to_lowercase);
    let labels = label.iter().flat_map(|label| plural_and_singular(label));
    let names = plural_and_singular(&spoken(strip_prefix(&table.name)));
    let exact = [table.name.to_lowercase(), table.full_name.to_lowercase()];
    unique(label.clone().into_iter().chain(labels).chain(names).chain(exact))
}

/// The name without the prefix that only says what kind of table it is.
fn strip_prefix(name: &str) -> &str {
    let matches =
        |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let rest = PREFIXES.iter().find(|prefix| matches(prefix)).and_then(|prefix| name.get(prefix.len()..));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(name)
}

/// A name as it is spoken: words in lowercase with single spaces between them.
pub(super) fn spoken(name: &str) -> String {
    tokens(name).join(" ")
}

/// The words in a name or a sentence, lowercase; `purchaseOrder` has two.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut before = ' ';
    for c in text.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase()) {
            tokens.push(String::new());
        }
        if c.is_alphanumeric() {
            tokens.last_mut().into_iter().for_each(|token| token.extend(c.to_lowercase()));
        }
        before = c;
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

/// What people call a table, in a sentence: `purchase orders`.
pub(super) fn spoken_table(table: &Table) -> String {
    table_words(table).into_iter().next().unwrap_or_else(|| table.name.clone())
}

/// What people call a collection, in a sentence.
pub(super) fn spoken_name(collection: &str) -> String {
    let [plural, _] = plural_and_singular(&spoken(collection));
    if plural.is_empty() { collection.to_owned() } else { plural }
}

/// What was found under a name.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// The table.
    Table(&'a Table),
    /// No one table: those that may be meant, best first, at most five.
    Near(Vec<&'a Table>),
}

impl<'a> Found<'a> {
    pub(super) fn table(&self) -> Option<&'a Table> {
        match self {
            Self::Table(table) => Some(table),
            Self::Near(_) => None,
        }
    }
}

/// Finds a table by its full name, its name, or the words that people have for it, without regard to case.
pub(super) fn find<'a>(tables: &'a [Table], asked: &str) -> Found<'a> {
    let asked = asked.trim().trim_matches(['"', '`', '\'']);
    let exact = tables.iter().find(|table| table.full_name.eq_ignore_ascii_case(asked));
    if let Some(table) = exact {
        return Found::Table(table);
    }
    let lower = asked.to_lowercase();
    let same_name: Vec<_> = tables.iter().filter(|table| table.name.to_lowercase() == lower).collect();
    let spoken = spoken(asked);
    let same_words =
        || tables.iter().filter(|table| table_words(table).contains(&spoken)).collect::<Vec<_>>();
    let same = if same_name.is_empty() { same_words() } else { same_name };
    match same.as_slice() {
        [] => Found::Near(near_tables(tables, asked)),
        [one] => Found::Table(one),
        several => Found::Near(several.iter().copied().take(5).collect()),
    }
}

fn near_tables<'a>(tables: &'a [Table], asked: &str) -> Vec<&'a Table> {
    let name = asked.rsplit('.').next().unwrap_or(asked);
    let similarity =
        |table: &Table| similarity(&table.name, name).max(similarity(strip_prefix(&table.name), name));
    best(tables.iter().map(|table| (similarity(table), table)))
}

/// The names that may be meant, best first, at most five.
pub(super) fn near<'a>(names: impl Iterator<Item = &'a str>, asked: &str) -> Vec<&'a str> {
    best(names.map(|name| (similarity(name, asked), name)))
}

/// Finds a collection by its name or its words, without regard to case; a described one by its full name too.
pub(super) fn find_collection<'a>(collections: &'a [CollectionInfo], asked: &str) -> Option<&'a str> {
    let asked = asked.trim();
    let asked = asked
        .strip_prefix(catalog::COLLECTIONS_SCHEMA)
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or(asked);
    let mut names = collections.iter().map(|info| info.name.as_str());
    let spoken = spoken(asked);
    let same_words = |name: &&str| plural_and_singular(&self::spoken(name)).contains(&spoken);
    let exact = names.clone().find(|name| *name == asked);
    exact
        .or_else(|| names.clone().find(|name| name.eq_ignore_ascii_case(asked)))
        .or_else(|| names.find(same_words))
}

/// The tables that a text speaks of, in its order. The longest words win: "purchase orders" is not "orders".
pub(super) fn mentioned<'a>(tables: &'a [Table], text: &str) -> Vec<&'a Table> {
    let mut phrases: BTreeMap<Vec<String>, &Table> = BTreeMap::new();
    for table in tables {
        for words in table_words(table) {
            phrases.entry(stems(&words)).or_insert(table);
        }
    }
    let text = stems(text);
    let (mut at, mut found) = (0, Vec::<&Table>::new());
    while at < text.len() {
        let longest = (1..=8.min(text.len() - at)).rev();
        let hit = longest.filter_map(|length| Some((length, *phrases.get(&text[at..at + length])?))).next();
        found.extend(hit.map(|(_, table)| table).filter(|table| !found.contains(table)));
        at += hit.map_or(1, |(length, _)| length);
    }
    found
}

fn stems(text: &str) -> Vec<String> {
    tokens(text).iter().map(|token| singular(token)).collect()
}

/// Those that are similar enough, best first, at most five.
fn best<T>(scored: impl Iterator<Item = (f64, T)>) -> Vec<T> {
    let mut scored: Vec<_> = scored.filter(|(score, _)| *score >= 0.5).collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().take(5).map(|(_, item)| item).collect()
}

/// 0 to 1: how many words two names share, or how few characters differ, whichever says more.
fn similarity(a: &str, b: &str) -> f64 {
    let (a, b) = (stems(a), stems(b));
    let shared = a.iter().filter(|token| b.contains(token)).count();
    let by_words = 2.0 * shared as f64 / (a.len() + b.len()).max(1) as f64;
    let (a, b) = (a.join("_"), b.join("_"));
    let longest = a.chars().count().max(b.chars().count()).max(1);
    by_words.max(1.0 - distance(&a, &b) as f64 / longest as f64)
}

/// How many characters must be added, removed or replaced to come from one text to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

pub(super) fn plural_and_singular(words: &str) -> [String; 2] {
    [plural(words), singular(words)]
}

/// English, and regular, because table names are.
fn plural(words: &str) -> String {
    let sibilant = ["s", "x", "ch", "sh"].iter().any(|end| words.ends_with(end));
    match words.strip_suffix('y') {
        _ if words.is_empty() || singular(words) != words => words.to_owned(),
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if sibilant => format!("{words}es"),
        _ => format!("{words}s"),
    }
}

/// The singular of the last word; what is none stays.
pub(super) fn singular(words: &str) -> String {
    if let Some(stem) = words.strip_suffix("ies").filter(|stem| stem.len() > 2) {
        return format!("{stem}y");
    }
    let sibilant = ["sses", "xes", "ches", "shes"].iter().any(|end| words.ends_with(end));
    if let Some(stem) = words.strip_suffix("es").filter(|_| sibilant) {
        return stem.to_owned();
    }
    let keeps = ["ss", "us", "is"].iter().any(|end| words.ends_with(end));
    words.strip_suffix('s').filter(|stem| !keeps && stem.len() > 2).unwrap_or(words).to_owned()
}

pub(super) fn unique(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    words.into_iter().filter(|word| !word.is_empty() && seen.insert(word.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(name: &str) -> Vec<String> {
        let body = serde_json::json!({"name": name, "schema": "m"});
        table_words(&Table::read(body.as_object().unwrap()).unwrap())
    }

    #[test]
    fn a_table_is_called_by_its_words_and_by_its_names() {
        assert_eq!(
            words("factv_purchase_order"),
            ["purchase orders", "purchase order", "factv_purchase_order", "m.factv_purchase_order"]
        );
        assert_eq!(words("DimDate")[..2], ["dim dates", "dim date"]);
        assert_eq!(words("factv_")[0], "factvs");
        assert_eq!(words("💥"), ["💥", "m.💥"]);
    }

    #[test]
    fn plurals_are_regular_english() {
        for (one, many) in [
            ("delivery", "deliveries"),
            ("purchase order", "purchase orders"),
            ("business", "businesses"),
            ("day", "days"),
            ("batch", "batches"),
            ("status", "statuses"),
        ] {
            assert_eq!(plural(one), many);
            if one != "status" {
                assert_eq!(singular(many), one);
            }
            assert_eq!(singular(one), one);
        }
    }
}
