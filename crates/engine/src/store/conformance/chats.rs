//! Chats, their logs, and positions in them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{code, who};
use crate::conversation::ChatSettings;
use crate::error::Code;
use crate::id::{ChatId, Epoch, Position, RunId, Seq, SessionId, Timestamp};
use crate::identity::Subject;
use crate::store::entry::{LogEntry, Mark};
use crate::store::{ChatHead, NewChat, OpenRun, SessionOpening, Store};

fn session(name: &str) -> SessionId {
    name.parse().expect("a session id")
}

async fn open(store: &impl Store) -> ChatId {
    let name = session(&format!("s-{}", RunId::new()));
    store.open_session(&who(), &name, Timestamp(1)).await.expect("it opens").chat
}

fn hours(hours: u64) -> Timestamp {
    Timestamp(Duration::from_secs(hours * 3600).as_micros() as i64)
}

/// Entries for one chat, written short.
pub(super) struct Log {
    pub(super) chat: ChatId,
    epoch: Epoch,
    next: u64,
}

impl Log {
    pub(super) async fn open(store: &impl Store) -> Self {
        Self { chat: open(store).await, epoch: store.epoch(), next: 1 }
    }

    pub(super) fn entry(&mut self, run: RunId, mark: Mark, length: u64) -> LogEntry {
        let from = self.next;
        self.next += length;
        LogEntry {
            chat: self.chat,
            from: Seq(from),
            to: Seq(self.next - 1),
            epoch: self.epoch,
            at: Timestamp(1),
            run: Some(run),
            mark,
            message_id: None,
            title: None,
            body: Bytes::from(format!("{{\"from\":{from}}}")),
        }
    }
}

async fn ranges(store: &impl Store, chat: ChatId) -> Vec<(u64, u64)> {
    let entries = store.read(chat, Seq::START, 1_000).await.unwrap();
    entries.iter().map(|entry| (entry.from.0, entry.to.0)).collect()
}

fn opening(owner: &Subject, name: &str) -> SessionOpening {
    SessionOpening { owner: owner.clone(), session: session(name), at: Timestamp(6) }
}

pub(super) async fn a_session_is_an_alias_of_its_owner(store: &impl Store) {
    let (ann, bob): (Subject, Subject) = ("ann".into(), "bob".into());
    let first = store.open_session(&ann, &session("s"), Timestamp(5)).await.unwrap();
    let expected = ChatHead {
        chat: first.chat,
        owner: ann.clone(),
        session: Some(session("s")),
        title: String::new(),
        settings: ChatSettings::default(),
        parent: None,
        last_seq: Seq::START,
        created_at: Timestamp(5),
        updated_at: Timestamp(5),
    };
    assert_eq!(first, expected);
    assert_eq!(store.open_session(&ann, &session("s"), Timestamp(6)).await.unwrap().chat, first.chat);
    assert_ne!(store.open_session(&bob, &session("s"), Timestamp(6)).await.unwrap().chat, first.chat);
    assert_ne!(store.open_session(&ann, &session("t"), Timestamp(6)).await.unwrap().chat, first.chat);
    assert_eq!(store.chat(first.chat).await.unwrap(), Some(expected));
    let openings = ["u", "s", "u"].map(|name| opening(&ann, name)).to_vec();
    let several = store.open_sessions(openings).await.unwrap();
    assert_eq!(
        several.iter().map(|head| head.session.clone()).collect::<Vec<_>>(),
        ["u", "s", "u"].map(|name| Some(session(name)))
    );
    assert_eq!((several[1].chat, several[2].chat), (first.chat, several[0].chat));
    let known = async |owner, name| {
        let found = store.find_session(owner, &session(name), Timestamp(7)).await.unwrap();
        found.map(|head| head.chat)
    };
    assert_eq!(known(&ann, "s").await, Some(first.chat));
    assert_ne!(known(&bob, "s").await, Some(first.chat));
    assert_eq!(known(&bob, "never").await, None);
    assert_eq!(known(&bob, "never").await, None, "looking for it does not open it");
    assert_eq!(store.chat(ChatId::new()).await.unwrap(), None);
}

