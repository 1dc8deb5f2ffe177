//! Records: one by one, and in batches.

use serde_json::Value;
use tidewire_engine::edit::Edit;
use tidewire_engine::query::Projection;
use tidewire_engine::{Command, RecordId, Reply, Result};

use super::input::Shape;
use super::{Answer, Request, Started, Style, step};
use crate::live_data::ask::{self, About};
use crate::live_data::wire::{self, ClientMessage};
use crate::live_data::{input, typed};

/// What the socket asks with the same members: the same command and the same answer.
pub(super) fn as_on_socket(request: &Request<'_>, message: ClientMessage) -> Started {
    let style = Style::of(request);
    match ask::about_data(message) {
        Some(asked) => {
            let (command, about) = asked?;
            step(command, move |reply| style.data(about, reply))
        }
        None => super::ready(style.json(&super::done())),
    }
}

impl Style {
    /// What the socket puts into `data`.
    pub(super) fn data(&self, about: About, reply: Reply) -> Result<Answer> {
        let mut out = Vec::with_capacity(256);
        ask::data(about, reply)?.put(&mut out, self.manner());
        self.answer(out)
    }
}

/// `POST /api/insert/{collection}`
pub(super) fn insert(request: &Request<'_>) -> Started {
    request.refuse_transaction()?;
    let (collection, record) = (request.param("collection"), request.value()?);
    as_on_socket(request, ClientMessage::Insert(wire::Insert { collection, record, bypass_ripple: None }))
}

/// `POST /api/find/{collection}`
pub(super) fn find(request: &Request<'_>) -> Started {
    request.refuse_transaction()?;
    let find: wire::FindRequest = request.json()?;
    let query = wire::Query {
        collection: request.param("collection"),
        filter: find.filter,
        sort: find.sort,
        limit: find.limit,
        skip: find.skip,
        join: find.join,
        select_fields: find.select_fields,
        exclude_fields: find.exclude_fields,
    };
    as_on_socket(request, ClientMessage::Query(query))
}

/// `GET /api/find/{collection}/{id}`
pub(super) fn find_one(request: &Request<'_>) -> Started {
    request.refuse_transaction()?;
    let style = Style::of(request);
    let command = Command::Get {
        collection: request.param("collection"),
        id: RecordId(request.param("id")),
        projection: request.projection(),
    };
    step(command, move |reply| style.data(About::Record, reply))
}

fn edit(request: &Request<'_>, edit: Edit, projection: Projection) -> Started {
    let style = Style::of(request);
    let command =
        Command::Edit { collection: request.param("collection"), edits: vec![edit], together: true };
    step(command, move |reply| style.edited(reply, &projection))
}

impl Style {
    /// The record that an edit left.
    fn edited(&self, reply: Reply, projection: &Projection) -> Result<Answer> {
        let mut record = ask::edited(reply)?;
        projection.apply(&mut record.body);
        let mut out = Vec::with_capacity(256);
        typed::put_record(&mut out, &record, self.manner());
        self.answer(out)
    }
}

/// `PUT /api/update/{collection}/{id}`
pub(super) fn update(request: &Request<'_>) -> Started {
    request.refuse_transaction()?;
    let change = input::update(request.param("id"), request.value()?)?;
    edit(request, change, request.projection())
}

/// `DELETE /api/delete/{collection}/{id}`
pub(super) fn delete(request: &Request<'_>) -> Started {
    request.refuse_transaction()?;
    edit(request, input::delete(request.param("id")), Projection::All)
}

const ACTION: Shape = Shape { members: &["field", "value"], required: 1 };
const ACTION_STEP: Shape = Shape { members: &["action", "field", "value"], required: 2 };

/// `PUT /api/update/{collection}/{id}/action/{action}`
pub(super) fn act(request: &Request<'_>) -> Started {
    let wanted: wire::ActionRequest = request.positional(&ACTION)?;
    let action = input::action(&request.param("action"), wanted.field, wanted.value)?;
    let id = RecordId(request.param("id"));
    edit(request, Edit::Act { id, actions: vec![action] }, Projection::All)
}

