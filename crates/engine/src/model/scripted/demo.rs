//! The script behind `model = "scripted"`: a show without any model, and the load of the benchmarks.

use std::time::Duration;

use serde_json::json;

use super::{Script, ScriptedModel};

/// How long a word takes to be said.
const PACE: Duration = Duration::from_millis(20);

/// No answer is longer, whatever a question asks for.
const MAX_TOKENS: u64 = 100_000;

pub(super) fn model() -> ScriptedModel {
    ScriptedModel::new()
        .reading(echo)
        .reading(tokens)
        .reading(numbers)
        .reading(relationships)
        .reading(tables)
        .after(
            "list_tables",
            say("These are the tables of the catalogue; the list beside this has them all."),
        )
        .after("find_relationships", say("The diagram shows which columns lead from one table to the other."))
        .otherwise(say("I am a script: I can list tables, show relationships, and count tokens."))
}

fn say(text: &str) -> Script {
    Script::new().pace(PACE).words(text)
}

/// "say …": exactly that, so that a page can be shown whatever a model might say.
fn echo(question: &str) -> Option<Script> {
    question.strip_prefix("say ").map(|words| Script::new().words(words))
}

fn relationships(question: &str) -> Option<Script> {
    let arguments = json!({"table_name": "purchase orders"});
    question.to_lowercase().contains("relat").then(|| Script::new().call("find_relationships", arguments))
}

fn tables(question: &str) -> Option<Script> {
    question.to_lowercase().contains("table").then(|| Script::new().call("list_tables", json!({})))
}

/// "200 tokens" at full speed, "200 tokens every 20 ms" at that pace.
fn tokens(question: &str) -> Option<Script> {
    let (count, every) = counted(question, "tokens")?;
    Some(Script::new().tokens(count, every))
}

/// "200 numbers every 20 ms": "1 2 3 …", so that a reader sees what is missing.
fn numbers(question: &str) -> Option<Script> {
    let (count, every) = counted(question, "numbers")?;
    Some((1..=count).fold(Script::new().pace(every), |script, number| script.text(format!("{number} "))))
}

/// How many of what, and how often.
fn counted(question: &str, what: &str) -> Option<(u64, Duration)> {
    let mut words = question.split_whitespace();
    let count = words.next()?.parse::<u64>().ok()?.min(MAX_TOKENS);
    if !words.next()?.eq_ignore_ascii_case(what) {
        return None;
    }
    let every =
        words.find_map(|word| word.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok()).unwrap_or(0);
    Some((count, Duration::from_millis(every)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_in_order() {
        let shown = format!("{:?}", numbers("3 numbers every 5 ms"));
        let place = |number: &str| shown.find(&format!("\"{number} \"")).unwrap();
        assert!(place("1") < place("2") && place("2") < place("3") && shown.contains("5ms"), "{shown}");
        assert!(numbers("3 tokens").is_none());
    }

    #[test]
    fn what_is_to_be_said_is_said_to_the_letter() {
        let shown = format!("{:?}", echo("say <b>7</b> tables"));
        assert!(shown.contains("<b>7</b>"), "{shown}");
        assert!(echo("what do you say").is_none());
    }

    #[test]
    fn tokens_are_counted_out() {
        let shown = |question: &str| format!("{:?}", tokens(question));
        assert!(shown("200 tokens").contains("count: 200, every: 0ns"));
        assert!(shown("200 tokens every 20 ms").contains("count: 200, every: 20ms"));
        assert!(shown("200 tokens every 5ms, please").contains("count: 200, every: 5ms"));
        assert!(shown("99999999 tokens").contains("count: 100000,"));
        assert_eq!(shown("how many tokens"), "None");
        assert_eq!(shown("200"), "None");
    }
}