pub(super) async fn an_unused_session_expires(store: &impl Store) {
    let at = async |hour| store.open_session(&who(), &session("s"), hours(hour)).await.unwrap().chat;
    let first = at(1).await;
    assert_eq!(at(24).await, first, "each opening is a use");
    assert_eq!(at(47).await, first);
    assert_eq!(store.find_session(&who(), &session("s"), hours(72)).await.unwrap(), None, "it expired");
    let second = at(72).await;
    assert_ne!(second, first);
    assert!(store.chat(first).await.unwrap().is_some(), "archived, not gone");
    assert_eq!(store.chats(&who(), 10).await.unwrap().len(), 1);

    assert_eq!(store.archive_chats(hours(72)).await.unwrap(), 0);
    assert_eq!(store.archive_chats(hours(73)).await.unwrap(), 1);
    assert_ne!(at(73).await, second);
}

pub(super) async fn entries_come_back_as_they_were(store: &impl Store) {
    let mut log = Log::open(store).await;
    let run = RunId::new();
    let mut message = log.entry(run, Mark::Message, 1);
    message.message_id = Some("m1".into());
    message.title = Some("What is tea?".into());
    message.body = Bytes::from_static(b"{\"kind\":\"of a later version\",\"x\": [1,  2]}");
    let mut second = log.entry(RunId::new(), Mark::Coarse, 3);
    second.run = None;
    second.at = Timestamp(7);
    let written = vec![message.clone(), second, log.entry(run, Mark::Delta, 2), log.entry(run, Mark::End, 1)];
    store.append(written.clone()).await.unwrap();

    assert_eq!(store.read(log.chat, Seq::START, 100).await.unwrap(), written);
    assert_eq!(store.read(log.chat, Seq(1), 1).await.unwrap(), written[1..2]);
    assert_eq!(store.read(log.chat, Seq(2), 1).await.unwrap(), written[1..2], "in the midst of an entry");
    assert_eq!(store.read(log.chat, Seq(7), 100).await.unwrap(), []);
    assert_eq!(store.read(ChatId::new(), Seq::START, 100).await.unwrap(), []);
    let of_run = [&written[..1], &written[2..]].concat();
    assert_eq!(store.read_run(log.chat, run).await.unwrap(), of_run);
    assert_eq!(store.read_run(log.chat, RunId::new()).await.unwrap(), []);
    assert_eq!(store.find_message(log.chat, "m1").await.unwrap(), Some(message));
    assert_eq!(store.find_message(log.chat, "m2").await.unwrap(), None);
    let head = store.chat(log.chat).await.unwrap().unwrap();
    assert_eq!((head.title.as_str(), head.last_seq, head.updated_at), ("What is tea?", Seq(7), Timestamp(7)));
    let delta = LogEntry { at: Timestamp(9), ..log.entry(run, Mark::Delta, 1) };
    store.append(vec![delta]).await.unwrap();
    let head = store.chat(log.chat).await.unwrap().unwrap();
    assert_eq!((head.last_seq, head.updated_at), (Seq(8), Timestamp(7)), "a delta alone is no news");
}

pub(super) async fn a_log_has_no_holes(store: &impl Store) {
    let mut log = Log::open(store).await;
    let run = RunId::new();
    store.append(vec![log.entry(run, Mark::Message, 1)]).await.unwrap();
    let good = log.entry(run, Mark::Coarse, 2);
    let hole = LogEntry { from: Seq(3), ..good.clone() };
    let overlap = LogEntry { from: Seq(1), ..good.clone() };
    let backwards = LogEntry { to: Seq(1), ..good.clone() };
    for bad in [hole, overlap, backwards] {
        assert_eq!(code(store.append(vec![bad]).await), Some(Code::Internal));
    }
    let after_a_hole = LogEntry { from: Seq(5), to: Seq(5), ..good.clone() };
    assert_eq!(code(store.append(vec![good.clone(), after_a_hole]).await), Some(Code::Internal));
    assert_eq!(ranges(store, log.chat).await, [(1, 1)], "nothing of a refused batch is written");
    store.append(vec![good.clone()]).await.unwrap();
    let nowhere = LogEntry { chat: ChatId::new(), from: Seq(1), to: Seq(1), ..good };
    assert_eq!(code(store.append(vec![nowhere]).await), Some(Code::NotFound));
    assert_eq!(ranges(store, log.chat).await, [(1, 1), (2, 3)]);
}

