//! What a client asks about data, as commands, and what the replies to them become.

use serde_json::Value;
use serde_json::value::RawValue;
use tidewire_engine::command::{Command, Reply};
use tidewire_engine::edit::{Edit, Edited};
use tidewire_engine::model::ToolDefinition;
use tidewire_engine::query::{Filter, Query, RecordTexts, Search, TextSearch};
use tidewire_engine::{Code, Detail, Error, RecordId, Result};

use super::filter;
use super::input;
use super::schema;
use super::spell::{self, Format};
use super::typed::{Manner, put_json, put_record, put_text};
use super::wire;
use crate::frame::Frame;

/// The most records in a batch.
pub const MAX_BATCH: usize = 10_000;
/// What a search gives at most, unless it says more.
pub const SEARCH_LIMIT: u64 = 10;

/// What a reply is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// One record.
    Record,
    /// Records.
    Records,
    /// A new record's id.
    Inserted,
    /// The record that an edit left.
    Edited,
    /// A batch, with the ids that were named.
    Batch(Vec<Option<String>>),
    /// What a search found.
    Hits,
    /// Values of a member.
    Values {
        /// Of which collection.
        collection: String,
        /// Of which member.
        field: String,
    },
    /// The names of collections.
    Names,
    /// Nothing more than that it is done.
    Done,
    /// A model's answer.
    Completion,
}

/// A request about data: what to do, and what its reply is about.
pub type Asked = (Command, About);

/// Of which collection the records are that a command reads, if of one alone.
pub(super) fn read_from(command: &Command) -> Option<&str> {
    if let Command::Get { collection, .. } | Command::Edit { collection, .. } = command {
        return Some(collection);
    }
    if let Command::Query(query) = command {
        return Some(&query.collection);
    }
    if let Command::Search(search) = command { Some(&search.collection) } else { None }
}

/// A request without a subscription or chat; `None` if it has one.
pub fn about_data(message: wire::ClientMessage) -> Option<Result<Asked>> {
    use wire::ClientMessage as Message;
    let asked = match message {
        Message::FindAll(m) => Ok((Command::Query(Query::all(m.collection, usize::MAX)), About::Records)),
        Message::FindById(m) => Ok(find_by_id(m)),
        Message::Query(m) => query(m),
        Message::TextSearch(m) => Ok(text_search(m)),
        Message::DistinctValues(m) => distinct(m),
        Message::Insert(m) => input::insert(m.record).map(|edit| one(m.collection, edit, About::Inserted)),
        Message::Update(m) => {
            input::update(m.id, m.record).map(|edit| one(m.collection, edit, About::Edited))
        }
        Message::Delete(m) => Ok(one(m.collection, input::delete(m.id), About::Edited)),
        Message::UpdateWithAction(m) => act(m),
        Message::BatchInsert(m) => batch(m.collection, m.records, input::insert),
        Message::BatchUpdate(m) => {
            batch(m.collection, m.updates, |update| input::update(update.id, update.record))
        }
        Message::BatchDelete(m) => batch(m.collection, m.ids, |id| Ok(input::delete(id))),
        Message::CreateCollection(m) => schema::read(m.schema)
            .map(|schema| (Command::CreateCollection { collection: m.name, schema }, About::Done)),
        Message::DeleteCollection(m) => Ok((Command::DropCollection { collection: m.name }, About::Done)),
        Message::GetCollections(_) => Ok((Command::ListCollections, About::Names)),
        Message::RawComplete(m) => complete(m, None).map(|command| (command, About::Completion)),
        Message::Hello(_)
        | Message::Subscribe(_)
        | Message::Unsubscribe(_)
        | Message::ChatSend(_)
        | Message::CancelChat(_)
        | Message::ChatFollow(_)
        | Message::RegisterClientTools(_)
        | Message::ClientToolResult(_)
        | Message::Unknown { .. } => return None,
    };
    Some(asked)
}

fn find_by_id(m: wire::FindById) -> Asked {
    let projection = filter::projection(m.select_fields, m.exclude_fields);
    (Command::Get { collection: m.collection, id: RecordId(m.id), projection }, About::Record)
}

fn query(m: wire::Query) -> Result<Asked> {
    let query = Query {
        collection: m.collection,
        filter: filter::filter(m.filter)?,
        sort: filter::sort(m.sort),
        limit: filter::limit(m.limit),
        skip: m.skip.map_or(0, filter::count),
        projection: filter::projection(m.select_fields, m.exclude_fields),
        join: filter::join(m.join),
    };
    Ok((Command::Query(query), About::Records))
}

fn text_search(m: wire::TextSearch) -> Asked {
    let options = m.options.unwrap_or_default();
    let fields = options.fields.unwrap_or_default();
    let search = Search {
        collection: m.collection,
        text: Some(TextSearch {
            text: m.query,
            fields: fields.into_iter().map(|field| (field, 1.0)).collect(),
            prefix: false,
            max_edits: 0,
            stemming: true,
            case_sensitive: false,
            boost_exact: true,
            weight: 1.0,
        }),
        vector: None,
        filter: None,
        min_score: None,
        limit: filter::count(options.limit.unwrap_or(SEARCH_LIMIT)),
        projection: tidewire_engine::query::Projection::All,
    };
    (Command::Search(search), About::Hits)
}

