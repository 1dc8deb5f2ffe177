//! Text deltas from servers that send the whole text so far instead.
//!
//! Most servers are known by their second delta, and nothing waits. If the second one begins with the first, it is
//! held until the third says which kind of server it is.

/// Turns either kind into deltas.
#[derive(Debug, Default)]
pub(super) struct Deltas {
    seen: String,
    kind: Kind,
}

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Unknown,
    /// The second delta, which begins with the first.
    Suspect(String),
    Deltas,
    Cumulative,
}

/// A repetition shorter than this is language ("ha", "haha") rather than a cumulative server, if nothing follows it.
const TELLING: usize = 4;

impl Deltas {
    /// What this delta adds; empty if it is held or adds nothing.
    pub(super) fn add(&mut self, delta: String) -> String {
        match std::mem::take(&mut self.kind) {
            Kind::Deltas => {
                self.kind = Kind::Deltas;
                delta
            }
            Kind::Unknown => self.first_two(delta),
            Kind::Suspect(held) => self.third(held, delta),
            Kind::Cumulative => {
                self.kind = Kind::Cumulative;
                self.grow(delta)
            }
        }
    }

    /// What is still held at the end.
    pub(super) fn finish(&mut self) -> String {
        match std::mem::take(&mut self.kind) {
            Kind::Suspect(held) if self.seen.len() >= TELLING => self.grow(held),
            Kind::Suspect(held) => held,
            Kind::Unknown | Kind::Deltas | Kind::Cumulative => String::new(),
        }
    }

    fn first_two(&mut self, delta: String) -> String {
        if self.seen.is_empty() {
            self.seen.push_str(&delta);
            return delta;
        }
        if delta.len() > self.seen.len() && delta.starts_with(&self.seen) {
            self.kind = Kind::Suspect(delta);
            return String::new();
        }
        self.kind = Kind::Deltas;
        delta
    }

    fn third(&mut self, held: String, delta: String) -> String {
        if delta.starts_with(&held) {
            self.kind = Kind::Cumulative;
            return self.grow(held) + &self.grow(delta);
        }
        self.kind = Kind::Deltas;
        held + &delta
    }

    /// The part of a whole text that is new. A text that does not go on from what was seen is a delta after all.
    fn grow(&mut self, whole: String) -> String {
        match whole.strip_prefix(&self.seen) {
            Some(new) => {
                let new = new.to_owned();
                self.seen = whole;
                new
            }
            None => {
                self.seen.push_str(&whole);
                whole
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(deltas: &[&str], expected: &str) {
        let mut normal = Deltas::default();
        let mut text: String = deltas.iter().map(|delta| normal.add((*delta).to_owned())).collect();
        text.push_str(&normal.finish());
        assert_eq!(text, expected);
    }

    #[test]
    fn deltas_stay_and_cumulative_text_is_taken_apart() {
        check(&["Hel", "lo", " there"], "Hello there");
        check(&["Hel", "Hello", "Hello there"], "Hello there");
        check(&["Hel", "Hello", "Hello", "Hello there"], "Hello there");
        check(&["ha", "haha", "!"], "hahaha!");
        check(&["ha", "haha"], "hahaha");
        check(&["1", "1", "1"], "111");
        check(&["Here", "Here are"], "Here are");
        check(&["Here are", "Here are", "x"], "Here areHere arex");
        check(&[], "");
    }
}