/// `PUT /api/update/sequence/{collection}/{id}`
pub(super) fn act_in_sequence(request: &Request<'_>) -> Started {
    let steps: Vec<Value> = request.json()?;
    let actions = steps.into_iter().map(|written| {
        let step = named::<NamedStep>(&ACTION_STEP, written)?;
        input::action(&step.action, step.field, step.value)
    });
    let actions = actions.collect::<Result<Vec<_>>>()?;
    if actions.is_empty() {
        return Err(tidewire_engine::Error::invalid(
            "a sequence has at least one action; send [[action, field, value]]",
        ));
    }
    edit(request, Edit::Act { id: RecordId(request.param("id")), actions }, Projection::All)
}

#[derive(serde::Deserialize)]
struct NamedStep {
    action: String,
    field: String,
    #[serde(default)]
    value: Option<Value>,
}

fn named<T: serde::de::DeserializeOwned>(shape: &Shape, written: Value) -> Result<T> {
    serde_json::from_value(shape.named(written)?).map_err(|error| super::input::unfit(&error))
}

/// The items of a batch: `{"inserts": […]}`, or `[[…]]` in MessagePack, with items as objects or arrays.
fn items<T: serde::de::DeserializeOwned>(
    request: &Request<'_>,
    batch: &Shape,
    item: &Shape,
) -> Result<Vec<T>> {
    request.refuse_transaction()?;
    let mut body = batch.named(request.value()?)?;
    let list = body.get_mut(batch.members[0]).map(Value::take);
    let items: Vec<Value> = serde_json::from_value(list.unwrap_or_default()).map_err(|_| {
        tidewire_engine::Error::invalid(format!(
            "a batch is an object whose member {} is an array",
            batch.members[0]
        ))
    })?;
    items.into_iter().map(|written| named(item, written)).collect()
}

fn batch<T>(request: &Request<'_>, items: Vec<T>, edit: impl Fn(T) -> Result<Edit>) -> Started {
    let style = Style::of(request);
    let (command, about) = ask::batch(request.param("collection"), items, edit)?;
    step(command, move |reply| style.data(about, reply))
}

/// `POST /api/batch/insert/{collection}`
pub(super) fn batch_insert(request: &Request<'_>) -> Started {
    const BATCH: Shape = Shape { members: &["inserts", "bypass_ripple"], required: 1 };
    const ITEM: Shape = Shape { members: &["data", "bypass_ripple"], required: 1 };
    let items: Vec<wire::BatchInsertItem> = items(request, &BATCH, &ITEM)?;
    batch(request, items, |item| input::insert(item.data))
}

/// `PUT /api/batch/update/{collection}`
pub(super) fn batch_update(request: &Request<'_>) -> Started {
    const BATCH: Shape = Shape { members: &["updates", "bypass_ripple"], required: 1 };
    const ITEM: Shape = Shape { members: &["id", "data", "bypass_ripple"], required: 2 };
    let items: Vec<wire::BatchUpdateItem> = items(request, &BATCH, &ITEM)?;
    batch(request, items, |item| input::update(item.id, item.data))
}

/// `DELETE /api/batch/delete/{collection}`
pub(super) fn batch_delete(request: &Request<'_>) -> Started {
    const BATCH: Shape = Shape { members: &["deletes", "bypass_ripple"], required: 1 };
    const ITEM: Shape = Shape { members: &["id", "bypass_ripple"], required: 1 };
    let items: Vec<wire::BatchDeleteItem> = items(request, &BATCH, &ITEM)?;
    batch(request, items, |item| Ok(input::delete(item.id)))
}

/// `POST /api/distinct/{collection}/{field}`
pub(super) fn distinct(request: &Request<'_>) -> Started {
    let wanted: wire::DistinctRequest = request.json()?;
    let (collection, field) = (request.param("collection"), request.param("field"));
    let message = wire::DistinctValues { collection, field, filter: wanted.filter };
    as_on_socket(request, ClientMessage::DistinctValues(message))
}
