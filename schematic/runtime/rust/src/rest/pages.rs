//! One page after the other, as one stream of items.

use std::collections::{BTreeMap, VecDeque};

use futures_util::stream;
use reqwest::header::LINK;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Call, Client, Error, Fault, Items, Reply};
use crate::ErrorKind;

/// How the next page is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A parameter counts the pages; the first empty one is the last
    Number {
        /// The parameter
        param: &'static str,
        /// Number of the first page, if the caller gives none
        first: u64,
    },
    /// A parameter says how many items to skip; the first empty page is the last
    Offset {
        /// The parameter
        param: &'static str,
    },
    /// The page says what the next one is called; the last page says nothing
    Cursor {
        /// The parameter
        param: &'static str,
        /// Path to the name in the page
        next: &'static [&'static str],
    },
    /// A header says where the next page is
    Link,
}

/// How a list is paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// How the next page is got
    pub turn: Turn,
    /// Path to the items in a page
    pub items: &'static [&'static str],
}

struct Reading<T> {
    client: Client,
    call: Call,
    pages: Pages,
    items: VecDeque<T>,
    /// The page before, by which a server is found out that sends the same one for ever
    before: bytes::Bytes,
    over: bool,
}

impl Client {
    /// The items of all pages, from the one that the call asks for. Pages are got when their items are wanted.
    pub fn pages<T, E>(&self, call: Call, pages: Pages) -> Items<T, Error<E>>
    where
        T: DeserializeOwned + Send + 'static,
        E: Fault + Send + 'static,
    {
        let client = self.clone();
        let before = bytes::Bytes::new();
        let reading = Reading { client, call, pages, items: VecDeque::new(), before, over: false };
        Items::new(stream::try_unfold(reading, async |mut reading: Reading<T>| {
            while reading.items.is_empty() && !reading.over {
                reading.turn().await?;
            }
            Ok(reading.items.pop_front().map(|item| (item, reading)))
        }))
    }
}

impl<T: DeserializeOwned> Reading<T> {
    async fn turn<E: Fault>(&mut self) -> Result<(), Error<E>> {
        let reply = self.client.repeat(&self.call).await?;
        let page: &RawValue = serde_json::from_slice(&reply.body)
            .map_err(|error| reply.about.shape(format!("the page is not JSON: {error}"), &reply.body))?;
        let items = look_up(page, self.pages.items).ok_or_else(|| {
            reply.about.shape(format!("the page has no `{}`", self.pages.items.join(".")), &reply.body)
        })?;
        let items: Vec<T> = reply.about.json("list of items", items.get().as_bytes())?;
        let count = items.len();
        self.items.extend(items);
        self.over = !self.ask_for_next(&reply, page, count);
        if !self.over && self.before == reply.body {
            let what = "the same page came twice, so that the list would never end";
            return Err(reply.about.error(ErrorKind::Protocol, what).into());
        }
        self.before = reply.body;
        Ok(())
    }

    /// Turns the call into that for the next page, if there is one.
    fn ask_for_next(&mut self, reply: &Reply, page: &RawValue, count: usize) -> bool {
        let given = |call: &Call, param| call.query_value(param).and_then(|value| value.parse().ok());
        let next = match self.pages.turn {
            Turn::Number { .. } | Turn::Offset { .. } if count == 0 => None,
            Turn::Number { param, first } => {
                let number: u64 = given(&self.call, param).unwrap_or(first);
                Some((param, number.saturating_add(1).to_string()))
            }
            Turn::Offset { param } => {
                let offset: u64 = given(&self.call, param).unwrap_or(0);
                Some((param, offset.saturating_add(count as u64).to_string()))
            }
            Turn::Cursor { param, next } => {
                look_up(page, next).and_then(cursor).map(|cursor| (param, cursor))
            }
            Turn::Link => {
                self.call.at = linked(reply);
                return self.call.at.is_some();
            }
        };
        let Some((param, value)) = next else { return false };
        self.call.set_query(param, value);
        true
    }
}

/// The value at a path.
fn look_up<'a>(value: &'a RawValue, path: &[&str]) -> Option<&'a RawValue> {
    path.iter().try_fold(value, |value, name| {
        serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()).ok()?.remove(*name)
    })
}

/// A cursor as text: a string without its quotes, a number as it is. Nothing and an empty one mean the end.
fn cursor(value: &RawValue) -> Option<String> {
    let text = match serde_json::from_str(value.get()).ok()? {
        serde_json::Value::String(text) => text,
        serde_json::Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// The address of the next page in `Link` headers, as RFC 8288 writes them.
fn linked(reply: &Reply) -> Option<url::Url> {
    let links = reply.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let target = links.flat_map(|links| links.split('<').skip(1)).find_map(next_target)?;
    reply.url.join(target).ok()
}

/// The address of one link, which follows its `<`, if it is that of the next page.
fn next_target(link: &str) -> Option<&str> {
    let (target, params) = link.split_once('>')?;
    let is_next = |param: &str| {
        let (name, value) = param.split_once('=')?;
        let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("rel")
            && value.split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next")))
        .then_some(())
    };
    params.split(';').find_map(is_next).map(|()| target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_among_others() {
        let found = |links: &'static str| links.split('<').skip(1).find_map(next_target);
        assert_eq!(
            found("<a?p=1>; rel=\"prev\", <b?x=1,2>; title=\"n\"; rel=\"last next\""),
            Some("b?x=1,2")
        );
        assert_eq!(found("<c>; rel=next, <d>; rel=last"), Some("c"));
        assert_eq!(found("<a>; rel=\"prev\""), None);
    }

    #[test]
    fn cursors_are_texts_and_numbers() {
        let read = |text: &str| cursor(&RawValue::from_string(text.into()).unwrap());
        assert_eq!([read("\"a\\u0022\""), read("7")], [Some("a\"".into()), Some("7".into())]);
        assert_eq!([read("null"), read("\"\""), read("{}")], [None, None, None]);
    }
}
