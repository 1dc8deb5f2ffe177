//! What a published crate offers: its public methods, read from its source.
//!
//! The tests beside this drive every one of them against a running server; this is how they know that none is missing.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use syn::{ImplItem, Item, ReturnType, Type, UseTree, Visibility};

/// A public method of a public type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Method {
    /// The type's name.
    pub owner: String,
    /// Its own name.
    pub name: String,
    /// Whether it has to be awaited.
    pub is_async: bool,
    /// Whether it can fail, as its return type says.
    pub is_fallible: bool,
}

/// The folder with the source of a dependency of this workspace, of exactly this version.
///
/// # Panics
/// If cargo does not run or knows no such package; a test can do nothing else then.
pub fn source(package: &str, version: &str) -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| String::from("cargo"));
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--locked", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let found = packages.iter().find(|entry| entry["name"] == package && entry["version"] == version);
    let manifest = found.unwrap_or_else(|| panic!("{package} {version} is no dependency here"));
    let path = Path::new(manifest["manifest_path"].as_str().expect("a path"));
    path.parent().expect("a folder").to_path_buf()
}

/// All public methods of the types that the crate in this folder shows, sorted.
///
/// # Panics
/// If a file cannot be read or is no Rust.
pub fn methods(folder: &Path) -> Vec<Method> {
    let shown = Shown::of(&parse(&folder.join("src/lib.rs")));
    let files = fs::read_dir(folder.join("src")).expect("a source folder");
    let paths = files.map(|file| file.expect("a file").path()).filter(|path| path.extension().is_some());
    let mut found: Vec<_> = paths.flat_map(|path| methods_of_file(&path, &shown)).collect();
    found.sort();
    found.dedup();
    found
}

/// What the crate's root lets through.
struct Shown {
    /// Modules all of whose public types can be reached.
    modules: HashSet<String>,
    /// Types that are named on their own.
    types: HashSet<String>,
}

impl Shown {
    fn of(root: &syn::File) -> Self {
        let mut shown = Self { modules: HashSet::new(), types: HashSet::new() };
        for item in &root.items {
            match item {
                Item::Mod(module) if is_public(&module.vis) => {
                    shown.modules.insert(module.ident.to_string());
                }
                Item::Use(named) if is_public(&named.vis) => shown.add(&named.tree, ""),
                _ => {}
            }
        }
        shown
    }

    fn add(&mut self, tree: &UseTree, module: &str) {
        match tree {
            UseTree::Path(path) => self.add(&path.tree, &path.ident.to_string()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add(tree, module)),
            UseTree::Glob(_) => {
                self.modules.insert(module.to_owned());
            }
            UseTree::Name(name) => {
                self.types.insert(name.ident.to_string());
            }
            UseTree::Rename(name) => {
                self.types.insert(name.ident.to_string());
            }
        }
    }
}

fn methods_of_file(path: &Path, shown: &Shown) -> Vec<Method> {
    let module = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let file = parse(path);
    let implementations = file.items.iter().filter_map(|item| match item {
        Item::Impl(block) if block.trait_.is_none() => Some((name_of(&block.self_ty)?, block)),
        _ => None,
    });
    let reachable = implementations
        .filter(|(owner, _)| shown.types.contains(owner) || shown.modules.contains(&module))
        .filter(|(owner, _)| is_public_type(&file, owner));
    reachable.flat_map(|(owner, block)| methods_of(&owner, block)).collect()
}

fn is_public_type(file: &syn::File, name: &str) -> bool {
    file.items.iter().any(|item| match item {
        Item::Struct(it) => it.ident == name && is_public(&it.vis),
        Item::Enum(it) => it.ident == name && is_public(&it.vis),
        _ => false,
    })
}

fn methods_of(owner: &str, block: &syn::ItemImpl) -> Vec<Method> {
    let functions = block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function) if is_public(&function.vis) => Some(&function.sig),
        _ => None,
    });
    let method = |signature: &syn::Signature| Method {
        owner: owner.to_owned(),
        name: signature.ident.to_string(),
        is_async: signature.asyncness.is_some(),
        is_fallible: match &signature.output {
            ReturnType::Default => false,
            ReturnType::Type(_, returned) => mentions_result(returned),
        },
    };
    functions.map(method).collect()
}

/// `Result<…>`, or one inside of another type.
fn mentions_result(returned: &Type) -> bool {
    let Type::Path(path) = returned else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return false };
    last.ident == "Result"
        || arguments.args.iter().any(|argument| match argument {
            syn::GenericArgument::Type(inner) => mentions_result(inner),
            _ => false,
        })
}

fn name_of(owner: &Type) -> Option<String> {
    let Type::Path(path) = owner else { return None };
    path.path.segments.last().map(|segment| segment.ident.to_string())
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn parse(path: &Path) -> syn::File {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
