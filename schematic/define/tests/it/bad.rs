//! Every kind of mistake is named, with its place, all in one go.

use schematic_define::prelude::*;
use serde_json::json;

use crate::samples::{endpoint, message, problems, server_says, with_endpoint};

/// Applies a change to a good definition and expects exactly these fragments, one a problem.
#[track_caller]
fn check(change: impl FnOnce(&mut Definition), expected: &[&str]) {
    let mut definition = good();
    change(&mut definition);
    let found = problems(&definition);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found:?} does not contain {expected:?}");
        assert!(!found.contains('\n') && !found.ends_with('.'), "{found:?}");
    }
}

fn good() -> Definition {
    server_says(
        vec![MessageFacts::tag("Tick", "type", "tick").example("tick", json!({"type": "tick", "at": 1}))],
        vec![TypeDef::record("Tick", "", vec![Field::required("at", Type::Unsigned)])],
    )
}

fn talk(definition: &mut Definition) -> &mut WebSocketEndpoint {
    &mut definition.websocket.as_mut().unwrap().endpoints[0]
}

fn policy(change: impl FnOnce(&mut EndpointPolicy)) -> impl FnOnce(&mut Definition) {
    |definition| {
        let mut policy = EndpointPolicy::new("Talk");
        change(&mut policy);
        definition.policies.push(policy);
    }
}

#[test]
fn the_good_one_is_good() {
    check(|_| {}, &[]);
}

#[test]
fn addresses() {
    let url =
        |url: &'static str| move |d: &mut Definition| d.websocket.as_mut().unwrap().base_url = url.into();
    check(url("https://example.com"), &["begin it with ws:// or wss://"]);
    check(url("wss://example.com/"), &["ends with a slash"]);
    check(url("wss://"), &["names no host", "ends with a slash"]);
    let path = |path: &'static str| move |d: &mut Definition| talk(d).path = path.into();
    check(path("talk"), &["does not begin with a slash"]);
    check(path("/talk/{}"), &["has no name"]);
    check(path("/talk/{room"), &["do not match"]);
    check(path("/{a}/{a}"), &["`a` occurs twice"]);
    check(path("/talk?x={y}"), &["has a query"]);
}

#[test]
fn parameters() {
    let param = |name: &str, required, default: Option<&str>| ConnectionParam {
        name: name.into(),
        param_type: ParamType::Integer,
        required,
        default: default.map(Into::into),
    };
    check(|d| talk(d).connection_params = vec![param("room", false, None)], &["`room` occurs twice"]);
    check(|d| talk(d).connection_params = vec![param("n", false, Some("many"))], &["`many` is no value"]);
    check(|d| talk(d).connection_params = vec![param("n", true, Some("1"))], &["required and has a default"]);
}

#[test]
fn headers_that_the_upgrade_writes_are_reserved() {
    let header = |name: &'static str| {
        move |d: &mut Definition| d.websocket.as_mut().unwrap().headers = vec![(name.into(), "x".into())]
    };
    check(header("Sec-WebSocket-Protocol"), &["is reserved"]);
    check(header("Host"), &["is reserved"]);
    check(header("a b"), &["is no header name"]);
    check(header("x-fine"), &[]);
}

#[test]
fn ids_occur_once() {
    check(
        |d| {
            let again = talk(d).clone();
            d.websocket.as_mut().unwrap().endpoints.push(again);
        },
        &["the endpoint id `Talk` occurs twice"],
    );
    check(
        |d| talk(d).lifecycle.server_messages.push(message("Hello", MessageDirection::ServerToClient)),
        &["the message id `Hello` occurs twice", "has another message with this id"],
    );
    check(|d| d.types.push(d.types[0].clone()), &["the type `Tick` occurs twice"]);
    check(|d| d.messages.push(d.messages[0].clone()), &["facts about the message `Tick` occurs twice"]);
}

#[test]
fn one_id_is_one_message_in_all_endpoints() {
    check(
        |d| {
            let mut other = endpoint();
            other.id = "Other".into();
            other.lifecycle.streaming_messages[0].repeatable = false;
            d.websocket.as_mut().unwrap().endpoints.push(other);
        },
        &["endpoint `Talk` has another message with this id"],
    );
}

