//! The words in which a REST or WebSocket API is described.
//!
//! Everything here is plain data: it can be written as Rust literals, kept as JSON or YAML without loss,
//! compared, and judged by `check()`. What files are made from a definition is the business of
//! `schematic-gen`; how a connection behaves at run time is the business of the runtimes.
//!
//! [`WebSocketApi`] and [`RestApi`] say what an API offers. A [`Definition`] holds them together with what
//! such a literal cannot carry: the shapes of the types, how messages are told apart ([`MessageFacts`]), and
//! how a connection is kept ([`EndpointPolicy`]).
//!
//! ```
//! use schematic_define::prelude::*;
//!
//! let definition = Definition::new("Echo", "Says everything twice")
//!     .with_type(TypeDef::record("Say", "One thing to say", vec![Field::required("text", Type::String)]));
//! let again = Definition::from_json(&definition.to_json()).unwrap();
//! assert_eq!(definition, again);
//! ```

pub mod auth;
pub mod check;
pub mod definition;
pub mod message;
pub mod policy;
pub mod prelude;
pub mod rest;
pub mod schema;
pub mod websocket;

pub use auth::*;
pub use check::Problem;
pub use definition::*;
pub use message::*;
pub use policy::*;
pub use rest::*;
pub use schema::*;
pub use websocket::*;

/// Reads a member that is present, even as `null`, as `Some`: a default of `null` is not "no default".
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Leaves out members that are as they would be anyway.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
