//! The definition as generators want it: checked, names resolved, messages in the order in which they are tried.
//!
//! Every output lowers from here. Names of types, enum values and variants are `UpperCamelCase`, names of members
//! and parameters `lower_snake_case`; they are unique in their scope in any casing, but may still be reserved words
//! of a language. What is on the wire stands beside them in `wire`. Types are [`Type`]s whose `Named` holds the
//! resolved name.

use std::collections::HashMap;

pub use schematic_define::Test;
use schematic_define::{
    BodyKind, Definition, EndpointPolicy, Envelope, Example, FrameKind, Layout, MessageSchema, Openness,
    ParamType, Problem, Recognition, Reply, Shape, Type, TypeDef, Variant, WebSocketEndpoint,
};
use serde_json::Value;

use crate::names::{self, Scope};

/// A checked definition with resolved names.
#[derive(Debug, Clone)]
pub struct Api {
    /// Name as the definition has it
    pub wire: String,
    /// Name of generated items
    pub name: String,
    /// What it is for
    pub description: String,
    /// The type table, in the definition's order
    pub types: Vec<TypeDecl>,
    /// The kinds of connection
    pub endpoints: Vec<Endpoint>,
    /// What WebSocket messages are wrapped in
    pub envelope: Option<Envelope>,
    /// The definition itself, for what is copied as it is (URLs, authentication, REST)
    pub definition: Definition,
}

/// A named type.
#[derive(Debug, Clone)]
pub struct TypeDecl {
    /// Name in the definition
    pub wire: String,
    /// Name in generated code
    pub name: String,
    /// What it is
    pub description: String,
    /// Its shape
    pub kind: TypeKind,
}

/// What a named type looks like.
#[derive(Debug, Clone)]
pub enum TypeKind {
    /// An object
    Record(Vec<Field>),
    /// A list of strings
    Enum {
        /// Whether others are kept
        open: bool,
        /// The known ones
        values: Vec<EnumValue>,
    },
    /// One of several types, in the order in which they are tried
    Union(Vec<UnionVariant>),
    /// An array with meanings by place
    Tuple {
        /// The places
        items: Vec<Item>,
        /// What may follow
        rest: Option<Type>,
    },
    /// Another name
    Alias(Type),
}

/// A member of a record.
#[derive(Debug, Clone)]
pub struct Field {
    /// Name on the wire
    pub wire: String,
    /// Name in generated code
    pub name: String,
    /// What it means
    pub description: String,
    /// Type of the value
    pub ty: Type,
    /// Whether it may be absent
    pub optional: bool,
    /// Whether it may be `null`
    pub nullable: bool,
    /// Other names on the wire that are read
    pub aliases: Vec<String>,
    /// What the other side assumes
    pub default: Option<Value>,
    /// The only value that it has
    pub constant: Option<Value>,
    /// Whether it must not be logged
    pub secret: bool,
}

/// A string of an enum.
#[derive(Debug, Clone)]
pub struct EnumValue {
    /// The string
    pub wire: String,
    /// Name in generated code
    pub name: String,
    /// What it means
    pub description: String,
}

/// An alternative of a union.
#[derive(Debug, Clone)]
pub struct UnionVariant {
    /// Name in generated code
    pub name: String,
    /// What it is
    pub description: String,
    /// Its type
    pub ty: Type,
    /// How it is told apart; all tests must hold
    pub tests: Vec<Test>,
    /// Members beside the body that are written
    pub writes: Writes,
}

/// A place of a tuple.
#[derive(Debug, Clone)]
pub struct Item {
    /// Name in generated code
    pub name: String,
    /// What it means
    pub description: String,
    /// Type of the value
    pub ty: Type,
    /// Whether the list may end before it
    pub optional: bool,
}

/// What recognition adds to a body when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writes {
    /// Members of the object, before those of the body
    Members(Vec<(String, Value)>),
    /// The first element of the array
    Head(Value),
}

