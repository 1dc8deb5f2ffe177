//! How long all outputs of all definitions take together: `cargo run --release -p tidewire-definitions --example outputs`.
//!
//! The definitions of other people's APIs are among them. Fails if it takes longer than a second.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use schematic_define::{Definition, Problem};
use schematic_gen::{File, Provenance, asyncapi, markdown, openapi, rust, typescript};

/// What all of it may take.
const LIMIT: Duration = Duration::from_secs(1);

type Output = fn(&Definition, &Provenance) -> Result<Vec<File>, Vec<Problem>>;
type Has = fn(&Definition) -> bool;

/// Every output, and whether a definition has it.
const OUTPUTS: [(&str, Output, Has); 8] = [
    ("rust-wire", rust::wire_types, |_| true),
    ("rust-client", rust::client, |definition| definition.websocket.is_some()),
    ("rust-rest", rust::rest_client, |definition| definition.rest.is_some()),
    ("typescript", typescript::client, |_| true),
    ("typescript-rest", typescript::rest_client, |definition| definition.rest.is_some()),
    ("asyncapi", |definition, _| asyncapi::document(definition), |definition| definition.websocket.is_some()),
    ("openapi", |definition, _| openapi::document(definition), |definition| definition.rest.is_some()),
    ("markdown", markdown::reference, |_| true),
];

#[allow(clippy::print_stdout)]
fn main() -> ExitCode {
    let begun = Instant::now();
    let mut definitions = schematic_definitions::all();
    definitions.push(("session_chat", tidewire_definitions::session_chat::definition()));
    for (name, output, has) in OUTPUTS {
        let begun = Instant::now();
        let mut written = (0, 0);
        for (_, definition) in definitions.iter().filter(|(_, definition)| has(definition)) {
            let files = output(definition, &Provenance::new("a measurement", "a definition"));
            let files = files.expect("the definitions of the house are accepted");
            written.0 += files.len();
            written.1 += files.iter().map(|(_, text)| text.len()).sum::<usize>();
        }
        println!("{name:16} {:3} files {:8} bytes {:7.1} ms", written.0, written.1, millis(begun));
    }
    println!(
        "all of {} definitions: {:.1} ms, limit {} ms",
        definitions.len(),
        millis(begun),
        LIMIT.as_millis()
    );
    if begun.elapsed() <= LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}
