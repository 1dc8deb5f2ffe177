//! Those outside whom a run asks something: a client that does a call of its own tools, a person who must agree to a
//! call.
//!
//! The agent opens a place for a call before it tells of it, and waits there. Whoever answers takes the place under one
//! lock, so of two answers one wins and the other hears that nobody waits any more. A place goes when its time is over,
//! when its run is stopped, and when it was answered. What it was asked for is therefore done at most once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::conversation::ToolAnswer;
use crate::id::{Clock, Timestamp};
use crate::identity::Subject;

/// How long those outside have for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// A client, for a call of its own tools. Its word that it still works lets the time begin anew.
    pub client: Duration,
    /// A person, to agree to a call.
    pub person: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { client: Duration::from_secs(60), person: Duration::from_secs(300) }
    }
}

/// The calls of one run that wait for somebody outside.
pub struct Outside {
    clock: Arc<dyn Clock>,
    waits: Waits,
    places: Mutex<HashMap<String, Place>>,
}

/// Where one call waits.
struct Place {
    until: Instant,
    limit: Duration,
    asked: Asked,
}

enum Asked {
    Client(oneshot::Sender<Result<Value, String>>),
    Person(oneshot::Sender<Decision>),
    /// A decision that is not in the log yet.
    Record(oneshot::Sender<()>),
    /// The word that a call is made, which is not in the log yet.
    CallRecord(oneshot::Sender<()>),
}

/// What became of a question whether a call may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) approved: bool,
    pub(super) by: Subject,
}

/// A place that is waited at. Dropping it gives the place up.
pub(super) struct Wait<'a, T> {
    outside: &'a Outside,
    call_id: Cow<'a, str>,
    answer: oneshot::Receiver<T>,
    /// Until when it can be answered.
    pub(super) expires_at: Timestamp,
}

