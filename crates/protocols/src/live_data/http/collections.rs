//! Collections, their schemas, and the settings of the running server.

use std::sync::atomic::Ordering;

use tidewire_engine::{Command, Error, Reply};

use super::records::as_on_socket;
use super::{Request, Started, Style, done, ready, step, steps};
use crate::live_data::wire::{self, ClientMessage};
use crate::live_data::{ask, schema, spell};

/// `GET /api/collections`
pub(super) fn list(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    step(Command::ListCollections, move |reply| match reply {
        Reply::Collections(list) => {
            let collections = list.into_iter().map(|collection| collection.name).collect();
            style.json(&wire::Collections { collections })
        }
        other => Err(ask::unexpected(&"the list of collections", &other)),
    })
}

/// `POST /api/collections/{collection}`
pub(super) fn make(request: &Request<'_>) -> Started {
    let schema: wire::CollectionSchema = request.json()?;
    let message = wire::CreateCollection { name: request.param("collection"), schema: Some(schema) };
    as_on_socket(request, ClientMessage::CreateCollection(message))
}

/// `DELETE /api/collections/{collection}`
pub(super) fn drop_one(request: &Request<'_>) -> Started {
    let message = wire::DeleteCollection { name: request.param("collection") };
    as_on_socket(request, ClientMessage::DeleteCollection(message))
}

/// `GET /api/collections/{collection}`
pub(super) fn report(request: &Request<'_>) -> Started {
    let (style, name) = (Style::of(request), request.param("collection"));
    let commands = vec![Command::GetSchema { collection: name.clone() }, Command::ListCollections];
    steps(commands, move |replies, _| {
        let mut report = wire::CollectionReport::default();
        for reply in replies {
            match reply {
                Reply::Schema(found) => report.collection = spell::schema(&found),
                Reply::Collections(list) => {
                    let own = list.into_iter().find(|collection| collection.name == name);
                    report.analytics = own.map_or_else(Default::default, |own| wire::CollectionFigures {
                        record_count: own.count,
                        last_offset: own.last_offset.0,
                    });
                }
                other => return Err(ask::unexpected(&"a collection", &other)),
            }
        }
        style.json(&report)
    })
}

fn answer_schema(request: &Request<'_>, command: Command) -> Started {
    let style = Style::of(request);
    step(command, move |reply| match reply {
        Reply::Schema(found) => style.json(&spell::schema(&found)),
        other => Err(ask::unexpected(&"a schema", &other)),
    })
}

/// `GET /api/schemas/{collection}`
pub(super) fn schema(request: &Request<'_>) -> Started {
    answer_schema(request, Command::GetSchema { collection: request.param("collection") })
}

/// `PUT /api/schemas/{collection}`
pub(super) fn change_schema(request: &Request<'_>) -> Started {
    let fields = schema::changes(request.json()?)?;
    if fields.is_empty() {
        return Err(Error::invalid("constraints names at least one member; nothing was changed"));
    }
    answer_schema(request, Command::ChangeSchema { collection: request.param("collection"), fields })
}

/// `GET /api/config`
pub(super) fn config(request: &Request<'_>) -> Started {
    let use_typed_values = request.switches.typed_values.load(Ordering::Relaxed);
    ready(Style::of(request).json(&wire::Config { use_typed_values }))
}

/// `PUT /api/config`
pub(super) fn set_config(request: &Request<'_>) -> Started {
    request.identity.check_admin()?;
    let wire::Config { use_typed_values } = request.json()?;
    request.switches.typed_values.store(use_typed_values, Ordering::Relaxed);
    ready(Style::of(request).json(&wire::ConfigChanged { status: done().status, use_typed_values }))
}
