//! What the canvas should do after an answer, and how sure we are.

use super::words::tokens;
use crate::event::{CanvasAction, CanvasTrigger, CanvasView};

/// What a question asks to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// How tables hang together.
    Relations,
    /// Which tables there are.
    Tables,
    /// Nothing of that.
    Nothing,
}

/// What the question asks to see, by its words.
pub(super) fn wish(question: &str) -> Wish {
    let words = tokens(question);
    let has = |starts: &[&str]| words.iter().any(|word| starts.iter().any(|start| word.starts_with(start)));
    let is = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let relations = ["relat", "diagram", "connect", "foreign", "associat"];
    if has(&relations) || is(&["join", "joins", "joined", "link", "links", "linked", "er", "erd"]) {
        return Wish::Relations;
    }
    let asks = is(&["list", "show", "display", "which", "what", "all", "give", "available"]);
    if asks && is(&["tables", "views", "facts", "dimensions", "catalog", "catalogue"]) {
        return Wish::Tables;
    }
    Wish::Nothing
}

/// Whether a text speaks of both facts and dimensions.
pub(super) fn speaks_of_a_star(text: &str) -> bool {
    // Most answers do not, and looking at each of their words costs more than all else that is done with them.
    if !contains(text, "fact") || !contains(text, "dimension") {
        return false;
    }
    let words = tokens(text);
    let speaks = |of: [&str; 2]| words.iter().any(|word| of.contains(&word.as_str()));
    speaks(["fact", "facts"]) && speaks(["dimension", "dimensions"])
}

/// Whether these letters are in a text, in whatever case.
fn contains(text: &str, letters: &str) -> bool {
    let (text, letters) = (text.as_bytes(), letters.as_bytes());
    text.windows(letters.len()).any(|window| window.eq_ignore_ascii_case(letters))
}

/// What an answer has brought that the canvas could show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Brought {
    /// An entity-relationship diagram.
    pub(super) diagram: bool,
    /// The tables were listed, or nothing else was looked up.
    pub(super) tables: bool,
}

/// What the canvas should do. Nothing is offered that the answer did not bring.
pub(super) fn trigger(
    question: &str,
    answer: &str,
    entity: Option<&str>,
    brought: Brought,
) -> Option<CanvasTrigger> {
    let (view, confidence, reason) = match wish(question) {
        Wish::Relations if brought.diagram => {
            (CanvasView::ErDiagram, 0.85, "The question is about how tables hang together")
        }
        Wish::Tables if brought.tables => {
            (CanvasView::TableList, 0.75, "The question is about which tables there are")
        }
        Wish::Relations | Wish::Tables | Wish::Nothing if brought.diagram && speaks_of_a_star(answer) => {
            (CanvasView::ErDiagram, 0.65, "The answer speaks of facts and dimensions")
        }
        Wish::Relations | Wish::Tables | Wish::Nothing => return None,
    };
    Some(CanvasTrigger {
        action: CanvasAction::SwitchView,
        view: Some(view),
        entity_name: entity.map(str::to_owned),
        query: Some(question.to_owned()),
        reason: reason.to_owned(),
        confidence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_decides_and_else_the_answer() {
        let star = "Two facts and three dimensions.";
        for (question, answer, drawn, expected) in [
            ("How are orders related to suppliers?", "", true, Some((CanvasView::ErDiagram, 0.85))),
            ("Draw a diagram of all tables", "", true, Some((CanvasView::ErDiagram, 0.85))),
            ("What connects them?", "", true, Some((CanvasView::ErDiagram, 0.85))),
            ("How are orders related to the moon?", "", false, None),
            ("Show me all tables", star, true, Some((CanvasView::TableList, 0.75))),
            ("list tables", "", false, Some((CanvasView::TableList, 0.75))),
            ("Describe orders", star, true, Some((CanvasView::ErDiagram, 0.65))),
            ("Describe orders", star, false, None),
            ("Describe orders", "FactOrders and its Dimension", true, Some((CanvasView::ErDiagram, 0.65))),
            ("Describe orders", "Artefacts of the fourth dimension.", true, None),
            ("Describe orders", "An artefact.", true, None),
            ("What is in the table orders?", "", false, None),
            ("Which tables depend on orders?", "", false, None),
            ("hello", "Hello", false, None),
        ] {
            let brought = Brought { diagram: drawn, tables: question != "Which tables depend on orders?" };
            let found = trigger(question, answer, None, brought).map(|t| (t.view.unwrap(), t.confidence));
            assert_eq!(found, expected, "{question}");
        }
    }
}