impl Outside {
    /// Nobody is asked yet.
    pub fn new(clock: Arc<dyn Clock>, waits: Waits) -> Self {
        Self { clock, waits, places: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a place for a call of a client's tool.
    pub(super) fn ask_client<'a>(&'a self, call_id: &'a str) -> Wait<'a, Result<Value, String>> {
        self.open(call_id, self.waits.client, Asked::Client)
    }

    /// Opens a place for a call that a person must agree to.
    pub(super) fn ask_person<'a>(&'a self, call_id: &'a str) -> Wait<'a, Decision> {
        self.open(call_id, self.waits.person, Asked::Person)
    }

    /// Opens a place for the word that a decision is in the log. It comes by itself or the run ends, so there is no
    /// hurry.
    pub(super) fn ask_for_record<'a>(&'a self, call_id: &'a str) -> Wait<'a, ()> {
        self.open(call_id, Duration::from_secs(24 * 60 * 60), Asked::Record)
    }

    /// Opens a place for the word that it is in the log that a call is made.
    pub(super) fn ask_for_call_record<'a>(&'a self, call_id: &'a str) -> Wait<'a, ()> {
        self.open(call_id, Duration::from_secs(24 * 60 * 60), Asked::CallRecord)
    }

    /// Opens a place for the word that it is in the log that a step is begun.
    pub(super) fn ask_for_step_record(&self, step: &str) -> Wait<'_, ()> {
        self.open(step_place(step), Duration::from_secs(24 * 60 * 60), Asked::CallRecord)
    }

    fn open<'a, T>(
        &'a self,
        call_id: impl Into<Cow<'a, str>>,
        limit: Duration,
        asked: impl FnOnce(oneshot::Sender<T>) -> Asked,
    ) -> Wait<'a, T> {
        let call_id = call_id.into();
        let (sender, answer) = oneshot::channel();
        let place = Place { until: Instant::now() + limit, limit, asked: asked(sender) };
        self.lock().insert(call_id.clone().into_owned(), place);
        let micros = i64::try_from(limit.as_micros()).unwrap_or(i64::MAX);
        let expires_at = Timestamp(self.clock.now().0.saturating_add(micros));
        Wait { outside: self, call_id, answer, expires_at }
    }

    /// A client's word on a call. On one that waits for a person it agrees or refuses; see [`agrees`]. Whether somebody
    /// waited for it.
    pub fn answer(&self, call_id: &str, answer: ToolAnswer, by: &Subject) -> bool {
        let mut places = self.lock();
        let Some(place) = places.get_mut(call_id) else { return false };
        if place.until <= Instant::now() {
            return false;
        }
        match (&place.asked, &answer) {
            (Asked::Record(_) | Asked::CallRecord(_), _) => return false,
            (Asked::Client(_) | Asked::Person(_), ToolAnswer::Working) => {
                place.until = Instant::now() + place.limit;
                return true;
            }
            (Asked::Client(_) | Asked::Person(_), ToolAnswer::Result(_) | ToolAnswer::Failed(_)) => {}
        }
        let Some(place) = places.remove(call_id) else { return false };
        drop(places);
        match place.asked {
            Asked::Client(waiter) => waiter.send(outcome(answer)).is_ok(),
            Asked::Person(waiter) => {
                waiter.send(Decision { approved: agrees(&answer), by: by.clone() }).is_ok()
            }
            Asked::Record(_) | Asked::CallRecord(_) => false,
        }
    }

    /// A person's word on a call that waits for one. Whether it still waited.
    pub fn decide(&self, call_id: &str, approved: bool, by: &Subject) -> bool {
        let waits_for_a_person =
            matches!(self.lock().get(call_id), Some(Place { asked: Asked::Person(_), .. }));
        waits_for_a_person && self.answer(call_id, ToolAnswer::Result(Value::Bool(approved)), by)
    }

    /// The decision about this call is in the log; the call may be done now.
    pub fn recorded(&self, call_id: &str) {
        self.release(call_id, |asked| match asked {
            Asked::Record(waiter) => Ok(waiter),
            other => Err(other),
        });
    }

    /// It is in the log that this call is made; it may be done now, unless somebody must agree to it.
    pub fn recorded_call(&self, call_id: &str) {
        self.release(call_id, |asked| match asked {
            Asked::CallRecord(waiter) => Ok(waiter),
            other => Err(other),
        });
    }

    /// It is in the log that a step is begun.
    pub fn recorded_step(&self, step: &str) {
        self.recorded_call(&step_place(step));
    }

    /// Lets one go on that waits for the log, if it waits for this.
    fn release(&self, call_id: &str, waits: impl FnOnce(Asked) -> Result<oneshot::Sender<()>, Asked>) {
        let mut places = self.lock();
        let Some((id, place)) = places.remove_entry(call_id) else { return };
        match waits(place.asked) {
            // A run that was stopped waits no longer.
            Ok(waiter) => _ = waiter.send(()),
            Err(asked) => _ = places.insert(id, Place { asked, ..place }),
        }
    }
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").field("waiting", &self.lock().len()).finish()
    }
}

impl<T> Wait<'_, T> {
    /// The answer; `None` when the time was over first.
    pub(super) async fn wait(mut self) -> Option<T> {
        loop {
            let until = self.outside.lock().get(&*self.call_id).map(|place| place.until);
            let Some(until) = until else { return (&mut self.answer).await.ok() };
            tokio::select! {
                biased;
                answer = &mut self.answer => return answer.ok(),
                () = sleep_until(until) => if self.outside.expire(&self.call_id) {
                    return None;
                },
            }
        }
    }
}

impl Outside {
    /// Takes a place whose time is over. Whether it was; it may have been renewed or answered in the last moment.
    fn expire(&self, call_id: &str) -> bool {
        let mut places = self.lock();
        let over = places.get(call_id).is_some_and(|place| place.until <= Instant::now());
        if over {
            places.remove(call_id);
        }
        over
    }
}

impl<T> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        self.answer.close();
        // An answer that has taken the place has removed it already.
        self.outside.lock().remove(&*self.call_id);
    }
}

/// A name that no call has: ids of calls are not empty and begin with what a model or we write.
fn step_place(step: &str) -> String {
    format!("\0step {step}")
}

fn outcome(answer: ToolAnswer) -> Result<Value, String> {
    match answer {
        ToolAnswer::Result(value) => Ok(value),
        ToolAnswer::Failed(why) => Err(why),
        ToolAnswer::Working => Ok(Value::Null), // renews the place and never comes here
    }
}

