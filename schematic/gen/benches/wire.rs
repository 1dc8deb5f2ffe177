//! Generated wire types against an enum that somebody would write by hand with `#[serde(tag = "type")]`.
//!
//! Both read and write the same frames. The generated code looks at the tag first and then reads the one body; serde's
//! own tagged enums gather all members before they know which variant it is.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub, missing_docs)]
#[path = "../tests/golden/tagged/wire.rs"]
mod generated;

/// The same messages by hand.
mod by_hand {
    use super::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    pub(crate) enum ServerMessage {
        Delta(Delta),
        Call(Call),
        Answer(Answer),
        Ping,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Delta {
        pub(crate) text: String,
        pub(crate) seq: u64,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Call {
        pub(crate) id: String,
        pub(crate) tool: String,
        pub(crate) arguments: serde_json::Value,
        pub(crate) seq: u64,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Answer {
        pub(crate) text: String,
        pub(crate) status: Status,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub(crate) usage: Option<Usage>,
        pub(crate) seq: u64,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Usage {
        pub(crate) input: u64,
        pub(crate) output: u64,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(crate) enum Status {
        Finished,
        Stopped,
    }
}

/// A frame of each kind, as a server writes them.
const FRAMES: [(&str, &str); 4] = [
    ("delta", r#"{"type":"delta","text":" and then the purchase orders","seq":7}"#),
    ("call", r#"{"type":"call","id":"c-1","tool":"list","arguments":{"schema":"mart","limit":10},"seq":8}"#),
    (
        "answer",
        r#"{"type":"answer","text":"There are two tables, one of them large.","status":"finished","usage":{"input":210,"output":5},"seq":9}"#,
    ),
    ("ping", r#"{"type":"ping"}"#),
];

fn decode(criterion: &mut Criterion) {
    for (name, frame) in FRAMES {
        let mut group = criterion.benchmark_group(format!("decode/{name}"));
        group.bench_function("generated", |bencher| {
            bencher.iter(|| generated::ServerMessage::decode(black_box(frame)).unwrap());
        });
        group.bench_function("by_hand", |bencher| {
            bencher.iter(|| serde_json::from_str::<by_hand::ServerMessage>(black_box(frame)).unwrap());
        });
        group.finish();
    }
}

fn encode(criterion: &mut Criterion) {
    for (name, frame) in FRAMES {
        let mut group = criterion.benchmark_group(format!("encode/{name}"));
        let message = generated::ServerMessage::decode(frame).unwrap();
        let mut out = Vec::new();
        group.bench_function("generated", |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(&message).encode_into(&mut out);
            });
        });
        assert_eq!(message.encode(), frame);
        let message: by_hand::ServerMessage = serde_json::from_str(frame).unwrap();
        assert_eq!(serde_json::to_string(&message).unwrap(), frame);
        group.bench_function("by_hand", |bencher| {
            bencher.iter(|| {
                out.clear();
                serde_json::to_writer(&mut out, black_box(&message)).unwrap();
            });
        });
        group.finish();
    }
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
