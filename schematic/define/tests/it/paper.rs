//! A definition survives JSON and YAML without loss, whatever stands in its texts.

use proptest::prelude::*;
use schematic_define::prelude::*;
use serde_json::{Value, json};

use crate::samples::{endpoint, with_endpoint};

#[track_caller]
fn survives(definition: &Definition) {
    let json = definition.to_json();
    assert_eq!(&Definition::from_json(&json).unwrap(), definition, "{json}");
    let yaml = definition.to_yaml();
    let again = Definition::from_yaml(&yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
    assert_eq!(&again, definition, "{yaml}");
}

#[test]
fn everything_at_once() {
    let facts = MessageFacts::new(
        "Hello",
        Recognition::AnyOf(vec![
            Recognition::CompositeTag { parts: vec![TagPart::new("op", 0), TagPart::new("t", "READY")] },
            Recognition::NestedTag { path: vec!["a".into(), "b".into()], value: true.into() },
        ]),
    )
    .layouts(vec![Layout::Flat, Layout::Under("payload".into())])
    .reply(Reply {
        replies: Replies::Stream { until: vec!["End".into()] },
        correlation: Some(Correlation {
            id: IdKind::Json,
            request: vec!["id".into()],
            reply: vec!["payload".into(), "id".into()],
        }),
        timeout_ms: Some(30_000),
        ..Reply::one("Answer").error("Failure")
    })
    .example("null inside", json!({"a": null, "b": [1, -2, 0.5, "1.0", "~", "no", " "]}));
    let policy = EndpointPolicy {
        auth: vec![
            AuthWay::Subprotocol { prefix: "key.".into(), beside: vec!["realtime".into()] },
            AuthWay::UrlByCall { endpoint: "Sign".into(), path: vec!["url".into()] },
        ],
        heartbeats: vec![Heartbeat::Message {
            from: Party::Client,
            ping: "Beat".into(),
            pong: Some("Ack".into()),
            carries: vec![CarriedValue { name: "seq".into(), into: vec!["d".into()] }],
            echo: vec![EchoedField { ping: vec!["s".into()], pong: vec!["s".into()] }],
            interval: Interval::Given {
                message: "Hello".into(),
                path: vec!["ms".into()],
                jitter_first: true,
            },
            timeout_ms: None,
        }],
        inbound: InboundQueue {
            messages: Some(4),
            when_full: InboundFull::Coalesce { key: vec!["k".into()] },
        },
        ..EndpointPolicy::new("Talk")
    };
    let envelope = Envelope {
        tag: "type".into(),
        id: Some(EnvelopeId {
            field: "messageId".into(),
            also: vec![vec!["payload".into(), "messageId".into()]],
        }),
        layouts: vec![Layout::Under("payload".into())],
    };
    let mut definition =
        with_endpoint(endpoint()).with_message(facts).with_policy(policy).with_type(TypeDef::record(
            "Hello",
            "Two\nlines: with a colon",
            vec![
                Field::optional("x", Type::map(Type::array(Type::Json))).default_value(Value::Null),
                Field::constant("y", Type::String, "null"),
            ],
        ));
    definition.envelope = Some(envelope);
    survives(&definition);
}

#[test]
fn a_misspelt_member_is_refused_with_its_place() {
    let error = Definition::from_json(r#"{"name": "x", "polices": []}"#).unwrap_err().to_string();
    assert!(error.contains("polices") && error.contains("line 1"), "{error}");
    assert!(Definition::from_yaml("name: x\npolices: []\n").is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((any_text(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Texts that a careless writer of YAML would get wrong, and any others.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            " ",
            "no",
            "~",
            "null",
            "1.0",
            "0x1f",
            "1e3",
            ".inf",
            "- a",
            "a: b",
            "#c",
            "'",
            "\"",
            "|",
            ">\n",
            "a\n",
            "\ta",
            "a\r\nb",
            "\u{85}",
            "{}",
            "[",
            "&a",
            "*a",
            "!t",
            "%",
            "@",
            "`",
            "2026-01-01",
            "12:30:45",
            "=",
            "<<",
        ])
        .prop_map(String::from),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn any_texts_and_values_survive(text in any_text(), name in any_text(), value in any_json()) {
        let definition = Definition::new(name.clone(), text.clone())
            .with_type(TypeDef::record(
                text,
                "",
                vec![Field { constant: Some(value.clone()), ..Field::optional(name, Type::Json) }],
            ))
            .with_message(MessageFacts::presence("m", "x").example("e", value));
        survives(&definition);
    }
}
