//! Slots: which names a question mentions, and the arguments that a tool gets from them.

use serde_json::{Map, Value, json};

use super::words::{is_filler, is_near, stem, tokens};
use super::{Intent, query};
use crate::model::{Message, Name, NameKind, Request};

/// A name in the question, and where it stands among its words.
#[derive(Debug, Clone, Copy)]
struct Mention<'a> {
    name: &'a Name,
    from: usize,
    to: usize,
}

/// What a question mentions, in the order of its words.
#[derive(Debug, Default)]
pub(super) struct Mentions<'a> {
    words: Vec<String>,
    found: Vec<Mention<'a>>,
}

/// So many bytes of a question are looked at. What comes behind them is material, and reading it would take the longer
/// the more names are in it.
const LOOKED_AT: usize = 8_000;

fn words_of(question: &str) -> Vec<String> {
    tokens(&question[..question.floor_char_boundary(LOOKED_AT)])
}

impl<'a> Mentions<'a> {
    /// Finds names by the words that people have for them. A longer name hides a shorter one in it; what is only
    /// near is taken where nothing is exact.
    pub(super) fn find(question: &str, names: &'a [Name]) -> Self {
        let exact = Self::exact(question, names);
        if !exact.is_empty() {
            return exact;
        }
        let words = words_of(question);
        let found = all(&stems(&words), names, is_near);
        Self::of_longest(words, found)
    }

    /// The same without what is only near.
    pub(super) fn exact(question: &str, names: &'a [Name]) -> Self {
        let words = words_of(question);
        let found = all(&stems(&words), names, |a, b| a == b);
        Self::of_longest(words, found)
    }

    fn of_longest(words: Vec<String>, mut found: Vec<Mention<'a>>) -> Self {
        found.sort_by_key(|mention| (std::cmp::Reverse(mention.to - mention.from), mention.from));
        let mut kept: Vec<Mention<'a>> = Vec::new();
        for mention in found {
            let is_hidden = |other: &Mention<'_>| {
                overlaps(other, &mention) && (other.from, other.to) != (mention.from, mention.to)
            };
            if !kept.iter().any(is_hidden) {
                kept.push(mention);
            }
        }
        kept.sort_by_key(|mention| mention.from);
        Self { words, found: kept }
    }

    /// The question's words.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether nothing is mentioned.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The first name of this kind.
    pub(super) fn first(&self, kind: NameKind) -> Option<&'a Name> {
        self.of(kind).next().map(|mention| mention.name)
    }

    /// The full names of two different tables, in the order in which they are mentioned.
    pub(super) fn two_tables(&self) -> Option<(String, String)> {
        let first = self.of(NameKind::Table).next()?;
        let second = self.of(NameKind::Table).find(|mention| mention.from >= first.to)?;
        (first.name.name != second.name.name).then(|| (first.name.name.clone(), second.name.name.clone()))
    }

    /// The question with a stand-in for each table and collection, because how it is asked tells more about its kind
    /// than what it asks about.
    pub(super) fn masked(&self) -> String {
        let mut masked = Vec::new();
        for (at, word) in self.words.iter().enumerate() {
            match self.found.iter().find(|mention| mention.from <= at && at < mention.to) {
                Some(mention) if mention.from == at => masked.push(stand_in(mention.name.kind)),
                Some(_) => {}
                None => masked.push(word),
            }
        }
        masked.join(" ")
    }

    /// Words that name something, of which we do not know what.
    pub(super) fn unknown(&self, is_known: impl Fn(&str) -> bool) -> Vec<&str> {
        let is_covered = |at: usize| self.found.iter().any(|mention| mention.from <= at && at < mention.to);
        let words = self.words.iter().enumerate().filter(|(at, _)| !is_covered(*at));
        words.map(|(_, word)| word.as_str()).filter(|word| !is_filler(word) && !is_known(word)).collect()
    }

    fn of(&self, kind: NameKind) -> impl Iterator<Item = &Mention<'a>> {
        self.found.iter().filter(move |mention| mention.name.kind == kind)
    }
}

fn stems(words: &[String]) -> Vec<String> {
    words.iter().map(|word| stem(word)).collect()
}

fn stand_in(kind: NameKind) -> &'static str {
    match kind {
        NameKind::Table => "orders",
        NameKind::Collection => "orders",
        NameKind::Schema => "mart",
    }
}

fn overlaps(a: &Mention<'_>, b: &Mention<'_>) -> bool {
    a.from < b.to && b.from < a.to
}

fn all<'a>(stems: &[String], names: &'a [Name], fits: impl Fn(&str, &str) -> bool) -> Vec<Mention<'a>> {
    let longest = |name: &'a Name| {
        let places = name.words.iter().flat_map(|phrase| places(stems, phrase, &fits));
        places.max_by_key(|(from, to)| (to - from, std::cmp::Reverse(*from)))
    };
    let mentions = names.iter().filter_map(|name| longest(name).map(|(from, to)| Mention { name, from, to }));
    mentions.collect()
}