/// A kind of connection.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Id in the definition
    pub wire: String,
    /// Name in generated code
    pub name: String,
    /// What it is for
    pub description: String,
    /// Path template
    pub path: String,
    /// What stands in the template's braces: required strings
    pub path_params: Vec<Param>,
    /// Query parameters
    pub query: Vec<Param>,
    /// What the client says
    pub client: Direction,
    /// What the server says
    pub server: Direction,
    /// Variant names of the client's messages by their place in the session's life
    pub lifecycle: Lifecycle,
    /// How the connection is kept
    pub policy: EndpointPolicy,
}

/// A parameter of the upgrade request. Names of path and query parameters share a scope.
#[derive(Debug, Clone)]
pub struct Param {
    /// Name in the URL or template
    pub wire: String,
    /// Name in generated code
    pub name: String,
    /// Type of the value
    pub ty: ParamType,
    /// Whether a connection cannot be opened without it
    pub required: bool,
    /// What the server assumes
    pub default: Option<String>,
}

/// The automaton of the client's side.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    /// Sent first, once
    pub initialize: Option<String>,
    /// Sent between opening and close
    pub streaming: Vec<String>,
    /// Sent last, once
    pub close: Option<String>,
}

/// All that one side says on a connection.
#[derive(Debug, Clone)]
pub struct Direction {
    /// Name of the enum of messages: `ClientMessage`, `ServerMessage`, after the endpoint's name if there are several
    pub name: String,
    /// The messages, in the order in which they are tried
    pub messages: Vec<Message>,
    /// Where the tag of an unknown message is read, if the direction has a tag
    pub tag: Option<Vec<String>>,
}

/// One message in one direction.
#[derive(Debug, Clone)]
pub struct Message {
    /// Id in the definition
    pub wire: String,
    /// Name of its variant
    pub name: String,
    /// What it says
    pub description: String,
    /// Type of its body
    pub body: Type,
    /// Kind of frame
    pub frame: FrameKind,
    /// How the body is written
    pub encoding: BodyKind,
    /// How it is told apart; all tests must hold
    pub tests: Vec<Test>,
    /// What recognition adds to the body
    pub writes: Writes,
    /// Where the body lies; empty without an envelope
    pub layouts: Vec<Layout>,
    /// What answers it
    pub reply: Option<Reply>,
    /// Whether it may be sent twice
    pub idempotent: bool,
    /// Whether it may occur twice
    pub repeatable: bool,
    /// What it looks like
    pub examples: Vec<Example>,
}

impl Api {
    /// The type with this resolved name.
    pub fn find(&self, name: &str) -> Option<&TypeDecl> {
        self.types.iter().find(|decl| decl.name == name)
    }
}

/// Checks a definition and resolves its names.
///
/// # Errors
/// Every problem of the definition.
pub fn lower(definition: &Definition) -> Result<Api, Vec<Problem>> {
    definition.check()?;
    let mut scope = Scope::with(names::RESERVED_TYPES.iter().copied());
    let single = definition.websocket_endpoints().len() == 1;
    let enums: Vec<[String; 2]> = definition
        .websocket_endpoints()
        .iter()
        .map(|endpoint| {
            let prefix = if single { String::new() } else { names::pascal(&endpoint.id) };
            ["ClientMessage", "ServerMessage"].map(|suffix| scope.pascal(&format!("{prefix}{suffix}")))
        })
        .collect();
    let resolved: HashMap<&str, String> =
        definition.types.iter().map(|entry| (entry.name.as_str(), scope.pascal(&entry.name))).collect();
    let mut endpoint_names = Scope::default();
    Ok(Api {
        wire: definition.name.clone(),
        name: names::pascal(&definition.name),
        description: definition.description.clone(),
        types: definition.types.iter().map(|entry| type_decl(entry, &resolved)).collect(),
        endpoints: definition
            .websocket_endpoints()
            .iter()
            .zip(enums)
            .map(|(e, enums)| endpoint(definition, e, endpoint_names.pascal(&e.id), enums, &resolved))
            .collect(),
        envelope: definition.envelope.clone(),
        definition: definition.clone(),
    })
}

type Resolved<'a> = HashMap<&'a str, String>;

