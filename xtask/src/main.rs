//! Everything that is done with this repository, as commands: `cargo xtask up`, `test`, `codegen`, `bench`.
//!
//! Each command says what it is doing, does only what is not done yet, and fails with one sentence that says what to
//! do. What a step means lies in a module of its own; this file is the list.

mod bench;
mod codegen;
mod deny;
mod models;
mod mutate;
mod page;
mod run;
mod soak;
mod test;
mod up;
mod walls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set-up, code generation, tests and benchmarks of Tidewire")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set everything up and start the server with the demo catalogue. The newcomer's command.
    Up(up::Args),
    /// Install what the tests need and run them all.
    Test(test::Args),
    /// Write the generated code anew.
    Codegen {
        /// Write nothing; fail if something would change.
        #[arg(long)]
        check: bool,
    },
    /// Measure, and write docs/benchmarks.md.
    Bench(bench::Args),
    /// Kill the server 200 times, load it for ten minutes, and write docs/reliability.md.
    Soak(soak::Args),
    /// Build the page into `web/dist`.
    Page,
    /// Check that no arrow of the house points the wrong way.
    Walls,
    /// Hold licences, sources and versions of what we build on to deny.toml.
    Deny,
    /// Remove each access check in turn, and demand that the matrix notices.
    Mutate(mutate::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Up(args) => up::run_up(&args),
        Command::Test(args) => test::run_all(&args),
        Command::Codegen { check } => codegen::run(check),
        Command::Bench(args) => bench::run_cases(&args),
        Command::Soak(args) => soak::run_all(&args),
        Command::Page => page::build(),
        Command::Walls => walls::check(),
        Command::Deny => deny::check(),
        Command::Mutate(args) => mutate::run_all(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error}");
            ExitCode::FAILURE
        }
    }
}
