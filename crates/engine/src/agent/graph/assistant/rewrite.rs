//! `rewrite`: the question as it can be understood without what was said before.

use async_trait::async_trait;

use crate::agent::graph::{Stage, State, Work};
use crate::error::Result;
use crate::model::{Message, Request};

/// So many messages are shown to the model that rewrites.
const SHOWN: usize = 6;
/// A rewritten question is no longer than this, in bytes; a longer one is no question.
const LONGEST: usize = 600;
/// Questions with so few words seldom stand alone in the middle of a conversation.
const FEW_WORDS: usize = 4;

/// Words that point at what was said before.
const POINTING: [&str; 28] = [
    "it", "its", "they", "them", "their", "that", "this", "those", "these", "he", "him", "his", "she", "her",
    "one", "ones", "same", "else", "more", "es", "sie", "ihn", "ihr", "das", "dies", "diese", "davon",
    "dazu",
];
/// How a question begins that goes on with the one before.
const GOING_ON: [&str; 9] = ["and", "or", "but", "so", "then", "what about", "how about", "why", "und"];

const INSTRUCTIONS: &str = "Rewrite the last question so that it can be understood without the conversation before it: \
     put in what its words refer to. Keep its language and its meaning, add nothing. Answer with the question alone.";

/// Makes a question that refers to what was said before stand alone.
///
/// A model that writes freely does it; where there is none, or it fails, a question that points back takes the words of
/// the question before it along.
pub struct Rewrite;

#[async_trait]
impl Work for Rewrite {
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        let messages = stage.messages();
        let before = messages.split_last().map(|(_, before)| before).unwrap_or_default();
        state.search = by_rules(before, &state.question);
        if before.is_empty() || !stage.model().writes_freely() {
            return Ok(());
        }
        let shown = messages[messages.len().saturating_sub(SHOWN)..].to_vec();
        let request = Request {
            system: INSTRUCTIONS.to_owned(),
            messages: shown,
            max_tokens: Some(160),
            temperature: Some(0.0),
            ..Request::default()
        };
        let written = stage.ask(request).await?;
        let written = written.trim();
        if !written.is_empty() && written.len() <= LONGEST {
            state.search = written.to_owned();
        }
        Ok(())
    }
}

/// The question, with the one before it where it points back.
fn by_rules(before: &[Message], question: &str) -> String {
    let last = before.iter().rev().find_map(|message| match message {
        Message::User(text) => Some(text.trim()),
        Message::Assistant { .. } | Message::Tool { .. } => None,
    });
    match last {
        Some(last) if points_back(question) => format!("{last} {}", question.trim()),
        _ => question.trim().to_owned(),
    }
}

fn points_back(question: &str) -> bool {
    let lower = question.trim().to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let begins = |phrase: &&str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.starts_with(&phrase)
    };
    words.len() <= FEW_WORDS
        || words.iter().any(|word| POINTING.contains(word))
        || GOING_ON.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(question: &str, expected: &str) {
        let before = [
            Message::User("How long are change logs kept?".into()),
            Message::Assistant { text: "Seven days.".into(), calls: Vec::new() },
        ];
        assert_eq!(by_rules(&before, question), expected);
        assert_eq!(by_rules(&[], question), question.trim(), "nothing was said before");
    }

    #[test]
    fn a_question_that_points_back_takes_the_one_before_along() {
        check("and how large?", "How long are change logs kept? and how large?");
        check(
            "Can it be configured per collection?",
            "How long are change logs kept? Can it be configured per collection?",
        );
        check("Why?", "How long are change logs kept? Why?");
    }

    #[test]
    fn a_question_that_stands_alone_stays_as_it_is() {
        check(
            "Which port does the server listen on by default?",
            "Which port does the server listen on by default?",
        );
    }
}
