//! TypeScript output: one file an API, with its types, its messages and a client for each endpoint.
//!
//! The file is data and thin classes; what they mean is in `@tidewire/schematic-runtime`, its only import. Members
//! keep their names on the wire, so that a typed body and its JSON look alike.

mod call;
mod endpoint;
mod messages;
mod policy;
mod rest;
mod types;
mod writer;

use schematic_define::{Definition, Problem};

use crate::ir::{self, Api};
use crate::names::{self, Scope};
use crate::{File, Provenance};
use writer::Writer;

pub use rest::rest_client;

/// The package that generated files import.
const RUNTIME: &str = "@tidewire/schematic-runtime";

/// Writes the client of an API: `session_chat.ts` for a definition with the name `SessionChat`.
///
/// # Errors
/// Every problem of the definition.
pub fn client(definition: &Definition, provenance: &Provenance) -> Result<Vec<File>, Vec<Problem>> {
    let api = ir::lower(definition)?;
    let mut out = Writer::default();
    out.line(format!("// {}", provenance.line()));
    out.line(format!(
        "//! {}: {}",
        api.wire,
        api.description.split_whitespace().collect::<Vec<_>>().join(" ")
    ));
    out.blank();
    if api.types.is_empty() && api.endpoints.is_empty() {
        // An import without use would be a mistake, and without either the file would be no module.
        out.line("export {};");
    } else {
        out.line(format!("import * as runtime from \"{RUNTIME}\";"));
        out.line(format!("import {{ shape }} from \"{RUNTIME}\";"));
    }
    for decl in &api.types {
        types::declare(&mut out, decl);
    }
    let mut scope = taken(&api);
    for declared in &api.endpoints {
        messages::declare(&mut out, &declared.client, api.envelope.as_ref(), "client");
        messages::declare(&mut out, &declared.server, api.envelope.as_ref(), "server");
        endpoint::declare(&mut out, &api, declared, &mut scope);
    }
    Ok(vec![(format!("{}.ts", names::snake(&api.wire)), out.finish())])
}

/// The names that the file's types and messages have.
fn taken(api: &Api) -> Scope {
    let mut scope = Scope::with(names::RESERVED_TYPES.iter().copied());
    for decl in &api.types {
        scope.take(&decl.name);
    }
    for endpoint in &api.endpoints {
        scope.take(&endpoint.client.name);
        scope.take(&endpoint.server.name);
    }
    scope
}
