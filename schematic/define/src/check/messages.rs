//! The facts about messages: that they are complete, fit their types, and are true of their own examples.

use serde_json::Value;

use super::recognition::{self, Resolved, has_flat, record_fields, resolve};
use super::{Problems, fits, types};
use crate::{
    BodyKind, Correlation, Definition, Envelope, Example, FrameKind, Layout, MessageDirection, MessageFacts,
    MessageSchema, Recognition, Replies, Reply, Type,
};

pub(super) fn check(problems: &mut Problems, definition: &Definition) {
    problems.unique("messages", "facts about the message", definition.messages.iter().map(|m| &m.id));
    if let Some(envelope) = &definition.envelope {
        self::envelope(problems, envelope);
    }
    for schema in all(definition) {
        let place = format!("websocket.messages.{}", schema.id);
        types::require_type(problems, definition, &place, &schema.schema.type_name);
        problems.require(
            definition.find_message(&schema.id).is_some(),
            place,
            "nothing says how it is recognised; add an entry to `messages`",
        );
    }
    for facts in &definition.messages {
        let place = format!("messages.{}", facts.id);
        match all(definition).find(|schema| schema.id == facts.id) {
            Some(schema) => message(problems, definition, &place, facts, schema),
            None => problems
                .add(place, "no endpoint has a message with this id; correct the id or remove the facts"),
        }
    }
    examples_of_endpoints(problems, definition);
}

/// Every message of every endpoint.
pub(super) fn all(definition: &Definition) -> impl Iterator<Item = &MessageSchema> {
    definition.websocket_endpoints().iter().flat_map(|endpoint| endpoint.lifecycle.messages())
}

fn envelope(problems: &mut Problems, envelope: &Envelope) {
    let place = "envelope";
    problems.require(!envelope.tag.is_empty(), place, "the tag has no name; give it one");
    problems.require(!envelope.layouts.is_empty(), place, "it does not say where bodies lie; add a layout");
    let id = envelope.id.as_ref().map(|id| id.field.as_str());
    problems.require(id != Some(&envelope.tag), place, "tag and id have the same name; rename one");
    layouts(problems, place, envelope, &envelope.layouts);
    for path in envelope.id.iter().flat_map(|id| &id.also) {
        problems.require(!path.is_empty(), place, "a path to the id is empty; name the member");
    }
}

fn layouts(problems: &mut Problems, place: &str, envelope: &Envelope, layouts: &[Layout]) {
    for layout in layouts {
        let Layout::Under(member) = layout else { continue };
        let taken = *member == envelope.tag || envelope.id.as_ref().is_some_and(|id| id.field == *member);
        problems.require(
            !taken,
            place,
            format!("`{member}` is the envelope's tag or id; put the body elsewhere"),
        );
        problems.require(!member.is_empty(), place, "the member with the body has no name; give it one");
    }
}

fn message(
    problems: &mut Problems,
    definition: &Definition,
    place: &str,
    facts: &MessageFacts,
    schema: &MessageSchema,
) {
    let body = Type::named(&schema.schema.type_name);
    let recognition_place = format!("{place}.recognition");
    recognition::well_formed(problems, definition, &recognition_place, &facts.recognition, &body);
    raw(problems, definition, place, facts, &body);
    match &definition.envelope {
        Some(envelope) => enveloped(problems, definition, place, facts, envelope, &body),
        None => problems.require(
            facts.layouts.is_empty(),
            place,
            "layouts need an envelope; declare one or remove them",
        ),
    }
    if let Some(reply) = &facts.reply {
        self::reply(problems, definition, &format!("{place}.reply"), reply, schema);
    }
    problems.unique(&format!("{place}.examples"), "the example", facts.examples.iter().map(|e| &e.name));
    for example in &facts.examples {
        if let Err(why) = example_fits(definition, facts, &body, example) {
            problems.add(
                format!("{place}.examples.{}", example.name),
                format!("{why}; correct the example or the definition"),
            );
        }
    }
}

