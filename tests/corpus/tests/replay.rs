//! Says every file of `fuzz/seeds` and `fuzz/artifacts` to the function that its fuzz target calls: nothing panics, and
//! what each function holds of its answers is held.

mod targets;

use std::collections::BTreeSet;
use std::fs;

use targets::{TARGETS, files, fuzz};

fn names(folder: &str) -> BTreeSet<String> {
    let stems = files(&fuzz().join(folder)).into_iter().map(|path| path.file_stem().unwrap().to_owned());
    stems.map(|stem| stem.into_string().unwrap()).collect()
}

#[test]
fn every_seed_and_everything_that_was_found_is_said_once_more() {
    for (name, say) in TARGETS {
        let seeds = files(&fuzz().join("seeds").join(name));
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for path in seeds.into_iter().chain(files(&fuzz().join("artifacts").join(name))) {
            let bytes = fs::read(&path).unwrap();
            // If it panics, this says upon which file.
            eprintln!("{}", path.display());
            say(&bytes);
        }
    }
}

/// Cut short and doubled, each seed is something that no transcript says.
#[test]
fn halves_and_doubles_of_seeds_do_no_harm() {
    for (name, say) in TARGETS {
        for path in files(&fuzz().join("seeds").join(name)) {
            let bytes = fs::read(&path).unwrap();
            for end in (0..bytes.len()).step_by(bytes.len().div_ceil(8).max(1)) {
                say(&bytes[..end]);
            }
            say(&bytes.repeat(2));
        }
    }
}

#[test]
fn no_target_is_forgotten() {
    let known: BTreeSet<_> = TARGETS.iter().map(|(name, _)| String::from(*name)).collect();
    assert_eq!(names("fuzz_targets"), known);
    assert_eq!(names("seeds"), known);
    assert!(names("artifacts").is_subset(&known));
}
