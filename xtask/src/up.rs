//! From a fresh clone to a running server with the demo catalogue.

use std::thread;

use clap::Args as ClapArgs;

use crate::run::{Result, program, run, step, target};
use crate::{models, page};

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Only set up; do not start the server.
    #[arg(long)]
    no_serve: bool,
    /// What `tidewire serve` is given beside `--demo`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    serve: Vec<String>,
}

/// Sets everything up, and serves until it is interrupted.
///
/// The models are fetched while the compiler works; the page comes first, because the binary embeds it.
pub(crate) fn run_up(args: &Args) -> Result {
    let models = thread::spawn(models::ensure);
    page::build()?;
    step("build the server (optimised; the first time takes minutes)", || {
        run(program("cargo").args(["build", "--release", "--locked", "--package", "tidewire-server"]))
    })?;
    models.join().unwrap_or_else(|_| Err("fetching the models broke off; run this again".into()))?;
    if args.no_serve {
        return Ok(());
    }
    serve(&args.serve)
}

fn serve(more: &[String]) -> Result {
    let mut command = program(target().join("release/tidewire"));
    command.args(["serve", "--demo"]).args(more).env("TIDEWIRE_MODELS", models::folder());
    run(&mut command)
}
