//! Messages that cannot be told apart are refused with both names, unless the definition says which one wins.

use schematic_define::prelude::*;

use crate::samples::{problems, server_says};

fn record(name: &str, fields: &[&str]) -> TypeDef {
    TypeDef::record(name, "", fields.iter().map(|f| Field::required(*f, Type::Json)).collect())
}

/// Two messages, `One` and `Two`, with these recognitions and members.
fn pair(one: Recognition, two: Recognition, members: [&[&str]; 2]) -> Definition {
    server_says(
        vec![MessageFacts::new("One", one), MessageFacts::new("Two", two)],
        vec![record("One", members[0]), record("Two", members[1])],
    )
}

fn tag(field: &str, value: &str) -> Recognition {
    Recognition::Tag { field: field.into(), value: value.into() }
}

fn present(field: &str) -> Recognition {
    Recognition::Presence { field: field.into() }
}

fn literal(field: &str, value: impl Into<serde_json::Value>) -> Recognition {
    Recognition::Literal { field: field.into(), value: value.into() }
}

#[track_caller]
fn refused(definition: &Definition) {
    let found = problems(definition);
    let both = found.iter().filter(|p| p.contains("`One`") && p.contains("`Two`")).count();
    assert_eq!((found.len(), both), (1, 1), "{found:?}");
}

#[track_caller]
fn accepted(definition: &Definition) {
    assert_eq!(problems(definition), Vec::<String>::new());
}

#[test]
fn the_same_tag_is_refused() {
    refused(&pair(tag("type", "x"), tag("type", "x"), [&[], &[]]));
    accepted(&pair(tag("type", "x"), tag("type", "y"), [&[], &[]]));
}

#[test]
fn tags_in_different_members_are_refused() {
    refused(&pair(tag("type", "x"), tag("kind", "x"), [&[], &[]]));
}

#[test]
fn presence_shows_nothing_about_the_neighbour() {
    refused(&pair(present("a"), present("b"), [&["a"], &["b"]]));
    refused(&pair(present("text"), literal("text", " "), [&["text"], &[]]));
    accepted(&pair(literal("text", ""), literal("text", " "), [&[], &[]]));
}

#[test]
fn a_composite_tag_needs_one_part_that_differs() {
    let composite = |op: i64, name: &str| Recognition::CompositeTag {
        parts: vec![TagPart::new("op", op), TagPart::new("t", name)],
    };
    accepted(&pair(composite(0, "A"), composite(0, "B"), [&[], &[]]));
    accepted(&pair(composite(0, "A"), tag_number("op", 10), [&[], &[]]));
    refused(&pair(composite(0, "A"), tag_number("op", 0), [&[], &[]]));
}

fn tag_number(field: &str, value: i64) -> Recognition {
    Recognition::Tag { field: field.into(), value: value.into() }
}

#[test]
fn arrays_are_told_apart_by_their_heads_and_from_objects() {
    let head = |value: &str| Recognition::ArrayHead { value: value.into() };
    let arrays = |one: Recognition, two: Recognition| {
        server_says(
            vec![MessageFacts::new("One", one), MessageFacts::new("Two", two)],
            vec![TypeDef::tuple("One", "", vec![]), TypeDef::tuple("Two", "", vec![])],
        )
    };
    accepted(&arrays(head("EVENT"), head("EOSE")));
    refused(&arrays(head("EVENT"), head("EVENT")));
    refused(&arrays(head("EVENT"), Recognition::Kind(JsonKind::Array)));
    let mixed = server_says(
        vec![MessageFacts::new("One", head("EVENT")), MessageFacts::new("Two", tag("type", "x"))],
        vec![TypeDef::tuple("One", "", vec![]), record("Two", &[])],
    );
    accepted(&mixed);
}

#[test]
fn frames_are_told_apart_by_their_kind() {
    let bytes = |name: &str| TypeDef::alias(name, "", Type::Bytes);
    let with_text = server_says(
        vec![MessageFacts::binary("One"), MessageFacts::tag("Two", "type", "x")],
        vec![bytes("One"), record("Two", &[])],
    );
    accepted(&with_text);
    let both = vec![MessageFacts::binary("One"), MessageFacts::binary("Two")];
    refused(&server_says(both, vec![bytes("One"), bytes("Two")]));
}

#[test]
fn every_way_of_any_of_counts() {
    let any = Recognition::AnyOf(vec![literal("done", true), literal("is_done", true)]);
    refused(&pair(any.clone(), literal("is_done", true), [&[], &[]]));
    refused(&pair(any, literal("done", false), [&[], &[]]));
}

#[test]
fn precedence_settles_it_when_both_are_listed() {
    let definition = pair(present("a"), present("b"), [&["a"], &["b"]]);
    let policy = |ids: &[&str]| EndpointPolicy {
        precedence: ids.iter().map(|id| id.to_string()).collect(),
        ..EndpointPolicy::new("Talk")
    };
    accepted(&definition.clone().with_policy(policy(&["One", "Two"])));
    refused(&definition.with_policy(policy(&["One"])));
}

#[test]
fn a_message_that_never_has_its_turn_is_refused() {
    let definition = pair(literal("text", " "), present("text"), [&[], &["text"]]);
    let policy = |ids: [&str; 2]| EndpointPolicy {
        precedence: ids.map(String::from).into(),
        ..EndpointPolicy::new("Talk")
    };
    accepted(&definition.clone().with_policy(policy(["One", "Two"])));
    let found = problems(&definition.with_policy(policy(["Two", "One"])));
    assert!(
        matches!(&found[..], [only] if only.contains("`One` is never recognised, because `Two`")),
        "{found:?}"
    );
}

#[test]
fn an_example_that_another_message_takes_is_refused() {
    let one = MessageFacts::presence("One", "a");
    let two = MessageFacts::presence("Two", "b").example("both", serde_json::json!({"a": 1, "b": 2}));
    let policy =
        EndpointPolicy { precedence: vec!["One".into(), "Two".into()], ..EndpointPolicy::new("Talk") };
    let definition =
        server_says(vec![one, two], vec![record("One", &["a"]), record("Two", &["b"])]).with_policy(policy);
    let found = problems(&definition);
    assert!(matches!(&found[..], [only] if only.contains("taken for `One`")), "{found:?}");
}

#[test]
fn alternatives_of_a_union_are_judged_too() {
    let union = |first: bool| {
        let mut one = Variant::new("One", Type::named("Left"), present("a"));
        one.first = first;
        let two = Variant::new("Two", Type::named("Right"), present("b"));
        let types = vec![
            record("Left", &["a"]),
            record("Right", &["b"]),
            TypeDef::union("Either", "", vec![one, two]),
        ];
        server_says(vec![], types)
    };
    refused(&union(false));
    accepted(&union(true));
}
