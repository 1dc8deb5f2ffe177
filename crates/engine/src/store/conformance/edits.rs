//! Edits with their results, actions, and times to live.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{body, code, insert, who, write};
use crate::edit::{Action, FieldAction};
use crate::error::{Code, Detail};
use crate::id::{Offset, Timestamp};
use crate::store::{Change, Committed, Listener, Operation, Store, Write};

fn act(id: &str, actions: &[(Action, &str, Value)]) -> Write {
    let actions = actions.iter().map(|(action, field, value)| FieldAction {
        field: (*field).to_owned(),
        action: *action,
        value: Some(value.clone()),
    });
    write("c", id, Operation::Act(actions.collect()))
}

pub(super) async fn edits_succeed_or_fail_each_for_itself(store: &impl Store) {
    insert(store, "c", "taken", json!({"n": 1})).await;
    let edits = vec![
        write("c", "new", Operation::Insert(body(&json!({"n": 2})))),
        write("c", "taken", Operation::Insert(body(&json!({"n": 3})))),
        write("c", "taken", Operation::Merge(body(&json!({"m": 4})))),
        write("c", "nobody", Operation::Delete),
        act("taken", &[(Action::Increment, "n", json!(5)), (Action::Push, "n", json!(5))]),
        act("taken", &[(Action::Increment, "n", json!(5)), (Action::Push, "list", json!(5))]),
        write("c", "new", Operation::Delete),
    ];
    let done = store.edit(&who(), Timestamp(9), edits, false).await.unwrap();
    let codes: Vec<_> = done.iter().map(|done| done.as_ref().err().map(|error| error.code)).collect();
    let (conflict, missing, invalid) = (Some(Code::Conflict), Some(Code::NotFound), Some(Code::Invalid));
    assert_eq!(codes, [None, conflict, None, missing, invalid, None, None]);
    let last = done[5].as_ref().unwrap();
    assert_eq!(Value::Object(last.body.clone()), json!({"n": 6, "m": 4, "list": [5]}));
    assert_eq!((last.version, last.created_at, last.updated_at), (Offset(4), Timestamp(1), Timestamp(9)));
    assert_eq!(store.get("c", &"taken".into()).await.unwrap().as_ref(), Some(last));
    assert_eq!(done[6].as_ref().unwrap().body, body(&json!({"n": 2})), "a deleted record as it was");
    let changes = store.changes("c", Offset(0), 100).await.unwrap();
    assert!((1..=5).eq(changes.iter().map(|change| change.offset.0)), "what failed left nothing");
    assert_eq!(store.count("c", None).await.unwrap(), 1);
}

pub(super) async fn edits_together_name_the_one_that_fails(store: &impl Store) {
    let edits = vec![
        write("c", "a", Operation::Insert(body(&json!({})))),
        act("a", &[(Action::Divide, "n", json!(0))]),
    ];
    let error = store.edit(&who(), Timestamp(1), edits, true).await.unwrap_err();
    assert_eq!((error.code, error.detail), (Code::Invalid, Detail::Field("edits.1.n".into())));
    assert!(store.collections().await.unwrap().is_empty());
}

pub(super) async fn twenty_thousand_edits_are_one_command(store: &impl Store) {
    let edit = |number: u32| {
        let id = if number % 1_000 == 999 { String::from("0") } else { number.to_string() };
        write("c", &id, Operation::Insert(body(&json!({"n": number}))))
    };
    let done = store.edit(&who(), Timestamp(1), (0..20_000).map(edit).collect(), false).await.unwrap();
    assert_eq!((done.len(), done.iter().filter(|done| done.is_err()).count()), (20_000, 20));
    assert_eq!(store.count("c", None).await.unwrap(), 19_980);
}

pub(super) async fn an_action_sequence_is_one_change(store: &impl Store) {
    insert(store, "c", "a", json!({"n": 1})).await;
    let sequence = act(
        "a",
        &[
            (Action::Increment, "n", json!(1)),
            (Action::Multiply, "n", json!(10)),
            (Action::Append, "s.t", json!("x")),
        ],
    );
    let changes = store.commit(&who(), Timestamp(2), vec![sequence]).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].after, Some(body(&json!({"n": 20, "s": {"t": "x"}}))));
    let failing = act("a", &[(Action::Increment, "n", json!(1)), (Action::Push, "n", json!(1))]);
    assert_eq!(code(store.commit(&who(), Timestamp(3), vec![failing]).await), Some(Code::Invalid));
    assert_eq!(store.get("c", &"a".into()).await.unwrap().unwrap().body["n"], 20);
    let large = json!("x".repeat(600_000));
    let grow = || act("a", &[(Action::Append, "s.t", large.clone())]);
    store.commit(&who(), Timestamp(3), vec![grow()]).await.unwrap();
    assert_eq!(code(store.commit(&who(), Timestamp(3), vec![grow()]).await), Some(Code::TooLarge));
}

/// Keeps what it is told.
#[derive(Default)]
struct Heard(Mutex<Vec<Change>>);

impl Listener for Heard {
    fn committed(&self, news: Vec<Committed>) {
        let mut heard = self.0.lock().unwrap();
        for item in news {
            match item {
                Committed::Changes(batch) => {
                    let offsets = batch.changes.iter().map(|change| change.offset.0);
                    assert!((batch.after().0 + 1..=batch.to().0).eq(offsets), "a batch has no gap");
                    assert!(batch.changes.iter().all(|change| change.collection == *batch.collection));
                    heard.extend(batch.changes.iter().cloned());
                }
                Committed::Schema { .. } => {}
            }
        }
    }
}

pub(super) async fn who_listens_hears_every_change_in_order(store: impl Store) {
    let (store, heard) = (Arc::new(store), Arc::new(Heard::default()));
    store.listen(heard.clone());
    let tasks: Vec<_> = (0..30)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0..10 {
                    let put = |name: &str| {
                        write(name, &format!("{task}"), Operation::Put(body(&json!({"n": number}))))
                    };
                    let nothing = write("c", "nobody", Operation::Delete);
                    store.commit(&who(), Timestamp(1), vec![put("c"), put("d"), put("c")]).await.unwrap();
                    store.edit(&who(), Timestamp(1), vec![put("d"), nothing], false).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    store
        .commit(&who(), Timestamp(1), vec![write("last", "l", Operation::Insert(body(&json!({}))))])
        .await
        .unwrap();
    // Whoever is answered may be faster than the listener; the group after is not begun before it was told.
    store
        .commit(&who(), Timestamp(1), vec![write("last", "m", Operation::Insert(body(&json!({}))))])
        .await
        .unwrap();
    let heard = heard.0.lock().unwrap().clone();
    for name in ["c", "d"] {
        let of: Vec<Change> = heard.iter().filter(|change| change.collection == name).cloned().collect();
        assert_eq!(of.len(), 600);
        assert_eq!(of, store.changes(name, Offset(0), 10_000).await.unwrap());
    }
}
