//! Inputs that nobody wrote: seeds that are changed, cut and joined by dice, said to the functions of all fuzz targets.
//!
//! This needs no nightly compiler and sees no coverage; it is a moment in each test run. For longer:
//! `TIDEWIRE_TEST_FUZZ_SECONDS` says for how long each target is tried, `TIDEWIRE_TEST_SEED` where the dice begin.

mod targets;

use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use targets::{TARGETS, files, fuzz};

/// What is often wrong where a number stands.
const NUMBERS: [&str; 14] = [
    "0",
    "-0",
    "1",
    "-1",
    "255",
    "65536",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "1e400",
    "0.1e-400",
];

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides.max(1)
    }

    fn of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.roll(list.len())]
    }

    fn span(&mut self, length: usize) -> Range<usize> {
        let (one, other) = (self.roll(length + 1), self.roll(length + 1));
        one.min(other)..one.max(other)
    }
}

/// What inputs are made of.
struct Corpus {
    seeds: Vec<Vec<u8>>,
    /// All words of all seeds.
    words: Vec<Vec<u8>>,
}

impl Corpus {
    fn of(target: &str) -> Self {
        let seeds: Vec<Vec<u8>> =
            files(&fuzz().join("seeds").join(target)).iter().map(|path| fs::read(path).unwrap()).collect();
        let words = seeds.iter().flat_map(|seed| seed.split(|byte| !is_of_word(byte)));
        let mut words: Vec<Vec<u8>> = words.filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect();
        words.sort();
        words.dedup();
        Self { seeds, words }
    }

    fn input(&self, dice: &mut Dice) -> Vec<u8> {
        let mut input = self.seeds[dice.roll(self.seeds.len())].clone();
        for _ in 0..=dice.roll(5) {
            self.change(&mut input, dice);
        }
        input
    }

    fn change(&self, input: &mut Vec<u8>, dice: &mut Dice) {
        match dice.roll(8) {
            0 | 1 => replace(input, dice, is_of_word, |dice| self.words[dice.roll(self.words.len())].clone()),
            2 | 3 => replace(input, dice, u8::is_ascii_digit, |dice| dice.of(&NUMBERS).as_bytes().to_vec()),
            4 => drop(input.drain(dice.span(input.len()))),
            5 => {
                let span = dice.span(input.len());
                let (end, again) = (span.end, input[span].to_vec());
                input.splice(end..end, again);
            }
            6 => {
                let other = &self.seeds[dice.roll(self.seeds.len())];
                let at = dice.span(input.len());
                input.splice(at, other[dice.span(other.len())].to_vec());
            }
            _ => {
                let at = dice.roll(input.len());
                if let Some(byte) = input.get_mut(at) {
                    *byte = u8::try_from(dice.roll(256)).unwrap_or_default();
                }
            }
        }
    }
}

fn is_of_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}

/// Another text in the place of one of the stretches of such bytes.
fn replace(
    input: &mut Vec<u8>,
    dice: &mut Dice,
    belongs: fn(&u8) -> bool,
    with: impl Fn(&mut Dice) -> Vec<u8>,
) {
    let is_begin = |at: &usize| belongs(&input[*at]) && (*at == 0 || !belongs(&input[at - 1]));
    let begins: Vec<usize> = (0..input.len()).filter(is_begin).collect();
    if let Some(begin) = begins.get(dice.roll(begins.len())).copied() {
        let end = begin + input[begin..].iter().take_while(|byte| belongs(byte)).count();
        input.splice(begin..end, with(dice));
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// Says inputs to a target until its time is over. Gives how many it were.
fn harm(name: &str, say: fn(&[u8]), time: Duration, dice: &mut Dice) -> u64 {
    let (corpus, until) = (Corpus::of(name), Instant::now() + time);
    let mut said = 0;
    while Instant::now() < until {
        let input = corpus.input(dice);
        if catch_unwind(AssertUnwindSafe(|| say(&input))).is_err() {
            let path = std::env::temp_dir().join(format!("{name}-found"));
            fs::write(&path, &input).unwrap();
            let text = String::from_utf8_lossy(&input);
            panic!("{} is a finding; mend it and put it into fuzz/seeds/{name}: {text:?}", path.display());
        }
        said += 1;
    }
    said
}

#[test]
fn what_dice_make_of_seeds_does_no_harm() {
    let time = setting("TIDEWIRE_TEST_FUZZ_SECONDS").map_or(Duration::from_millis(300), Duration::from_secs);
    let seed = setting("TIDEWIRE_TEST_SEED").unwrap_or_else(|| std::process::id().into());
    eprintln!("TIDEWIRE_TEST_SEED={seed}");
    std::thread::scope(|scope| {
        for (name, say) in TARGETS {
            scope.spawn(move || {
                let said = harm(name, *say, time, &mut Dice(seed));
                eprintln!("{name}: {said} inputs");
                assert!(said > 0, "{name} was not tried");
            });
        }
    });
}