pub(super) async fn a_message_id_is_used_once(store: &impl Store) {
    let (mut log, mut other) = (Log::open(store).await, Log::open(store).await);
    let message = |log: &mut Log, title: &str| {
        let mut entry = log.entry(RunId::new(), Mark::Message, 1);
        (entry.message_id, entry.title) = (Some("m".into()), Some(title.into()));
        entry
    };
    store.append(vec![message(&mut log, "first")]).await.unwrap();
    let again = LogEntry { from: Seq(2), to: Seq(2), ..message(&mut log, "second") };
    assert_eq!(code(store.append(vec![again.clone()]).await), Some(Code::Conflict));
    assert_eq!(store.open_runs().await.unwrap().len(), 1, "its run was not opened");
    store.append(vec![message(&mut other, "elsewhere")]).await.unwrap();
    store.append(vec![LogEntry { message_id: Some("n".into()), ..again }]).await.unwrap();
    assert_eq!(store.chat(log.chat).await.unwrap().unwrap().title, "first");
}

pub(super) async fn runs_are_open_until_they_end(store: &impl Store) {
    let (mut log, mut other) = (Log::open(store).await, Log::open(store).await);
    let (first, second, third) = (RunId::new(), RunId::new(), RunId::new());
    let open = |chat, run| OpenRun { chat, run };
    store
        .append(vec![log.entry(first, Mark::Message, 1), log.entry(second, Mark::Message, 1)])
        .await
        .unwrap();
    store.append(vec![other.entry(third, Mark::Message, 1)]).await.unwrap();
    let expected = [open(log.chat, first), open(log.chat, second), open(other.chat, third)];
    assert_eq!(store.open_runs().await.unwrap(), expected);
    store.append(vec![log.entry(first, Mark::Delta, 4), log.entry(first, Mark::End, 1)]).await.unwrap();
    assert_eq!(store.open_runs().await.unwrap(), expected[1..]);
    store.append(vec![log.entry(first, Mark::Coarse, 1)]).await.unwrap();
    assert_eq!(store.open_runs().await.unwrap(), expected[1..], "what has ended does not open again");
}

pub(super) async fn a_finished_run_collapses(store: &impl Store) {
    let mut log = Log::open(store).await;
    let (run, waiting) = (RunId::new(), RunId::new());
    let entries = vec![
        log.entry(run, Mark::Message, 1),
        log.entry(run, Mark::Delta, 4),
        log.entry(run, Mark::Delta, 1),
        log.entry(waiting, Mark::Message, 1),
        log.entry(run, Mark::Coarse, 1),
        log.entry(run, Mark::Delta, 2),
        log.entry(waiting, Mark::Delta, 1),
        log.entry(run, Mark::End, 1),
        log.entry(waiting, Mark::Delta, 1),
        log.entry(waiting, Mark::End, 1),
    ];
    store.append(entries[..7].to_vec()).await.unwrap();
    assert!(store.collapse(log.chat, run).await.is_err(), "it has no end");
    store.append(entries[7..].to_vec()).await.unwrap();
    store.collapse(log.chat, run).await.unwrap();
    let expected = [(1, 1), (2, 7), (8, 8), (9, 11), (12, 12), (13, 13), (14, 14)];
    assert_eq!(ranges(store, log.chat).await, expected);
    store.collapse(log.chat, run).await.unwrap();
    assert_eq!(ranges(store, log.chat).await, expected, "a second time changes nothing");
    assert_eq!(store.read(log.chat, Seq(4), 1).await.unwrap()[0].from, Seq(2));
    assert_eq!(store.read_run(log.chat, run).await.unwrap().len(), 3);
    store.collapse(log.chat, waiting).await.unwrap();
    assert_eq!(ranges(store, log.chat).await, [(1, 1), (2, 7), (8, 8), (9, 12), (13, 14)]);
    store.append(vec![log.entry(RunId::new(), Mark::Message, 1)]).await.unwrap();
    store.collapse(log.chat, RunId::new()).await.unwrap();
}

