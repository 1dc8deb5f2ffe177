//! The binary, killed at drawn points of mixed load, again and again on the same folder; then what must hold.
//!
//! `load` says what goes on, `check` what must hold. The points come from a seed that is printed:
//! `TIDEWIRE_TEST_SEED` draws the same ones again, `TIDEWIRE_TEST_CRASH_ROUNDS` says how many rounds. `cargo xtask soak`
//! runs 200 and reads the figures from the file that `TIDEWIRE_TEST_REPORT` names.

pub(crate) mod check;
pub(crate) mod load;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::binary::{Server, free_address};
use crate::client::PATIENCE;
use crate::proxy::Dice;
use load::{COLLECTION, Keeper, Progress, Talker, Writer};

const WRITERS: usize = 8;
const TALKERS: usize = 3;
const KEEPERS: usize = 2;
/// So many rounds are done upon one folder.
const ROUNDS_A_FOLDER: usize = 10;

pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// Another one each time, unless one is asked for.
pub(crate) fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    setting("TIDEWIRE_TEST_SEED").unwrap_or_else(|| now.subsec_nanos().into())
}

/// All who use a folder, with their books.
struct Crowd {
    writers: Vec<Writer>,
    talkers: Vec<Talker>,
    keepers: Vec<Keeper>,
}

/// One of them, when the server is gone.
enum Member {
    Writer(Writer),
    Talker(Talker),
    Keeper(Keeper),
}

impl Crowd {
    fn new(dice: &mut Dice) -> Self {
        let mut seeds = std::iter::repeat_with(|| dice.roll(1 << 30));
        let mut seed = || seeds.next().unwrap();
        Self {
            writers: (0..WRITERS).map(|name| Writer::new(name, seed())).collect(),
            talkers: (0..TALKERS).map(|name| Talker::new(name, seed())).collect(),
            keepers: (0..KEEPERS).map(|name| Keeper::new(name, seed())).collect(),
        }
    }

    /// Works until so much was acknowledged, and a moment longer; then the server is killed.
    async fn work(self, server: Server, enough: u64, moment: Duration) -> Self {
        let (address, progress) = (server.address, Progress::default());
        let mut work = JoinSet::new();
        for writer in self.writers {
            let progress = Arc::clone(&progress);
            work.spawn(async move { Member::Writer(writer.work(address, progress).await) });
        }
        for talker in self.talkers {
            let progress = Arc::clone(&progress);
            work.spawn(async move { Member::Talker(talker.work(address, progress).await) });
        }
        for keeper in self.keepers {
            let progress = Arc::clone(&progress);
            work.spawn(async move { Member::Keeper(keeper.work(address, progress).await) });
        }
        reach(&progress, enough, &mut work).await;
        tokio::time::sleep(moment).await;
        server.kill();
        let mut crowd = Self { writers: Vec::new(), talkers: Vec::new(), keepers: Vec::new() };
        for member in work.join_all().await {
            match member {
                Member::Writer(writer) => crowd.writers.push(writer),
                Member::Talker(talker) => crowd.talkers.push(talker),
                Member::Keeper(keeper) => crowd.keepers.push(keeper),
            }
        }
        crowd.writers.sort_by_key(|writer| writer.name);
        crowd
    }
}

async fn reach(progress: &AtomicU64, enough: u64, work: &mut JoinSet<Member>) {
    let until = Instant::now() + 3 * PATIENCE;
    while progress.load(Ordering::Relaxed) < enough {
        assert!(Instant::now() < until, "only {progress:?} of {enough} were acknowledged");
        tokio::select! {
            ended = work.join_next() => panic!("one of the crowd ended before its time: {:?}", ended.map(|e| e.is_ok())),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }
}

/// The collection with an index of each kind.
pub(crate) async fn prepare(server: &Server) {
    let schema = json!({"fields": {
        "op": {"field_type": "Integer"},
        "n": {"field_type": "Integer", "index": {"type": "btree"}},
        "text": {"field_type": "String", "index": {"type": "text"}},
        "v": {"field_type": "Vector", "index": {"type": "vector", "metric": "cosine", "dimension": 3}},
    }});
    let url = format!("http://{}/api/collections/{COLLECTION}", server.address);
    let made = reqwest::Client::new().post(url).json(&schema).send().await.unwrap();
    assert!(made.status().is_success(), "{}", made.text().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_it_is_killed_nothing_acknowledged_is_lost_and_everything_agrees() {
    let rounds = usize::try_from(setting("TIDEWIRE_TEST_CRASH_ROUNDS").unwrap_or(10)).unwrap();
    let seed = seed();
    eprintln!("TIDEWIRE_TEST_SEED={seed}");
    let (mut dice, began, mut figures) = (Dice(seed), Instant::now(), Figures::default());
    for first in (0..rounds).step_by(ROUNDS_A_FOLDER) {
        upon_one_folder(ROUNDS_A_FOLDER.min(rounds - first), &mut dice, &mut figures).await;
        eprintln!("{} rounds in {:?}: {figures:?}", rounds.min(first + ROUNDS_A_FOLDER), began.elapsed());
    }
    assert!(
        figures.unanswered > 0 && figures.interrupted > 0,
        "it was never killed in the midst: {figures:?}"
    );
    if let Some(file) = std::env::var_os("TIDEWIRE_TEST_REPORT") {
        let Figures { changes, unanswered, answers, interrupted, at_start } = figures;
        let report = json!({"rounds": rounds, "seed": seed, "changes": changes, "unanswered": unanswered,
            "answers": answers, "interrupted": interrupted, "at_start": at_start,
            "seconds": began.elapsed().as_secs()});
        std::fs::write(file, report.to_string()).unwrap();
    }
}

/// What there was to be lost.
#[derive(Debug, Default)]
struct Figures {
    /// Acknowledged changes of records.
    changes: usize,
    /// Requests that were under way when it was killed.
    unanswered: usize,
    /// Answers in chats, and those of them that ended with the process.
    answers: usize,
    interrupted: usize,
    /// Processes that were killed while they started.
    at_start: usize,
}

async fn upon_one_folder(rounds: usize, dice: &mut Dice, figures: &mut Figures) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start(&data, free_address(), None).await;
    prepare(&server).await;
    let mut crowd = Crowd::new(dice);
    for round in 0..rounds {
        let address = server.address;
        let moment = Duration::from_micros(dice.roll(30_000));
        crowd = crowd.work(server, 20 + dice.roll(500), moment).await;
        let asked = crowd.writers.iter().filter(|writer| !writer.asked.is_empty()).count();
        figures.unanswered += asked + crowd.keepers.iter().filter(|keeper| keeper.asked.is_some()).count();
        check::folder(&data, &mut crowd.writers, &crowd.talkers).await;
        if round % 3 == 2 {
            let starting = Server::spawn(&data, address, None);
            tokio::time::sleep(Duration::from_millis(dice.roll(150))).await;
            starting.kill();
            figures.at_start += 1;
        }
        server = Server::start(&data, address, None).await;
        check::changes(address, &crowd.writers).await;
        for talker in &mut crowd.talkers {
            check::talks(address, talker).await;
        }
        for keeper in &mut crowd.keepers {
            keeper.check(address).await;
        }
    }
    figures.changes += crowd.writers.iter().map(|writer| writer.done.len()).sum::<usize>();
    for talk in crowd.talkers.iter().flat_map(|talker| &talker.talks) {
        let (_, status) = talk.answer.as_ref().expect("each was checked");
        figures.answers += 1;
        figures.interrupted += usize::from(status == "interrupted");
    }
}
