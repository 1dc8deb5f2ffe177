//! Where checks are, and what a source looks like that can do without each of them.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Arm, Attribute, Expr, ExprCall, ExprMethodCall, ImplItemFn, ItemFn, ItemMod, Meta, Pat};

use crate::run::{Result, root};

/// Methods that judge, and what a call of them is when it judges nothing.
const METHODS: &[(&str, &str)] = &[
    ("check_read", "Ok(())"),
    ("check_write", "Ok(())"),
    ("check_admin", "Ok(())"),
    ("check_owner", "Ok(())"),
    ("check_host", "Ok(())"),
    ("is_admin", "true"),
    ("allows_origin", "true"),
    ("require_bearer", "Ok(tidewire_engine::Identity::local())"),
    ("leave_to_stay", "Ok(tokio_util::sync::CancellationToken::new())"),
];

/// Functions that judge. What is awaited is a future that judges nothing.
const FUNCTIONS: &[(&str, &str)] = &[("narrow", "key.info.grants()")];
/// The same, in one file or folder: elsewhere the word means something else.
const IN_ONE_PLACE: &[(&str, &str, &str)] = &[
    ("crates/engine/src/collections", "check_name", "Ok(())"),
    ("crates/engine/src/watch", "check_name", "Ok(())"),
    ("crates/engine/src/access.rs", "own", "async { Ok(()) }"),
    ("crates/server/src/auth/keys.rs", "admit", "Ok(())"),
];

/// Conditions that judge, by their text, and what they are when they do not.
const CONDITIONS: &[(&str, &str, &str)] = &[
    ("crates/engine/src/identity.rs", "grant.collection == collection", "true"),
    ("crates/engine/src/identity.rs", "fits(grant)", "true"),
    ("crates/engine/src/identity.rs", "self.subject == *owner", "true"),
    ("crates/engine/src/collections/mod.rs", "!is_ours(&info.name)", "true"),
    ("crates/server/src/auth/tokens.rs", "claims.exp <= now_s", "false"),
    ("crates/server/src/auth/keys.rs", "claims.sub != key.info.subject", "false"),
    ("crates/server/src/limits.rs", "open.remove(ticket)?", "open.get(ticket).cloned()?"),
    ("crates/server/src/handshake.rs", "!self.auth.keys.is_keyed() {", "true {"),
];

/// Files that are about something else: `check_admin` and its like are defined there, or the word means another thing.
const DEFINITIONS: &[&str] = &["crates/engine/src/access/policy.rs", "crates/engine/src/access/matrix.rs"];

/// A check that can be removed.
#[derive(Debug)]
pub(super) struct Site {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.file, self.line, self.what)
    }
}

/// What is written into a file, and where.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(usize, String)>);

impl Edits {
    /// The file with everything written into it.
    pub(super) fn apply(&mut self, source: &str) -> String {
        // Stable: what was found first, the outer check, opens first.
        self.0.sort_by_key(|(at, _)| *at);
        let mut text = String::with_capacity(source.len() + 64 * self.0.len());
        let mut from = 0;
        for (at, more) in &self.0 {
            text.push_str(&source[from..*at]);
            text.push_str(more);
            from = *at;
        }
        text.push_str(&source[from..]);
        text
    }

    fn wrap(&mut self, range: Range<usize>, before: String, after: &str) {
        self.0.push((range.start, before));
        self.0.push((range.end, after.to_owned()));
    }
}

/// The checks of a file; each gets the next number.
pub(super) fn find(path: &Path, sites: &mut Vec<Site>) -> Result<Edits> {
    let file = path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned();
    let source = fs::read_to_string(path).map_err(|error| format!("cannot read {file} ({error})"))?;
    let mut finder =
        Finder { file, source: &source, sites, edits: Edits::default(), judging: false, depth: 0 };
    if !DEFINITIONS.contains(&finder.file.as_str()) {
        let parsed =
            syn::parse_file(&source).map_err(|error| format!("cannot parse {} ({error})", finder.file))?;
        finder.visit_file(&parsed);
        finder.conditions();
    }
    Ok(finder.edits)
}

/// Rust sources under a folder, in order, without those of tests.
pub(super) fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_path_buf()];
    }
    let mut children: Vec<_> =
        fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    children.sort();
    let is_test =
        |path: &Path| path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("tests"));
    let sources = children.into_iter().filter(|path| !is_test(path));
    sources.flat_map(|path| files(&path)).filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