#[test]
fn the_word_unknown_is_reserved() {
    check(
        |d| {
            talk(d).lifecycle.server_messages[0].id = "Unknown".into();
            d.messages[0].id = "Unknown".into();
        },
        &["reserved"],
    );
}

#[test]
fn references_lead_somewhere() {
    check(
        |d| d.types[0] = TypeDef::record("Tock", "", vec![]),
        &["no type is named `Tick`; add it to `types`"],
    );
    check(|d| drop(d.messages.remove(0)), &["nothing says how it is recognised"]);
    check(
        |d| d.messages.push(MessageFacts::tag("Gone", "type", "gone")),
        &["no endpoint has a message with this id"],
    );
    check(|d| d.policies.push(EndpointPolicy::new("Gone")), &["no WebSocket endpoint has this id"]);
    check(
        |d| d.types.push(TypeDef::record("A", "", vec![Field::required("b", Type::array(Type::named("B")))])),
        &["types.A.b: no type is named `B`"],
    );
    check(|d| d.messages[0].reply = Some(Reply::one("Gone")), &["no message has the id `Gone`"]);
    check(|d| d.messages[0].reply = Some(Reply::one("Tick")), &["sent by the side that asks"]);
}

#[test]
fn lifecycles_that_cannot_be() {
    let initialize = |change: fn(&mut MessageSchema)| {
        move |d: &mut Definition| {
            let lifecycle = &mut talk(d).lifecycle;
            let mut first = lifecycle.streaming_messages.remove(0);
            first.repeatable = false;
            change(&mut first);
            lifecycle.initialize = Some(first);
        }
    };
    check(initialize(|_| {}), &[]);
    check(initialize(|m| m.repeatable = true), &["cannot be repeatable"]);
    check(initialize(|m| m.direction = MessageDirection::ServerToClient), &["only the server sends it"]);
    check(
        |d| talk(d).lifecycle.server_messages[0].direction = MessageDirection::ClientToServer,
        &["only the client sends it"],
    );
    let mut silent = with_endpoint(endpoint());
    talk(&mut silent).lifecycle = ConnectionLifecycle::default();
    assert!(problems(&silent)[0].contains("nobody says anything"));
}

#[test]
fn recognition_fits_the_body() {
    check(
        |d| d.messages[0] = MessageFacts::tag("Tick", "at", 1),
        &["recognition writes `at` by itself; remove the member"],
    );
    check(|d| d.messages[0] = MessageFacts::presence("Tick", "gone"), &["has no member `gone`"]);
    check(|d| d.messages[0] = MessageFacts::tag("Tick", "type", json!(null)), &["has to be a string"]);
    check(|d| d.messages[0] = MessageFacts::binary("Tick"), &["the body of a raw binary message is bytes"]);
    check(
        |d| d.messages[0] = MessageFacts::new("Tick", Recognition::ArrayHead { value: "x".into() }),
        &["needs a tuple"],
    );
    let optional = Field::optional("at", Type::Unsigned);
    check(
        |d| {
            d.types[0] = TypeDef::record("Tick", "", vec![optional]);
            d.messages[0] = MessageFacts::presence("Tick", "at");
        },
        &["`at` may be absent"],
    );
}

#[test]
fn a_nested_tag_is_a_constant_of_the_record() {
    let nested = Recognition::NestedTag { path: vec!["header".into(), "kind".into()], value: "tick".into() };
    let with_header = |field: Field| {
        let nested = nested.clone();
        move |d: &mut Definition| {
            d.types[0] = TypeDef::record("Tick", "", vec![Field::required("header", Type::named("Header"))]);
            d.types.push(TypeDef::record("Header", "", vec![field]));
            d.messages[0] = MessageFacts::new("Tick", nested);
        }
    };
    check(with_header(Field::constant("kind", Type::String, "tick")), &[]);
    check(with_header(Field::constant("kind", Type::String, "tock")), &["with the constant \"tick\""]);
    check(with_header(Field::required("kind", Type::String)), &["with the constant \"tick\""]);
}