fn raw(problems: &mut Problems, definition: &Definition, place: &str, facts: &MessageFacts, body: &Type) {
    let resolved = resolve(definition, body);
    match (facts.body, facts.frame) {
        (BodyKind::Json, _) => {
            problems.require(
                facts.recognition != Recognition::Frame || facts.frame != FrameKind::Either,
                place,
                "it is recognised by its frame, but comes in both kinds; choose one",
            );
        }
        (BodyKind::Raw, FrameKind::Either) => {
            problems.add(place, "a raw body has one kind of frame; choose `text` or `binary`");
        }
        (BodyKind::Raw, FrameKind::Binary) => problems.require(
            matches!(resolved, None | Some(Resolved::Type(Type::Bytes))),
            place,
            "the body of a raw binary message is bytes; make its type an alias of `bytes`",
        ),
        (BodyKind::Raw, FrameKind::Text) => problems.require(
            matches!(resolved, None | Some(Resolved::Type(Type::String))),
            place,
            "the body of a raw text message is text; make its type an alias of `string`",
        ),
    }
    problems.require(
        facts.body == BodyKind::Json || facts.recognition == Recognition::Frame,
        place,
        "a raw body has no members to look at; recognise it by its `frame`",
    );
}

fn enveloped(
    problems: &mut Problems,
    definition: &Definition,
    place: &str,
    facts: &MessageFacts,
    envelope: &Envelope,
    body: &Type,
) {
    if let Recognition::Tag { field, .. } = &facts.recognition {
        let message = format!("the envelope's tag is `{}`, not `{field}`; correct one of them", envelope.tag);
        problems.require(*field == envelope.tag, place, message);
    }
    layouts(problems, place, envelope, &facts.layouts);
    let layouts = if facts.layouts.is_empty() { &envelope.layouts } else { &facts.layouts };
    if !has_flat(layouts) {
        return;
    }
    let Some(fields) = record_fields(definition, body) else {
        let is_map = matches!(resolve(definition, body), None | Some(Resolved::Type(Type::Map(_))));
        problems.require(
            is_map,
            place,
            "only the members of an object can stand beside the tag; put the body under a member",
        );
        return;
    };
    let id = envelope.id.as_ref().map(|id| id.field.as_str());
    for field in fields {
        problems.require(
            field.name != envelope.tag && Some(field.name.as_str()) != id,
            place,
            format!(
                "`{}` is a member of the envelope and of the body; rename it or put the body under a member",
                field.name
            ),
        );
    }
}

fn reply(
    problems: &mut Problems,
    definition: &Definition,
    place: &str,
    reply: &Reply,
    request: &MessageSchema,
) {
    problems.require(!reply.messages.is_empty(), place, "no message is named; name the one that answers");
    let until: &[String] = match &reply.replies {
        Replies::Stream { until } => until,
        Replies::One | Replies::Exactly(_) => &[],
    };
    problems.require(
        reply.replies != Replies::Exactly(0),
        place,
        "a request with no replies has no `reply`; remove it or correct the number",
    );
    for id in reply.messages.iter().chain(&reply.errors).chain(until) {
        let Some(answer) = all(definition).find(|schema| schema.id == *id) else {
            problems.add(place, format!("no message has the id `{id}`; correct it"));
            continue;
        };
        let same_side =
            answer.direction == request.direction && answer.direction != MessageDirection::Bidirectional;
        problems.require(
            !same_side,
            place,
            format!("`{id}` is sent by the side that asks; name an answer of the other"),
        );
        if let Some(correlation) = &reply.correlation {
            self::correlation(problems, definition, place, correlation, request, answer);
        }
    }
    for id in until {
        problems.require(
            reply.messages.contains(id) || reply.errors.contains(id),
            place,
            format!("`{id}` ends the stream but is not among its messages; add it to them"),
        );
    }
    problems.require(
        reply.timeout_ms != Some(0),
        place,
        "a timeout of 0 ms is always over; give it time or leave it out",
    );
}

fn correlation(
    problems: &mut Problems,
    definition: &Definition,
    place: &str,
    correlation: &Correlation,
    request: &MessageSchema,
    answer: &MessageSchema,
) {
    for (path, schema) in [(&correlation.request, request), (&correlation.reply, answer)] {
        require_path(problems, definition, place, path, &schema.id);
    }
}

