//! The page and the TypeScript packages: installing what they need, building, testing.

use crate::run::{Result, fingerprint, is_there, once, program, root, run, step, target};

/// What the page is built from.
const SOURCES: &[&str] =
    &["web", "clients/typescript", "schematic/runtime/typescript", "package.json", "package-lock.json"];

/// Installs the packages that the lockfile names, unless they are there.
pub(crate) fn install() -> Result {
    if !is_there("npm") {
        return Err("npm was not found; install Node.js 20.19 or newer".into());
    }
    let input = fingerprint(&["package.json", "package-lock.json"]);
    once("npm-install", input, &root().join("node_modules"), || {
        step("install the page's packages", || run(program("npm").args(["ci", "--no-audit", "--no-fund"])))
    })
}

/// Builds the page into `web/dist`, unless nothing has changed since.
pub(crate) fn build() -> Result {
    install()?;
    once("page", fingerprint(SOURCES), &root().join("web/dist/index.html"), || {
        step("build the page", || {
            run(program("npm").args(["run", "--silent", "build", "--workspace", "web"]))
        })
    })
}

/// Type-checks and tests every TypeScript package. Generated clients meet the mock server of the command `schematic`,
/// which the Rust tests have built already.
pub(crate) fn test() -> Result {
    install()?;
    step("type-check TypeScript", || {
        run(program("npm").args(["run", "--silent", "check", "--workspaces", "--if-present"]))
    })?;
    step("diagrams in the real Mermaid", || run(program("node").arg("crates/engine/tests/er/parse.mjs")))?;
    step("the command schematic", || {
        let package = ["build", "--quiet", "--locked", "--workspace", "--all-features", "--bin", "schematic"];
        run(program("cargo").args(package))
    })?;
    step("test TypeScript", || {
        run(program("npm")
            .args(["run", "--silent", "test", "--workspaces", "--if-present"])
            .env("SCHEMATIC_BIN", target().join("debug/schematic")))
    })
}