fn distinct(m: wire::DistinctValues) -> Result<Asked> {
    let about = About::Values { collection: m.collection.clone(), field: m.field.clone() };
    let filter = filter::filter(m.filter)?;
    Ok((Command::Distinct { collection: m.collection, field: m.field, filter }, about))
}

fn one(collection: String, edit: Edit, about: About) -> Asked {
    (Command::Edit { collection, edits: vec![edit], together: true }, about)
}

fn act(m: wire::UpdateWithAction) -> Result<Asked> {
    let action = input::action(&m.action, m.field, m.value)?;
    Ok(one(m.collection, Edit::Act { id: RecordId(m.id), actions: vec![action] }, About::Edited))
}

/// Edits that are each done for itself. One that is wrong as it stands refuses the batch: the request is wrong.
pub fn batch<T>(collection: String, items: Vec<T>, edit: impl Fn(T) -> Result<Edit>) -> Result<Asked> {
    if items.len() > MAX_BATCH {
        return Err(Error::new(
            Code::TooLarge,
            format!("a batch has at most {MAX_BATCH} records; send several"),
        ));
    }
    let mut edits = Vec::with_capacity(items.len());
    for (number, item) in items.into_iter().enumerate() {
        edits.push(edit(item).map_err(|error| at(number, error))?);
    }
    let ids = edits.iter().map(id_of).collect();
    Ok((Command::Edit { collection, edits, together: false }, About::Batch(ids)))
}

fn at(number: usize, error: Error) -> Error {
    let message = format!("record {number} of the batch: {}", error.message);
    Error { message: message.into(), ..error }
}

fn id_of(edit: &Edit) -> Option<String> {
    match edit {
        Edit::Insert { id, .. } => id.as_ref().map(|id| id.0.clone()),
        Edit::Update { id, .. } | Edit::Act { id, .. } | Edit::Delete { id } => Some(id.0.clone()),
    }
}

/// A question to a model; its text is streamed under a number if there is one.
pub fn complete(m: wire::RawComplete, stream: Option<u64>) -> Result<Command> {
    let max_tokens = m.max_tokens.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX));
    if m.message.trim().is_empty() {
        return Err(Error::invalid("message is empty; ask something").with(Detail::Field("message".into())));
    }
    Ok(Command::Complete { system: m.system_prompt, message: m.message, model: m.model, max_tokens, stream })
}

/// The filter of a subscription: one member's value, or any filter, or both.
pub fn watch_filter(m: &mut wire::Subscribe) -> Result<Option<Filter>> {
    let filter = filter::filter(m.filter.take())?;
    let field = match (m.filter_field.take(), m.filter_value.take()) {
        (Some(field), Some(value)) => Some(Filter::eq(field, value)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Error::invalid("filter_field and filter_value go together; send both or none"));
        }
    };
    Ok(match (filter, field) {
        (Some(filter), Some(field)) => Some(Filter::And(vec![filter, field])),
        (filter, field) => filter.or(field),
    })
}

/// Tools that a client brings.
pub fn tools(written: Vec<wire::ToolSpec>) -> Vec<ToolDefinition> {
    let tool = |spec: wire::ToolSpec| ToolDefinition {
        name: spec.name,
        description: spec.description.unwrap_or_default(),
        parameters: spec
            .parameters
            .filter(|parameters| !parameters.is_null())
            .unwrap_or_else(|| serde_json::json!({"type": "object", "properties": {}})),
    };
    written.into_iter().map(tool).collect()
}

/// A reply as a frame.
pub fn answer<'a>(
    about: About,
    reply: Result<Reply>,
    id: Option<&RawValue>,
    format: Format,
    manner: impl Into<Manner<'a>>,
) -> Frame {
    let manner = manner.into();
    match reply.and_then(|reply| data(about, reply)) {
        Ok(data) => spell::success(id, format, |out| data.put(out, manner)),
        Err(error) => spell::error(id, format, &error),
    }
}

/// What is said in an answer.
pub(super) enum Data {
    Record(Box<Edited>),
    /// One record.
    Text(RecordTexts),
    Records(RecordTexts),
    Hits(Vec<tidewire_engine::query::Hit>),
    Json(Value),
}

impl Data {
    /// Writes it behind what is there.
    pub(super) fn put(&self, out: &mut Vec<u8>, manner: Manner<'_>) {
        match self {
            Self::Record(record) => put_record(out, record, manner),
            Self::Text(record) => {
                record.iter().take(1).for_each(|record| put_text(out, record, manner));
            }
            Self::Records(records) => spell::put_records(out, records, manner),
            Self::Hits(hits) => spell::put_hits(out, hits, manner),
            Self::Json(value) => put_json(out, value),
        }
    }
}

