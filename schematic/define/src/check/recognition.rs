//! Whether messages can be told apart: each recognition by itself, and every pair that one side may send.

use serde_json::Value;

use super::Problems;
use crate::message::JsonKind;
use crate::{Definition, FrameKind, Layout, MessageFacts, Recognition, Shape, Test, Type, WebSocketEndpoint};

/// Judges a recognition against the body that it introduces.
pub(super) fn well_formed(
    problems: &mut Problems,
    definition: &Definition,
    place: &str,
    recognition: &Recognition,
    body: &Type,
) {
    match recognition {
        Recognition::Tag { field, value } | Recognition::Literal { field, value } => {
            constant(problems, place, field, value);
            unlisted(problems, definition, place, field, body);
        }
        Recognition::NestedTag { path, value } => {
            problems.require(
                path.len() > 1,
                place,
                "the tag is not nested; use `tag`, or write the whole path",
            );
            nested(problems, definition, place, path, value, body);
        }
        Recognition::CompositeTag { parts } => {
            problems.require(
                parts.len() > 1,
                place,
                "a composite tag has several parts; add one or use `tag`",
            );
            problems.unique(place, "the part", parts.iter().map(|p| p.path.join(".")));
            for part in parts {
                match part.path.as_slice() {
                    [] => problems.add(place, "a part of the tag has an empty path; name the member"),
                    [field] => {
                        constant(problems, place, field, &part.value);
                        unlisted(problems, definition, place, field, body);
                    }
                    path => nested(problems, definition, place, path, &part.value, body),
                }
            }
        }
        Recognition::Presence { field } => presence(problems, definition, place, field, body),
        Recognition::ArrayHead { value } => {
            constant(problems, place, "the first element", value);
            let is_tuple = matches!(resolve(definition, body), Some(Resolved::Shape(Shape::Tuple(_))) | None);
            problems.require(
                is_tuple,
                place,
                "an array with a head needs a tuple as its body; make its type one",
            );
        }
        Recognition::Kind(kind) => self::kind(problems, definition, place, *kind, body),
        Recognition::Frame => {}
        Recognition::AnyOf(ways) => any_of(problems, definition, place, ways, body),
    }
}

fn any_of(problems: &mut Problems, definition: &Definition, place: &str, ways: &[Recognition], body: &Type) {
    problems.require(ways.len() > 1, place, "`any_of` needs several ways; add one or use the way alone");
    for way in ways {
        match way {
            Recognition::Tag { .. }
            | Recognition::Literal { .. }
            | Recognition::NestedTag { .. }
            | Recognition::CompositeTag { .. } => well_formed(problems, definition, place, way, body),
            // One of the other ways may be what is there, so the member may be absent.
            Recognition::Presence { field } => {
                let known = record_fields(definition, body).is_none_or(|fields| {
                    fields.iter().any(|f| f.name == *field || f.aliases.contains(field))
                });
                problems.require(known, place, format!("the body has no member `{field}`; add it"));
            }
            Recognition::ArrayHead { .. }
            | Recognition::Kind(_)
            | Recognition::Frame
            | Recognition::AnyOf(_) => {
                problems
                    .add(place, "`any_of` takes ways that look at members of an object; use one of those");
            }
        }
    }
}

/// A tag's value is compared as it is written, so it must have only one way of being written.
fn constant(problems: &mut Problems, place: &str, what: &str, value: &Value) {
    problems.require(
        value.is_string() || value.is_boolean() || value.is_i64() || value.is_u64(),
        place,
        format!("the value of `{what}` has to be a string, a whole number or a boolean; choose one"),
    );
}

/// What recognition writes by itself must not be written a second time by the record.
fn unlisted(problems: &mut Problems, definition: &Definition, place: &str, field: &str, body: &Type) {
    let flat = match resolve(definition, body) {
        Some(Resolved::Shape(Shape::Record(record))) => {
            let listed =
                record.fields.iter().any(|f| f.name == field || f.aliases.iter().any(|a| a == field));
            problems.require(
                !listed,
                place,
                format!("recognition writes `{field}` by itself; remove the member from the record"),
            );
            true
        }
        Some(Resolved::Type(Type::Map(_))) | None => true,
        Some(_) => false,
    };
    problems.require(
        flat || definition.envelope.is_some(),
        place,
        format!("`{field}` can only be added to an object; make the type a record"),
    );
}