struct Finder<'a> {
    file: String,
    source: &'a str,
    sites: &'a mut Vec<Site>,
    edits: Edits,
    /// In `access::judge`, where each command is a check of its own.
    judging: bool,
    /// How many matches deep.
    depth: usize,
}

impl Finder<'_> {
    fn switch(&mut self, range: &Range<usize>, what: String) -> String {
        let line = self.source[..range.start].lines().count();
        let file = self.file.clone();
        self.sites.push(Site { file, line, what });
        let home = if self.file.starts_with("crates/engine") { "crate" } else { "tidewire_engine" };
        format!("{home}::removed_check({})", self.sites.len() - 1)
    }

    /// What stands for a call of this name, if it judges.
    fn without(&self, known: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
        let here =
            IN_ONE_PLACE.iter().find(|(place, known, _)| self.file.starts_with(place) && *known == name);
        let everywhere = || known.iter().find(|(known, _)| *known == name).map(|(_, without)| *without);
        here.map(|(_, _, without)| *without).or_else(everywhere)
    }

    /// A block around an expression: it, or what stands for it.
    fn remove(&mut self, range: Range<usize>, without: &str) {
        let what = self.source[range.clone()].split_whitespace().collect::<Vec<_>>().join(" ");
        let switch = self.switch(&range, what);
        self.edits.wrap(range, format!("(if {switch} {{ {without} }} else {{ "), " })");
    }

    fn remove_future(&mut self, range: Range<usize>, without: &str) {
        let what = self.source[range.clone()].to_owned();
        let switch = self.switch(&range, what);
        let before = format!("(async {{ if {switch} {{ {without}.await }} else {{ ");
        self.edits.wrap(range, before, ".await } })");
    }

    fn conditions(&mut self) {
        for (file, needle, without) in CONDITIONS {
            if *file != self.file {
                continue;
            }
            let found: Vec<_> = self.source.match_indices(needle).map(|(at, _)| at).collect();
            for at in found {
                let (text, without) = (needle.trim_end_matches(" {"), without.trim_end_matches(" {"));
                self.remove(at..at + text.len(), without);
            }
        }
    }

    /// An arm that judges nothing, for each command of an arm that judges.
    fn remove_arms(&mut self, arm: &Arm) {
        if self.source[arm.body.span().byte_range()].starts_with("Ok(Chats::None)") {
            return;
        }
        let patterns: Vec<&Pat> = match &arm.pat {
            Pat::Or(or) => or.cases.iter().collect(),
            other => vec![other],
        };
        let start = arm.pat.span().byte_range().start;
        for pattern in patterns {
            let range = pattern.span().byte_range();
            let text = self.source[range.clone()].to_owned();
            let switch = self.switch(&range, format!("judging {text}"));
            self.edits.0.push((start, format!("{text} if {switch} => Ok(Chats::None), ")));
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::Path(path) => path.is_ident("test"),
        Meta::NameValue(_) => false,
    })
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.judging = self.file.ends_with("engine/src/access.rs") && item.sig.ident == "judge";
        visit::visit_item_fn(self, item);
        self.judging = false;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if self.judging && self.depth == 0 {
            self.remove_arms(arm);
        }
        self.depth += 1;
        visit::visit_arm(self, arm);
        self.depth -= 1;
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if let Some(without) = self.without(METHODS, &call.method.to_string()) {
            self.remove(call.span().byte_range(), without);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let name = match &*call.func {
            Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
            _ => None,
        };
        if let Some(without) = self.without(FUNCTIONS, &name.unwrap_or_default()) {
            let range = call.span().byte_range();
            if without.starts_with("async") {
                self.remove_future(range, without);
            } else {
                self.remove(range, without);
            }
        }
        visit::visit_expr_call(self, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_is_still_there() {
        for (file, needle, _) in CONDITIONS {
            let source = fs::read_to_string(root().join(file)).unwrap();
            assert!(source.contains(needle), "{file} has no {needle}");
        }
    }

    #[test]
    fn checks_are_found_and_what_is_written_is_still_rust() {
        let mut sites = Vec::new();
        for place in super::super::SOURCES {
            for path in files(&root().join(place)) {
                let mut edits = find(&path, &mut sites).unwrap();
                let text = edits.apply(&fs::read_to_string(&path).unwrap());
                syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        }
        let commands = sites.iter().filter(|site| site.what.starts_with("judging ")).count();
        assert!(commands > 30 && sites.len() > commands + 50, "{commands} of {}", sites.len());
    }
}
