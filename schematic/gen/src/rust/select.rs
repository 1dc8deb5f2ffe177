//! Writes the code that tells JSON texts apart: one look at the members that matter, then tests in order.
//!
//! Used for the messages of a direction and for the alternatives of a union.

use proc_macro2::TokenStream;
use quote::quote;
use schematic_define::JsonKind;
use serde_json::Value;

use super::Output;
use super::helpers::Helper;
use crate::ir::Test;
use crate::names::{Scope, rust_ident};

/// One thing that a text can be.
pub(super) struct Case<'a> {
    /// What must hold
    pub(super) tests: &'a [Test],
    /// An expression for when it does; `return`s are the caller's business
    pub(super) found: TokenStream,
}

/// The members of an object that recognition looks at.
pub(super) struct Peek {
    members: Vec<(String, proc_macro2::Ident)>,
    scope: Scope,
}

impl Peek {
    pub(super) fn new() -> Self {
        Self { members: Vec::new(), scope: Scope::default() }
    }

    /// An expression of type `Option<&RawValue>` for a member.
    pub(super) fn member(&mut self, wire: &str) -> TokenStream {
        let known = self.members.iter().find(|(name, _)| name == wire).map(|(_, ident)| ident.clone());
        let ident = known.unwrap_or_else(|| {
            let ident = rust_ident(&self.scope.snake(wire));
            self.members.push((wire.into(), ident.clone()));
            ident
        });
        quote!(peek.#ident)
    }

    /// An expression of type `Option<&RawValue>` for a member of a member.
    pub(super) fn path(&mut self, output: &Output, path: &[String]) -> TokenStream {
        let (first, rest) = path.split_first().expect("check() refuses empty paths");
        let member = self.member(first);
        if rest.is_empty() {
            return member;
        }
        output.need(Helper::At);
        quote!(at(#member, &[#(#rest),*]))
    }

    /// The struct and the statement that fills it from `text`. `read` is the expression that parses.
    pub(super) fn declare(&self, read: TokenStream) -> TokenStream {
        if self.members.is_empty() {
            return quote!();
        }
        let members = self.members.iter().map(|(wire, ident)| {
            let rename =
                (ident.to_string().trim_start_matches("r#") != wire).then(|| quote!(, rename = #wire));
            quote!(#[serde(borrow #rename)] #ident: Option<&'a RawValue>)
        });
        quote! {
            #[derive(Deserialize)]
            struct Peek<'a> { #(#members),* }
            let peek: Peek<'_> = #read;
        }
    }
}

/// Which first byte a value of the kind has.
fn first_bytes(kind: JsonKind) -> TokenStream {
    match kind {
        JsonKind::Object => quote!(Some(b'{')),
        JsonKind::Array => quote!(Some(b'[')),
        JsonKind::String => quote!(Some(b'"')),
        JsonKind::Number => quote!(Some(b'-' | b'0'..=b'9')),
        JsonKind::Boolean => quote!(Some(b't' | b'f')),
        JsonKind::Null => quote!(Some(b'n')),
    }
}

/// The kind of JSON value that the tests ask for, if they do.
fn kind_of(tests: &[Test]) -> Option<JsonKind> {
    tests.first().map(|test| match test {
        Test::Equals { .. } | Test::Present { .. } | Test::AnyOf(_) => JsonKind::Object,
        Test::ArrayHead(_) => JsonKind::Array,
        Test::Kind(kind) => *kind,
    })
}

/// Statements that return from the enclosing function as soon as a case is found.
///
/// `text` is in scope as `&str`, `first` as its first byte that is no white space. What follows the statements is
/// reached when no case was found and the value is not an object; `unknown_object` when it is one. Nothing is
/// reached, and the second result is true, when a case has no test.
pub(super) fn statements(
    output: &Output,
    cases: &[Case],
    mut peek: Peek,
    read: TokenStream,
    unknown_object: impl FnOnce(&mut Peek) -> TokenStream,
) -> (TokenStream, bool) {
    let of = |kind: JsonKind| -> Vec<&Case> {
        cases.iter().filter(|case| kind_of(case.tests) == Some(kind)).collect()
    };
    let mut blocks = Vec::new();
    let objects = of(JsonKind::Object);
    if !objects.is_empty() {
        let tests = object_tests(output, &objects, &mut peek);
        let any_object = objects.iter().any(|case| matches!(case.tests, [Test::Kind(JsonKind::Object)]));
        let unknown = if any_object { quote!() } else { unknown_object(&mut peek) };
        let declare = peek.declare(read.clone());
        blocks.push(quote!(if first == Some(b'{') { #declare #(#tests)* #unknown }));
    }
    let arrays = of(JsonKind::Array);
    if !arrays.is_empty() {
        blocks.push(array_tests(output, &arrays));
    }
    for kind in [JsonKind::String, JsonKind::Number, JsonKind::Boolean, JsonKind::Null] {
        for case in of(kind) {
            let (bytes, found) = (first_bytes(kind), &case.found);
            blocks.push(quote!(if matches!(first, #bytes) { return #found; }));
        }
    }
    // Cases without a test fit everything, so they come last.
    let anything = cases.iter().find(|case| case.tests.is_empty());
    blocks.extend(anything.map(|case| {
        let found = &case.found;
        quote!(return #found;)
    }));
    (quote!(#(#blocks)*), anything.is_some())
}

/// Tests in order; neighbours that have one string tag in common become one `match`.
fn object_tests(output: &Output, cases: &[&Case], peek: &mut Peek) -> Vec<TokenStream> {
    let mut statements = Vec::new();
    let mut rest = cases;
    while let Some(case) = rest.first() {
        let run = string_tag(case.tests).map_or(0, |(path, _)| {
            rest.iter().take_while(|c| string_tag(c.tests).is_some_and(|(p, _)| p == path)).count()
        });
        let taken = run.max(1);
        let (here, after) = rest.split_at(taken);
        statements.push(if run > 1 {
            tag_match(output, here, peek)
        } else {
            one_test(output, here[0], peek)
        });
        rest = after;
    }
    statements
}

/// The path and value of a case that is told apart by one string alone.
fn string_tag(tests: &[Test]) -> Option<(&[String], &str)> {
    match tests {
        [Test::Equals { path, value: Value::String(value) }] => Some((path, value)),
        _ => None,
    }
}

fn tag_match(output: &Output, cases: &[&Case], peek: &mut Peek) -> TokenStream {
    output.need(Helper::Text);
    let (path, _) = string_tag(cases[0].tests).expect("the run consists of string tags");
    let member = peek.path(output, path);
    let arms = cases.iter().map(|case| {
        let (_, value) = string_tag(case.tests).expect("the run consists of string tags");
        let found = &case.found;
        quote!(Some(#value) => return #found,)
    });
    quote!(match text_of(#member).as_deref() { #(#arms)* _ => {} })
}

fn one_test(output: &Output, case: &Case, peek: &mut Peek) -> TokenStream {
    let found = &case.found;
    match all(output, case.tests, peek) {
        Some(condition) => quote!(if #condition { return #found; }),
        None => quote!(return #found;),
    }
}

/// An expression that is true if all tests of an object hold; nothing if there is nothing to test.
fn all(output: &Output, tests: &[Test], peek: &mut Peek) -> Option<TokenStream> {
    let conditions: Vec<TokenStream> = tests
        .iter()
        .filter_map(|test| match test {
            Test::Present { field } => {
                let member = peek.member(field);
                Some(quote!(#member.is_some()))
            }
            Test::Equals { path, value } => {
                let member = peek.path(output, path);
                Some(equals(output, &member, value))
            }
            Test::AnyOf(ways) => {
                let ways: Vec<TokenStream> =
                    ways.iter().map(|tests| all(output, tests, peek).unwrap_or(quote!(true))).collect();
                Some(if tests.len() > 1 { quote!((#(#ways)||*)) } else { quote!(#(#ways)||*) })
            }
            Test::ArrayHead(_) | Test::Kind(_) => None,
        })
        .collect();
    (!conditions.is_empty()).then(|| quote!(#(#conditions)&&*))
}

/// An expression that is true if an `Option<&RawValue>` has the value.
fn equals(output: &Output, member: &TokenStream, value: &Value) -> TokenStream {
    match value {
        Value::String(text) => {
            output.need(Helper::Text);
            quote!(text_of(#member).as_deref() == Some(#text))
        }
        other => {
            let text = other.to_string();
            quote!(#member.is_some_and(|raw| raw.get() == #text))
        }
    }
}

/// Tests of an array: its head, or nothing but that it is one.
fn array_tests(output: &Output, cases: &[&Case]) -> TokenStream {
    let heads = cases.iter().filter_map(|case| match case.tests {
        [Test::ArrayHead(value)] => {
            let condition = equals(output, &quote!(head), value);
            let found = &case.found;
            Some(quote!(if #condition { items.pop_front(); return #found; }))
        }
        _ => None,
    });
    let heads: Vec<TokenStream> = heads.collect();
    let whole = cases.iter().find(|case| matches!(case.tests, [Test::Kind(_)])).map(|case| {
        let found = &case.found;
        quote!(return #found;)
    });
    let whole = whole.map(|whole| quote!(if first == Some(b'[') { #whole }));
    if heads.is_empty() {
        return quote!(#whole);
    }
    output.need(Helper::Items);
    quote! {
        if first == Some(b'[') && let Ok(mut items) = items_of(text) {
            let first_item = items.front().cloned();
            let head = first_item.as_deref();
            #(#heads)*
        }
        #whole
    }
}
