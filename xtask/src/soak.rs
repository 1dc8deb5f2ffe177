//! What takes long: many kills, and full load for minutes. Its figures are docs/reliability.md.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args as ClapArgs;
use serde_json::Value;

use crate::run::{Result, cannot_write, program, root, run, step, target};

/// What the page is written for; shorter runs only print.
const ROUNDS: u64 = 200;
const MINUTES: u64 = 10;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// How often the server is killed.
    #[arg(long, default_value_t = ROUNDS)]
    rounds: u64,
    /// How long it is under full load.
    #[arg(long, default_value_t = MINUTES)]
    minutes: u64,
    /// Kill nothing, and take those figures from the last run.
    #[arg(long)]
    load_only: bool,
    /// Build with optimisation, which takes longer and loads harder.
    #[arg(long)]
    release: bool,
}

/// Kills the server and loads it; writes docs/reliability.md if nothing was shortened.
pub(crate) fn run_all(args: &Args) -> Result {
    let release = args.release;
    step("build the server and its tests", || run(&mut tests(release, &["--no-run"])))?;
    let crash = if args.load_only { last("crash")? } else { kills(args)? };
    let soak = step(&format!("{} minutes of full load", args.minutes), || {
        let seconds = args.minutes * 60;
        measured("soak", tests(release, &only(SOAK)).env("TIDEWIRE_TEST_SOAK_SECONDS", seconds.to_string()))
    })?;
    let page = page(release, &crash, &soak)?;
    let is_whole = crash["rounds"].as_u64() >= Some(ROUNDS) && args.minutes >= MINUTES;
    if !is_whole {
        eprintln!("{page}\nThis was a short run; docs/reliability.md stays as it is.");
        return Ok(());
    }
    let path = root().join("docs/reliability.md");
    fs::write(&path, page).map_err(|error| cannot_write(&path, error))
}

fn kills(args: &Args) -> Result<Value> {
    step(&format!("{} kills", args.rounds), || {
        let mut command = tests(args.release, &only(CRASH));
        measured("crash", command.env("TIDEWIRE_TEST_CRASH_ROUNDS", args.rounds.to_string()))
    })
}

const CRASH: &str = "crash::whenever_it_is_killed_nothing_acknowledged_is_lost_and_everything_agrees";
const SOAK: &str = "soak::under_full_load_nobody_is_told_wrong_and_memory_stays_flat";

/// The integration tests of the server.
fn tests(release: bool, words: &[&str]) -> Command {
    let mut command = program("cargo");
    command.args(["test", "--locked", "--package", "tidewire-server", "--no-default-features"]);
    if release {
        command.arg("--release");
    }
    command.args(["--test", "it"]).args(words);
    command
}

/// One test alone, with what it says.
fn only(test: &str) -> [&str; 4] {
    ["--", "--exact", test, "--nocapture"]
}

/// Runs one test and reads what it reports.
fn measured(name: &str, command: &mut Command) -> Result<Value> {
    let file = report(name);
    fs::create_dir_all(target().join("xtask")).map_err(|error| cannot_write(&file, error))?;
    run(command.env("TIDEWIRE_TEST_REPORT", &file))?;
    last(name)
}

/// What the test reported when it ran last.
fn last(name: &str) -> Result<Value> {
    let file = report(name);
    let text = fs::read(&file).map_err(|error| unreadable(&file, error))?;
    serde_json::from_slice(&text).map_err(|error| unreadable(&file, error))
}

fn report(name: &str) -> PathBuf {
    target().join("xtask").join(format!("{name}.json"))
}

fn unreadable(file: &Path, error: impl std::fmt::Display) -> String {
    format!("there is no report at {} ({error}); run `cargo xtask soak` whole", file.display())
}

