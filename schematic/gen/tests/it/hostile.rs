//! Whatever `check()` accepts becomes Rust that parses, in which no two names of a scope are the same.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use schematic_define::prelude::*;
use schematic_gen::{Provenance, rust};

use crate::samples::definition;

/// Names that have hurt generators, and any others.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "type",
            "self",
            "Self",
            "super",
            "crate",
            "async",
            "fn",
            "2fa",
            "$top",
            "{user-id}",
            "user-id",
            "user_id",
            "userId",
            "e",
            "E",
            "_",
            "__",
            "",
            " ",
            "\"",
            "\\",
            "\n",
            "*/",
            "//",
            "String",
            "Option",
            "Vec",
            "Unknown2",
            "ClientMessage",
            "ServerMessage",
            "DecodeError",
            "Peek",
            "peek",
            "text",
            "first",
            "rest",
            "body",
            "Result",
            "connect",
            "next",
            "split",
            "builder",
            "options",
            "on_failure",
            "params",
            "message",
            "talk",
            "runtime",
            "FnMut",
            "Future",
            "é",
            "e\u{301}",
            "日本",
            "A1",
            "a_1",
            "a1",
            "N1",
            "1",
            "-1",
        ])
        .prop_map(String::from),
        "[a-zA-Z0-9_$-]{1,6}",
        any::<String>(),
    ]
}

fn any_type(names: Vec<String>) -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        Just(Type::String),
        Just(Type::Unsigned),
        Just(Type::Float),
        Just(Type::Bytes),
        Just(Type::Json),
        prop::sample::select(names).prop_map(Type::Named),
    ];
    leaf.prop_recursive(2, 4, 1, |inner| {
        prop_oneof![inner.clone().prop_map(Type::array), inner.prop_map(Type::map)]
    })
}

fn any_recognition() -> impl Strategy<Value = Recognition> {
    prop_oneof![
        (any_name(), any_name()).prop_map(|(field, value)| Recognition::Tag { field, value: value.into() }),
        (any_name(), any::<i32>())
            .prop_map(|(field, value)| Recognition::Literal { field, value: value.into() }),
        any_name().prop_map(|field| Recognition::Presence { field }),
        any_name().prop_map(|value| Recognition::ArrayHead { value: value.into() }),
        (any_name(), any_name()).prop_map(|(a, b)| Recognition::CompositeTag {
            parts: vec![TagPart::new(a, 1), TagPart::new(b, true)]
        }),
        (any_name(), any_name()).prop_map(|(a, b)| Recognition::AnyOf(vec![
            Recognition::Literal { field: a, value: "x".into() },
            Recognition::Literal { field: b, value: "x".into() },
        ])),
        Just(Recognition::Frame),
        Just(Recognition::Kind(JsonKind::Object)),
    ]
}

/// A shape that goes with the recognition, so that most definitions are accepted.
fn shape_for(recognition: &Recognition, mut fields: Vec<Field>) -> Shape {
    match recognition {
        Recognition::ArrayHead { .. } => Shape::Tuple(Tuple {
            items: fields.into_iter().map(|f| TupleItem::new(f.name, f.field_type)).collect(),
            rest: None,
        }),
        Recognition::Presence { field } => {
            fields.retain(|f| f.name != *field);
            fields.push(Field::required(field.clone(), Type::Json));
            Shape::Record(Record { fields })
        }
        _ => Shape::Record(Record { fields }),
    }
}

prop_compose! {
    fn any_definition()(names in prop::collection::hash_set(any_name(), 1..6).prop_map(|s| s.into_iter().collect::<Vec<_>>()))
        (members in prop::collection::vec(prop::collection::vec((any_name(), any_type(names.clone()), any::<bool>()), 0..5), names.len()),
         recognitions in prop::collection::vec(any_recognition(), names.len()),
         values in prop::collection::hash_set(any_name(), 1..6),
         name in any_name(),
         endpoint in any_name(),
         lives in any::<bool>(),
         names in Just(names)) -> Definition
    {
        let mut types: Vec<TypeDef> = names.iter().zip(members).zip(&recognitions).map(|((name, members), recognition)| {
            let mut seen = HashSet::new();
            let fields = members.into_iter().filter(|(n, _, _)| seen.insert(n.clone()))
                .map(|(n, ty, optional)| if optional { Field::optional(n, ty) } else { Field::required(n, ty) }).collect();
            TypeDef::new(name.clone(), name.clone(), shape_for(recognition, fields))
        }).collect();
        let values = values.iter().map(|v| EnumValue::new(v.clone())).collect();
        types.push(TypeDef::new(format!("{name}+"), "", Shape::Enum { openness: Openness::Open, values }));
        let facts: Vec<MessageFacts> =
            names.iter().zip(recognitions).map(|(n, r)| MessageFacts::new(n.clone(), r)).collect();
        let mut sample = definition(&name, facts, vec![], types);
        // What fits everything has to come last.
        let mut precedence = names.clone();
        precedence.sort_by_key(|id| sample.find_message(id).is_some_and(|f| matches!(f.recognition, Recognition::Frame | Recognition::Kind(_))));
        sample.policies.push(EndpointPolicy { precedence, ..EndpointPolicy::new("Talk") });
        if lives {
            live(&mut sample, &endpoint);
        }
        sample
    }
}