pub(super) async fn a_run_collapses_with_its_end(store: &impl Store) {
    let mut log = Log::open(store).await;
    let (run, waiting) = (RunId::new(), RunId::new());
    let entries = [
        log.entry(run, Mark::Message, 1),
        log.entry(run, Mark::Delta, 4),
        log.entry(waiting, Mark::Message, 1),
        log.entry(run, Mark::Delta, 2),
        log.entry(waiting, Mark::Delta, 1),
        log.entry(run, Mark::Delta, 2),
        log.entry(run, Mark::End, 1),
        log.entry(waiting, Mark::Delta, 1),
    ];
    store.append_and_collapse(entries[..4].to_vec()).await.unwrap();
    assert_eq!(ranges(store, log.chat).await, [(1, 1), (2, 5), (6, 6), (7, 8)], "nothing has ended");
    store.append_and_collapse(entries[4..].to_vec()).await.unwrap();
    let left = [(1, 1), (2, 6), (7, 9), (10, 12), (13, 13)];
    assert_eq!(ranges(store, log.chat).await, left, "what another run says stays, and covers what went");
    assert_eq!(store.open_runs().await.unwrap().len(), 1);
    assert_eq!(store.read_run(log.chat, run).await.unwrap().len(), 2);
    let (chat, other) = (log.chat, log.entry(waiting, Mark::End, 1));
    store.append_and_collapse(vec![other.clone()]).await.unwrap();
    assert_eq!(ranges(store, chat).await, [(1, 1), (2, 6), (7, 12), (13, 14)]);
    let refused = store.append_and_collapse(vec![other]).await;
    assert!(refused.is_err(), "it does not follow");
    assert_eq!(ranges(store, chat).await, [(1, 1), (2, 6), (7, 12), (13, 14)]);
}

pub(super) async fn positions_are_known_or_not(store: &impl Store) {
    let mut log = Log::open(store).await;
    let epoch = store.epoch();
    let later = Epoch(epoch.0 + 1);
    store.append(vec![log.entry(RunId::new(), Mark::Message, 5)]).await.unwrap();
    let knows = async |epoch, seq| store.knows(log.chat, Position { epoch, seq: Seq(seq) }).await.unwrap();
    assert!(knows(Some(epoch), 0).await);
    assert!(knows(Some(epoch), 3).await && knows(Some(epoch), 5).await && knows(None, 5).await);
    assert!(!knows(Some(epoch), 6).await && !knows(None, 6).await && !knows(Some(epoch), u64::MAX).await);
    assert!(!knows(Some(later), 3).await, "an epoch that has not come yet");
    let nowhere = Position { epoch: None, seq: Seq::START };
    assert!(!store.knows(ChatId::new(), nowhere).await.unwrap());
}

pub(super) async fn chats_are_listed_newest_first(store: &impl Store) {
    let mut heads = Vec::new();
    for hour in 1..=3 {
        let name = session(&format!("s{hour}"));
        heads.push(store.open_session(&who(), &name, hours(hour)).await.unwrap());
    }
    store.open_session(&"bob".into(), &session("s"), hours(9)).await.unwrap();
    let mut log = Log { chat: heads[0].chat, epoch: store.epoch(), next: 1 };
    let said =
        LogEntry { at: hours(5), title: Some("Tea?".into()), ..log.entry(RunId::new(), Mark::Message, 1) };
    store.append(vec![said]).await.unwrap();
    let list = store.chats(&who(), 2).await.unwrap();
    let shown: Vec<_> = list.iter().map(|chat| (chat.chat, chat.title.as_str(), chat.running)).collect();
    assert_eq!(shown, [(heads[0].chat, "Tea?", true), (heads[2].chat, "", false)]);
    assert_eq!((list[0].updated_at, list[0].session.clone()), (hours(5), Some(session("s1"))));
}