/// Notes a path that leads nowhere in a message's body.
pub(super) fn require_path(
    problems: &mut Problems,
    definition: &Definition,
    place: &str,
    path: &[String],
    id: &str,
) {
    let Some(schema) = all(definition).find(|schema| schema.id == id) else { return };
    let envelope = definition.envelope.as_ref();
    let in_envelope = envelope.is_some_and(|envelope| {
        path.first().is_some_and(|first| {
            envelope.id.as_ref().is_some_and(|id| id.field == *first)
                || envelope.layouts.contains(&Layout::Under(first.clone()))
        })
    });
    let leads = in_envelope
        || (!path.is_empty() && leads_on(definition, &Type::named(&schema.schema.type_name), path));
    problems.require(
        leads,
        place,
        format!(
            "`{}` is no member of message `{id}`; add it to its type or correct the path",
            path.join(".")
        ),
    );
}

fn leads_on(definition: &Definition, ty: &Type, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match resolve(definition, ty) {
        None | Some(Resolved::Type(Type::Json)) => true,
        Some(Resolved::Type(Type::Map(value))) => leads_on(definition, value, rest),
        Some(Resolved::Shape(crate::Shape::Record(record))) => record
            .fields
            .iter()
            .find(|f| f.name == *first)
            .is_some_and(|f| leads_on(definition, &f.field_type, rest)),
        Some(_) => false,
    }
}

fn example_fits(
    definition: &Definition,
    facts: &MessageFacts,
    body: &Type,
    example: &Example,
) -> Result<(), String> {
    let raw = facts.body == BodyKind::Raw;
    if !raw && !facts.recognition.tests().iter().all(|test| test.holds(&example.value)) {
        return Err("the example is not recognised as this message".into());
    }
    body_fits(definition, facts, body, &example.value)
}

/// `Ok` if the body in a frame is of the type, else where it is not and why.
pub(super) fn body_fits(
    definition: &Definition,
    facts: &MessageFacts,
    body: &Type,
    frame: &Value,
) -> Result<(), String> {
    match facts.body {
        BodyKind::Raw => fits::fits(definition, frame, body),
        BodyKind::Json => fits::fits(definition, &example_body(definition, facts, frame), body),
    }
}

/// The body of an example frame.
fn example_body(definition: &Definition, facts: &MessageFacts, frame: &Value) -> Value {
    if let Recognition::ArrayHead { .. } = facts.recognition {
        let items = frame.as_array().map_or(&[][..], Vec::as_slice);
        return Value::Array(items.iter().skip(1).cloned().collect());
    }
    let Some(envelope) = &definition.envelope else { return frame.clone() };
    let layouts = if facts.layouts.is_empty() { &envelope.layouts } else { &facts.layouts };
    let under = layouts.iter().find_map(|layout| match layout {
        Layout::Under(member) => frame.get(member),
        Layout::Flat => None,
    });
    match under {
        Some(body) => body.clone(),
        None if has_flat(layouts) => frame.clone(),
        None => Value::Object(serde_json::Map::new()),
    }
}

/// An example must not be taken for another message that is tried earlier.
fn examples_of_endpoints(problems: &mut Problems, definition: &Definition) {
    for endpoint in definition.websocket_endpoints() {
        let precedence = definition.find_policy(&endpoint.id).map_or(&[][..], |policy| &policy.precedence);
        let rank = |id: &str| precedence.iter().position(|p| p == id);
        for side in
            [endpoint.lifecycle.from_client().collect::<Vec<_>>(), endpoint.lifecycle.from_server().collect()]
        {
            let facts: Vec<&MessageFacts> =
                side.iter().filter_map(|m| definition.find_message(&m.id)).collect();
            for one in &facts {
                let earlier =
                    facts.iter().filter(|f| f.body == BodyKind::Json && rank(&f.id) < rank(&one.id));
                let earlier: Vec<&&MessageFacts> = earlier.filter(|f| rank(&f.id).is_some()).collect();
                taken_for_another(problems, one, &earlier);
            }
        }
    }
}

fn taken_for_another(problems: &mut Problems, facts: &MessageFacts, earlier: &[&&MessageFacts]) {
    for example in facts.examples.iter().filter(|_| facts.body == BodyKind::Json) {
        let thief = earlier.iter().find(|f| f.recognition.tests().iter().all(|t| t.holds(&example.value)));
        if let Some(thief) = thief {
            problems.add(
                format!("messages.{}.examples.{}", facts.id, example.name),
                format!(
                    "the example is taken for `{}`, which is tried first; change `precedence` or the example",
                    thief.id
                ),
            );
        }
    }
}
