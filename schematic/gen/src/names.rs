//! Names for generated code, the same rules for every language.
//!
//! A name on the wire can be anything: a reserved word, `2fa`, `$top`, `{user-id}`, or `e` beside `E`. Here it
//! becomes ASCII words, and a [`Scope`] makes it unique in such a way that it stays unique in any casing.
//! What a reserved word is, and how it is dodged, is each language's own business ([`rust_ident`]).

use std::collections::HashSet;

use heck::{ToSnakeCase, ToUpperCamelCase};

/// Names that belong together and must differ.
#[derive(Debug, Default, Clone)]
pub struct Scope {
    taken: HashSet<String>,
}

impl Scope {
    /// A scope in which these names are taken from the start.
    pub fn with<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { taken: names.into_iter().map(key).collect() }
    }

    /// Takes a name as it is.
    pub fn take(&mut self, name: &str) {
        self.taken.insert(key(name));
    }

    /// `lower_snake_case`, different from every name before it.
    pub fn snake(&mut self, wire: &str) -> String {
        self.unique(snake(wire), "_")
    }

    /// `UpperCamelCase`, different from every name before it.
    pub fn pascal(&mut self, wire: &str) -> String {
        self.unique(pascal(wire), "")
    }

    /// Two names are the same when they differ only by case and underscores, so that casing them anew, or a file
    /// system that ignores case, cannot make them collide.
    fn unique(&mut self, base: String, joint: &str) -> String {
        let mut candidate = base.clone();
        let mut number = 2;
        while !self.taken.insert(key(&candidate)) {
            // A number after a digit would read as one number, and could meet a real name.
            let joint = if base.ends_with(|c: char| c.is_ascii_digit()) { "_n" } else { joint };
            candidate = format!("{base}{joint}{number}");
            number += 1;
        }
        if joint.is_empty() { candidate.replace("_n", "N") } else { candidate }
    }
}

fn key(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

/// The words of a name: ASCII letters and digits, everything else separates.
fn words(wire: &str) -> String {
    wire.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect()
}

/// `lower_snake_case` of any text; a digit in front gets an `n`, nothing at all becomes `field`.
pub fn snake(wire: &str) -> String {
    match words(wire).to_snake_case() {
        name if name.is_empty() => "field".into(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("n{name}"),
        name => name,
    }
}

/// `UpperCamelCase` of any text; a digit in front gets an `N`, nothing at all becomes `Item`.
pub fn pascal(wire: &str) -> String {
    match words(wire).to_upper_camel_case() {
        name if name.is_empty() => "Item".into(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("N{name}"),
        name => name,
    }
}

/// Names that generated code of some language uses itself, so that no type of a definition may take them.
pub const RESERVED_TYPES: &[&str] = &[
    // Rust: what the prelude and the generated file bring into scope.
    "Self",
    "String",
    "Vec",
    "Option",
    "Some",
    "None",
    "Result",
    "Ok",
    "Err",
    "Box",
    "Cow",
    "Value",
    "BTreeMap",
    "Bytes",
    "Peek",
    "RawValue",
    "Reader",
    "VecDeque",
    "DecodeError",
    "Enveloped",
    "Serialize",
    "Deserialize",
    "Serializer",
    "Deserializer",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "PartialEq",
    "Eq",
    "From",
    "Into",
    "AsRef",
    "Iterator",
    "Drop",
    "Send",
    "Sync",
    "Sized",
    "Fn",
    "Display",
    "ToString",
    "ToOwned",
    // TypeScript: globals that generated files use.
    "Array",
    "Map",
    "Object",
    "Promise",
    "Number",
    "Boolean",
    "Symbol",
    "Function",
    "JSON",
    "Record",
    "Partial",
    "Uint8Array",
    "WebSocket",
    "AsyncIterable",
    "AsyncIterator",
    "AsyncIterableIterator",
];

/// Words that cannot stand as an identifier in Rust, in any edition.
const RUST_KEYWORDS: &[&str] = &[
    "as", "break", "const", "continue", "else", "enum", "extern", "false", "fn", "for", "if", "impl", "in",
    "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "static", "struct", "trait",
    "true", "type", "unsafe", "use", "where", "while", "async", "await", "dyn", "abstract", "become", "box",
    "do", "final", "gen", "macro", "override", "priv", "try", "typeof", "unsized", "virtual", "yield",
];

/// A name as a Rust identifier: keywords become raw, the few that cannot get an underscore behind.
pub fn rust_ident(name: &str) -> proc_macro2::Ident {
    let span = proc_macro2::Span::call_site();
    match name {
        "self" | "Self" | "super" | "crate" => proc_macro2::Ident::new(&format!("{name}_"), span),
        keyword if RUST_KEYWORDS.contains(&keyword) => proc_macro2::Ident::new_raw(keyword, span),
        plain => proc_macro2::Ident::new(plain, span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_words() {
        let cases = [("$top", "top", "Top"), ("{user-id}", "user_id", "UserId"), ("2fa", "n2fa", "N2fa")];
        for (wire, expected_snake, expected_pascal) in cases {
            assert_eq!((snake(wire).as_str(), pascal(wire).as_str()), (expected_snake, expected_pascal));
        }
        assert_eq!((snake("…"), pascal("")), ("field".into(), "Item".into()));
    }

    #[test]
    fn names_that_differ_by_case_alone_stay_apart() {
        let mut scope = Scope::default();
        assert_eq!(
            ["e", "E", "-1", "1", "a_1", "a1"].map(|n| scope.snake(n)),
            ["e", "e_2", "n1", "n1_n2", "a_1", "a1_n2"]
        );
    }

    #[test]
    fn taken_names_are_not_given_again() {
        let mut scope = Scope::with(["Unknown"]);
        assert_eq!([scope.pascal("unknown"), scope.pascal("unknown-2")], ["Unknown2", "Unknown2N2"]);
    }

    #[test]
    fn keywords_are_dodged() {
        assert_eq!(["type", "self", "id"].map(|n| rust_ident(n).to_string()), ["r#type", "self_", "id"]);
    }
}