pub(super) async fn chats_without_an_alias_are_kept(store: &impl Store) {
    let settings = ChatSettings { title: Some("Tea".into()), max_tokens: Some(7), ..ChatSettings::default() };
    let open = async |hour, parent| {
        let new = NewChat { owner: who(), settings: settings.clone(), parent };
        store.open_chat(new, hours(hour)).await.unwrap()
    };
    let first = open(1, None).await;
    let second = open(2, Some(first.chat)).await;
    assert_eq!((first.title.as_str(), &first.settings, first.parent), ("Tea", &settings, None));
    assert_eq!(store.chat(second.chat).await.unwrap(), Some(second.clone()));
    assert_eq!(second.parent, Some(first.chat));

    let chats =
        |found: (Vec<ChatHead>, u64)| (found.0.iter().map(|head| head.chat).collect::<Vec<_>>(), found.1);
    let ann = who();
    let found = |limit, skip, ascending| store.find_chats(&ann, limit, skip, ascending);
    assert_eq!(
        chats(store.find_chats(&who(), 9, 0, false).await.unwrap()),
        (vec![second.chat, first.chat], 2)
    );
    assert_eq!(chats(found(1, 1, false).await.unwrap()), (vec![first.chat], 2));
    assert_eq!(chats(found(1, 0, true).await.unwrap()), (vec![first.chat], 2));
    assert_eq!(chats(store.find_chats(&"bob".into(), 9, 0, true).await.unwrap()), (vec![], 0));

    let changed = ChatSettings { title: None, temperature: Some(0.5), ..settings.clone() };
    store.set_chat_settings(first.chat, changed.clone(), hours(3)).await.unwrap();
    let head = store.chat(first.chat).await.unwrap().unwrap();
    assert_eq!((head.settings, head.title.as_str(), head.updated_at), (changed.clone(), "", hours(3)));
    let nowhere = store.set_chat_settings(ChatId::new(), changed, hours(3)).await;
    assert_eq!(code(nowhere), Some(Code::NotFound));
    assert_eq!(store.archive_chats(hours(1000)).await.unwrap(), 0, "only sessions expire");
}

pub(super) async fn messages_are_found_among_the_rest(store: &impl Store) {
    let mut log = Log::open(store).await;
    let run = RunId::new();
    let marks = [Mark::Message, Mark::Delta, Mark::Coarse, Mark::End, Mark::Amendment];
    let mut entries: Vec<_> = marks.map(|mark| log.entry(run, mark, 2)).into();
    entries[4].run = None;
    store.append(entries.clone()).await.unwrap();
    let of_messages = [entries[0].clone(), entries[3].clone(), entries[4].clone()];
    let read = |up_to, limit| store.message_entries(log.chat, Seq(up_to), limit);
    assert_eq!(read(u64::MAX, usize::MAX).await.unwrap(), of_messages);
    assert_eq!(read(9, 100).await.unwrap(), of_messages[..2]);
    assert_eq!(read(100, 2).await.unwrap(), of_messages[1..]);

    store.redact(log.chat, entries[0].to, Bytes::from_static(b"{}")).await.unwrap();
    store.redact(log.chat, Seq(77), Bytes::from_static(b"{}")).await.unwrap();
    let redacted = LogEntry { body: Bytes::from_static(b"{}"), title: None, ..entries[0].clone() };
    assert_eq!(store.read(log.chat, Seq::START, 1).await.unwrap(), [redacted]);
}

pub(super) async fn a_deleted_chat_is_gone(store: &impl Store) {
    let opened = store.open_session(&who(), &session("s"), Timestamp(5)).await.unwrap();
    let mut log = Log { chat: opened.chat, epoch: store.epoch(), next: 1 };
    let run = RunId::new();
    store.append(vec![log.entry(run, Mark::Message, 1)]).await.unwrap();
    store.delete_chat(log.chat).await.unwrap();
    assert_eq!(store.chat(log.chat).await.unwrap(), None);
    assert_eq!(store.read(log.chat, Seq::START, 9).await.unwrap(), []);
    assert_eq!(store.open_runs().await.unwrap(), []);
    assert_eq!(store.chats(&who(), 9).await.unwrap(), []);
    assert_eq!(store.find_chats(&who(), 9, 0, false).await.unwrap(), (vec![], 0));
    assert_eq!(code(store.append(vec![log.entry(run, Mark::End, 1)]).await), Some(Code::NotFound));
    assert!(!store.knows(log.chat, Position { epoch: None, seq: Seq(1) }).await.unwrap());
    let again = store.open_session(&who(), &session("s"), Timestamp(6)).await.unwrap();
    assert!(again.chat != log.chat && again.last_seq == Seq::START);
    store.delete_chat(log.chat).await.unwrap();
    store.delete_chat(ChatId::new()).await.unwrap();
}

pub(super) async fn concurrent_appends_stay_apart(store: impl Store) {
    let store = Arc::new(store);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut log = Log::open(&*store).await;
                let run = RunId::new();
                for _ in 0..25 {
                    store.append(vec![log.entry(run, Mark::Delta, 2)]).await.unwrap();
                }
                log.chat
            })
        })
        .collect();
    for task in tasks {
        let ranges = ranges(&*store, task.await.unwrap()).await;
        assert!(ranges.iter().copied().eq((0..25).map(|number| (number * 2 + 1, number * 2 + 2))));
    }
}
