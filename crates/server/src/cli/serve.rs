//! `tidewire serve`: starts everything, says where it is, and ends in good order when it is asked to.

use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, Outcome, ServeArgs, runtime, say};
use crate::House;
use crate::config::Config;
use crate::start::{Started, load_demo, start};
use crate::telemetry;

/// The exit code when a second signal cuts the end short, as shells spell SIGINT.
const CUT_SHORT: i32 = 130;

pub(super) fn run(args: &ServeArgs) -> Outcome {
    let config = args.config.load()?;
    telemetry::start_logging(config.log, std::env::var(telemetry::FILTER_VARIABLE).ok())?;
    let (runtime, demo) = (runtime()?, args.demo);
    // On a worker, so that a connection that comes in need not be handed from this thread to another.
    let served = runtime.block_on(async { tokio::spawn(serve(config, demo)).await });
    served.unwrap_or_else(|failed| Err(Failure::new(format!("the server broke off: {failed}"))))
}

async fn serve(config: Config, demo: bool) -> Outcome {
    let stop = stop_signal()?;
    raise_file_limit();
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        Failure::new(format!("cannot listen on {}: {error}; choose another with --listen", config.listen))
    })?;
    let address = listener.local_addr()?;
    let Started { house, store } = start(config).await?;
    if demo {
        load_demo(store.as_ref()).await?;
    }
    store.announce(&format!("http://{address}"))?;
    greet(&house, address);
    crate::serve(house, listener, stop).await;
    store.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// Done at the first SIGTERM or SIGINT; the second one ends the process at once.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(CUT_SHORT);
        });
    })
}

/// A socket is an open file, and the usual limit of these is a thousand.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is; many connections may be refused");
    }
}

fn greet(house: &House, address: std::net::SocketAddr) {
    let (config, model) = (&house.config, house.model.name());
    let keys = house.auth.keys.living();
    say(format_args!("Tidewire {}", env!("CARGO_PKG_VERSION")));
    say(format_args!("  open    http://{address}"));
    say(format_args!("  model   {model}"));
    say(format_args!("  data    {}", absolute(&config.data)));
    say(format_args!("  access  {}", access(house.auth.keys.is_keyed(), keys)));
    if !crate::assets::is_built() {
        say("  page    not in this binary; `cargo xtask up` builds it, `tidewire chat` works without");
    }
    if !house.auth.keys.is_keyed() {
        tracing::warn!("no keys are configured: everybody on this machine is admin");
    }
}

fn access(keyed: bool, keys: usize) -> String {
    match keys {
        0 if keyed => {
            String::from("nobody: all keys are revoked; end this and run `tidewire keys add --admin`")
        }
        0 => String::from("no keys: everybody on this machine is admin, nobody else gets in"),
        1 => String::from("with a key"),
        more => format!("with one of {more} keys"),
    }
}

fn absolute(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
}
