//! What a policy declares reaches the generated TypeScript client, number by number and rule by rule.

use schematic_define::prelude::*;
use schematic_gen::{Provenance, typescript};

use crate::samples;

fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(String::from).into()
}

/// The client of a talk that is kept by this policy.
fn client(policy: EndpointPolicy) -> String {
    let tagged = |id: &str| MessageFacts::tag(id, "type", id);
    let ping = MessageFacts { idempotent: true, ..tagged("Ping") };
    let types = ["Ping", "Pong", "Hello", "Resume", "Done"];
    let types = types.map(|id| TypeDef::record(id, "A message", vec![Field::optional("d", Type::Json)]));
    let (client, server) =
        (vec![ping, tagged("Resume")], vec![tagged("Pong"), tagged("Hello"), tagged("Done")]);
    let mut definition = samples::definition("Kept", client, server, types.into()).with_policy(policy);
    definition.rest = Some(rest());
    let files = typescript::client(&definition, &Provenance::new("a test", "policies.rs")).unwrap();
    files.into_iter().map(|(_, text)| text).collect()
}

fn rest() -> RestApi {
    let mut sign = Endpoint::new("Sign", RestMethod::Post, "/rooms/{room}/sign", "Signs", ApiResponse::Empty);
    sign.params = vec![RestParam {
        name: "ttl".into(),
        place: ParamPlace::Query,
        param_type: ParamType::Integer,
        required: false,
        default: None,
        description: String::new(),
    }];
    RestApi {
        name: "Kept".into(),
        description: "Signs".into(),
        base_url: "https://api.example.com".into(),
        auth: AuthStrategy::BearerToken { header: None },
        env_auth: strings(["KEPT_KEY"]),
        headers: vec![("X-Version".into(), "1".into())],
        endpoints: vec![sign],
        ..RestApi::default()
    }
}

fn talk() -> EndpointPolicy {
    EndpointPolicy::new("Talk")
}

#[track_caller]
fn check(policy: EndpointPolicy, lines: &[&str]) {
    let text = client(policy);
    for line in lines {
        assert!(text.lines().any(|found| found.trim() == *line), "{line} is missing in:\n{text}");
    }
}

#[test]
fn longest_life_and_rates() {
    let rate = |messages, per_ms| Rate { messages, per_ms };
    let limits = Limits { rates: vec![rate(5, 1_000), rate(120, 60_000)], ..Limits::default() };
    check(
        EndpointPolicy { max_age_ms: Some(60_000), limits, ..talk() },
        &["max_age_ms: 60000,", "rates: [{ messages: 5, per_ms: 1000 }, { messages: 120, per_ms: 60000 }],"],
    );
}

#[test]
fn ping_frames_of_the_client_but_not_those_of_the_server() {
    let frame = |from| Heartbeat::Frame { from, interval_ms: 20_000, timeout_ms: Some(5_000) };
    check(
        EndpointPolicy { heartbeats: vec![frame(Party::Client)], ..talk() },
        &["ping_ms: 20000,", "ping_reply_ms: 5000,"],
    );
    assert!(!client(EndpointPolicy { heartbeats: vec![frame(Party::Server)], ..talk() }).contains("ping_ms"));
}

#[test]
fn heartbeats_with_what_they_carry_and_when_they_begin() {
    let heartbeat = Heartbeat::Message {
        from: Party::Client,
        ping: "Ping".into(),
        pong: Some("Pong".into()),
        echo: vec![],
        carries: vec![CarriedValue { name: "seq".into(), into: strings(["d"]) }],
        interval: Interval::Given { message: "Hello".into(), path: strings(["d"]), jitter_first: true },
        timeout_ms: Some(700),
    };
    let reconnect = Reconnect::Token {
        capture: vec![TokenCapture {
            messages: vec![],
            path: strings(["d"]),
            into: strings(["d"]),
            name: "seq".into(),
        }],
        message: "Resume".into(),
        url: None,
        done: Some("Done".into()),
    };
    check(
        EndpointPolicy { heartbeats: vec![heartbeat], reconnect, ..talk() },
        &[
            "jitter_first: true,",
            "heartbeat_reply_ms: 700,",
            r#"heartbeats: [{ from: "client", ping: "Ping", pong: "Pong", carries: [{ name: "seq", into: ["d"] }], given: { message: "Hello", path: ["d"] } }],"#,
            r#"reconnect: { token: { message: "Resume", capture: [{ name: "seq", messages: [], path: ["d"], into: ["d"] }], done: "Done" } },"#,
            r#"idempotent: ["Ping"],"#,
        ],
    );
}

#[test]
fn an_address_that_a_call_gives_with_the_parameters_of_the_call() {
    let by_call = AuthWay::UrlByCall { endpoint: "Sign".into(), path: strings(["data", "url"]) };
    let call = r#"{ method: "POST", baseUrl: "https://api.example.com", path: "/rooms/{room}/sign", query: ["ttl"], headers: { "X-Version": "1" }, auth: { header: "Authorization", prefix: "Bearer " } }"#;
    check(
        EndpointPolicy { auth: vec![by_call.clone()], ..talk() },
        &[
            &format!(r#"auth: [{{ call: {call}, path: ["data", "url"] }}],"#),
            r#"env: ["KEPT_KEY"],"#,
            "readonly room: string;",
            "readonly ttl?: number | undefined;",
        ],
    );
    let query = AuthWay::Query { name: "key".into(), prefix: String::new() };
    check(EndpointPolicy { auth: vec![query, by_call], ..talk() }, &["readonly room?: string | undefined;"]);
}
