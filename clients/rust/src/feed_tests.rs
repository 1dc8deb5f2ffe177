use serde_json::json;
use tokio::sync::mpsc::Receiver;

use super::*;

fn feed(after: Option<u64>, room: usize) -> (Feed, Receiver<Delivery>) {
    let (to, waiting) = mpsc::channel(room);
    let wish = Subscribe { collection: "c".into(), after_offset: after, ..Subscribe::default() };
    (Feed::new(0, wish, to, Arc::default(), oneshot::channel().0), waiting)
}

fn asked(id: &str) -> Asked {
    Asked { id: id.into(), written: Written::default(), by: Instant::now() }
}

/// A feed that the server has agreed to, beginning after `offset`.
fn live(offset: u64, room: usize) -> (Feed, Receiver<Delivery>) {
    let (mut feed, waiting) = feed(None, room);
    feed.ask(asked("1"));
    let subscribed = json!({"subscribed": true, "collection": "c", "subscription_id": "s", "offset": offset, "gap": false});
    feed.accepted(subscribed).unwrap();
    (feed, waiting)
}

/// Inserts with these offsets; the ids are the offsets.
fn inserts(from: u64, to: u64) -> MutationNotification {
    let ids: Vec<_> = (from..=to).map(|n| n.to_string()).collect();
    let records: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
    MutationNotification {
        collection: "c".into(),
        event: MutationEvent::Insert,
        record_ids: ids,
        records: Some(if records.len() == 1 { records[0].clone() } else { records.into() }),
        timestamp: String::new(),
        from_offset: Some(from),
        offset: Some(to),
    }
}

/// The ids of what was handed on.
fn ids(waiting: &mut Receiver<Delivery>) -> Vec<String> {
    let mut ids = Vec::new();
    while let Ok(delivery) = waiting.try_recv() {
        for notice in delivery {
            let Notice::Changes(changes) = notice else { panic!("{notice:?}") };
            assert_eq!(changes.ids.len(), changes.records.len());
            ids.extend(changes.ids);
        }
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_on_is_not_handed_on_again() {
    let (mut feed, mut waiting) = live(10, 8);
    for (from, to) in [(9, 10), (11, 12), (11, 12), (12, 14)] {
        assert_eq!(feed.changes(inserts(from, to)), Next::Nothing);
    }
    assert_eq!(ids(&mut waiting), ["11", "12", "13", "14"]);
    assert_eq!(feed.request().after_offset, Some(14));
}

#[tokio::test(start_paused = true)]
async fn nothing_counts_before_the_server_has_answered() {
    let (mut feed, mut waiting) = live(0, 8);
    feed.changes(inserts(1, 2));
    feed.ask(asked("2"));
    feed.changes(inserts(5, 6));
    assert!(feed.awaits("2") && !feed.awaits("1"));
    assert_eq!((ids(&mut waiting), feed.request().after_offset), (vec!["1".into(), "2".into()], Some(2)));
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_pauses_and_what_did_not_fit_comes_again() {
    let (mut feed, mut waiting) = live(0, 1);
    assert_eq!(feed.changes(inserts(1, 1)), Next::Nothing);
    assert_eq!(feed.changes(inserts(2, 2)), Next::Pause);
    assert_eq!(feed.changes(inserts(3, 3)), Next::Nothing);
    assert!(!feed.missed_the_pause(), "something waits, so the reader will see the pause");
    assert_eq!((ids(&mut waiting), feed.request().after_offset), (vec![String::from("1")], Some(1)));
    assert!(feed.missed_the_pause() && !feed.missed_the_pause());
    drop(waiting);
    feed.state = State::Live;
    assert_eq!(feed.changes(inserts(2, 2)), Next::End);
}

#[tokio::test(start_paused = true)]
async fn a_sum_of_changes_counts_only_when_it_is_whole() {
    let (mut feed, mut waiting) = live(0, 8);
    let part = MutationNotification { from_offset: None, offset: None, ..inserts(1, 2) };
    feed.changes(part.clone());
    assert_eq!(ids(&mut waiting), Vec::<String>::new());
    // The link is lost in the middle: the sum comes again.
    feed.ask(asked("2"));
    feed.state = State::Live;
    feed.changes(part);
    feed.changes(MutationNotification { from_offset: Some(1), ..inserts(9, 9) });
    assert_eq!(ids(&mut waiting), ["1", "2", "9"]);
    assert_eq!(feed.request().after_offset, Some(9));
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_is_made_good_once() {
    let (mut feed, _waiting) = live(0, 8);
    assert!(feed.is_lost(2));
    feed.ask(asked("2"));
    assert!(!feed.is_lost(2), "what still waits to be written will be");
}

#[test]
fn records_are_one_several_or_none() {
    assert_eq!(objects(None).len(), 0);
    assert_eq!(objects(Some(json!({"id": "a", "n": {"type": "Integer", "value": 1}})))[0]["n"], 1);
    assert_eq!(objects(Some(json!([{"id": "a"}, {"id": "b"}]))).len(), 2);
}