/// Gives a sample's endpoint a name, parameters, a beginning and an end; and the server says what the client says.
fn live(sample: &mut Definition, name: &str) {
    let names: Vec<String> = sample.messages.iter().map(|facts| facts.id.clone()).collect();
    let endpoint = &mut sample.websocket.as_mut().unwrap().endpoints[0];
    name.clone_into(&mut endpoint.id);
    name.clone_into(&mut sample.policies[0].endpoint);
    endpoint.path = "/{type}/{user-id}/end".into();
    let params = names.iter().filter(|name| !["", "type", "user-id"].contains(&name.as_str()));
    endpoint.connection_params = params
        .map(|name| ConnectionParam {
            name: name.clone(),
            param_type: ParamType::Float,
            required: name.len() % 2 == 0,
            default: None,
        })
        .collect();
    let lifecycle = &mut endpoint.lifecycle;
    for message in &mut lifecycle.streaming_messages {
        message.direction = MessageDirection::Bidirectional;
    }
    if lifecycle.streaming_messages.len() > 2 {
        lifecycle.close = lifecycle.streaming_messages.pop();
        lifecycle.initialize = Some(lifecycle.streaming_messages.remove(0));
    }
    for once in [&mut lifecycle.close, &mut lifecycle.initialize].into_iter().flatten() {
        once.repeatable = false;
        once.direction = MessageDirection::ClientToServer;
    }
    let replies = lifecycle.streaming_messages.first().map(|message| Reply::one(message.id.clone()));
    sample.messages.iter_mut().for_each(|facts| facts.reply = replies.clone());
}

/// The names of a file's types, and of the parts of each, in scopes of their own.
fn scopes(file: &syn::File) -> Vec<Vec<String>> {
    let mut types = Vec::new();
    let mut scopes = Vec::new();
    for item in &file.items {
        match item {
            syn::Item::Struct(item) => {
                types.push(item.ident.to_string());
                let fields = item.fields.iter().filter_map(|f| f.ident.as_ref());
                scopes.push(fields.map(ToString::to_string).collect());
            }
            syn::Item::Enum(item) => {
                types.push(item.ident.to_string());
                scopes.push(item.variants.iter().map(|v| v.ident.to_string()).collect());
            }
            syn::Item::Type(item) => types.push(item.ident.to_string()),
            _ => {}
        }
    }
    scopes.push(types);
    scopes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn accepted_definitions_become_rust(sample in any_definition()) {
        let Ok(files) = rust::wire_types(&sample, &Provenance::new("x", "y\n")) else {
            prop_assert!(sample.check().is_err());
            return Ok(());
        };
        let clients = rust::client(&sample, &Provenance::new("x", "y\n")).unwrap();
        for (_, text) in files.iter().chain(&clients) {
            let file = syn::parse_file(text).map_err(|e| TestCaseError::fail(e.to_string()))?;
            for scope in scopes(&file) {
                let distinct: HashSet<&String> = scope.iter().collect();
                prop_assert_eq!(distinct.len(), scope.len(), "{:?}", scope);
            }
        }
    }
}

/// Definitions that `check()` accepts, always the same ones.
fn accepted(count: usize) -> Vec<Definition> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let samples = (0..count * 10).map(|_| any_definition().new_tree(&mut runner).unwrap().current());
    let accepted: Vec<Definition> = samples.filter(|sample| sample.check().is_ok()).take(count).collect();
    assert_eq!(accepted.len(), count, "so few are accepted that the property says little");
    accepted
}

/// What parses may still not compile, so fifty files are given to the compiler.
#[test]
fn fifty_samples_compile() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile");
    let source = folder.join("src");
    // What an earlier run has left would be compiled as well.
    let _ = std::fs::remove_dir_all(&source);
    std::fs::create_dir_all(&source).unwrap();
    let mut root = String::from("//! Samples.\n#![deny(unused, missing_docs, unreachable_pub)]\n");
    for (number, sample) in accepted(50).iter().enumerate() {
        let files = rust::wire_types(sample, &Provenance::new("a test", "a sample")).unwrap();
        let place = source.join(format!("sample{number}"));
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("wire.rs"), &files[0].1).unwrap();
        let mut modules = "#[allow(missing_docs)]\npub mod wire;\n".to_owned();
        // Clients take longer to compile; a fifth of them has every kind of name.
        if number % 5 == 0 {
            let files = rust::client(sample, &Provenance::new("a test", "a sample")).unwrap();
            std::fs::write(place.join("client.rs"), &files[0].1).unwrap();
            modules.push_str("pub mod client;\n");
        }
        std::fs::write(place.join("mod.rs"), modules).unwrap();
        root.push_str(&format!("#[allow(missing_docs)]\npub mod sample{number};\n"));
    }
    std::fs::write(source.join("lib.rs"), root).unwrap();
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/rust");
    let runtime = format!("schematic-runtime = {{ path = {:?} }}\n", runtime.canonicalize().unwrap());
    std::fs::write(folder.join("Cargo.toml"), format!("{MANIFEST}{runtime}")).unwrap();
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    std::fs::copy(lock, folder.join("Cargo.lock")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--offline"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const MANIFEST: &str = r#"
[package]
name = "hostile"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
base64 = "0.23"
serde = { version = "1", features = ["derive"] }
serde_json = { version = "1", features = ["raw_value"] }
"#;
