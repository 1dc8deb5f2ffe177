//! Everything that is tested, in the order in which a failure is cheapest to find.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args as ClapArgs;

use crate::run::{Result, cache, fingerprint, once, program, run, step};
use crate::{codegen, deny, models, page, walls};

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Only the Rust side: formatting, lints, unit and integration tests.
    #[arg(long)]
    rust: bool,
}

/// Programs of other people that drive our dialects, by version.
const FOREIGN: &[&str] = &[
    "websockets==17.4",
    "fakellm==0.3.5",
    "kosoku==0.1.0",
    "mcp-server-git==2026.10.19",
    "mcp-server-time==2026.10.19",
];

/// Runs all tests; the first failure ends it.
pub(crate) fn run_all(args: &Args) -> Result {
    step("formatting", || run(program("cargo").args(["fmt", "--all", "--check"])))?;
    step("walls of the house", walls::check)?;
    step("licences and sources of what we build on", deny::check)?;
    step("generated code is fresh", || codegen::run(true))?;
    models::ensure()?;
    page::build()?;
    let foreign = foreign()?;
    step("lints", || run(cargo(&["clippy", "--all-targets"]).args(["--", "-D", "warnings"])))?;
    step("Rust tests", || rust_tests(&foreign))?;
    if args.rust {
        return Ok(());
    }
    page::test()?;
    step("the TypeScript client over cut lines", over_cut_lines)?;
    step("Python clients", || python_tests(&foreign))?;
    step("the page in Chromium", || in_chromium(&foreign))
}

fn cargo(words: &[&str]) -> Command {
    let mut command = program("cargo");
    command.args(words).args(["--workspace", "--all-features", "--locked"]);
    command
}

fn rust_tests(foreign: &Path) -> Result {
    let runner: &[&str] =
        if is_nextest_there() { &["nextest", "run", "--no-fail-fast"] } else { &["test", "--no-fail-fast"] };
    let mut command = cargo(runner);
    command.env("TIDEWIRE_FAKELLM", foreign.join("bin/fakellm")).env("TIDEWIRE_FOREIGN", foreign);
    if !can_make_disks() {
        eprintln!(
            "   NOT RUN: tests of full and of read-only disks; neither root nor user namespaces are allowed here"
        );
        command.env("TIDEWIRE_TEST_WITHOUT_DISKS", "1");
    }
    run(with_models(&mut command))
}

/// Tests of disks make small ones in memory, each for one server.
fn can_make_disks() -> bool {
    let mut command = program("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--mount",
        "mount",
        "-t",
        "tmpfs",
        "-o",
        "size=1m",
        "tmpfs",
        "/mnt",
    ]);
    command.output().is_ok_and(|output| output.status.success())
}

fn is_nextest_there() -> bool {
    program("cargo").args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success())
}

/// One thread for the embedded model: its threads spin while they wait for each other, and tests share the cores.
fn with_models(command: &mut Command) -> &mut Command {
    command.env("TIDEWIRE_MODELS", models::folder()).env("CANDLE_NUM_THREADS", "1")
}

/// A Python environment with other people's clients and servers.
fn foreign() -> Result<PathBuf> {
    let folder = cache().join("foreign");
    let python = folder.join("bin/python");
    once("foreign", fingerprint(&["xtask/src/test.rs"]), &python, || {
        step("install foreign clients and servers", || {
            run(program("python3").args(["-m", "venv"]).arg(&folder))?;
            run(program(&python).args(["-m", "pip", "install", "--quiet"]).args(FOREIGN))
        })
    })?;
    Ok(folder)
}

fn python_tests(foreign: &Path) -> Result {
    let mut command = program(foreign.join("bin/python"));
    command.args([
        "-m",
        "unittest",
        "discover",
        "--start-directory",
        "tests/foreign",
        "--top-level-directory",
        ".",
        "--verbose",
    ]);
    run(with_models(&mut command).env("TIDEWIRE_BIN", binary()))
}

/// The TypeScript client against the server, which is killed now and then; the Rust client does the same in its tests.
fn over_cut_lines() -> Result {
    let mut command = program("npm");
    command.args(["run", "--silent", "live", "--workspace", "clients/typescript"]);
    run(command.env("TIDEWIRE_BIN", binary()))
}

fn in_chromium(foreign: &Path) -> Result {
    let chromium = chromium()?;
    let mut command = program("npm");
    command.args(["run", "--silent", "e2e", "--workspace", "web"]).env("CHROMIUM", chromium);
    run(with_models(&mut command)
        .env("TIDEWIRE_BIN", binary())
        .env("TIDEWIRE_FAKELLM", foreign.join("bin/fakellm")))
}

/// The server as the Rust tests have built it.
fn binary() -> PathBuf {
    crate::run::target().join("debug/tidewire")
}

/// The path of a Chromium that can be driven; Debian's is installed if there is none and we may.
fn chromium() -> Result<PathBuf> {
    if let Some(found) = find_chromium() {
        return Ok(found);
    }
    // What could not be installed is not found below, and that error says what to do.
    let _ = step("install Chromium", || {
        run(program("apt-get").args(["update", "-qq"]))?;
        run(program("apt-get").args(["install", "--yes", "-qq", "chromium"]))
    });
    find_chromium().ok_or_else(|| {
        "no Chromium was found and it cannot be installed here; install it and run this again".into()
    })
}

fn find_chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_programs_are_pinned() {
        assert!(FOREIGN.iter().all(|name| name.contains("==")));
    }
}