fn resolve(ty: &Type, resolved: &Resolved) -> Type {
    match ty {
        Type::Named(name) => Type::Named(resolve_name(name, resolved)),
        Type::Array(item) => Type::array(resolve(item, resolved)),
        Type::Map(item) => Type::map(resolve(item, resolved)),
        Type::String
        | Type::Integer
        | Type::Unsigned
        | Type::Float
        | Type::Boolean
        | Type::Timestamp
        | Type::Bytes
        | Type::Json => ty.clone(),
    }
}

fn resolve_name(name: &str, resolved: &Resolved) -> String {
    resolved.get(name).cloned().expect("check() has resolved every name")
}

fn type_decl(entry: &TypeDef, resolved: &Resolved) -> TypeDecl {
    TypeDecl {
        wire: entry.name.clone(),
        name: resolve_name(&entry.name, resolved),
        description: entry.description.clone(),
        kind: type_kind(&entry.shape, resolved),
    }
}

fn type_kind(shape: &Shape, resolved: &Resolved) -> TypeKind {
    match shape {
        Shape::Record(record) => {
            let mut scope = Scope::default();
            TypeKind::Record(record.fields.iter().map(|f| field(f, &mut scope, resolved)).collect())
        }
        Shape::Enum { openness, values } => {
            let mut scope = Scope::with(["Unknown", "Self"]);
            let values = values
                .iter()
                .map(|v| EnumValue {
                    wire: v.value.clone(),
                    name: scope.pascal(&v.value),
                    description: v.description.clone(),
                })
                .collect();
            TypeKind::Enum { open: *openness == Openness::Open, values }
        }
        Shape::Union(union) => {
            let mut scope = Scope::with(["Unknown", "Self"]);
            TypeKind::Union(union.variants.iter().map(|v| variant(v, &mut scope, resolved)).collect())
        }
        Shape::Tuple(tuple) => {
            let mut scope = Scope::with(["rest"]);
            let items = tuple
                .items
                .iter()
                .map(|item| Item {
                    name: scope.snake(&item.name),
                    description: item.description.clone(),
                    ty: resolve(&item.item_type, resolved),
                    optional: item.optional,
                })
                .collect();
            TypeKind::Tuple { items, rest: tuple.rest.as_ref().map(|ty| resolve(ty, resolved)) }
        }
        Shape::Alias(ty) => TypeKind::Alias(resolve(ty, resolved)),
    }
}

fn field(field: &schematic_define::Field, scope: &mut Scope, resolved: &Resolved) -> Field {
    Field {
        wire: field.name.clone(),
        name: scope.snake(&field.name),
        description: field.description.clone(),
        ty: resolve(&field.field_type, resolved),
        optional: field.optional,
        nullable: field.nullable,
        aliases: field.aliases.clone(),
        default: field.default.clone(),
        constant: field.constant.clone(),
        secret: field.secret,
    }
}

fn variant(variant: &Variant, scope: &mut Scope, resolved: &Resolved) -> UnionVariant {
    UnionVariant {
        name: scope.pascal(&variant.name),
        description: variant.description.clone(),
        ty: resolve(&variant.variant_type, resolved),
        tests: variant.recognition.tests(),
        writes: writes(&variant.recognition),
    }
}

fn endpoint(
    definition: &Definition,
    endpoint: &WebSocketEndpoint,
    name: String,
    [client, server]: [String; 2],
    resolved: &Resolved,
) -> Endpoint {
    let policy =
        definition.find_policy(&endpoint.id).cloned().unwrap_or_else(|| EndpointPolicy::new(&endpoint.id));
    let mut params = Scope::default();
    let from_client: Vec<_> = endpoint.lifecycle.from_client().collect();
    let from_server: Vec<_> = endpoint.lifecycle.from_server().collect();
    let client = direction(definition, client, &from_client, &policy, resolved);
    let variant = |schema: &MessageSchema| {
        let message = client.messages.iter().find(|m| m.wire == schema.id);
        message.map(|m| m.name.clone())
    };
    let lifecycle = Lifecycle {
        initialize: endpoint.lifecycle.initialize.as_ref().and_then(variant),
        streaming: endpoint.lifecycle.streaming_messages.iter().filter_map(variant).collect(),
        close: endpoint.lifecycle.close.as_ref().and_then(variant),
    };
    Endpoint {
        wire: endpoint.id.clone(),
        name,
        description: endpoint.description.clone(),
        path: endpoint.path.clone(),
        path_params: endpoint
            .path_params()
            .into_iter()
            .map(|wire| Param {
                wire: wire.into(),
                name: params.snake(wire),
                ty: ParamType::String,
                required: true,
                default: None,
            })
            .collect(),
        query: endpoint
            .connection_params
            .iter()
            .map(|p| Param {
                wire: p.name.clone(),
                name: params.snake(&p.name),
                ty: p.param_type,
                required: p.required,
                default: p.default.clone(),
            })
            .collect(),
        server: direction(definition, server, &from_server, &policy, resolved),
        client,
        lifecycle,
        policy,
    }
}

