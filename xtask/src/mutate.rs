//! `cargo xtask mutate`: removes each access check in turn, and demands that the matrix notices.
//!
//! The checks are found in the source: calls of the functions that judge, the arms of `access::judge` command by
//! command, and a few conditions that are named below. A copy of the repository gets a switch at each of them, is built
//! once, and its tests run once for each check with that one removed. The source itself has no such switch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args as ClapArgs;
use serde_json::Value;

use crate::run::{Result, cannot_write, program, root, run, step, target};

mod sites;

use sites::{Edits, Site};

/// Where checks are looked for.
const SOURCES: [&str; 3] = ["crates/engine/src", "crates/protocols/src", "crates/server/src"];

/// Where the switch lies in the copy. Everybody who checks knows the engine.
const SWITCH_FILE: &str = "crates/engine/src/lib.rs";
/// Which check is removed, by its number.
const VARIABLE: &str = "REMOVED_CHECK";
const SWITCH: &str = r#"
/// Whether this check is removed.
pub fn removed_check(number: usize) -> bool {
    static REMOVED: std::sync::LazyLock<Option<usize>> =
        std::sync::LazyLock::new(|| std::env::var("REMOVED_CHECK").ok()?.parse().ok());
    *REMOVED == Some(number)
}
"#;

/// Tests that have to notice: a package, what of it, and which tests.
struct Suite {
    package: &'static [&'static str],
    /// Sources whose checks it is responsible for.
    of: &'static [&'static str],
    filter: &'static [&'static str],
}

const SUITES: [Suite; 2] = [
    Suite {
        package: &["-p", "tidewire-engine", "--lib"],
        of: &["crates/engine"],
        filter: &["access::matrix"],
    },
    Suite {
        package: &["-p", "tidewire-server", "--no-default-features", "--test", "it"],
        of: &["crates/protocols", "crates/server"],
        filter: &[
            "matrix::",
            "auth::a_revoked_key",
            "auth::a_run_whose_key_was_revoked",
            "auth::the_first_key",
            "door::a_ticket",
            "streams::a_stream_ends",
        ],
    },
];

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Only list the checks that would be removed.
    #[arg(long)]
    list: bool,
    /// Only those whose description contains this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Removes each check in turn; fails with those that nobody missed.
pub(crate) fn run_all(args: &Args) -> Result {
    let mut sites = Vec::new();
    let sources = SOURCES.iter().flat_map(|place| sites::files(&root().join(place)));
    let edits: Vec<(PathBuf, Edits)> = sources
        .map(|file| sites::find(&file, &mut sites).map(|edits| (file, edits)))
        .collect::<Result<_>>()?;
    if args.list {
        sites.iter().enumerate().for_each(|(number, site)| eprintln!("{number:4}  {site}"));
        eprintln!("{} checks", sites.len());
        return Ok(());
    }
    let copy = target().join("mutate");
    step("copy the sources, with a switch at each check", || write_copy(&copy, edits))?;
    let built = SUITES.iter().map(|suite| build(&copy, suite)).collect::<Result<Vec<_>>>()?;
    step("with every check in place", || all_pass(&copy, &built))?;
    remove_each(&copy, &built, &sites, &args.only)
}

fn remove_each(copy: &Path, built: &[PathBuf], sites: &[Site], only: &str) -> Result {
    let mut missed = Vec::new();
    let mut removed = 0;
    for (number, site) in sites.iter().enumerate() {
        let shown = site.to_string();
        if !shown.contains(only) {
            continue;
        }
        removed += 1;
        let place = SUITES.iter().position(|suite| suite.of.iter().any(|of| shown.starts_with(of)));
        let place =
            place.ok_or_else(|| format!("{shown} belongs to no suite; name it in xtask/src/mutate.rs"))?;
        let failed = failures(copy, &SUITES[place], &built[place], Some(number))?;
        match failed.first() {
            Some(first) => eprintln!("   noticed  {shown}: by {first}, {} in all", failed.len()),
            None => {
                eprintln!("   MISSED   {shown}");
                missed.push(shown);
            }
        }
    }
    eprintln!("{removed} checks were removed in turn, {} were noticed", removed - missed.len());
    if missed.is_empty() {
        return Ok(());
    }
    Err(format!("nobody notices when these checks are gone; add cells for them:\n  {}", missed.join("\n  ")))
}

fn all_pass(copy: &Path, built: &[PathBuf]) -> Result {
    for (suite, binary) in SUITES.iter().zip(built) {
        let failed = failures(copy, suite, binary, None)?;
        if !failed.is_empty() {
            return Err(format!("{} fails as it is; mend it first", failed.join(" ")));
        }
    }
    Ok(())
}

/// The tests that fail, by name. One that ends the process counts as all.
fn failures(copy: &Path, suite: &Suite, binary: &Path, removed: Option<usize>) -> Result<Vec<String>> {
    let mut command = Command::new(binary);
    command.args(suite.filter).current_dir(copy.join("crates/engine")).env("RUST_BACKTRACE", "0");
    if let Some(number) = removed {
        command.env(VARIABLE, number.to_string());
    }
    let output = command.stdin(Stdio::null()).output();
    let output =
        output.map_err(|error| format!("cannot start {} ({error}); run this again", binary.display()))?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = told.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    let mut failed: Vec<String> = lines.map(str::to_owned).collect();
    if failed.is_empty() && !output.status.success() {
        failed.push(format!("{} ({})", suite.filter.join(" "), output.status));
    }
    Ok(failed)
}

/// Writes what git knows into the copy; what is the same there already stays, so that little is built anew.
fn write_copy(copy: &Path, mut edits: Vec<(PathBuf, Edits)>) -> Result {
    let listed =
        program("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).output();
    let listed = listed.map_err(|error| format!("cannot ask git for the files ({error}); install it"))?;
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root().join(name), copy.join(name));
        let Ok(mut bytes) = fs::read(&from) else { continue };
        if let Some((_, edits)) = edits.iter_mut().find(|(file, _)| *file == from) {
            bytes = edits.apply(&String::from_utf8_lossy(&bytes)).into_bytes();
        }
        if name == SWITCH_FILE {
            bytes.extend_from_slice(SWITCH.as_bytes());
        }
        write_changed(&to, &bytes)?;
    }
    Ok(())
}

fn write_changed(to: &Path, bytes: &[u8]) -> Result {
    if fs::read(to).is_ok_and(|known| known == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| cannot_write(folder, error))?;
    }
    fs::write(to, bytes).map_err(|error| cannot_write(to, error))
}

/// Builds a suite of the copy, and says where its binary is. The copy has a target folder of its own: in a shared one
/// cargo would take its packages, switches and all, for ours.
fn build(copy: &Path, suite: &Suite) -> Result<PathBuf> {
    let cargo = || {
        let mut command = program("cargo");
        command
            .current_dir(copy)
            .env("CARGO_TARGET_DIR", copy.join("target"))
            .args(["test", "--no-run", "--locked"]);
        command.args(suite.package);
        command
    };
    step(&format!("build {}", suite.package.join(" ")), || run(&mut cargo()))?;
    let output = cargo().arg("--message-format=json").output();
    let output = output.map_err(|error| format!("cannot start cargo ({error}); install it"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    // A test of the whole server brings the server's own executable with it.
    let mut tests = messages.filter(|message| message["profile"]["test"] == true);
    let executable = tests.find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    executable.ok_or_else(|| format!("cargo built no tests of {}", suite.package.join(" ")))
}
