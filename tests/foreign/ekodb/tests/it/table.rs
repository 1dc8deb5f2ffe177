//! The table of calls and versions: what the crates offer against what is driven here.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;
use std::path::Path;

use tidewire_foreign_ekodb::{Method, methods, source};
use tokio::time::timeout;

use crate::rig::PATIENCE;
use crate::{v0_18, v0_32};

/// Types whose methods are calls even where they need not be awaited.
const DOORS: &[&str] = &["Client", "WebSocketClient", "AdminClient", "AuthManager"];

/// How a call fails in its row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    /// With an error whose text contains all of these.
    Says(&'static [&'static str]),
    /// The method cannot fail, or never does; why.
    Never(&'static str),
}

/// A method that a function of the same name drives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) owner: &'static str,
    pub(crate) method: &'static str,
    pub(crate) refusal: Refusal,
    /// The source of the function.
    pub(crate) file: &'static str,
}

impl Row {
    fn path(&self) -> String {
        format!("{}::{}", self.owner, self.method)
    }
}

/// Declares rows, and a test for each: `insert => ["API error (409)"]` or `schema_cache => never "why"`.
macro_rules! rows {
    ($owner:ident { $($method:ident => $kind:tt $($why:literal)?),* $(,)? }) => {
        pub(crate) const ROWS: &[crate::table::Row] = &[$(crate::table::Row {
            owner: stringify!($owner),
            method: stringify!($method),
            refusal: crate::table::refusal!($kind $($why)?),
            file: file!(),
        }),*];

        mod row {
            $(
                #[tokio::test]
                async fn $method() {
                    let seat = super::Seat::open().await;
                    let refusal = crate::table::refusal!($kind $($why)?);
                    crate::table::judge(super::$method(seat), refusal).await;
                }
            )*
        }
    };
}

macro_rules! refusal {
    (never $why:literal) => { crate::table::Refusal::Never($why) };
    ([$($part:literal),*]) => { crate::table::Refusal::Says(&[$($part),*]) };
}

pub(crate) use {refusal, rows};

/// What a row hands back: the error of its call, or nothing if there is none to be had.
pub(crate) trait Outcome {
    fn error(self) -> Option<String>;
}

impl Outcome for () {
    fn error(self) -> Option<String> {
        None
    }
}

impl<E: Display> Outcome for Result<std::convert::Infallible, E> {
    fn error(self) -> Option<String> {
        let Err(error) = self;
        Some(error.to_string())
    }
}

/// Plays a row to its end and compares how it failed.
pub(crate) async fn judge<O: Outcome>(row: impl Future<Output = O>, refusal: Refusal) {
    let outcome = timeout(PATIENCE, row).await.expect("the row ends in time").error();
    match (outcome, refusal) {
        (None, Refusal::Never(_)) => {}
        (Some(said), Refusal::Says(parts)) => {
            assert!(parts.iter().all(|part| said.contains(part)), "{parts:?} is not in: {said}");
        }
        (outcome, refusal) => panic!("expected {refusal:?}, got {outcome:?}"),
    }
}

/// Calls of a type, in groups that say what is missing.
macro_rules! unbuilt {
    ($owner:ident = |$seat:ident| $client:expr; $($reason:literal { $($method:ident($($argument:expr),*)),* $(,)? })*) => {
        /// The methods.
        pub(crate) const NAMES: &[&str] = &[$($(concat!(stringify!($owner), "::", stringify!($method))),*),*];

        #[tokio::test]
        async fn what_is_not_built_says_so() {
            let $seat = &Seat::open().await;
            let client = &$client;
            let mut wrong = Vec::new();
            $($(wrong.extend(crate::table::complaint(stringify!($method), $reason, client.$method($($argument),*)).await);)*)*
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    };
}

pub(crate) use unbuilt;

/// What is wrong with how it was refused: it must be 501 with a sentence that names what is missing.
pub(crate) async fn complaint<T, E: Display>(
    method: &str,
    reason: &str,
    call: impl Future<Output = Result<T, E>>,
) -> Option<String> {
    let said = match timeout(PATIENCE, call).await.expect("it is refused in time") {
        Ok(_) => return Some(format!("{method} succeeded")),
        Err(error) => error.to_string(),
    };
    let is_right = said.contains("501") && said.to_lowercase().contains(&reason.to_lowercase());
    (!is_right).then(|| format!("{method}: {said}"))
}

/// The calls of one version.
fn calls(version: &str) -> Vec<Method> {
    let mut all = methods(&source("ekodb_client", version));
    all.retain(|method| method.is_async || DOORS.contains(&method.owner.as_str()));
    all
}

fn check(version: &str, rows: &[Row], unbuilt: &[&str]) {
    let calls = calls(version);
    let offered: BTreeSet<_> = calls.iter().map(|call| format!("{}::{}", call.owner, call.name)).collect();
    let driven: BTreeSet<_> = rows.iter().map(Row::path).collect();
    let refused: BTreeSet<_> = unbuilt.iter().map(ToString::to_string).collect();
    assert!(offered.len() > 150, "the source was read wrongly: {offered:?}");
    assert_eq!(driven.len(), rows.len(), "a method has two rows");
    let both: Vec<_> = driven.intersection(&refused).collect();
    assert!(both.is_empty(), "driven, and said to be unbuilt: {both:?}");
    let said: BTreeSet<_> = driven.union(&refused).cloned().collect();
    let missing: Vec<_> = offered.difference(&said).collect();
    assert!(missing.is_empty(), "{version}: nobody drives {missing:#?}");
    let stale: Vec<_> = said.difference(&offered).collect();
    assert!(stale.is_empty(), "{version} has no {stale:#?}");
    rows.iter().for_each(check_source);
}

/// A row's function calls the method that it is named after.
fn check_source(row: &Row) {
    let name = Path::new(row.file).file_name().expect("a name");
    let folder = Path::new(row.file).parent().and_then(Path::file_name).expect("a folder");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(folder).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let start = text.find(&format!("async fn {}(", row.method)).expect("the row's function");
    let body = &text[start + 9 + row.method.len()..];
    let body = &body[..body.find("\n}").unwrap_or(body.len())];
    let calls = [format!(".{}(", row.method), format!("::{}(", row.method)];
    assert!(calls.iter().any(|call| body.contains(call)), "the row {} calls something else", row.path());
}

#[test]
fn every_call_of_0_18_0_has_its_row() {
    let rows = [v0_18::rows::all(), v0_18::earlier::all()].concat();
    check(v0_18::VERSION, &rows, v0_18::unbuilt::NAMES);
}

#[test]
fn every_call_of_0_32_0_has_its_row() {
    let rows = [v0_32::rows::all(), v0_32::later::all()].concat();
    let unbuilt = [v0_32::unbuilt::NAMES, v0_32::later::unbuilt::NAMES].concat();
    check(v0_32::VERSION, &rows, &unbuilt);
}

/// Only what cannot fail by its type, or says why, has no error case.
#[test]
fn a_row_without_an_error_case_says_why() {
    let rows = [v0_18::rows::all(), v0_18::earlier::all(), v0_32::rows::all(), v0_32::later::all()].concat();
    for row in rows {
        match row.refusal {
            Refusal::Says(parts) => assert!(!parts.is_empty(), "{}", row.path()),
            Refusal::Never(why) => assert!(why.contains(' '), "{}", row.path()),
        }
    }
}