/// The page's text.
fn page(release: bool, crash: &Value, soak: &Value) -> Result<String> {
    let mut page = String::new();
    let written = write_head(&mut page, release)
        .and_then(|()| write_kills(&mut page, crash))
        .and_then(|()| write_load(&mut page, soak));
    written.map_err(|_| String::from("a report cannot be written; this is a bug"))?;
    page.push_str(BOUNDS);
    page.push_str(TAIL);
    Ok(page)
}

fn write_head(page: &mut String, release: bool) -> std::fmt::Result {
    let (option, build) = match release {
        true => (" --release", "with optimisation, but without linking across crates"),
        false => ("", "as for development, without optimisation"),
    };
    writeln!(
        page,
        "# Reliability\n\n\
         Made by `cargo xtask soak{option}`: the server and its tests are built {build}, and without the embedded models. \
         `cargo xtask test` runs the same tests shorter. Other programs may have run on the machine; nothing here is a measure \
         of speed.\n\n\
         Machine: {}, {} cores, shared by the server and its load. Built from commit {}.",
        cpu(),
        cores(),
        commit()
    )
}

fn write_kills(page: &mut String, crash: &Value) -> std::fmt::Result {
    writeln!(
        page,
        "\n## Killed at any moment\n\n\
         `kill -9` at drawn points of mixed load: eight writers insert, update and delete records of a collection with a full-text, a vector \
         and an ordered index, one by one and in batches; three chats stream; keys are set and removed. Every tenth round begins a new \
         folder; after every third kill the server is killed once more while it starts. Then all of this must hold: each acknowledged \
         write is there, once and in order; the change log has no gap and leads from nothing to the records as they are; chat logs have no gap, \
         and each message one answer that begins with what was shown; all indexes find what the records say; `tidewire doctor` finds \
         nothing. It is looked at in a copy of the folder as the kill left it, and again through the server that was started upon it.\n"
    )?;
    writeln!(page, "| | |\n|---|---|")?;
    writeln!(page, "| kills under load | {} |", crash["rounds"])?;
    writeln!(page, "| kills during a start | {} |", crash["at_start"])?;
    writeln!(page, "| acknowledged changes of records | {} |", crash["changes"])?;
    writeln!(page, "| requests under way at a kill | {} |", crash["unanswered"])?;
    writeln!(page, "| answers in chats | {} |", crash["answers"])?;
    writeln!(page, "| of these ended by a kill | {} |", crash["interrupted"])?;
    writeln!(page, "| violations | 0 |")?;
    writeln!(page, "| took | {} s |", crash["seconds"])?;
    writeln!(page, "\nThe points were drawn from `TIDEWIRE_TEST_SEED={}`.", crash["seed"])
}

fn write_load(page: &mut String, soak: &Value) -> std::fmt::Result {
    let figure = |name: &str| soak[name].as_f64().unwrap_or(f64::NAN);
    let mib = |name: &str| figure(name) / 1_048_576.0;
    let rate = |name: &str| figure(name) / figure("seconds");
    writeln!(
        page,
        "\n## Full load\n\n\
         {} writers, {} chats at full length, {} listeners of every change, keys, searches, and visitors who leave without a goodbye, all \
         as fast as they are answered. What is kept is bounded, so memory that grows would be memory that is lost. Memory is the process's own \
         resident memory, read twice a second; the line is fitted to the last four fifths of the time. The database's part is what lies in the \
         system's allocator: its caches of pages, of which that of the records' writer, 8 MiB, takes minutes to fill.\n",
        soak["writers"], soak["talkers"], soak["listeners"],
    )?;
    writeln!(page, "| | |\n|---|---|")?;
    writeln!(page, "| time | {:.0} s |", figure("seconds"))?;
    writeln!(page, "| CPU of the server | {:.0} % of one core |", 100.0 * rate("cpu_seconds"))?;
    writeln!(page, "| changes written | {} ({:.0} a second) |", soak["writes"], rate("writes"))?;
    writeln!(page, "| longest wait for a write | {:.1} s |", figure("slowest"))?;
    writeln!(page, "| changes delivered | {} ({:.0} a second) |", soak["heard"], rate("heard"))?;
    writeln!(page, "| pieces of answers | {} ({:.0} a second) |", soak["chunks"], rate("chunks"))?;
    writeln!(page, "| keys set or removed | {} |", soak["keys"])?;
    writeln!(page, "| searches and queries | {} |", soak["questions"])?;
    writeln!(page, "| visitors | {} |", soak["visits"])?;
    writeln!(page, "| memory at the start | {:.1} MiB |", mib("first"))?;
    writeln!(page, "| memory, least and most | {:.1} to {:.1} MiB |", mib("least"), mib("most"))?;
    writeln!(page, "| memory at the end | {:.1} MiB |", mib("last"))?;
    writeln!(page, "| memory, minute by minute | {} MiB |", minutes(&soak["by_minute"]))?;
    writeln!(page, "| of this the database's | {} MiB |", minutes(&soak["database_by_minute"]))?;
    writeln!(
        page,
        "| slope | {:+.3} MiB a minute; more than {:.0} fails |",
        mib("slope_per_minute"),
        mib("bound_per_minute")
    )
}

