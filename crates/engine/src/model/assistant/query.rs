//! The arguments of `query_collection`, read from a question: count, how many, in which order, which.

use serde_json::{Map, Value, json};

use super::slots::Mentions;
use super::words::{is_filler, number};

/// How many records are shown unless the question says so.
const LIMIT: u64 = 10;

/// Words that ask for the largest first.
const DESCENDING: &[&str] = &[
    "biggest",
    "descending",
    "greatest",
    "highest",
    "largest",
    "last",
    "latest",
    "longest",
    "most",
    "newest",
    "recent",
    "top",
];
/// Words that ask for the smallest first.
const ASCENDING: &[&str] =
    &["ascending", "cheapest", "earliest", "first", "least", "lowest", "oldest", "shortest", "smallest"];

/// `{collection, count: true, filter?}` or `{collection, limit, sort?, filter?}`.
pub(super) fn arguments(collection: &str, question: &str, mentions: &Mentions<'_>) -> Map<String, Value> {
    let mut arguments = Map::new();
    arguments.insert("collection".into(), json!(collection));
    if let Some(filter) = filter(question) {
        arguments.insert("filter".into(), filter);
    }
    let words: Vec<&str> = mentions.words().iter().map(String::as_str).collect();
    if is_count(&words) {
        arguments.insert("count".into(), json!(true));
        return arguments;
    }
    arguments.insert("limit".into(), json!(limit(&words)));
    if let Some(sort) = sort(&words) {
        arguments.insert("sort".into(), sort);
    }
    arguments
}

/// Whether a number is asked for and not records.
pub(super) fn is_count(words: &[&str]) -> bool {
    let says = |a: &str, b: &str| words.windows(2).any(|pair| pair == [a, b]);
    says("how", "many") || says("number", "of") || words.iter().any(|word| matches!(*word, "count" | "total"))
}

/// "top 5", "five largest", "first 20"; a number after a comparison is not one.
fn limit(words: &[&str]) -> u64 {
    let is_order =
        |word: &&str| is_direction(word) || matches!(*word, "show" | "list" | "sample" | "give" | "me");
    let near_order = words.windows(2).find_map(|pair| match (number(pair[0]), number(pair[1])) {
        (_, Some(limit)) if is_order(&pair[0]) => Some(limit),
        (Some(limit), _) if is_order(&pair[1]) => Some(limit),
        _ => None,
    });
    near_order.unwrap_or(LIMIT).clamp(1, 100)
}

fn is_direction(word: &str) -> bool {
    DESCENDING.contains(&word) || ASCENDING.contains(&word)
}

/// `by amount`, or the word after "highest"; words that name nothing are passed over.
fn sort(words: &[&str]) -> Option<Value> {
    let direction_at = words.iter().position(|word| is_direction(word));
    let field = match words.iter().position(|word| *word == "by") {
        Some(by) => field_after(words, by),
        None => ["with", "having"].iter().find_map(|with| {
            let with = words.iter().position(|word| word == with)?;
            let at = direction_at.filter(|at| *at > with)?;
            field_after(words, at)
        }),
    };
    let is_descending = direction_at.is_some_and(|at| DESCENDING.contains(&words[at]));
    field.map(|field| if is_descending { json!(format!("-{field}")) } else { json!(field) })
}

/// The words after a place up to the next one that names nothing, as a field is spelt.
fn field_after(words: &[&str], at: usize) -> Option<String> {
    let rest = words.get(at + 1..).unwrap_or_default().iter().skip_while(|word| is_filler(word));
    let field: Vec<&str> = rest.take_while(|word| !is_filler(word) && !is_direction(word)).copied().collect();
    (!field.is_empty()).then(|| field.join("_"))
}

/// "where status is open", "with amount over 100", "status = open".
fn filter(question: &str) -> Option<Value> {
    let words: Vec<String> = spread(question).split_whitespace().map(str::to_owned).collect();
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    (1..lower.len().saturating_sub(1)).find_map(|at| {
        let (operator, used) = comparison(&lower[at..])?;
        let field = field_before(&lower, at)?;
        let value = words.get(at + used)?.trim_matches(|c: char| "\"'`.,?!".contains(c));
        (!value.is_empty()).then(|| json!({field: {operator: literal(value)}}))
    })
}