fn nested(
    problems: &mut Problems,
    definition: &Definition,
    place: &str,
    path: &[String],
    value: &Value,
    body: &Type,
) {
    let shown = path.join(".");
    let Some((last, way)) = path.split_last() else { return };
    let mut here = body.clone();
    for name in way {
        match record_fields(definition, &here).and_then(|fields| fields.into_iter().find(|f| f.name == *name))
        {
            Some(field) if !field.optional && !field.nullable => here = field.field_type,
            Some(_) => {
                problems
                    .add(place, format!("`{name}` on the way to `{shown}` may be absent; make it required"));
                return;
            }
            None => {
                problems
                    .add(place, format!("no record lists `{name}` on the way to `{shown}`; add the member"));
                return;
            }
        }
    }
    let field =
        record_fields(definition, &here).and_then(|fields| fields.into_iter().find(|f| f.name == *last));
    let fits = field.is_some_and(|f| f.constant.as_ref() == Some(value) && !f.optional && !f.nullable);
    problems.require(
        fits,
        place,
        format!("the record does not list `{shown}` as a required member with the constant {value}; add it"),
    );
}

fn presence(problems: &mut Problems, definition: &Definition, place: &str, field: &str, body: &Type) {
    let Some(fields) = record_fields(definition, body) else {
        problems.require(
            definition.envelope.is_some()
                || matches!(resolve(definition, body), None | Some(Resolved::Type(Type::Map(_)))),
            place,
            "only an object has members; make the type a record",
        );
        return;
    };
    let Some(found) = fields.iter().find(|f| f.name == field) else {
        problems.require(
            definition.envelope.is_some(),
            place,
            format!("the record has no member `{field}`; add it or name one that it has"),
        );
        return;
    };
    problems.require(
        !found.optional && !found.nullable,
        place,
        format!("`{field}` may be absent, so it does not show the message; make it required"),
    );
    problems.require(
        found.aliases.is_empty(),
        place,
        format!(
            "`{field}` has other names, under which the message is not seen; list all of them with `any_of`"
        ),
    );
}

fn kind(problems: &mut Problems, definition: &Definition, place: &str, kind: JsonKind, body: &Type) {
    let fits = match resolve(definition, body) {
        None | Some(Resolved::Type(Type::Json) | Resolved::Shape(Shape::Union(_))) => true,
        Some(Resolved::Shape(Shape::Record(_)) | Resolved::Type(Type::Map(_))) => kind == JsonKind::Object,
        Some(Resolved::Shape(Shape::Tuple(_)) | Resolved::Type(Type::Array(_))) => kind == JsonKind::Array,
        Some(
            Resolved::Shape(Shape::Enum { .. })
            | Resolved::Type(Type::String | Type::Timestamp | Type::Bytes),
        ) => kind == JsonKind::String,
        Some(Resolved::Type(Type::Integer | Type::Unsigned | Type::Float)) => kind == JsonKind::Number,
        Some(Resolved::Type(Type::Boolean)) => kind == JsonKind::Boolean,
        Some(Resolved::Type(Type::Named(_)) | Resolved::Shape(Shape::Alias(_))) => true,
    };
    problems.require(fits, place, "its type is never a JSON value of this kind; correct one of them");
}

