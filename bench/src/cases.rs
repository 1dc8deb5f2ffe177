//! The cases, one file each.

mod echo;
mod fanout;
mod idle;
mod ingest;
mod latency;
mod notify;
mod partials;
mod recall;
mod records;
mod retrieval;
mod slow;
mod stalled;
mod tokens;

use std::future::Future;
use std::io;
use std::pin::Pin;

use crate::Settings;
use crate::report::Section;

type Running<'a> = Pin<Box<dyn Future<Output = io::Result<Section>> + 'a>>;

/// A case by its name.
pub(crate) struct Case {
    /// As it is asked for.
    pub(crate) name: &'static str,
    /// Measures it.
    pub(crate) run: for<'a> fn(&'a Settings) -> Running<'a>,
    /// Where what it costs goes, as a profile showed; empty where nobody looked.
    pub(crate) profile: &'static str,
}

const ALL: &[Case] = &[
    Case {
        name: "tokens",
        run: |settings| Box::pin(tokens::run(settings)),
        profile: include_str!("../profiles/tokens.md"),
    },
    Case { name: "partials", run: |settings| Box::pin(partials::run(settings)), profile: "" },
    Case {
        name: "latency",
        run: |settings| Box::pin(latency::run(settings)),
        profile: include_str!("../profiles/latency.md"),
    },
    Case { name: "idle", run: |settings| Box::pin(idle::run(settings)), profile: "" },
    Case {
        name: "records",
        run: |settings| Box::pin(records::run(settings)),
        profile: include_str!("../profiles/records.md"),
    },
    Case { name: "notify", run: |settings| Box::pin(notify::run(settings)), profile: "" },
    Case {
        name: "fanout",
        run: |settings| Box::pin(fanout::run(settings)),
        profile: include_str!("../profiles/fanout.md"),
    },
    Case {
        name: "recall",
        run: |settings| Box::pin(recall::run(settings)),
        profile: include_str!("../profiles/recall.md"),
    },
    Case {
        name: "retrieval",
        run: |settings| Box::pin(retrieval::run(settings)),
        profile: include_str!("../profiles/retrieval.md"),
    },
    Case { name: "ingest", run: |settings| Box::pin(ingest::run(settings)), profile: "" },
    Case { name: "stalled", run: |settings| Box::pin(stalled::run(settings)), profile: "" },
    Case { name: "slow", run: |settings| Box::pin(slow::run(settings)), profile: "" },
    Case {
        name: "echo",
        run: |settings| Box::pin(echo::run(settings)),
        profile: include_str!("../profiles/echo.md"),
    },
];

/// The cases that were asked for, or all.
pub(crate) fn chosen(names: &[String]) -> io::Result<Vec<&'static Case>> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|case| case.name != name.as_str())) {
        let known: Vec<_> = ALL.iter().map(|case| case.name).collect();
        return Err(io::Error::other(format!("no case {unknown:?}; there are {}", known.join(", "))));
    }
    Ok(ALL.iter().filter(|case| names.is_empty() || names.iter().any(|name| name == case.name)).collect())
}
