//! The command `schematic`: judges definitions, generates from them, exports them, plays their servers.
//!
//! A definition is a file (`.json`, `.yaml`, `.yml`) or the name of one that is built in. When it has problems, each is
//! printed on a line of its own, nothing is written, and the exit code is 1.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use schematic_define::{Definition, Problem};
use schematic_gen::{File, Provenance, asyncapi, markdown, openapi, rust, typescript};

#[derive(Parser)]
#[command(name = "schematic", version, about = "From a definition of an API to typed clients and documents")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judge a definition: every problem at once, one a line.
    Check {
        /// A file (.json, .yaml) or the name of a built-in definition; without it all that are built in.
        definition: Option<String>,
    },
    /// Write code that is made from a definition.
    Generate {
        /// A file (.json, .yaml) or the name of a built-in definition.
        definition: String,
        /// What to write; may be given several times, and is everything that the definition has without it.
        #[arg(long, value_enum)]
        output: Vec<Output>,
        /// The folder to write into; it is made if it is missing.
        #[arg(long, short, default_value = ".")]
        directory: PathBuf,
    },
    /// Write a definition as a document.
    Export {
        /// A file (.json, .yaml) or the name of a built-in definition.
        definition: String,
        /// Which kind of document.
        #[arg(long, value_enum)]
        format: Format,
        /// The file to write; without it the document is printed.
        #[arg(long, short)]
        file: Option<PathBuf>,
    },
    /// Play the server of a definition, and hold its clients to it, until interrupted.
    #[cfg(feature = "mock")]
    Mock {
        /// A file (.json, .yaml) or the name of a built-in definition.
        definition: String,
        /// Where to listen; the first line of output is the URL that takes the place of the definition's own.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: std::net::SocketAddr,
        /// What goes wrong: `drop:3`, `close=4000:2`, `unknown`, `delay=20` and so on, with commas between them. Clients
        /// may ask for the same with the query `?mock=`.
        #[arg(long, default_value = "", value_parser = schematic_mock::Faults::parse)]
        faults: schematic_mock::Faults,
        /// The credential that clients must have; without it any will do.
        #[arg(long)]
        credential: Option<String>,
    },
}

/// The kinds of generated code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Rust types of everything that is said, with recognition
    RustWire,
    /// A Rust client of the REST API, beside the types, on the crate `schematic-runtime` with its feature `rest`
    RustRest,
    /// Rust clients of the WebSocket endpoints on the runtime crate, beside the types
    RustClient,
    /// A TypeScript client on the runtime package
    Typescript,
    /// A TypeScript client of the REST API, beside the types, on the runtime package
    TypescriptRest,
}

/// The kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// AsyncAPI 3.1 as JSON
    Asyncapi,
    /// OpenAPI 3.1 as JSON
    Openapi,
    /// A reference page
    Markdown,
    /// The definition itself as JSON
    Json,
    /// The definition itself as YAML
    Yaml,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(said) => {
            print(&said);
            ExitCode::SUCCESS
        }
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)]
fn print(text: &str) {
    print!("{text}");
}

/// Does what is asked, and gives what there is to say, or every problem as a line.
fn run(command: Command) -> Result<String, Vec<String>> {
    match command {
        Command::Check { definition } => check(definition.as_deref()),
        Command::Generate { definition, output, directory } => {
            let provenance = provenance("generate", &definition);
            let definition = read(&definition)?;
            let mut files = Vec::new();
            for kind in if output.is_empty() { everything(&definition) } else { output } {
                files.extend(generate(&definition, kind, &provenance).map_err(lines)?);
            }
            write_all(&directory, &files)
        }
        Command::Export { definition, format, file } => {
            let provenance = provenance("export", &definition);
            let definition = read(&definition)?;
            let text = export(&definition, format, &provenance).map_err(lines)?;
            match file {
                None => Ok(text),
                Some(path) => write(&path, &text).map(|()| format!("wrote {}\n", path.display())),
            }
        }
        #[cfg(feature = "mock")]
        Command::Mock { definition, listen, faults, credential } => {
            let options = schematic_mock::Options { listen, credential, faults };
            let ready = |mock: &schematic_mock::Mock| print(&format!("{}\n", mock.url()));
            let served = schematic_mock::serve(read(&definition)?, options, ready);
            served.map(|()| String::new()).map_err(|why| vec![why.to_string()])
        }
    }
}

