//! For each way of recognition the wrong neighbour is offered, and every example comes back as it went.

use schematic_define::{BodyKind, Definition};
use serde_json::{Value, json};

use crate::samples;
use crate::written::{
    deepgram, discord, elevenlabs, graphql_transport_ws, home_assistant, kinds, openai_realtime,
};
use kinds::ServerMessage;

/// The name of the message that a frame is taken for.
fn name(frame: &str) -> String {
    let message = ServerMessage::decode(frame).unwrap_or_else(|e| panic!("{frame}: {e}"));
    format!("{message:?}").split(['(', ' ']).next().unwrap().to_owned()
}

#[track_caller]
fn check(frame: Value, expected: &str) {
    assert_eq!(name(&frame.to_string()), expected, "{frame}");
}

#[test]
fn tag() {
    check(json!({"type": "tick", "at": 1}), "Tick");
    check(json!({"type": "tock", "at": 1}), "Tock");
    check(json!({"type": "TICK", "at": 1}), "Unknown");
    check(json!({"type": ["tick"], "at": 1}), "Unknown");
}

#[test]
fn a_tag_with_escapes_is_still_the_tag() {
    assert_eq!(name(r#"{"type":"t\u0069ck","at":1}"#), "Tick");
    assert_eq!(name(r#"{"ty\u0070e":"tick","at":1}"#), "Tick");
}

#[test]
fn nested_tag() {
    check(json!({"header": {"kind": "deep", "id": 1}, "x": 1}), "Deep");
    check(json!({"header": {"kind": "flat", "id": 1}, "x": 1}), "Unknown");
    check(json!({"kind": "deep", "header": {"id": 1}}), "Unknown");
    check(json!({"header": "deep"}), "Unknown");
}

#[test]
fn composite_tag() {
    check(json!({"op": 0, "t": "READY", "d": null}), "Ready");
    check(json!({"op": 0, "t": "GONE", "d": null}), "Gone");
    check(json!({"op": 1, "t": "READY", "d": null}), "Unknown");
    check(json!({"op": "0", "t": "READY", "d": null}), "Unknown");
    check(json!({"op": 10, "t": "READY"}), "HelloOp");
}

#[test]
fn literal_before_presence() {
    check(json!({"text": " "}), "Space");
    check(json!({"text": ""}), "Empty");
    check(json!({"text": "  "}), "Words");
    check(json!({"text": null}), "Unknown");
}

#[test]
fn any_of() {
    check(json!({"done": true}), "Done");
    check(json!({"is_done": true}), "Done");
    check(json!({"is_done": false}), "Unknown");
    check(json!({"done": "true"}), "Unknown");
}

#[test]
fn array_head() {
    check(json!(["NOTE", "x"]), "Note");
    check(json!(["END"]), "End");
    check(json!(["note", "x"]), "Unknown");
    check(json!([["NOTE"], "x"]), "Unknown");
    check(json!([]), "Unknown");
}

#[test]
fn kind() {
    check(json!("NOTE"), "Line");
    check(json!(7), "Unknown");
    check(json!(null), "Unknown");
}

#[test]
fn frame() {
    assert_eq!(
        ServerMessage::decode_binary(&[0, 255]).unwrap(),
        ServerMessage::Audio(kinds::Bytes(vec![0, 255]))
    );
    let tick = br#"{"type":"tick","at":1}"#;
    assert_eq!(ServerMessage::decode_binary(tick).unwrap(), ServerMessage::Tick(kinds::Tick { at: 1 }));
    // A message that never comes in binary frames is bytes there.
    let tock = br#"{"type":"tock"}"#;
    assert_eq!(
        ServerMessage::decode_binary(tock).unwrap(),
        ServerMessage::Audio(kinds::Bytes(tock.to_vec()))
    );
}

#[test]
fn unknown_keeps_tag_and_text() {
    let raw = r#" {"type":"new\n","x":1}"#;
    let message = ServerMessage::decode(raw).unwrap();
    assert_eq!(message, ServerMessage::Unknown { tag: Some("new\n".into()), raw: raw.into() });
    assert_eq!(message.encode(), raw.as_bytes());
}

#[test]
fn unknown_enum_values_are_kept() {
    let message = ServerMessage::decode(r#"{"type":"tock","mood":"so\tso"}"#).unwrap();
    let ServerMessage::Tock(tock) = &message else { panic!("{message:?}") };
    assert_eq!(tock.mood, Some(kinds::Mood::Unknown("so\tso".into())));
    assert_eq!(message.encode(), br#"{"type":"tock","mood":"so\tso"}"#);
}

#[test]
fn what_is_not_json_is_an_error() {
    for frame in ["", "{", "{\"type\":\"tick\",}", "nul", "{} {}", "[1,"] {
        assert!(matches!(ServerMessage::decode(frame), Err(kinds::DecodeError::NotJson(_))), "{frame:?}");
    }
    let twice = r#"{"type":"tick","type":"tock"}"#;
    assert!(ServerMessage::decode(twice).is_err());
}

#[test]
fn a_bad_body_names_its_message() {
    let bad = [
        (r#"{"type":"tick"}"#, "Tick does not fit: missing field `at`"),
        (r#"["NOTE"]"#, "Note does not fit: the list ends before its place `text`"),
        (r#"{"header":{"kind":"deep"},"x":1}"#, "Deep does not fit: missing field `id`"),
        (r#"{"op":10,"d":{"leaves":[],"state":"half"}}"#, "HelloOp does not fit: unknown variant `half`"),
    ];
    for (frame, expected) in bad {
        let error = ServerMessage::decode(frame).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn unions_choose_by_what_is_there() {
    let frame = json!({"type": "say", "what": ["a", {"type": "picture", "data": "AAEC"}, {"type": "film"}]});
    let kinds::ClientMessage::Say(say) = kinds::ClientMessage::decode(&frame.to_string()).unwrap() else {
        panic!("{frame}")
    };
    let kinds::Content::Parts(parts) = &say.what else { panic!("{say:?}") };
    assert_eq!(parts[0], kinds::Content::Text("a".into()));
    assert_eq!(parts[1], kinds::Content::Picture(kinds::Picture { data: kinds::Bytes(vec![0, 1, 2]) }));
    assert_eq!(parts[2], kinds::Content::Unknown(json!({"type": "film"})));
    let encoded = kinds::ClientMessage::Say(say).encode();
    assert_eq!(serde_json::from_str::<Value>(&encoded).unwrap(), frame);
}

/// Decodes and encodes every example of these messages, and compares with what the example means.
fn examples_come_back(definition: &Definition, ids: &[&str], again: fn(&str) -> String) -> usize {
    let facts =
        definition.messages.iter().filter(|f| ids.contains(&f.id.as_str()) && f.body == BodyKind::Json);
    let mut count = 0;
    for example in facts.flat_map(|f| &f.examples) {
        let once = again(&example.value.to_string());
        // The second time nothing may change any more: aliases are gone, and what was null is absent.
        assert_eq!(once, again(&once), "{}", example.value);
        count += 1;
    }
    count
}

#[test]
fn examples_of_all_kinds_come_back() {
    let ids: Vec<String> = samples::kinds().messages.iter().map(|f| f.id.clone()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let again = |frame: &str| String::from_utf8(ServerMessage::decode(frame).unwrap().encode()).unwrap();
    assert_eq!(examples_come_back(&samples::kinds(), &ids, again), 5);
    for example in
        samples::kinds().messages.iter().filter(|f| f.body == BodyKind::Json).flat_map(|f| &f.examples)
    {
        let encoded = ServerMessage::decode(&example.value.to_string()).unwrap().encode();
        assert_eq!(serde_json::from_slice::<Value>(&encoded).unwrap(), example.value);
    }
}

#[test]
fn examples_of_elevenlabs_come_back() {
    let definition = schematic_definitions::elevenlabs::elevenlabs();
    let client = ["InitializeConnection", "SendText", "CloseConnection"];
    let server = ["AudioOutput", "FinalOutput", "ErrorOutput"];
    let again = |frame: &str| {
        let message = elevenlabs::StreamTextToSpeechClientMessage::decode(frame).unwrap();
        assert!(!matches!(message, elevenlabs::StreamTextToSpeechClientMessage::Unknown { .. }), "{frame}");
        message.encode()
    };
    assert_eq!(examples_come_back(&definition, &client, again), 8);
    let again = |frame: &str| {
        let message = elevenlabs::StreamTextToSpeechServerMessage::decode(frame).unwrap();
        assert!(!matches!(message, elevenlabs::StreamTextToSpeechServerMessage::Unknown { .. }), "{frame}");
        message.encode()
    };
    assert_eq!(examples_come_back(&definition, &server, again), 5);
}

#[test]
fn aliases_are_read_and_the_name_is_written() {
    let frame = r#"{"audio":"AAEC","normalized_alignment":{"char_start_times_ms":[0],"chars_durations_ms":[30],"chars":["H"]}}"#;
    let message = elevenlabs::StreamTextToSpeechServerMessage::decode(frame).unwrap();
    assert_eq!(
        message.encode(),
        r#"{"audio":"AAEC","normalizedAlignment":{"charStartTimesMs":[0],"charDurationsMs":[30],"chars":["H"]}}"#
    );
}

/// Decodes every example of a direction as the message that it belongs to, and writes the same JSON again, but for
/// optional members that were `null`.
macro_rules! examples_are_themselves {
    ($definition:expr, $messages:ty, $direction:ident) => {{
        let definition = $definition;
        let lifecycle = &definition.websocket_endpoints()[0].lifecycle;
        let mut count = 0;
        for schema in lifecycle.$direction() {
            let facts = definition.find_message(&schema.id).unwrap();
            for example in facts.examples.iter().filter(|_| facts.body == BodyKind::Json) {
                let message = <$messages>::decode(&example.value.to_string()).unwrap();
                assert!(format!("{message:?}").starts_with(&format!("{}(", schema.id)), "{message:?}");
                let mut out = Vec::new();
                message.encode_into(&mut out);
                let again: Value = serde_json::from_slice(&out).unwrap();
                for (name, member) in again.as_object().unwrap() {
                    assert_eq!(
                        without_nulls(&example.value[name]),
                        without_nulls(member),
                        "{}",
                        example.value
                    );
                }
                count += 1;
            }
        }
        count
    }};
}

/// A value without members that are `null`.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name.clone(), without_nulls(member)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        scalar => scalar.clone(),
    }
}

#[test]
fn examples_of_the_public_definitions_are_themselves() {
    use schematic_definitions as definitions;
    let counts = [
        examples_are_themselves!(definitions::discord::discord(), discord::ClientMessage, from_client),
        examples_are_themselves!(definitions::discord::discord(), discord::ServerMessage, from_server),
        examples_are_themselves!(definitions::deepgram::deepgram(), deepgram::ClientMessage, from_client),
        examples_are_themselves!(definitions::deepgram::deepgram(), deepgram::ServerMessage, from_server),
        examples_are_themselves!(
            definitions::graphql_transport_ws::graphql_transport_ws(),
            graphql_transport_ws::ClientMessage,
            from_client
        ),
        examples_are_themselves!(
            definitions::graphql_transport_ws::graphql_transport_ws(),
            graphql_transport_ws::ServerMessage,
            from_server
        ),
        examples_are_themselves!(
            definitions::home_assistant::home_assistant(),
            home_assistant::ClientMessage,
            from_client
        ),
        examples_are_themselves!(
            definitions::home_assistant::home_assistant(),
            home_assistant::ServerMessage,
            from_server
        ),
        examples_are_themselves!(
            definitions::openai_realtime::openai_realtime(),
            openai_realtime::ClientMessage,
            from_client
        ),
        examples_are_themselves!(
            definitions::openai_realtime::openai_realtime(),
            openai_realtime::ServerMessage,
            from_server
        ),
    ];
    assert_eq!(counts, [7, 9, 3, 4, 5, 6, 11, 7, 11, 46]);
}

#[test]
fn a_neighbour_by_one_member_is_another_dispatch() {
    let frame = json!({"op": 0, "t": "MESSAGE_DELETE", "s": 4, "d": {"id": "1"}}).to_string();
    let message = discord::ServerMessage::decode(&frame).unwrap();
    assert!(
        matches!(&message, discord::ServerMessage::Dispatch(event) if event.t == "MESSAGE_DELETE"),
        "{message:?}"
    );
    let unknown = discord::ServerMessage::decode(r#"{"op":12,"d":null}"#).unwrap();
    assert!(
        matches!(&unknown, discord::ServerMessage::Unknown { tag: Some(tag), .. } if tag == "12"),
        "{unknown:?}"
    );
}