/// Whether an answer that a client gives to a question for a person agrees. Success without a result does; a result
/// that is `false`, zero or empty, or says so in its member `approved`, does not.
pub(super) fn agrees(answer: &ToolAnswer) -> bool {
    match answer {
        ToolAnswer::Result(Value::Object(members)) => members.get("approved").is_none_or(is_truthy),
        ToolAnswer::Result(value) => is_truthy(value),
        ToolAnswer::Failed(_) | ToolAnswer::Working => false,
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Null | Value::Array(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ManualClock;
    use proptest::prelude::*;
    use serde_json::json;

    fn outside() -> Outside {
        Outside::new(Arc::new(ManualClock::new(Timestamp(1_000_000))), Waits::default())
    }

    fn ann() -> Subject {
        "ann".into()
    }

    fn done() -> ToolAnswer {
        ToolAnswer::Result(json!({"done": true}))
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_wins_and_the_second_hears_it() {
        let outside = outside();
        let wait = outside.ask_client("c1");
        assert_eq!(wait.expires_at, Timestamp(61_000_000));
        assert!(!outside.answer("c2", done(), &ann()), "nobody waits for this one");
        assert!(outside.answer("c1", done(), &ann()));
        assert!(!outside.answer("c1", done(), &ann()));
        assert_eq!(wait.wait().await, Some(Ok(json!({"done": true}))));
        assert!(!outside.answer("c1", done(), &ann()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_that_it_still_works_lets_the_time_begin_anew() {
        let outside = outside();
        let began = Instant::now();
        let wait = outside.ask_client("c1");
        let keep = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                assert!(outside.answer("c1", ToolAnswer::Working, &ann()));
            }
        };
        let (answer, ()) = tokio::join!(wait.wait(), keep);
        assert_eq!((answer, began.elapsed()), (None, Duration::from_secs(5 * 50 + 60)));
        assert!(!outside.answer("c1", done(), &ann()), "its time is over");
        assert!(!outside.answer("c1", ToolAnswer::Working, &ann()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_is_not_answered() {
        let outside = outside();
        drop(outside.ask_client("c1"));
        assert!(!outside.answer("c1", done(), &ann()));
        assert!(outside.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_is_for_a_person_and_a_clients_word_counts_as_one() {
        let outside = outside();
        let client = outside.ask_client("c1");
        assert!(!outside.decide("c1", true, &ann()), "it waits for a client");
        drop(client);
        let refusals = [
            ToolAnswer::Failed("no".into()),
            ToolAnswer::Result(json!(false)),
            ToolAnswer::Result(json!({"approved": false})),
            ToolAnswer::Result(json!("")),
        ];
        for refusal in refusals {
            let wait = outside.ask_person("c1");
            assert!(outside.answer("c1", refusal, &ann()));
            assert_eq!(wait.wait().await, Some(Decision { approved: false, by: ann() }));
        }
        for consent in [json!(null), json!(true), json!({"approved": true}), json!({"ok": 1})] {
            let wait = outside.ask_person("c1");
            assert!(outside.answer("c1", ToolAnswer::Result(consent), &ann()));
            assert_eq!(wait.wait().await, Some(Decision { approved: true, by: ann() }));
        }
    }

    proptest! {
        /// Whatever is said in whatever order, and whenever the time is over: a call has at most one answer, and
        /// whoever hears that his counted is the one who gave it.
        #[test]
        fn a_call_is_answered_at_most_once(said in prop::collection::vec((0..4u8, 0..30u64), 1..30)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.unwrap().block_on(async {
                let outside = outside();
                let wait = outside.ask_person("c");
                let says = async {
                    let mut counted = Vec::new();
                    for (number, (what, pause)) in said.iter().enumerate() {
                        tokio::time::sleep(Duration::from_secs(*pause)).await;
                        let by = Subject::from(number.to_string().as_str());
                        let answered = match what {
                            0 => outside.answer("c", ToolAnswer::Failed("no".into()), &by),
                            1 => outside.answer("c", done(), &by),
                            2 => outside.decide("c", true, &by),
                            _ => { outside.answer("c", ToolAnswer::Working, &by); false },
                        };
                        if answered { counted.push(by); }
                    }
                    counted
                };
                let (answer, counted) = tokio::join!(wait.wait(), says);
                assert_eq!(answer.map(|decision| decision.by).into_iter().collect::<Vec<_>>(), counted);
            });
        }
    }
}