fn provenance(command: &str, definition: &str) -> Provenance {
    let source = Path::new(definition).file_name().map_or(definition.into(), |name| name.to_string_lossy());
    Provenance::new(format!("schematic {command}"), source)
}

fn lines(problems: Vec<Problem>) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

fn check(name: Option<&str>) -> Result<String, Vec<String>> {
    let definitions = match name {
        Some(name) => vec![(name.to_owned(), read(name)?)],
        None => schematic_definitions::all().into_iter().map(|(name, d)| (name.to_owned(), d)).collect(),
    };
    let mut said = String::new();
    let mut problems = Vec::new();
    for (name, definition) in definitions {
        match definition.check() {
            Ok(()) => said.push_str(&format!("{name}: accepted\n")),
            Err(found) => problems.extend(lines(found).into_iter().map(|line| format!("{name}: {line}"))),
        }
    }
    if problems.is_empty() { Ok(said) } else { Err(problems) }
}

fn read(name: &str) -> Result<Definition, Vec<String>> {
    let built_in = schematic_definitions::all();
    if let Some((_, definition)) = built_in.iter().find(|(known, _)| *known == name) {
        return Ok(definition.clone());
    }
    let path = Path::new(name);
    let parse = match path.extension().and_then(|e| e.to_str()) {
        Some("json") => Definition::from_json,
        Some("yaml" | "yml") => Definition::from_yaml,
        Some(_) | None => {
            let known: Vec<&str> = built_in.iter().map(|(known, _)| *known).collect();
            return Err(vec![format!(
                "`{name}` is no definition; give a .json or .yaml file or one of: {}",
                known.join(", ")
            )]);
        }
    };
    let text = std::fs::read_to_string(path).map_err(|e| vec![format!("cannot read {name}: {e}")])?;
    parse(&text).map_err(|e| vec![format!("{name}: {}", e.to_string().replace('\n', " "))])
}

/// The kinds of code that a definition has.
fn everything(definition: &Definition) -> Vec<Output> {
    let mut kinds = vec![Output::RustWire, Output::RustClient, Output::Typescript];
    if definition.rest.is_some() {
        kinds.extend([Output::RustRest, Output::TypescriptRest]);
    }
    kinds
}

fn generate(
    definition: &Definition,
    output: Output,
    provenance: &Provenance,
) -> Result<Vec<File>, Vec<Problem>> {
    match output {
        Output::RustWire => rust::wire_types(definition, provenance),
        Output::RustRest => rust::rest_client(definition, provenance),
        Output::RustClient => rust::client(definition, provenance),
        Output::Typescript => typescript::client(definition, provenance),
        Output::TypescriptRest => typescript::rest_client(definition, provenance),
    }
}

fn export(definition: &Definition, format: Format, provenance: &Provenance) -> Result<String, Vec<Problem>> {
    let files = match format {
        Format::Asyncapi => asyncapi::document(definition)?,
        Format::Openapi => openapi::document(definition)?,
        Format::Markdown => markdown::reference(definition, provenance)?,
        Format::Json => {
            definition.check()?;
            return Ok(definition.to_json() + "\n");
        }
        Format::Yaml => {
            definition.check()?;
            return Ok(definition.to_yaml());
        }
    };
    Ok(files.into_iter().map(|(_, text)| text).collect())
}

fn write_all(directory: &Path, files: &[File]) -> Result<String, Vec<String>> {
    let mut said = String::new();
    for (name, text) in files {
        let path = directory.join(name);
        write(&path, text)?;
        said.push_str(&format!("wrote {}\n", path.display()));
    }
    Ok(said)
}

fn write(path: &Path, text: &str) -> Result<(), Vec<String>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|e| vec![format!("cannot write {}: {e}", path.display())])
}
