//! What a run's model reasons while it answers: kept with the answer's end, because the deltas are not.

use crate::event::{AgentEvent, Answer};

/// So many bytes of it are kept; more is shown while it comes.
const KEPT_MAX: usize = 256 * 1024;

/// A run's reasoning, so far.
#[derive(Default)]
pub(crate) struct Reasoning {
    text: String,
    /// Something else came after it.
    paused: bool,
}

impl Reasoning {
    /// What an earlier process heard of it.
    pub(crate) fn left(text: &str) -> Self {
        let mut reasoning = Self { paused: true, ..Self::default() };
        reasoning.take(text);
        reasoning
    }

    /// Takes in what an event adds. Where reasoning goes on after something else, such as a step or a tool call, the
    /// event begins a new paragraph.
    pub(crate) fn note(&mut self, event: &mut AgentEvent) {
        let AgentEvent::ReasoningDelta { text } = event else {
            self.paused = true;
            return;
        };
        if self.paused && !self.text.is_empty() {
            text.insert_str(0, "\n\n");
        }
        self.paused = false;
        self.take(text);
    }

    /// Appends a delta as it is.
    pub(crate) fn take(&mut self, delta: &str) {
        let room = KEPT_MAX.saturating_sub(self.text.len());
        self.text.push_str(&delta[..delta.floor_char_boundary(room)]);
    }

    /// All that is kept of it, if there is any.
    pub(crate) fn whole(&self) -> Option<String> {
        (!self.text.is_empty()).then(|| self.text.clone())
    }

    /// Puts it into an event that is an end.
    pub(crate) fn complete(&self, event: &mut AgentEvent) {
        if let Some(Answer { reasoning, .. }) = event.answer_mut() {
            *reasoning = self.whole();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thought(text: &str) -> AgentEvent {
        AgentEvent::ReasoningDelta { text: text.into() }
    }

    fn told(reasoning: &mut Reasoning, mut event: AgentEvent) -> Option<String> {
        reasoning.note(&mut event);
        match event {
            AgentEvent::ReasoningDelta { text } => Some(text),
            _ => None,
        }
    }

    #[test]
    fn what_goes_on_after_a_step_is_a_paragraph_of_its_own() {
        let mut reasoning = Reasoning::default();
        assert_eq!(told(&mut reasoning, AgentEvent::RunStarted), None);
        assert_eq!(told(&mut reasoning, thought("First")).unwrap(), "First");
        assert_eq!(told(&mut reasoning, thought(" this")).unwrap(), " this");
        assert_eq!(told(&mut reasoning, AgentEvent::Step { name: "rerank".into() }), None);
        assert_eq!(told(&mut reasoning, thought("Then")).unwrap(), "\n\nThen");
        assert_eq!(reasoning.whole().unwrap(), "First this\n\nThen");
    }

    #[test]
    fn an_end_carries_it_and_so_much_of_it_is_kept() {
        let mut reasoning = Reasoning::default();
        let mut end = AgentEvent::RunStopped { answer: Answer::default(), usage: Default::default() };
        reasoning.complete(&mut end);
        assert_eq!(end.answer_mut().unwrap().reasoning, None);
        reasoning.take(&"ü".repeat(KEPT_MAX));
        reasoning.complete(&mut end);
        assert_eq!(end.answer_mut().unwrap().reasoning.as_ref().unwrap().len(), KEPT_MAX);
        reasoning.take("more");
        assert_eq!(reasoning.whole().unwrap().len(), KEPT_MAX);
    }
}
