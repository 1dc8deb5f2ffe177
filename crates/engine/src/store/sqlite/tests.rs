//! The suite over both kinds of place, and what is true of SQLite alone.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::{Code, Error};
use crate::id::ManualClock;
use crate::query::{Body, TextSearch};
use crate::store::entry::Mark;
use crate::store::{Operation, conformance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_memory_keeps_the_promises() {
    conformance::check(|| async { Sqlite::in_memory().unwrap() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_on_disk_keeps_the_promises() {
    let (dir, number) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    let make = || {
        let folder = dir.path().join(number.fetch_add(1, Ordering::Relaxed).to_string());
        async { Sqlite::open(Settings::new(folder)).unwrap() }
    };
    conformance::check(make).await;
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(Settings::new(path)).unwrap()
}

fn refused(settings: Settings) -> Error {
    Sqlite::open(settings).expect_err("it does not open")
}

fn record(id: impl ToString, text: &str) -> Write {
    let body = json!({"text": text}).as_object().unwrap().clone();
    Write::new("c", RecordId(id.to_string()), Operation::Put(body))
}

async fn put(store: &Sqlite, id: impl ToString, text: &str) -> Result<Vec<Change>> {
    store.commit(&"ann".into(), Timestamp(1), vec![record(id, text)]).await
}

fn entry(chat: ChatId, epoch: Epoch, run: RunId, mark: Mark, from: u64, to: u64) -> LogEntry {
    LogEntry {
        chat,
        from: Seq(from),
        to: Seq(to),
        epoch,
        at: Timestamp(1),
        run: Some(run),
        mark,
        message_id: None,
        title: None,
        body: Bytes::from_static(b"{}"),
    }
}

async fn open_chat(store: &Sqlite) -> ChatId {
    store.open_session(&"ann".into(), &"s".parse().unwrap(), Timestamp(1)).await.unwrap().chat
}

#[tokio::test]
async fn what_was_written_is_there_after_a_clean_close() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    let store = open(&path);
    put(&store, 1, "tea").await.unwrap();
    let chat = open_chat(&store).await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(put(&store, 2, "late").await.unwrap_err().code, Code::Draining);
    assert_eq!(store.chat(chat).await.unwrap_err().code, Code::Draining);
    drop(store);

    let again = open(&path);
    assert_eq!(again.epoch(), Epoch(1), "closed in peace");
    assert_eq!(again.count("c", None).await.unwrap(), 1);
    assert!(again.chat(chat).await.unwrap().is_some());
}

#[tokio::test]
async fn an_unclean_start_raises_the_epoch_and_old_positions_stay_known() {
    let dir = tempfile::tempdir().unwrap();
    let (first, run) = (open(dir.path()), RunId::new());
    let chat = open_chat(&first).await;
    first.append(vec![entry(chat, Epoch(1), run, Mark::Message, 1, 4)]).await.unwrap();
    drop(first);

    let second = open(dir.path());
    assert_eq!(second.epoch(), Epoch(2));
    let knows = async |epoch, seq| {
        second.knows(chat, Position { epoch: Some(Epoch(epoch)), seq: Seq(seq) }).await.unwrap()
    };
    assert!(knows(1, 4).await);
    second.append(vec![entry(chat, Epoch(2), run, Mark::Delta, 5, 8)]).await.unwrap();
    second.append(vec![entry(chat, Epoch(2), run, Mark::End, 9, 9)]).await.unwrap();
    second.collapse(chat, run).await.unwrap();
    assert!(knows(1, 4).await, "it was there when the second epoch began");
    assert!(!knows(1, 5).await, "what the first epoch called 5 was lost, this is another");
    assert!(knows(2, 5).await && knows(2, 9).await && !knows(2, 10).await);
}

/// What the row of the only chat says of its log's end.
fn row_ends_at(folder: &Path) -> i64 {
    let raw = Connection::open(folder.join("chats.db")).unwrap();
    raw.query_row("SELECT last_seq FROM chats", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn within_a_run_the_log_says_where_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (first, run) = (open(dir.path()), RunId::new());
    let chat = open_chat(&first).await;
    let ends_at = async |store: &Sqlite| store.chat(chat).await.unwrap().unwrap().last_seq;
    let knows = async |store: &Sqlite, seq| {
        store.knows(chat, Position { epoch: Some(Epoch(1)), seq: Seq(seq) }).await.unwrap()
    };
    first.append(vec![entry(chat, Epoch(1), run, Mark::Message, 1, 1)]).await.unwrap();
    first.append(vec![entry(chat, Epoch(1), run, Mark::Coarse, 2, 3)]).await.unwrap();
    for seq in 4..=6 {
        first.append(vec![entry(chat, Epoch(1), run, Mark::Delta, seq, seq)]).await.unwrap();
    }
    assert_eq!((ends_at(&first).await, row_ends_at(dir.path())), (Seq(6), 3), "no token costs the row");
    assert!(knows(&first, 6).await && !knows(&first, 7).await);
    assert_eq!(first.inspect().await.unwrap().disagreements, Vec::<String>::new());
    drop(first);

    // As after a kill: who comes next goes on where the log ends.
    let second = open(dir.path());
    let again = second.open_session(&"ann".into(), &"s".parse().unwrap(), Timestamp(2)).await.unwrap();
    assert_eq!((again.chat, again.last_seq), (chat, Seq(6)));
    let overlaps = second.append(vec![entry(chat, Epoch(2), run, Mark::Delta, 6, 6)]).await;
    assert_eq!(overlaps.unwrap_err().code, Code::Internal);
    let end =
        vec![entry(chat, Epoch(2), run, Mark::Delta, 7, 8), entry(chat, Epoch(2), run, Mark::End, 9, 9)];
    second.append_and_collapse(end).await.unwrap();
    assert_eq!((ends_at(&second).await, row_ends_at(dir.path())), (Seq(9), 9));
    assert!(knows(&second, 6).await && !knows(&second, 7).await, "what followed was of another epoch");
    assert_eq!(second.inspect().await.unwrap().disagreements, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_undone_or_deleted_is_not_appended_to() {
    let (store, run) = (Sqlite::in_memory().unwrap(), RunId::new());
    let chat = open_chat(&store).await;
    let delta = |seq| entry(chat, Epoch(1), run, Mark::Delta, seq, seq);
    store.append(vec![entry(chat, Epoch(1), run, Mark::Message, 1, 1), delta(2)]).await.unwrap();
    // Its first entry is good, so it moves the log's end until the second is refused.
    store.append(vec![delta(3), delta(9)]).await.unwrap_err();
    store.append(vec![delta(4)]).await.unwrap_err();
    store.append(vec![delta(3)]).await.unwrap();
    let together = [vec![delta(4)], vec![delta(9)], vec![delta(5)]].map(|entries| store.append(entries));
    let outcomes = futures_util::future::join_all(together).await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let ranges = store.read(chat, Seq::START, 100).await.unwrap();
    assert_eq!(ranges.iter().map(|entry| entry.to.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);

    store.delete_chat(chat).await.unwrap();
    assert_eq!(store.append(vec![delta(6)]).await.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn more_chats_than_are_remembered_go_on_all_the_same() {
    let (store, run) = (Sqlite::in_memory().unwrap(), RunId::new());
    let opening = |number| SessionOpening {
        owner: "ann".into(),
        session: format!("s{number}").parse().unwrap(),
        at: Timestamp(1),
    };
    let heads = store.open_sessions((0..1_500).map(opening).collect()).await.unwrap();
    for (seq, mark) in [(1, Mark::Message), (2, Mark::Delta), (3, Mark::Delta), (4, Mark::End)] {
        let entries = heads.iter().map(|head| entry(head.chat, Epoch(1), run, mark, seq, seq)).collect();
        store.append_and_collapse(entries).await.unwrap();
    }
    for head in [&heads[0], &heads[1_499]] {
        assert_eq!(store.chat(head.chat).await.unwrap().unwrap().last_seq, Seq(4));
        assert_eq!(store.read(head.chat, Seq::START, 10).await.unwrap().len(), 2, "its message and its end");
    }
}

#[test]
fn one_process_owns_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let owner = open(dir.path());
    owner.announce("http://127.0.0.1:8080").unwrap();
    assert_eq!(owner_address(dir.path()).as_deref(), Some("http://127.0.0.1:8080"));
    let error = refused(Settings::new(dir.path()));
    assert_eq!(error.code, Code::Conflict);
    assert!(error.message.contains(&dir.path().display().to_string()), "{error}");
    assert!(error.message.contains("--data"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_new_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let _store = open(&path);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in ["lock", "records.db", "records.db-wal", "chats.db"] {
        assert_eq!(mode(&path.join(file)), 0o600, "{file}");
    }
}

#[test]
fn what_cannot_be_a_data_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert_eq!(refused(Settings::new(&file)).code, Code::Unavailable);

    let garbage = dir.path().join("garbage");
    std::fs::create_dir(&garbage).unwrap();
    std::fs::write(garbage.join("records.db"), "this is no database, however long it may be").unwrap();
    assert_eq!(refused(Settings::new(&garbage)).code, Code::Unavailable);

    let foreign = dir.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    Connection::open(foreign.join("chats.db")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(refused(Settings::new(&foreign)).message.contains("not written by Tidewire"));
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, 1, "tea").await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let raw = Connection::open(dir.path().join("records.db")).unwrap();
    let ours: i64 = raw.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    let error = refused(Settings::new(dir.path()));
    assert!(error.message.contains("format 99") && error.message.contains("newer"), "{error}");
    raw.pragma_update(None, "user_version", ours).unwrap();
    drop(raw);
    assert_eq!(open(dir.path()).count("c", None).await.unwrap(), 1);
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    put(&store, "before", "tea").await.unwrap();
    let limit = |pages: i64| {
        store.records.writer.call(move |c, _| {
            c.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
            Ok(())
        })
    };
    limit(1).await.unwrap(); // as small as what is there
    let large = "x".repeat(100_000);
    let error = put(&store, "large", &large).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.contains("full") && error.cause.is_some(), "{error:?}");

    // Small ones that share a transaction with a large one are not lost with it.
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let (store, large) = (Arc::clone(&store), large.clone());
            tokio::spawn(async move {
                let (id, text) = if number == 7 { ("large", large.as_str()) } else { ("before", "small") };
                (number, put(&store, id, text).await)
            })
        })
        .collect();
    for task in tasks {
        let (number, outcome) = task.await.unwrap();
        assert_eq!(outcome.is_err(), number == 7, "{number}: {outcome:?}");
    }
    assert_eq!(store.get("c", &"large".into()).await.unwrap(), None);
    limit(1_000_000).await.unwrap();
    put(&store, "large", &large).await.unwrap();
    let offsets: Vec<_> =
        store.changes("c", Offset(0), 100).await.unwrap().iter().map(|c| c.offset.0).collect();
    assert!((1..=21).eq(offsets));
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_damaged() {
    use std::io::{Seek, SeekFrom, Write as _};
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 0..200 {
        put(&store, number, &"x".repeat(2_000)).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let path = dir.path().join("records.db");
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    for page in (length / 4096 / 4)..(length / 4096) {
        file.seek(SeekFrom::Start(page * 4096)).unwrap();
        file.write_all(&[0xa5; 4096]).unwrap();
    }
    let store = open(dir.path());
    let error = store.query(&Query::all("c", 1_000)).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.contains("damaged"), "{error}");
    open_chat(&store).await; // the other file is not concerned
}

#[tokio::test]
async fn a_command_that_panics_is_a_failure_and_nothing_more() {
    let store = Sqlite::in_memory().unwrap();
    let write = store.records.writer.call(|_, _| -> Result<()> { panic!("a command with a fault") });
    assert_eq!(write.await.unwrap_err().code, Code::Internal);
    for _ in 0..10 {
        let read = store.records.readers.call(|_| -> Result<()> { panic!("a read with a fault") });
        assert_eq!(read.await.unwrap_err().code, Code::Internal);
    }
    put(&store, 1, "tea").await.unwrap();
    assert_eq!(store.count("c", None).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_reads_share_a_thread_and_each_sees_what_was_committed_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    let readers = (0..8).map(|reader| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..50 {
                let id = RecordId(format!("{reader} {number}"));
                put(&store, id.0.clone(), "tea").await.unwrap();
                let (found, again) = tokio::join!(store.get("c", &id), store.get("c", &id));
                assert!(found.unwrap().is_some() && again.unwrap().is_some());
            }
        })
    });
    futures_util::future::try_join_all(readers).await.unwrap();
    let faulty = store.records.readers.small(|_| -> Result<()> { panic!("a read with a fault") });
    let known = RecordId("0 0".into());
    let (faulty, found) = tokio::join!(faulty, store.get("c", &known));
    assert_eq!(faulty.unwrap_err().code, Code::Internal);
    assert!(found.unwrap().is_some());
    store.close().await.unwrap();
    assert_eq!(store.get("c", &known).await.unwrap_err().code, Code::Draining);
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(Settings { readers: 1, ..Settings::new(dir.path()) }).unwrap();
    let (began, begins) = tokio::sync::oneshot::channel();
    let endless = store.records.readers.call(|c| {
        let mut numbers =
            c.prepare("WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n")?;
        let mut rows = numbers.query([])?;
        let first = rows.next()?.is_some();
        began.send(first).ok();
        while rows.next()?.is_some() {}
        Ok(())
    });
    tokio::select! {
        ended = endless => panic!("{ended:?}"),
        began = begins => assert!(began.unwrap()),
    }
    assert_eq!(store.count("c", None).await.unwrap(), 0, "the only reader is free again");
}

#[tokio::test]
async fn old_changes_go_and_asking_for_them_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let settings = Settings {
        keep_for: Duration::from_secs(100),
        keep_changes: 30,
        clock: clock.clone(),
        ..Settings::new(dir.path())
    };
    let (keep, store) = (Keep { age: settings.keep_for, changes: 30 }, Sqlite::open(settings).unwrap());
    for number in 0..50 {
        clock.advance(Duration::from_secs(1));
        store.commit(&"ann".into(), clock.now(), vec![record(number, "x")]).await.unwrap();
    }
    let prune = async || {
        let now = clock.now();
        store.records.writer.call(move |c, _| records::prune(c, keep, now)).await.unwrap();
    };
    let oldest = async || {
        let mut after = 0;
        while let Err(error) = store.changes("c", Offset(after), 1).await {
            assert_eq!(error.code, Code::NotFound);
            after += 1;
        }
        (after, store.changes("c", Offset(after), 100).await.unwrap().len())
    };
    prune().await;
    assert_eq!(oldest().await, (20, 30), "so many are kept");
    clock.advance(Duration::from_secs(89));
    prune().await;
    assert_eq!(oldest().await, (38, 12), "so long they are kept: the change of second 39 is 100 s old");
    clock.advance(Duration::from_secs(1_000));
    prune().await;
    prune().await;
    assert_eq!(oldest().await, (50, 0));
    assert_eq!(put(&store, "new", "x").await.unwrap()[0].offset, Offset(51), "offsets go on");
    assert_eq!(store.count("c", None).await.unwrap(), 51, "records stay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_grows_while_others_write() {
    let store = Arc::new(Sqlite::in_memory().unwrap());
    let batch = (0..3_500).map(|number| record(number, "old leaf")).collect();
    store.commit(&"ann".into(), Timestamp(1), batch).await.unwrap();
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for number in (0..3_500).step_by(50) {
                put(&store, number, "changed").await.unwrap();
                put(&store, format!("new {number}"), "new leaf").await.unwrap();
            }
        }
    });
    let find = |text: &str| Search::words("c", text, 10_000);
    let leaf = find("leaf");
    futures_util::future::try_join_all((0..4).map(|_| store.search(&leaf))).await.unwrap();
    writing.await.unwrap();
    assert_eq!(store.search(&leaf).await.unwrap().len(), 3_500);
    assert_eq!(store.search(&find("changed")).await.unwrap().len(), 70);
}

#[tokio::test]
async fn words_that_nearly_everything_has_do_not_hide_the_rare_ones() {
    let store = Sqlite::in_memory().unwrap();
    let text = |number: usize| match number % 1_000 {
        7 => "a leaf of oak",
        8 => "the trunk of oak",
        _ => "a leaf falls",
    };
    let batch = (0..12_000).map(|number| record(number, text(number))).collect();
    store.commit(&"ann".into(), Timestamp(1), batch).await.unwrap();
    let texts = async |limit: usize| {
        let text = TextSearch { prefix: false, ..TextSearch::typed("falls leaf oak") };
        let hits = store.search(&Search { text: Some(text), ..Search::words("c", "", limit) }).await.unwrap();
        hits.into_iter().map(|hit| hit.record.body["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(10).await, ["a leaf of oak"; 10], "the rare word finds enough");
    let more = texts(40).await;
    assert_eq!(more.len(), 40, "else the frequent ones are looked at");
    assert_eq!(more.iter().filter(|text| text.contains("oak")).count(), 24, "{more:?}");
}

/// What a random history of one chat's log is made of.
#[derive(Debug, Clone)]
enum Step {
    /// Entries of runs, so long, appended at once; with `collapses` those that end go down to what stays.
    Append {
        entries: Vec<(usize, Mark, u64)>,
        collapses: bool,
    },
    Collapse {
        run: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let mark = prop_oneof![4 => Just(Mark::Delta), 2 => Just(Mark::Coarse), 1 => Just(Mark::Message), 1 => Just(Mark::End)];
    let entries = prop::collection::vec((0..3_usize, mark, 1..4_u64), 1..6);
    prop_oneof![
        4 => (entries, any::<bool>()).prop_map(|(entries, collapses)| Step::Append { entries, collapses }),
        1 => (0..3_usize).prop_map(|run| Step::Collapse { run }),
    ]
}

async fn check_log(steps: Vec<Step>) {
    let store = Sqlite::in_memory().unwrap();
    let (chat, runs) = (open_chat(&store).await, [RunId::new(), RunId::new(), RunId::new()]);
    let (mut last, mut ended, mut staying) = (0, [false; 3], Vec::new());
    for step in steps {
        match step {
            Step::Append { entries, collapses } => {
                let mut appended = Vec::new();
                for (run, mark, length) in entries {
                    appended.push(entry(chat, Epoch(1), runs[run], mark, last + 1, last + length));
                    last += length;
                    ended[run] |= mark == Mark::End;
                    if mark != Mark::Delta {
                        staying.push((runs[run], mark, last));
                    }
                }
                match collapses {
                    true => store.append_and_collapse(appended).await.unwrap(),
                    false => store.append(appended).await.unwrap(),
                }
            }
            Step::Collapse { run } => {
                let done = store.collapse(chat, runs[run]).await.is_ok();
                let known = !store.read_run(chat, runs[run]).await.unwrap().is_empty();
                assert_eq!(done, ended[run] || !known);
            }
        }
        let entries = store.read(chat, Seq::START, usize::MAX).await.unwrap();
        let mut next = 1;
        for entry in &entries {
            assert_eq!(entry.from.0, next, "{entries:?}");
            next = entry.to.0 + 1;
        }
        assert_eq!(next, last + 1);
        let kept: Vec<_> = entries
            .iter()
            .filter(|entry| entry.mark != Mark::Delta)
            .map(|entry| (entry.run.unwrap(), entry.mark, entry.to.0))
            .collect();
        assert_eq!(kept, staying, "only deltas go");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_tiles_whatever_happens(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_log(steps));
    }

    #[test]
    fn any_field_name_finds_its_own_value(name in "\\PC{1,12}|[.$\"'\\\\\\[\\]]{1,6}", value in ".{0,12}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Sqlite::in_memory().unwrap();
            let steps: Vec<&str> = name.split('.').collect();
            let nested = steps.iter().rev().fold(json!(value), |inner, step| json!({*step: inner}));
            let body: Body = nested.as_object().unwrap().clone();
            let write = Write::new("c", "r".into(), Operation::Insert(body));
            store.commit(&"ann".into(), Timestamp(1), vec![write]).await.unwrap();
            let filter = Filter::eq(name.clone(), value.clone());
            let expected = u64::from(!matches!(name.as_str(), "id" | "_id"));
            assert_eq!(store.count("c", Some(&filter)).await.unwrap(), expected, "{name:?} {value:?}");
        });
    }
}

#[test]
fn a_chats_statements_are_planned_once() {
    let chats = Place::Memory(String::from("planned-once")).writer(schema::CHATS).unwrap();
    let sql = "SELECT first FROM entries WHERE chat = ? AND last > ? ORDER BY last LIMIT ?";
    let mut statement = chats.prepare(sql).unwrap();
    for position in [1, 1_000, 5, 70_000] {
        assert!(statement.query_row([1, position, 10], |_| Ok(())).is_err(), "there is none");
    }
    assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
}

#[test]
fn an_older_chat_file_becomes_like_todays_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let file = dir.path().join(schema::CHATS.file);
    std::fs::remove_file(&file).unwrap();
    let old = Layout { file: schema::CHATS.file, migrations: &schema::CHATS.migrations[..1] };
    let connection = Connection::open(&file).unwrap();
    old.migrate(&connection).unwrap();
    let chat = ChatId::new();
    connection
        .execute(
            "INSERT INTO chats (id, owner, session, title, last_seq, epoch, created_at, updated_at, used_at) \
             VALUES (?, 'ann', 's', 'Tea?', 1, 1, 5, 6, 6)",
            [chat.as_bytes()],
        )
        .unwrap();
    connection
        .execute("INSERT INTO entries (chat, last, first, epoch, at, mark, body) VALUES (1, 1, 1, 1, 5, 1, x'7b7d')", [])
        .unwrap();
    drop(connection);
    let store = open(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let head = store.chat(chat).await.unwrap().unwrap();
        assert_eq!((head.title.as_str(), head.parent), ("Tea?", None));
        assert_eq!(head.settings, crate::conversation::ChatSettings::default());
        assert_eq!(store.message_entries(chat, Seq(u64::MAX), 9).await.unwrap().len(), 1);
    });
}

/// What a collection's records are once its changes up to an offset are done.
async fn replayed(store: &Sqlite, until: Offset) -> std::collections::BTreeMap<RecordId, Body> {
    let mut records = std::collections::BTreeMap::new();
    for change in store.changes("c", Offset(0), usize::MAX).await.unwrap() {
        if change.offset <= until {
            match change.after {
                Some(body) => _ = records.insert(change.id, body),
                None => _ = records.remove(&change.id),
            }
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_the_folder_at_a_known_offset() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&dir.path().join("data")));
    let chat = open_chat(&store).await;
    let (begun, ended) = (tokio::sync::Notify::new(), tokio_util::sync::CancellationToken::new());
    let begun = Arc::new(begun);
    let load = {
        let (store, begun, ended) = (Arc::clone(&store), Arc::clone(&begun), ended.clone());
        tokio::spawn(async move {
            let mut number = 0;
            while !ended.is_cancelled() {
                put(&store, number % 50, &format!("tea {number}")).await.unwrap();
                let (run, seq) = (RunId::new(), number + 1);
                let said = entry(chat, store.epoch(), run, Mark::Message, seq, seq);
                store.append(vec![said]).await.unwrap();
                number += 1;
                if number == 100 {
                    begun.notify_one();
                }
            }
            number
        })
    };
    begun.notified().await;
    let target = dir.path().join("backup");
    let backup = store.backup(&target).await.unwrap();
    let again = store.backup(&target).await.unwrap_err();
    assert_eq!(again.code, Code::Conflict, "{again}");
    ended.cancel();
    let written = load.await.unwrap();

    let copy = open(&target);
    copy.check().await.unwrap();
    let [(collection, offset)] = &backup.collections[..] else { panic!("{backup:?}") };
    assert_eq!((collection.as_str(), backup.chats), ("c", 1));
    assert!((100..=written).contains(&offset.0), "{offset:?} of {written}");
    assert_eq!(copy.log("c").await.unwrap().last, *offset);
    let records = copy.query(&Query::all("c", usize::MAX)).await.unwrap();
    let records: std::collections::BTreeMap<_, _> = records.into_iter().map(|r| (r.id, r.body)).collect();
    assert_eq!(records, replayed(&store, *offset).await);
    assert!(copy.epoch() > store.epoch(), "what the original says from now on is not what the copy says");
    let last = copy.chat(chat).await.unwrap().unwrap().last_seq;
    assert!((100..=written).contains(&last.0));
    put(&copy, "new", "it goes on").await.unwrap();
    assert!(!dir.path().join("backup.unfinished").exists());
}

#[tokio::test]
async fn a_backup_that_cannot_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("data"));
    std::fs::write(dir.path().join("file"), "").unwrap();
    let error = store.backup(&dir.path().join("file/backup")).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable, "{error}");
    put(&store, 1, "tea").await.unwrap();
}