/// Signs stand apart, so that `amount>=5` has three words.
fn spread(question: &str) -> String {
    let mut spread = String::new();
    let mut was_sign = false;
    for c in question.chars() {
        let is_sign = "<>=!".contains(c);
        if is_sign != was_sign {
            spread.push(' ');
        }
        was_sign = is_sign;
        spread.push(c);
    }
    spread
}

/// The operator that these words begin with, and how many they are.
fn comparison(words: &[String]) -> Option<(&'static str, usize)> {
    const COMPARISONS: &[(&[&str], &str)] = &[
        (&["is", "not"], "ne"),
        (&["is", "greater", "than"], "gt"),
        (&["is", "more", "than"], "gt"),
        (&["is", "less", "than"], "lt"),
        (&["is", "above"], "gt"),
        (&["is", "over"], "gt"),
        (&["is", "below"], "lt"),
        (&["is", "under"], "lt"),
        (&["greater", "than"], "gt"),
        (&["more", "than"], "gt"),
        (&["less", "than"], "lt"),
        (&["fewer", "than"], "lt"),
        (&["at", "least"], "gte"),
        (&["at", "most"], "lte"),
        (&["equals"], "eq"),
        (&["contains"], "contains"),
        (&["above"], "gt"),
        (&["over"], "gt"),
        (&["below"], "lt"),
        (&["under"], "lt"),
        (&[">="], "gte"),
        (&["<="], "lte"),
        (&["!="], "ne"),
        (&["=="], "eq"),
        (&["="], "eq"),
        (&[">"], "gt"),
        (&["<"], "lt"),
        (&["is"], "eq"),
    ];
    let fits =
        |pattern: &[&str]| pattern.len() < words.len() && pattern.iter().zip(words).all(|(a, b)| a == b);
    let found = COMPARISONS.iter().find(|(pattern, _)| fits(pattern));
    found.map(|(pattern, operator)| (*operator, pattern.len()))
}

/// The field before a comparison: everything after "where", "with", "whose" or the like, and at least one word.
fn field_before(words: &[String], at: usize) -> Option<String> {
    let opens = |word: &String| matches!(word.as_str(), "where" | "with" | "whose" | "having" | "and" | "if");
    let start = words[..at].iter().rposition(opens)? + 1;
    let field: Vec<&str> =
        words[start..at].iter().map(String::as_str).filter(|word| !is_filler(word)).collect();
    (!field.is_empty()).then(|| field.join("_"))
}

fn literal(value: &str) -> Value {
    if let Ok(number) = value.parse::<i64>() {
        return json!(number);
    }
    if let Ok(number) = value.parse::<f64>() {
        return json!(number);
    }
    match value {
        "true" => json!(true),
        "false" => json!(false),
        text => json!(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(question: &str, expected: Value) {
        let mentions = Mentions::find(question, &[]);
        let mut arguments = arguments("orders", question, &mentions);
        arguments.remove("collection");
        assert_eq!(Value::Object(arguments), expected, "{question}");
    }

    #[test]
    fn questions_become_arguments() {
        check("how many orders are there?", json!({"count": true}));
        check("Top 5 orders by amount", json!({"limit": 5, "sort": "-amount"}));
        check("show me 3 orders", json!({"limit": 3}));
        check(
            "which five orders have the lowest price, sorted by unit price",
            json!({"limit": 10, "sort": "unit_price"}),
        );
        check("orders with the highest amount", json!({"limit": 10, "sort": "-amount"}));
        check(
            "How many orders where status is open?",
            json!({"filter": {"status": {"eq": "open"}}, "count": true}),
        );
        check("orders with amount over 100", json!({"filter": {"amount": {"gt": 100}}, "limit": 10}));
        check("count orders where qty>=2.5", json!({"filter": {"qty": {"gte": 2.5}}, "count": true}));
        check("is there an order?", json!({"limit": 10}));
    }
}
