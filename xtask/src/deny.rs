//! What may come into the house: licences, sources and versions of everything that we build on, held to `deny.toml`.
//!
//! The file is cargo-deny's, and `cargo deny check` reads it too. What it says about licences, sources and wildcards is
//! judged here as well, from `cargo metadata`, because building cargo-deny takes longer than all of this. Advisories
//! need its database: where that cannot be had, it is said that they were not looked at.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use spdx::{Expression, Licensee, ParseMode};
use toml::Table;

use crate::run::{Result, program, root};

const CRATES_IO: [&str; 2] =
    ["registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/"];

/// What `deny.toml` allows.
struct Rules {
    licences: Vec<Licensee>,
    wildcards: bool,
}

/// Fails with everything that may not come in.
pub(crate) fn check() -> Result {
    let rules = read_rules()?;
    let packages = packages()?;
    let mut wrong: Vec<String> = packages.iter().flat_map(|package| judge(&rules, package)).collect();
    wrong.extend(advisories());
    if wrong.is_empty() {
        eprintln!(
            "   {} packages: licences, sources and versions are as deny.toml wants them",
            packages.len()
        );
        return Ok(());
    }
    Err(format!(
        "deny.toml does not let this in; take another crate, or say there why:\n  {}",
        wrong.join("\n  ")
    ))
}

fn read_rules() -> Result<Rules> {
    let text = fs::read_to_string(root().join("deny.toml"));
    let text = text.map_err(|error| format!("cannot read deny.toml ({error}); bring it back"))?;
    let table: Table = text.parse().map_err(|error| format!("deny.toml cannot be understood: {error}"))?;
    let named = table["licenses"]["allow"].as_array().into_iter().flatten();
    let licences = named.filter_map(toml::Value::as_str).map(|name| {
        Licensee::parse(name).map_err(|error| format!("deny.toml: {name:?} is no licence: {error}"))
    });
    Ok(Rules {
        licences: licences.collect::<Result<_>>()?,
        wildcards: table["bans"]["wildcards"].as_str() != Some("deny"),
    })
}

/// Everything that is built, tools and tests included.
fn packages() -> Result<Vec<Value>> {
    let output = program("cargo")
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .output()
        .map_err(|error| format!("cannot start cargo ({error}); install it"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let mut metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata cannot be understood: {error}"))?;
    match metadata["packages"].take() {
        Value::Array(packages) => Ok(packages),
        _ => Err("cargo metadata names no packages; update cargo".into()),
    }
}

/// What is wrong with a package.
fn judge(rules: &Rules, package: &Value) -> Vec<String> {
    let name = format!("{} {}", text(package, "name"), text(package, "version"));
    let mut wrong = Vec::new();
    match package["source"].as_str() {
        // Ours.
        None if !rules.wildcards => wrong.extend(wildcards(package)),
        None => {}
        Some(source) if CRATES_IO.contains(&source) => {}
        Some(source) => wrong.push(format!("comes from {source}")),
    }
    wrong.extend(licence(rules, package));
    wrong.into_iter().map(|why| format!("{name}: {why}")).collect()
}

/// Any version at all is wanted only of what lies beside.
fn wildcards(package: &Value) -> Option<String> {
    let wanted = package["dependencies"].as_array()?;
    let any = wanted.iter().find(|wanted| wanted["req"] == "*" && wanted["path"].is_null())?;
    Some(format!("wants any version of {}", text(any, "name")))
}

fn licence(rules: &Rules, package: &Value) -> Option<String> {
    let Some(written) = package["license"].as_str() else {
        return Some("names no licence".into());
    };
    // Some still write a slash for "or".
    let mode = ParseMode { allow_slash_as_or_operator: true, ..ParseMode::LAX };
    let expression = match Expression::parse_mode(written, mode) {
        Ok(expression) => expression,
        Err(error) => return Some(format!("its licence {written:?} cannot be understood: {}", error.reason)),
    };
    let fits = expression.evaluate(|wanted| rules.licences.iter().any(|allowed| allowed.satisfies(wanted)));
    (!fits).then(|| format!("its licence {written} is not allowed"))
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

/// What is known to be broken, where cargo-deny and its database can be had.
fn advisories() -> Option<String> {
    let Ok(output) = program("cargo").args(["deny", "check", "advisories"]).output() else {
        return not_run("cargo cannot be started");
    };
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        eprintln!("   advisories: none");
        return None;
    }
    let broken: BTreeSet<&str> = told.lines().filter(|line| line.contains("RUSTSEC-")).collect();
    if !broken.is_empty() {
        return Some(format!("advisories: {}", broken.into_iter().collect::<Vec<_>>().join("; ")));
    }
    let missing = told.contains("no such command") || told.contains("no such subcommand");
    not_run(if missing { "cargo-deny is not installed" } else { "their database cannot be reached" })
}

fn not_run(why: &str) -> Option<String> {
    eprintln!(
        "   advisories: NOT RUN, {why}; `cargo install --locked cargo-deny` and `cargo deny check advisories`"
    );
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_allowed_is_named() {
        let rules = read_rules().unwrap();
        let judged = |source: Value, licence: Value, wanted: Value| {
            let package = json!({"name": "a", "version": "1.0.0", "source": source, "license": licence, "dependencies": wanted});
            judge(&rules, &package)
        };
        let fine = judged(json!(CRATES_IO[0]), json!("MIT/Apache-2.0"), json!([]));
        assert!(fine.is_empty(), "{fine:?}");
        let none = judged(json!(CRATES_IO[0]), Value::Null, json!([]));
        assert_eq!(none, ["a 1.0.0: names no licence"]);
        let viral = judged(json!(CRATES_IO[0]), json!("AGPL-3.0-only AND MIT"), json!([]));
        assert_eq!(viral, ["a 1.0.0: its licence AGPL-3.0-only AND MIT is not allowed"]);
        let foreign = judged(json!("git+https://example.org/a"), json!("MIT"), json!([]));
        assert_eq!(foreign, ["a 1.0.0: comes from git+https://example.org/a"]);
        let any = json!([{"name": "b", "req": "*", "path": null}]);
        assert_eq!(judged(Value::Null, json!("MIT"), any), ["a 1.0.0: wants any version of b"]);
    }
}
