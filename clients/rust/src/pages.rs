//! Large results, page by page: no answer is too large, and how far it is can be told.

use std::collections::VecDeque;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::call::{Again, Caller};
use crate::filter::{Filter, Query};
use crate::generated::wire::{ClientMessage, Query as WireQuery, SortField, Subscribe};
use crate::record::read;
use crate::subscription::{Delivery, Notice};
use crate::{Error, Record, Result};

/// Records that are asked for at once, unless the caller says another number.
pub(crate) const PAGE: u64 = 1000;

/// The pages of a question, in order.
///
/// Without an order of its own they go by id, each after the last record of the one before, so that no record that was
/// there all the time is left out or comes twice, whoever writes meanwhile. With an order they go by number.
pub struct Pages<T> {
    caller: Caller,
    query: WireQuery,
    /// Records that are asked for at once; halved when the server says that they are too large.
    size: u64,
    /// Records so far.
    read: u64,
    /// The id after which the next page begins.
    after: Option<String>,
    over: bool,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Pages<T> {
    pub(crate) fn new(caller: Caller, query: Query, size: u64) -> Self {
        let query = query.0;
        Self { caller, query, size: size.max(1), read: 0, after: None, over: false, of: PhantomData }
    }

    /// The next page, which has at least one record; `None` after the last, and after an error.
    pub async fn next(&mut self) -> Option<Result<Vec<T>>> {
        if self.over {
            return None;
        }
        let page = self.page().await;
        self.over |= page.is_err();
        match page {
            Ok(records) if records.is_empty() => None,
            page => Some(page),
        }
    }

    /// How many records were read so far.
    pub fn read(&self) -> u64 {
        self.read
    }

    async fn page(&mut self) -> Result<Vec<T>> {
        let (records, asked) = self.ask().await?;
        let count = records.len() as u64;
        self.read += count;
        self.over = count < asked || self.query.limit == Some(self.read);
        self.after = records.last().and_then(|record| record["id"].as_str()).map(str::to_owned);
        if self.after.is_none() && count > 0 && self.query.sort.is_none() {
            return Err(Error::shape("the server answered records without an id"));
        }
        records.into_iter().map(read).collect()
    }

    /// The records of the next page, and how many were asked for.
    async fn ask(&mut self) -> Result<(Vec<Value>, u64)> {
        loop {
            let query = self.query();
            let asked = query.limit.unwrap_or(self.size);
            match self.caller.ask(ClientMessage::Query(query), Again::Yes).await {
                Ok(Value::Array(records)) => return Ok((records, asked)),
                Ok(_) => return Err(Error::shape("the server answered something else where records belong")),
                Err(error) if error.is_too_large() && asked > 1 => self.size = asked / 2,
                Err(error) => return Err(error),
            }
        }
    }

    fn query(&self) -> WireQuery {
        let mut query = self.query.clone();
        let left = query.limit.map_or(u64::MAX, |limit| limit - self.read.min(limit));
        query.limit = Some(self.size.min(left));
        if query.sort.is_some() {
            query.skip = Some(query.skip.unwrap_or(0) + self.read);
            return query;
        }
        query.sort = Some(vec![SortField { field: String::from("id"), ascending: Some(true) }]);
        if let Some(after) = &self.after {
            query.skip = None;
            return Query(query).filter(Filter::gt("id", json!(after))).0;
        }
        query
    }

    /// All records at once; `progress` is told how many there are so far.
    pub async fn all(mut self, mut progress: impl FnMut(u64)) -> Result<Vec<T>> {
        let mut all = VecDeque::new();
        while let Some(page) = self.next().await {
            all.extend(page?);
            progress(self.read);
        }
        Ok(all.into())
    }
}

impl<T> std::fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("read", &self.read).finish_non_exhaustive()
    }
}

/// Hands a collection on as it is, after a gap; waits where the reader does not keep up.
pub(crate) async fn snapshot(
    caller: Caller,
    wish: Subscribe,
    offset: u64,
    to: mpsc::Sender<Delivery>,
) -> Result<()> {
    let query = WireQuery { collection: wish.collection, filter: wish.filter, ..WireQuery::default() };
    let mut pages = Pages::<Record>::new(caller, Query(query), PAGE);
    let mut delivery = vec![Notice::Gap { offset }];
    while let Some(records) = pages.next().await {
        delivery.push(Notice::Snapshot { records: records?, last: false });
        // Who has gone has ended the subscription too.
        if to.send(std::mem::take(&mut delivery)).await.is_err() {
            return Ok(());
        }
    }
    delivery.push(Notice::Snapshot { records: Vec::new(), last: true });
    let _ = to.send(delivery).await;
    Ok(())
}