/// Where a phrase stands in the question, as ranges of words.
fn places(stems: &[String], phrase: &str, fits: impl Fn(&str, &str) -> bool) -> Vec<(usize, usize)> {
    let wanted: Vec<String> = tokens(phrase).iter().map(|word| stem(word)).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let windows = stems.windows(wanted.len()).enumerate();
    let fitting = windows.filter(|(_, window)| window.iter().zip(&wanted).all(|(a, b)| fits(a, b)));
    fitting.map(|(from, window)| (from, from + window.len())).collect()
}

/// The tool's arguments, or `None` where the question does not say enough.
pub(super) fn arguments(
    intent: Intent,
    question: &str,
    mentions: &Mentions<'_>,
    request: &Request,
) -> Option<Value> {
    match intent {
        Intent::ListTables => Some(match mentions.first(NameKind::Schema) {
            Some(schema) => json!({"schema": schema.name}),
            None => json!({}),
        }),
        Intent::TableDetails | Intent::Relationships | Intent::Lineage => {
            table(intent, mentions, request).map(|table| json!({"table_name": table}))
        }
        Intent::SearchColumns => pattern(question, mentions).map(|pattern| json!({"pattern": pattern})),
        Intent::Query => collection(mentions, request)
            .map(|collection| Value::Object(query::arguments(&collection, question, mentions))),
        Intent::Chat => Some(Value::Object(Map::new())),
    }
}

/// What to say when a question wants a name and has none.
pub(super) fn ask_back(intent: Intent) -> String {
    let text = match intent {
        Intent::Query => {
            "Which collection do you mean? Say its name, for example: \"How many orders are there?\""
        }
        Intent::SearchColumns => {
            "Which columns are you looking for? Say a part of their name, for example: \"Find columns with price\""
        }
        Intent::ListTables
        | Intent::TableDetails
        | Intent::Relationships
        | Intent::Lineage
        | Intent::Chat => "Which table do you mean? Say its name, or ask me to show all tables",
    };
    format!("{text}.")
}

/// The table that the question means: named, unknown but named, or the one that was spoken of before.
fn table(intent: Intent, mentions: &Mentions<'_>, request: &Request) -> Option<String> {
    if let Some(table) = mentions.first(NameKind::Table) {
        return Some(table.name.clone());
    }
    if let Some(collection) = mentions.first(NameKind::Collection) {
        return Some(collection.name.clone());
    }
    let unknown = mentions.unknown(|word| super::route::is_telling(intent, word));
    if !unknown.is_empty() {
        return Some(unknown.join(" "));
    }
    spoken_of(request, "table_name")
}

fn collection(mentions: &Mentions<'_>, request: &Request) -> Option<String> {
    let named = mentions.first(NameKind::Collection).or_else(|| mentions.first(NameKind::Table));
    named.map(|name| name.name.clone()).or_else(|| spoken_of(request, "collection"))
}

/// What an earlier call of this conversation was about: "and its columns?" means that.
fn spoken_of(request: &Request, argument: &str) -> Option<String> {
    let calls = request.messages.iter().rev().filter_map(|message| match message {
        Message::Assistant { calls, .. } => Some(calls),
        Message::User(_) | Message::Tool { .. } => None,
    });
    calls.flatten().find_map(|call| call.arguments.get(argument)?.as_str().map(str::to_owned))
}

/// What to look for in columns' names: what is quoted or has a wildcard or an underscore, else the last word that
/// names something.
fn pattern(question: &str, mentions: &Mentions<'_>) -> Option<String> {
    if let Some(quoted) = quoted(question) {
        return Some(quoted);
    }
    let written = question.split_whitespace().map(|word| word.trim_matches(|c: char| ",.?!;:()".contains(c)));
    if let Some(word) = written.clone().find(|word| word.contains(['*', '_', '%']) && word.len() > 1) {
        return Some(word.replace('%', "*"));
    }
    let unknown = mentions.unknown(|word| super::route::is_telling(Intent::SearchColumns, word));
    let last = unknown.last().map(|word| stem(word));
    last.or_else(|| {
        let named = mentions.found.last()?;
        mentions.words.get(named.to - 1).map(|word| stem(word))
    })
}

/// What stands between quotation marks. An apostrophe within a word opens nothing.
pub(super) fn quoted(question: &str) -> Option<String> {
    let starts = question.char_indices().filter(|(at, c)| is_opening(*c) && begins_word(question, *at));
    starts.into_iter().find_map(|(at, open)| {
        let rest = &question[at + open.len_utf8()..];
        let (inside, _) = rest.split_once(if open == '“' { '”' } else { open })?;
        (!inside.trim().is_empty()).then(|| inside.trim().to_owned())
    })
}

fn is_opening(c: char) -> bool {
    ['"', '\'', '`', '“'].contains(&c)
}

fn begins_word(text: &str, at: usize) -> bool {
    text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric())
}