/// The mean of each minute, in MiB.
fn minutes(means: &Value) -> String {
    let bytes = means.as_array().into_iter().flatten().filter_map(Value::as_f64);
    bytes.map(|bytes| format!("{:.1}", bytes / 1_048_576.0)).collect::<Vec<_>>().join(", ")
}

/// What else is kept to, and what bounds everything that the server keeps.
const BOUNDS: &str = include_str!("soak/bounds.md");

const TAIL: &str = "
## In every test run

- The socket against the cases of the Autobahn suite that need no compression; `tests/foreign/autobahn.json` has each judgement.
- The Rust client over lines that are long, narrow, silent, cut inside a frame, or overtaken by the next one.
- Two dialects at once over cut lines and killed servers; the TypeScript client likewise.
- Ten of the kills above, and seconds of the full load.
";

/// What was built, as git names it.
fn commit() -> String {
    let named = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(root()).output();
    let name = named.ok().filter(|output| output.status.success());
    name.map_or_else(|| "unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("model name"));
    line.and_then(|line| line.split_once(": "))
        .map_or_else(|| "unknown CPU".into(), |(_, name)| name.to_owned())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_states_what_was_measured() {
        let crash = json!({"rounds": 200, "seed": 7, "changes": 9, "unanswered": 8, "answers": 6, "interrupted": 5,
            "at_start": 4, "seconds": 3});
        let soak = json!({"by_minute": [1_048_576, 2_097_152], "database_by_minute": [524_288], "seconds": 600.0, "cpu_seconds": 300.0, "slowest": 0.5, "first": 1_048_576, "least": 1_048_576,
            "most": 2_097_152, "last": 2_097_152, "slope_per_minute": 10_485.76, "bound_per_minute": 1_048_576.0,
            "writes": 600_000, "heard": 1, "chunks": 2, "keys": 3, "questions": 4, "visits": 5,
            "listeners": 20, "writers": 8, "talkers": 8});
        let page = page(false, &crash, &soak).unwrap();
        for line in [
            "| kills under load | 200 |",
            "| CPU of the server | 50 % of one core |",
            "| changes written | 600000 (1000 a second) |",
            "| memory, minute by minute | 1.0, 2.0 MiB |",
            "| of this the database's | 0.5 MiB |",
            "| slope | +0.010 MiB a minute; more than 1 fails |",
        ] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
    }

    #[test]
    fn the_tests_that_are_run_are_there() {
        let file = |path: &str| fs::read_to_string(root().join("crates/server/tests/it").join(path)).unwrap();
        for (name, text) in [(CRASH, file("crash/mod.rs")), (SOAK, file("soak.rs"))] {
            let (_, function) = name.split_once("::").unwrap();
            assert!(text.contains(&format!("async fn {function}()")), "{name}");
        }
    }
}
