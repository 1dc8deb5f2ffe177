//! Mock servers, and options that lead to them.

use std::time::Duration;

use schematic_mock::{Entry, Faults, Happened, Mock};
use schematic_runtime::{Credential, Options};

/// Longer than anything here takes; a test that waits in vain ends with it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mock server of a built-in definition.
pub(crate) async fn mock(name: &str, faults: &str) -> Mock {
    let mut all = schematic_definitions::all().into_iter();
    let (_, definition) = all.find(|(known, _)| *known == name).unwrap();
    Mock::start(definition, Faults::parse(faults).unwrap()).await.unwrap()
}

/// Leads to the mock with a credential, and comes back quickly.
pub(crate) fn options(mock: &Mock) -> Options {
    Options::new()
        .base_url(mock.url())
        .credential(Credential::new("key"))
        .policy(|policy| policy.backoff.initial = Duration::from_millis(5))
}

/// What the mock has received, by message id, in order.
pub(crate) fn received(mock: &Mock) -> Vec<String> {
    let received = |entry: Entry| match entry.what {
        Happened::Received { message, .. } => Some(message),
        _ => None,
    };
    mock.log().into_iter().filter_map(received).collect()
}

/// Waits, but not for ever.
pub(crate) async fn patiently<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it comes to an end")
}
