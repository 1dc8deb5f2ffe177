//! A server that plays the other side of a definition.
//!
//! It holds every client to the definition (the upgrade, the types of messages, their order, limits), answers from the
//! definition's examples, and misbehaves when it is told to. It knows no service: what it does is derived from the
//! facts, and what a service would think or say is not its business.
//!
//! ```no_run
//! use schematic_define::Definition;
//! use schematic_mock::{Faults, Mock};
//!
//! # async fn run(definition: Definition) -> Result<(), schematic_mock::Error> {
//! let mock = Mock::start(definition, Faults::parse("drop:101").unwrap()).await?;
//! println!("connect to {}", mock.url());
//! # Ok(())
//! # }
//! ```

mod answers;
mod connection;
mod faults;
mod log;
mod messages;
mod rules;
mod server;
mod upgrade;

pub use answers::audio;
pub use faults::{Count, Fault, Faults, Misbehaviour};
pub use log::{Entry, Happened};
pub use server::{Error, Mock, Options, serve};
