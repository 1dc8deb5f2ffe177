//! Changes as notifications: what one looks like, and how many come.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidewire_engine::query::Body;
use tidewire_engine::schema::KnownKinds;
use tidewire_engine::{Offset, RecordId};

use super::super::codec::tests::{read, record};
use super::*;

const JSON: Variant = Variant { format: Format::Json, values: Values::Plain };
const PACKED: Variant = Variant { format: Format::MessagePack, values: Values::Typed };

fn body(n: u64) -> Body {
    json!({ "n": n }).as_object().unwrap().clone()
}

/// `i3` inserts record 3, `u3` updates it, `d3` deletes it.
fn change(offset: u64, what: &str) -> Change {
    let (kind, id) = what.split_at(1);
    let kind = match kind {
        "i" => ChangeKind::Insert,
        "u" => ChangeKind::Update,
        _ => ChangeKind::Delete,
    };
    Change {
        collection: "c".into(),
        offset: Offset(offset),
        kind,
        id: RecordId(id.into()),
        before: (kind != ChangeKind::Insert).then(|| body(0)),
        after: (kind != ChangeKind::Delete).then(|| body(offset)),
        expires_at: None,
        at: Timestamp(0),
        by: "local".into(),
    }
}

/// A batch that begins after an offset.
fn batch(after: u64, whats: &str) -> Arc<ChangeBatch> {
    let changes = whats.split_whitespace().zip(after + 1..).map(|(what, offset)| change(offset, what));
    Arc::new(ChangeBatch::new("c".into(), changes.collect()))
}

fn notice(batch: &Arc<ChangeBatch>) -> Notice {
    Notice::Changes { batch: Arc::clone(batch), selection: Selection::All }
}

struct Reader {
    notifications: Notifications,
    now: Instant,
    variant: Variant,
}

impl Reader {
    fn new(variant: Variant) -> Self {
        let now = Instant::now();
        Self { notifications: Notifications::new(now, Arc::default()), now, variant }
    }

    fn hear(&mut self, notice: &Notice) -> Vec<Value> {
        let mut out = Vec::new();
        self.notifications.notice(notice, self.variant, self.now, &mut out);
        out.iter().map(read).collect()
    }

    fn wait(&mut self) -> Vec<Value> {
        let mut out = Vec::new();
        if let Some(at) = self.notifications.deadline() {
            assert!(at <= self.now + WINDOW, "nothing waits longer than a window");
            self.now = self.now.max(at);
            self.notifications.tick(self.now, &mut out);
            assert_eq!(self.notifications.deadline(), None);
        }
        out.iter().map(read).collect()
    }
}

#[test]
fn nothing_more_is_taken_while_much_waits() {
    let mut reader = Reader::new(JSON);
    reader.notifications.subscribed(reader.now);
    let whats = ["i1"; 50].join(" ");
    let mut taken = 0;
    while reader.notifications.takes_more() {
        assert!(
            reader.hear(&notice(&batch(50 * taken, &whats))).is_empty(),
            "the client needs a moment first"
        );
        taken += 1;
    }
    let [frame] = &reader.wait()[..] else { panic!("what waited comes in one frame") };
    assert_eq!((&payload(frame)["from_offset"], &payload(frame)["offset"]), (&json!(1), &json!(50 * taken)));
    let length = frame.to_string().len();
    assert!((WAITING_BYTES / 2..2 * WAITING_BYTES).contains(&length), "{length}");
    assert!(reader.notifications.takes_more());
}

#[test]
fn what_waits_of_a_subscription_that_ended_is_not_said() {
    let mut reader = Reader::new(JSON);
    reader.notifications.subscribed(reader.now);
    assert!(reader.hear(&notice(&batch(0, "i1 i2"))).is_empty(), "the client needs a moment first");
    let other =
        ChangeBatch::new("other".into(), vec![Change { collection: "other".into(), ..change(1, "i1") }]);
    assert!(reader.hear(&notice(&Arc::new(other))).is_empty());
    let gap = Notice::Gap { collection: "c".into(), resume: Offset(9) };
    assert!(reader.hear(&gap).is_empty());
    reader.notifications.unsubscribed("c");
    let said = reader.wait();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(payload(&said[0])["collection"], "other");

    reader.notifications.subscribed(reader.now);
    assert!(reader.hear(&notice(&batch(2, "i3"))).is_empty());
    reader.notifications.unsubscribed("c");
    assert!(reader.wait().is_empty());
    assert_eq!(reader.notifications.deadline(), None);
}

fn payload(frame: &Value) -> &Value {
    assert_eq!(frame["type"], "MutationNotification");
    &frame["payload"]
}