#[test]
fn types_have_values() {
    let record = |fields: Vec<Field>| |d: &mut Definition| d.types.push(TypeDef::record("A", "", fields));
    check(record(vec![Field::required("a", Type::named("A"))]), &["without end"]);
    check(record(vec![Field::optional("a", Type::named("A"))]), &[]);
    check(record(vec![Field::required("a", Type::array(Type::named("A")))]), &[]);
    check(|d| d.types.push(TypeDef::alias("A", "", Type::array(Type::named("A")))), &["without end"]);
    check(
        record(vec![Field::required("a", Type::Json), Field::required("b", Type::Json).alias("a")]),
        &["the member `a` occurs twice"],
    );
    check(
        record(vec![Field::optional("a", Type::Integer).default_value("x")]),
        &["the default does not fit"],
    );
    check(|d| d.types.push(TypeDef::open_enum("E", "", [])), &["has no values"]);
    check(|d| d.types.push(TypeDef::open_enum("E", "", ["a", "a"])), &["the value `a` occurs twice"]);
}

#[test]
fn examples_are_true() {
    check(|d| d.messages[0].examples[0].value = json!({"type": "tock"}), &["not recognised as this message"]);
    check(
        |d| d.messages[0].examples[0].value = json!({"type": "tick", "at": -1}),
        &["in `at`: -1 is no whole number without sign"],
    );
}

#[test]
fn policies() {
    check(policy(|p| p.precedence = vec!["Gone".into()]), &["has no message `Gone`"]);
    check(policy(|p| p.subprotocols = vec!["a b".into()]), &["`a b` is no subprotocol"]);
    check(policy(|p| p.timeouts.idle_ms = Some(0)), &["always over"]);
    check(policy(|p| p.limits.client_message_bytes = Some(0)), &["lets nothing through"]);
    check(
        policy(|p| p.close_codes = vec![CloseCode::new(99, CloseAction::Retry, "")]),
        &["99 is no close code"],
    );
    check(
        policy(|p| p.close_codes = vec![CloseCode::new(4000, CloseAction::Resume, "")]),
        &["no token to resume with"],
    );
    check(
        policy(|p| p.reconnect = Reconnect::Replay { opening: true, subscriptions: vec![] }),
        &["the opening message is replayed, but there is none"],
    );
    check(
        policy(|p| p.auth = vec![AuthWay::UrlByCall { endpoint: "Sign".into(), path: vec!["url".into()] }]),
        &["no REST endpoint has the id `Sign`"],
    );
    check(
        policy(|p| {
            p.heartbeats = vec![Heartbeat::Message {
                from: Party::Client,
                ping: "Tick".into(),
                pong: None,
                echo: vec![],
                carries: vec![],
                interval: Interval::Given {
                    message: "Tick".into(),
                    path: vec!["every".into()],
                    jitter_first: false,
                },
                timeout_ms: None,
            }];
        }),
        &["`Tick` is sent by the other side", "`every` is no member of message `Tick`"],
    );
}

#[test]
fn all_problems_come_at_once_and_fit_their_lines() {
    check(
        |d| {
            d.name = String::new();
            talk(d).path = "a\nb".into();
            d.policies.push(EndpointPolicy::new("Gone"));
        },
        &["name:", "does not begin with a slash", "policies.Gone"],
    );
}

#[test]
fn rest_endpoints_are_judged_too() {
    let endpoint =
        Endpoint::new("Get", RestMethod::Get, "/x/{id}", "", ApiResponse::Json(Schema::new("Gone")));
    let param = RestParam {
        name: "other".into(),
        place: ParamPlace::Path,
        param_type: ParamType::String,
        required: true,
        default: None,
        description: String::new(),
    };
    let rest = RestApi {
        name: "Sample".into(),
        base_url: "https://example.com".into(),
        endpoints: vec![Endpoint {
            params: vec![param],
            request: Some(ApiRequest::Json(Schema::new("Tick"))),
            ..endpoint
        }],
        ..RestApi::default()
    };
    check(
        |d| d.rest = Some(rest),
        &["add `{other}` to it", "this method carries no body", "no type is named `Gone`"],
    );
}