/// What a type is when aliases are followed.
pub(super) enum Resolved<'a> {
    /// A shape that is no alias
    Shape(&'a Shape),
    /// A type that is no name
    Type(&'a Type),
}

/// Follows aliases; `None` if a name is unknown or leads in a circle, which is reported elsewhere.
pub(super) fn resolve<'a>(definition: &'a Definition, ty: &'a Type) -> Option<Resolved<'a>> {
    let mut here = ty;
    for _ in 0..=definition.types.len() {
        let Type::Named(name) = here else { return Some(Resolved::Type(here)) };
        match &definition.find_type(name)?.shape {
            Shape::Alias(of) => here = of,
            shape => return Some(Resolved::Shape(shape)),
        }
    }
    None
}

/// The members of a record; `None` if the type is none.
pub(super) fn record_fields(definition: &Definition, ty: &Type) -> Option<Vec<crate::Field>> {
    match resolve(definition, ty)? {
        Resolved::Shape(Shape::Record(record)) => Some(record.fields.clone()),
        Resolved::Shape(_) | Resolved::Type(_) => None,
    }
}

/// Judges every pair of messages that one side of an endpoint may send.
pub(super) fn check(problems: &mut Problems, definition: &Definition, endpoint: &WebSocketEndpoint) {
    let precedence = definition.find_policy(&endpoint.id).map_or(&[][..], |policy| &policy.precedence);
    let directions = [
        ("client", endpoint.lifecycle.from_client().collect::<Vec<_>>()),
        ("server", endpoint.lifecycle.from_server().collect()),
    ];
    for (side, messages) in directions {
        let facts: Vec<&MessageFacts> =
            messages.iter().filter_map(|m| definition.find_message(&m.id)).collect();
        for (at, one) in facts.iter().enumerate() {
            for other in &facts[at + 1..] {
                let ordered = precedence.contains(&one.id) && precedence.contains(&other.id);
                problems.require(
                    ordered || messages_apart(one, other),
                    format!("websocket.endpoints.{}.{side}", endpoint.id),
                    format!(
                        "messages `{}` and `{}` cannot be told apart; recognise one differently, or list both in \
                         the policy's `precedence`",
                        one.id, other.id
                    ),
                );
                if ordered && !frames_apart(one, other) {
                    let rank = |facts: &MessageFacts| precedence.iter().position(|id| *id == facts.id);
                    let (first, then) = if rank(one) < rank(other) { (one, other) } else { (other, one) };
                    let pair =
                        [(first.id.as_str(), &first.recognition), (then.id.as_str(), &then.recognition)];
                    require_reachable(problems, &format!("policies.{}.precedence", endpoint.id), pair);
                }
            }
        }
    }
}

/// Whether everything that is recognised as the later one is taken by the earlier one.
fn shadows(earlier: &Recognition, later: &Recognition) -> bool {
    let earlier = alternatives(earlier);
    let implied = |tests: &[Test], test: &Test| tests.iter().any(|known| implies(known, test));
    alternatives(later)
        .iter()
        .all(|later| earlier.iter().any(|earlier| earlier.iter().all(|test| implied(later, test))))
}

fn implies(known: &Test, test: &Test) -> bool {
    match (known, test) {
        (Test::Equals { path, .. }, Test::Present { field }) => path.first() == Some(field),
        (known, Test::Kind(kind)) => kind_of(known) == *kind,
        (known, test) => known == test,
    }
}

/// Notes alternatives of which the later one never has its turn.
pub(super) fn require_reachable(
    problems: &mut Problems,
    place: &str,
    [earlier, later]: [(&str, &Recognition); 2],
) {
    problems.require(
        !shadows(earlier.1, later.1),
        place,
        format!(
            "`{}` is never recognised, because `{}` before it takes all that it could be; put it first",
            later.0, earlier.0
        ),
    );
}

fn messages_apart(one: &MessageFacts, other: &MessageFacts) -> bool {
    frames_apart(one, other) || apart(&one.recognition, &other.recognition)
}

fn frames_apart(one: &MessageFacts, other: &MessageFacts) -> bool {
    matches!(
        (one.frame, other.frame),
        (FrameKind::Text, FrameKind::Binary) | (FrameKind::Binary, FrameKind::Text)
    )
}

/// Whether no JSON value can be recognised as both.
pub(super) fn apart(one: &Recognition, other: &Recognition) -> bool {
    let (one, other) = (alternatives(one), alternatives(other));
    one.iter().all(|a| other.iter().all(|b| a.iter().any(|x| b.iter().any(|y| contradict(x, y)))))
}

/// The lists of tests of which one has to hold.
fn alternatives(recognition: &Recognition) -> Vec<Vec<Test>> {
    match recognition {
        Recognition::AnyOf(ways) => ways.iter().map(Recognition::tests).collect(),
        single => vec![single.tests()],
    }
}

fn contradict(one: &Test, other: &Test) -> bool {
    match (one, other) {
        (Test::Equals { path: a, value: x }, Test::Equals { path: b, value: y }) => {
            // A value at a path means that everything before its end is an object.
            (a == b && x != y) || (a.len() != b.len() && (a.starts_with(b) || b.starts_with(a)))
        }
        (Test::ArrayHead(x), Test::ArrayHead(y)) => x != y,
        _ => kind_of(one) != kind_of(other),
    }
}

fn kind_of(test: &Test) -> JsonKind {
    match test {
        Test::Equals { .. } | Test::Present { .. } | Test::AnyOf(_) => JsonKind::Object,
        Test::ArrayHead(_) => JsonKind::Array,
        Test::Kind(kind) => *kind,
    }
}

/// Whether the members of a body stand beside those of the envelope in one of the layouts.
pub(super) fn has_flat(layouts: &[Layout]) -> bool {
    layouts.contains(&Layout::Flat)
}