/// A frame in short: `insert 1 2 (1-2)`.
fn brief(frames: &[Value]) -> Vec<String> {
    let one = |frame: &Value| {
        let payload = payload(frame);
        let ids: Vec<&str> =
            payload["record_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        let offsets = match (&payload["from_offset"], &payload["offset"]) {
            (Value::Null, Value::Null) => String::new(),
            (from, to) => format!(" ({from}-{to})"),
        };
        format!("{} {}{offsets}", payload["event"].as_str().unwrap(), ids.join(" "))
    };
    frames.iter().map(one).collect()
}

#[test]
fn a_run_of_one_kind_is_one_frame() {
    for variant in [JSON, PACKED] {
        let frames = Reader::new(variant).hear(&notice(&batch(4, "i1 i2 u1 d2 d3")));
        assert_eq!(brief(&frames), ["insert 1 2 (5-6)", "update 1 (7-7)", "delete 2 3 (8-9)"]);
    }
}

#[test]
fn records_are_one_object_or_an_array_or_absent() {
    let frames = Reader::new(JSON).hear(&notice(&batch(0, "i1 i2 u1 d2")));
    assert_eq!(payload(&frames[0])["records"], json!([{"id": "1", "n": 1}, {"id": "2", "n": 2}]));
    assert_eq!(payload(&frames[1])["records"], json!({"id": "1", "n": 3}));
    assert_eq!(payload(&frames[2]).get("records"), None);
    assert_eq!(payload(&frames[0])["timestamp"], "1970-01-01T00:00:00.000000Z");
    let frames = Reader::new(PACKED).hear(&notice(&batch(0, "i1 i2 u1")));
    assert_eq!(payload(&frames[0])["records"][1], json!({"id": "2", "n": {"type": "Integer", "value": 2}}));
    assert_eq!(payload(&frames[1])["records"], json!({"id": "1", "n": {"type": "Integer", "value": 3}}));
}

#[test]
fn what_is_not_selected_is_covered_by_the_last_frame() {
    let batch = batch(0, "i1 i2 i3 i4");
    let selection = Selection::Some([1, 2].into());
    let frames = Reader::new(JSON).hear(&Notice::Changes { batch, selection });
    assert_eq!(brief(&frames), ["insert 2 3 (2-4)"]);
}

#[test]
fn a_batch_is_spelled_once_for_all_who_read_alike() {
    let batch = batch(0, "i1");
    let of = |variant| runs(&batch, &Selection::All, variant, &KnownKinds::default());
    assert!(Arc::ptr_eq(&of(JSON), &of(JSON)));
    let variants: std::collections::BTreeSet<u32> = [Format::Json, Format::MessagePack]
        .into_iter()
        .flat_map(|format| [Values::Plain, Values::Typed].map(|values| Variant { format, values }.number()))
        .collect();
    assert_eq!(variants.len(), 4);
}

#[test]
fn the_first_notification_waits_a_moment_after_the_subscription() {
    let mut reader = Reader::new(JSON);
    reader.notifications.subscribed(reader.now);
    assert!(reader.hear(&notice(&batch(0, "i1"))).is_empty());
    assert!(reader.hear(&notice(&batch(1, "i2"))).is_empty());
    assert_eq!(reader.notifications.deadline(), Some(reader.now + FIRST_AFTER));
    assert_eq!(brief(&reader.wait()), ["insert 1 2 (1-2)"]);
    assert_eq!(brief(&reader.hear(&notice(&batch(2, "i3")))), ["insert 3 (3-3)"]);
}

#[test]
fn a_burst_is_merged_into_few_frames() {
    let mut reader = Reader::new(JSON);
    let mut frames = Vec::new();
    for offset in 0..1000 {
        frames.extend(reader.hear(&notice(&batch(offset, &format!("i{offset}")))));
    }
    assert_eq!(frames.len(), BURST);
    frames.extend(reader.wait());
    assert_eq!(frames.len(), BURST + 1);
    let ids: Vec<u64> = frames
        .iter()
        .flat_map(|frame| payload(frame)["record_ids"].as_array().unwrap().clone())
        .map(|id| id.as_str().unwrap().parse().unwrap())
        .collect();
    assert!(ids.into_iter().eq(0..1000));
    let last = payload(&frames[BURST]);
    assert_eq!((&last["from_offset"], &last["offset"]), (&json!(33), &json!(1000)));
    assert_eq!(last["records"].as_array().unwrap().len(), 1000 - BURST);
}

#[test]
fn where_kinds_alternate_what_became_of_each_record_is_told() {
    let mut reader = Reader::new(JSON);
    let mut offset = 0;
    for _ in 0..BURST {
        reader.hear(&notice(&batch(offset, "u9")));
        offset += 1;
    }
    for round in 0..50 {
        let id = 100 + round;
        assert!(reader.hear(&notice(&batch(offset, &format!("i{id} u1 d2")))).is_empty());
        offset += 3;
    }
    assert!(reader.hear(&notice(&batch(offset, "d100 i2 u101"))).is_empty());
    let frames = reader.wait();
    let kinds: Vec<_> = frames.iter().map(|frame| payload(frame)["event"].clone()).collect();
    assert_eq!(kinds, ["insert", "update", "delete"]);
    assert_eq!(payload(&frames[0]).get("offset"), None, "only the last one is a place to go on from");
    assert_eq!(brief(&frames[2..]), [format!("delete 100 ({}-{})", BURST + 1, offset + 3)]);
    assert_eq!(brief(&frames[1..2]), ["update 1 2"]);
    let inserted = payload(&frames[0])["records"].as_array().unwrap();
    assert_eq!(
        (inserted.len(), &inserted[0]["id"], &inserted[0]["n"]),
        (49, &json!("101"), &json!(offset + 3))
    );
}

