//! Many writers, and watchers that stall, come back, go away and change their minds.

use super::*;

/// A small generator of numbers that are the same in each run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

const CHANGES: u64 = 10_000;

/// Writes batches of one to nine records; every seventh caller goes away before its answer.
async fn write(house: Arc<House>, mut dice: Dice) {
    loop {
        let count = 1 + dice.below(9);
        let writes: Vec<Write> =
            (0..count).map(|_| put("c", dice.below(300), json!({"n": dice.below(10)}))).collect();
        if dice.below(7) == 0 {
            let (by, store) = ("ann".into(), Arc::clone(&house.store));
            let commit = store.commit(&by, now(), writes);
            tokio::time::timeout(Duration::from_micros(dice.below(300)), commit).await.ok();
        } else {
            house.commit(writes).await;
        }
        if house.store.log("c").await.unwrap().last.0 >= CHANGES {
            return;
        }
    }
}

/// Follows the collection to its end through all that can happen to a client. Gives what it saw and how far it is.
async fn follow(house: Arc<House>, filter: Option<Filter>, mut dice: Dice) -> (Vec<u64>, u64) {
    let mut watcher = house.watcher();
    let mut number = dice.below(3);
    watcher.watch(&house, number, filter.clone(), Some(0)).await;
    while watcher.last.0 < CHANGES {
        match dice.below(60) {
            0 => {
                // A new connection goes on where the old one was.
                watcher.connection = house.engine.connect(Identity::local());
                watcher.watch(&house, number, filter.clone(), Some(watcher.last.0)).await;
            }
            1 => {
                watcher.watch(&house, number, filter.clone(), Some(watcher.last.0)).await;
            }
            2 => {
                watcher.unwatch(&house, Some(number)).await;
                number = dice.below(3);
                watcher.watch(&house, number, filter.clone(), Some(watcher.last.0)).await;
            }
            3 => {
                // A second watch that wants no more than the first comes and goes.
                let narrower = Some(filter.clone().unwrap_or_else(|| at_least("n", 4)));
                watcher.watch(&house, 77, narrower, None).await;
            }
            4 => {
                watcher.unwatch(&house, Some(77)).await;
            }
            5 => tokio::time::sleep(Duration::from_millis(dice.below(20))).await,
            6 => {
                // A reader that is dropped has lost nothing.
                let mut events = Vec::new();
                let wait = Duration::from_micros(dice.below(200));
                tokio::time::timeout(wait, watcher.connection.next(&mut events)).await.ok();
                events.into_iter().for_each(|event| watcher.hear(event));
            }
            _ => {
                watcher.step().await;
            }
        }
    }
    assert_eq!(watcher.gaps, 0);
    (watcher.offsets, watcher.last.0)
}

async fn run(seed: u64) {
    let house = Arc::new(House::new(tight()).await);
    let filters = [None, None, Some(at_least("n", 7)), Some(at_least("n", 9)), Some(at_least("n", 7)), None];
    let watchers: Vec<_> = filters
        .iter()
        .enumerate()
        .map(|(number, filter)| {
            let dice = Dice(seed * 1_000 + number as u64 + 1);
            tokio::spawn(follow(Arc::clone(&house), filter.clone(), dice))
        })
        .collect();
    let writers = (0..4).map(|number| tokio::spawn(write(Arc::clone(&house), Dice(seed * 77 + number + 1))));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    // Fits every filter, so that everybody reaches the end.
    let last = house.put("c", "last", json!({"n": 9})).await;
    let log = house.store.changes("c", Offset(0), usize::MAX).await.unwrap();
    for (watcher, filter) in watchers.into_iter().zip(filters) {
        let (seen, end) = watcher.await.unwrap();
        let matcher = filter.map(|filter| crate::collections::matches::Matcher::new(&filter).unwrap());
        let fits = |change: &&Change| {
            let mut bodies = [&change.before, &change.after].into_iter().flatten();
            matcher.as_ref().is_none_or(|matcher| bodies.any(|body| matcher.fits(&change.id, body)))
        };
        assert!(end >= CHANGES && end <= last.0);
        let expected = log.iter().filter(fits).map(|change| change.offset.0).filter(|offset| *offset <= end);
        let expected: Vec<u64> = expected.collect();
        let first = seen.iter().zip(&expected).position(|(seen, expected)| seen != expected);
        let first = first.map(|place| (&seen[place], &expected[place]));
        assert_eq!((first, seen.len()), (None, expected.len()), "seed {seed}: the first that is wrong");
    }
    assert!(house.engine.stats().watches_fell_behind_total > 0, "nobody fell behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_whatever_watchers_do() {
    for seed in 1..=3 {
        run(seed).await;
    }
}