fn direction(
    definition: &Definition,
    name: String,
    schemas: &[&MessageSchema],
    policy: &EndpointPolicy,
    resolved: &Resolved,
) -> Direction {
    let mut scope = Scope::with(["Unknown", "Self"]);
    let mut messages: Vec<Message> = schemas
        .iter()
        .map(|schema| message(definition, schema, scope.pascal(&schema.id), resolved))
        .collect();
    // What is not listed overlaps with nothing, so its place does not matter; tried first, tags stay together.
    let place = |id: &str| policy.precedence.iter().position(|p| p == id).map_or(0, |at| at + 1);
    messages.sort_by_key(|m| place(&m.wire));
    let tag = definition.envelope.as_ref().map(|envelope| vec![envelope.tag.clone()]);
    let tag =
        tag.or_else(|| schemas.iter().find_map(|s| tag_path(&definition.find_message(&s.id)?.recognition)));
    Direction { name, messages, tag }
}

fn message(definition: &Definition, schema: &MessageSchema, name: String, resolved: &Resolved) -> Message {
    let facts = definition.find_message(&schema.id).expect("check() has found facts about every message");
    let layouts = match &definition.envelope {
        Some(envelope) if facts.layouts.is_empty() => envelope.layouts.clone(),
        Some(_) => facts.layouts.clone(),
        None => Vec::new(),
    };
    Message {
        wire: schema.id.clone(),
        name,
        description: schema.description.clone(),
        body: Type::Named(resolve_name(&schema.schema.type_name, resolved)),
        frame: facts.frame,
        encoding: facts.body,
        tests: facts.recognition.tests(),
        writes: writes(&facts.recognition),
        layouts,
        reply: facts.reply.clone(),
        idempotent: facts.idempotent,
        repeatable: schema.repeatable,
        examples: facts.examples.clone(),
    }
}

fn writes(recognition: &Recognition) -> Writes {
    match recognition {
        Recognition::Tag { field, value } | Recognition::Literal { field, value } => {
            Writes::Members(vec![(field.clone(), value.clone())])
        }
        Recognition::CompositeTag { parts } => Writes::Members(
            parts
                .iter()
                .filter(|p| p.path.len() == 1)
                .map(|p| (p.path[0].clone(), p.value.clone()))
                .collect(),
        ),
        Recognition::ArrayHead { value } => Writes::Head(value.clone()),
        Recognition::AnyOf(ways) => ways.first().map_or(Writes::Members(Vec::new()), writes),
        Recognition::NestedTag { .. }
        | Recognition::Presence { .. }
        | Recognition::Kind(_)
        | Recognition::Frame => Writes::Members(Vec::new()),
    }
}

fn tag_path(recognition: &Recognition) -> Option<Vec<String>> {
    match recognition {
        Recognition::Tag { field, .. } => Some(vec![field.clone()]),
        Recognition::NestedTag { path, .. } => Some(path.clone()),
        Recognition::CompositeTag { parts } => parts.first().map(|p| p.path.clone()),
        Recognition::AnyOf(ways) => ways.iter().find_map(tag_path),
        Recognition::Literal { .. }
        | Recognition::Presence { .. }
        | Recognition::ArrayHead { .. }
        | Recognition::Kind(_)
        | Recognition::Frame => None,
    }
}