#[test]
fn frames_are_of_bounded_size() {
    let large = |offset: u64| {
        let mut change = change(offset, &format!("i{offset}"));
        change.after = json!({ "x": "y".repeat(400_000) }).as_object().cloned();
        change
    };
    let batch = Arc::new(ChangeBatch::new("c".into(), (1..=10).map(large).collect()));
    let mut out = Vec::new();
    Notifications::new(Instant::now(), Arc::default()).notice(
        &notice(&batch),
        JSON,
        Instant::now(),
        &mut out,
    );
    assert!(out.len() >= 4 && out.iter().all(|frame| frame.len() < 2 * FRAME_BYTES), "{}", out.len());
    let snapshot = Notice::Snapshot {
        collection: "c".into(),
        records: (0..10).map(|n| record(&n.to_string(), json!({ "x": "y".repeat(400_000) }))).collect(),
        last: true,
    };
    let pieces = Reader::new(PACKED).hear(&snapshot);
    let last: Vec<bool> = pieces.iter().map(|piece| piece["payload"]["last"].as_bool().unwrap()).collect();
    let (end, others) = last.split_last().unwrap();
    assert!(*end && others.iter().all(|last| !last) && others.len() >= 3);
}

#[test]
fn gaps_snapshots_and_schemas_keep_their_place() {
    let mut reader = Reader::new(JSON);
    reader.notifications.subscribed(reader.now);
    reader.hear(&notice(&batch(0, "i1")));
    reader.hear(&Notice::Gap { collection: "c".into(), resume: Offset(9) });
    reader.hear(&Notice::Snapshot {
        collection: "c".into(),
        records: vec![record("1", json!({"n": 1}))],
        last: true,
    });
    reader.hear(&notice(&batch(9, "i2")));
    reader.hear(&Notice::Schema { collection: "c".into(), version: 3, primary_key: "id".into() });
    let frames = reader.wait();
    let types: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["MutationNotification", "Gap", "Snapshot", "MutationNotification", "SchemaChanged"]);
    assert_eq!(frames[1]["payload"], json!({"collection": "c", "offset": 9}));
    assert_eq!(
        frames[2]["payload"],
        json!({"collection": "c", "records": [{"id": "1", "n": 1}], "last": true})
    );
    assert_eq!(frames[4]["payload"], json!({"collection": "c", "version": 3, "primary_key_alias": "id"}));
}

proptest! {
    /// However changes come, a client that applies what it is told has what the log has, and never more than its
    /// buffer holds comes in one window.
    #[test]
    fn who_applies_what_it_is_told_has_what_there_is(
        batches in proptest::collection::vec(proptest::collection::vec((0..3u8, 0..20u8), 1..6), 1..200),
        pauses in proptest::collection::vec(0..4u8, 200),
    ) {
        let mut reader = Reader::new(JSON);
        let (mut there, mut told) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
        let mut offset = 0;
        let mut apply = |frames: Vec<Value>| {
            assert!(frames.len() <= 64, "{}", frames.len());
            for frame in frames {
                let payload = payload(&frame).clone();
                for id in payload["record_ids"].as_array().unwrap() {
                    told.remove(id.as_str().unwrap());
                }
                let records = match payload.get("records") {
                    Some(Value::Array(records)) => records.clone(),
                    Some(one) => vec![one.clone()],
                    None => Vec::new(),
                };
                for record in records {
                    told.insert(record["id"].as_str().unwrap().to_owned(), record["n"].as_u64().unwrap());
                }
            }
        };
        for (whats, pause) in batches.iter().zip(pauses) {
            let mut changes = Vec::new();
            for (kind, id) in whats {
                offset += 1;
                let existed = there.contains_key(&id.to_string());
                let kind = match (existed, kind) { (false, _) => "i", (true, 0) => "d", (true, _) => "u" };
                changes.push(change(offset, &format!("{kind}{id}")));
                if kind == "d" { there.remove(&id.to_string()); } else { there.insert(id.to_string(), offset); }
            }
            let batch = Arc::new(ChangeBatch::new("c".into(), changes));
            apply(reader.hear(&notice(&batch)));
            if pause == 0 { apply(reader.wait()); }
        }
        apply(reader.wait());
        prop_assert_eq!(told, there);
    }
}
