//! Building what is measured, and measuring it.

use clap::Args as ClapArgs;

use crate::run::{Result, cache, is_there, program, run, step, target};

/// The cases that need the embedding model in the server's binary.
const READING: [&str; 2] = ["recall", "ingest"];

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Which cases; all if none is named.
    cases: Vec<String>,
    /// Write the named cases to docs/benchmarks.md too, as is done when none is named; the others stay there as they are.
    #[arg(long)]
    write: bool,
    /// How many alternated pairs of runs are compared.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

/// Builds the server and the load generator with optimisation and runs the cases, the load on the second core.
pub(crate) fn run_cases(args: &Args) -> Result {
    if !is_there("taskset") {
        return Err(
            "taskset was not found; install util-linux, which pins server and load to a core each".into()
        );
    }
    let release = target().join("release");
    let reader = release.join("tidewire-reader");
    let reads = args.cases.is_empty() || args.cases.iter().any(|case| READING.contains(&case.as_str()));
    if reads {
        step("build what reads documents", || {
            run(program("cargo").args(["build", "--release", "--locked", "--package", "tidewire-server"]))?;
            let copied = std::fs::copy(release.join("tidewire"), &reader);
            copied.map(|_| ()).map_err(|error| format!("{} cannot be written: {error}", reader.display()))
        })?;
    }
    step("build what is measured", || {
        run(program("cargo").args(["build", "--release", "--locked", "--package", "tidewire-bench"]))?;
        // Without the embedded models: they take memory in the background that connections would reuse unseen. By
        // itself: built together with what uses them, it would have them too.
        let server = ["--no-default-features", "--features", "providers", "--package", "tidewire-server"];
        run(program("cargo").args(["build", "--release", "--locked"]).args(server))
    })?;
    let mut command = program("taskset");
    command.args(["-c", "1"]).arg(release.join("tidewire-bench"));
    command.arg("--binary").arg(release.join("tidewire")).arg("--cache").arg(cache());
    command.args(["--pairs", &args.pairs.to_string()]).args(&args.cases);
    if reads {
        command.arg("--reader").arg(reader);
    }
    if args.write || args.cases.is_empty() {
        command.args(["--out", "docs/benchmarks.md"]);
    }
    run(&mut command)
}