/// What a reply is about, taken from it.
pub(super) fn data(about: About, reply: Reply) -> Result<Data> {
    match (about, reply) {
        (About::Record, Reply::Record(record)) => Ok(Data::Text(record)),
        (About::Records, Reply::Records(records)) => Ok(Data::Records(records)),
        (About::Inserted, Reply::Edited(outcomes)) => {
            only(outcomes).map(|record| Data::Json(serde_json::json!({ "id": record.id.0 })))
        }
        (About::Edited, Reply::Edited(outcomes)) => {
            only(outcomes).map(|record| Data::Record(Box::new(record)))
        }
        (About::Batch(ids), Reply::Edited(outcomes)) => json(&spell::batch(&outcomes, &ids)),
        (About::Hits, Reply::Hits(hits)) => Ok(Data::Hits(hits)),
        (About::Values { collection, field }, Reply::Values(values)) => {
            let count = values.len() as u64;
            json(&wire::DistinctReply { collection, field, values, count })
        }
        (About::Names, Reply::Collections(collections)) => {
            json(&collections.into_iter().map(|collection| collection.name).collect::<Vec<_>>())
        }
        (About::Done, Reply::Done | Reply::Schema(_)) => {
            json(&wire::Done { status: "success".into(), message: None })
        }
        (About::Completion, Reply::Completed { content, usage }) => {
            Ok(Data::Json(serde_json::json!({ "content": content, "token_usage": spell::usage(usage) })))
        }
        (about, reply) => Err(unexpected(&about, &reply)),
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<Data> {
    serde_json::to_value(value).map(Data::Json).map_err(Error::internal)
}

/// The record that one edit left.
pub(super) fn edited(reply: Reply) -> Result<Edited> {
    match reply {
        Reply::Edited(outcomes) => only(outcomes),
        other => Err(unexpected(&About::Edited, &other)),
    }
}

fn only(outcomes: Vec<Result<Edited>>) -> Result<Edited> {
    let nothing = || unexpected(&About::Edited, &Reply::Edited(Vec::new()));
    outcomes.into_iter().next().unwrap_or_else(|| Err(nothing()))
}

/// The engine answered something else: our fault, and the log tells what.
pub(super) fn unexpected(about: &dyn std::fmt::Debug, reply: &Reply) -> Error {
    Error::internal(std::io::Error::other(format!("{about:?} was answered by {reply:?}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(frame: Value) -> Result<Asked> {
        let read = wire::ClientMessage::decode(&frame.to_string()).unwrap();
        about_data(read.message.unwrap()).unwrap()
    }

    fn subscribe(payload: Value) -> Result<Option<Filter>> {
        watch_filter(&mut serde_json::from_value(payload).unwrap())
    }

    #[test]
    fn null_is_as_good_as_nothing() {
        let nulls = json!({"collection": "c", "filter": null, "sort": null, "limit": null, "skip": null, "join": null,
                           "select_fields": [], "exclude_fields": null});
        let (command, _) = asked(json!({"type": "Query", "payload": nulls})).unwrap();
        assert_eq!(command, Command::Query(Query::all("c", usize::MAX)));
        let (command, _) = asked(
            json!({"type": "TextSearch", "payload": {"collection": "c", "query": "x", "options": null}}),
        )
        .unwrap();
        let Command::Search(search) = command else { panic!("{command:?}") };
        assert_eq!(search.limit, 10);
    }

    #[test]
    fn a_wrong_record_of_a_batch_is_named() {
        let frame =
            json!({"type": "BatchInsert", "payload": {"collection": "c", "records": [{}, {"ttl": "never"}]}});
        let error = asked(frame).unwrap_err();
        assert!(error.message.starts_with("record 1 of the batch"), "{error}");
        let many = vec![json!({}); MAX_BATCH + 1];
        let error = asked(json!({"type": "BatchInsert", "payload": {"collection": "c", "records": many}}))
            .unwrap_err();
        assert_eq!(error.code, Code::TooLarge);
    }

    #[test]
    fn a_subscription_is_filtered_by_one_member_or_any_filter() {
        let eq = Filter::eq("a", "x");
        let condition =
            json!({"type": "Condition", "content": {"field": "a", "operator": "Eq", "value": "x"}});
        assert_eq!(subscribe(json!({"collection": "c"})).unwrap(), None);
        assert_eq!(
            subscribe(json!({"collection": "c", "filter_field": "a", "filter_value": "x"})).unwrap(),
            Some(eq.clone())
        );
        assert_eq!(
            subscribe(json!({"collection": "c", "filter": condition.clone()})).unwrap(),
            Some(eq.clone())
        );
        let both = json!({"collection": "c", "filter": condition, "filter_field": "a", "filter_value": "x"});
        assert_eq!(subscribe(both).unwrap(), Some(Filter::And(vec![eq.clone(), eq])));
        assert!(subscribe(json!({"collection": "c", "filter_field": "a"})).is_err());
    }

    #[test]
    fn what_the_engine_never_answers_is_our_fault() {
        let frame = answer(
            About::Record,
            Ok(Reply::Done),
            None,
            Format::Json,
            crate::live_data::typed::Values::Plain,
        );
        let Frame::Text(text) = frame else { panic!("{frame:?}") };
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap()["code"], 500);
    }
}
