//! A subscription as its connection keeps it: where it is, what it waits for, and what is handed on.
//!
//! Offsets decide what is new. The server's answer to Subscribe is read in its place among the notifications, so that
//! what an earlier watch had still on its way is told apart from what the new one sends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::generated::wire::{MutationEvent, MutationNotification, Subscribe, Subscribed};
use crate::record::plain;
use crate::session::Written;
use crate::subscription::{ChangeKind, Changes, Delivery, Notice, Shared};
use crate::{Error, Record, Result};

/// A message whose answer is awaited.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: String,
    pub(crate) written: Written,
    /// Then it is asked again.
    pub(crate) by: Instant,
}

/// Where a subscription is.
#[derive(Debug)]
pub(crate) enum State {
    /// The server was asked; what comes before its answer is not ours.
    Asked(Asked),
    /// The server is asked again at this moment.
    Later(Instant),
    /// Notifications come.
    Live,
    /// The caller has to read first.
    Resting,
    /// A task reads the collection after a gap, until this is dropped.
    Reading { _task: Reading },
}

/// Ends its task when dropped.
#[derive(Debug)]
pub(crate) struct Reading(pub(crate) AbortHandle);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is to be done after something came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    /// Ask the server to pause.
    Pause,
    /// Nobody reads any more.
    End,
}

pub(crate) struct Feed {
    pub(crate) key: u64,
    pub(crate) wish: Subscribe,
    pub(crate) state: State,
    /// Everything up to here was handed on.
    last: Option<u64>,
    to: mpsc::Sender<Delivery>,
    shared: Arc<Shared>,
    /// Changes without an offset, until the one comes that says how far they reach.
    held: Delivery,
    /// Who waits for the first answer.
    opened: Option<oneshot::Sender<Result<u64>>>,
}

impl Feed {
    pub(crate) fn new(
        key: u64,
        wish: Subscribe,
        to: mpsc::Sender<Delivery>,
        shared: Arc<Shared>,
        opened: oneshot::Sender<Result<u64>>,
    ) -> Self {
        let last = wish.after_offset;
        let state = State::Resting;
        Self { key, wish, state, last, to, shared, held: Vec::new(), opened: Some(opened) }
    }

    /// What the server is asked for now.
    pub(crate) fn request(&self) -> Subscribe {
        Subscribe { after_offset: self.last, ..self.wish.clone() }
    }

    pub(crate) fn to(&self) -> mpsc::Sender<Delivery> {
        self.to.clone()
    }

    /// Whether this is the id of the message whose answer is awaited.
    pub(crate) fn awaits(&self, id: &str) -> bool {
        matches!(&self.state, State::Asked(asked) if asked.id == id)
    }

    /// Whether it has to be asked for again on link number `link`. What still waits to be written will be.
    pub(crate) fn is_lost(&self, link: u64) -> bool {
        match &self.state {
            State::Live => true,
            State::Asked(asked) => (1..link).contains(&asked.written.on()),
            State::Later(_) | State::Resting | State::Reading { .. } => false,
        }
    }

    /// When something is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Asked(asked) => Some(asked.by),
            State::Later(at) => Some(*at),
            State::Live | State::Resting | State::Reading { .. } => None,
        }
    }

    pub(crate) fn ask(&mut self, asked: Asked) {
        self.held.clear();
        self.state = State::Asked(asked);
    }

    /// The server agreed.
    pub(crate) fn accepted(&mut self, data: Value) -> Result<()> {
        let subscribed: Subscribed = serde_json::from_value(data)
            .map_err(|error| Error::shape(format!("Subscribed does not fit: {error}")))?;
        let offset = *self.last.get_or_insert(subscribed.offset);
        self.state = State::Live;
        if let Some(opened) = self.opened.take() {
            // Who does not wait any more drops the subscription, and that ends it.
            let _ = opened.send(Ok(offset));
        }
        Ok(())
    }

    /// Nothing follows.
    pub(crate) fn end(self, error: Error) {
        match self.opened {
            Some(opened) => drop(opened.send(Err(error))),
            None => self.shared.end(error),
        }
    }

    /// Changes came.
    pub(crate) fn changes(&mut self, notification: MutationNotification) -> Next {
        if !matches!(self.state, State::Live) {
            return Next::Nothing;
        }
        let Some(changes) = self.news(notification) else { return Next::Nothing };
        let offset = changes.offset;
        self.held.push(Notice::Changes(changes));
        match offset {
            Some(offset) => self.hand_on(offset),
            None => Next::Nothing,
        }
    }

    fn hand_on(&mut self, offset: u64) -> Next {
        match self.to.try_send(std::mem::take(&mut self.held)) {
            Ok(()) => {
                self.last = Some(offset);
                Next::Nothing
            }
            Err(mpsc::error::TrySendError::Full(_)) => self.rest(),
            Err(mpsc::error::TrySendError::Closed(_)) => Next::End,
        }
    }

    /// What did not fit comes again after the pause.
    fn rest(&mut self) -> Next {
        self.state = State::Resting;
        self.shared.resting.store(true, Ordering::SeqCst);
        Next::Pause
    }

    /// Whether the caller has read everything before it could see that there was a pause.
    pub(crate) fn missed_the_pause(&self) -> bool {
        matches!(self.state, State::Resting)
            && self.to.capacity() == self.to.max_capacity()
            && self.shared.resting.swap(false, Ordering::SeqCst)
    }

    /// What of a notification was not handed on before.
    fn news(&self, notification: MutationNotification) -> Option<Changes> {
        let MutationNotification { event, record_ids, records, timestamp, from_offset, offset, .. } =
            notification;
        let mut changes =
            Changes { kind: kind(&event), ids: record_ids, records: objects(records), at: timestamp, offset };
        let (Some(last), Some(to)) = (self.last, offset) else { return Some(changes) };
        if to <= last {
            return None;
        }
        let from = from_offset.unwrap_or(to);
        // Where each offset is one change, those that were handed on can be told.
        if from <= last && to - from + 1 == changes.ids.len() as u64 {
            let known = (last - from + 1) as usize;
            changes.ids.drain(..known);
            changes.records.drain(..known.min(changes.records.len()));
        }
        Some(changes)
    }

    /// The log does not reach back so far.
    pub(crate) fn gap(&mut self, offset: u64, reading: Reading) {
        self.held.clear();
        self.last = Some(offset);
        self.state = State::Reading { _task: reading };
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    /// The collection's schema changed. A caller that has no room for it finds it in the cache.
    pub(crate) fn schema(&self, version: u64, primary_key: String) {
        let _ = self.to.try_send(vec![Notice::Schema { version, primary_key }]);
    }
}

fn kind(event: &MutationEvent) -> ChangeKind {
    match event {
        MutationEvent::Insert => ChangeKind::Insert,
        MutationEvent::Delete => ChangeKind::Delete,
        MutationEvent::Update | MutationEvent::Unknown(_) => ChangeKind::Update,
    }
}

/// One object, several, or none.
pub(crate) fn objects(records: Option<Value>) -> Vec<Record> {
    let object = |value| match plain(value) {
        Value::Object(record) => Some(record),
        _ => None,
    };
    match records {
        Some(Value::Array(records)) => records.into_iter().filter_map(object).collect(),
        Some(record) => object(record).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
