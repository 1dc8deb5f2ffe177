//! The binary `tidewire`. Everything is in the library.

use std::process::ExitCode;

/// The system's allocator keeps what large messages leave behind; this one gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before there is any other thread: the number of threads is handed on by the environment.
    tidewire_engine::model::choose::limit_threads(None);
    // A library that is built along may bring a second one; then rustls does not choose by itself.
    let chosen_before = rustls::crypto::aws_lc_rs::default_provider().install_default().is_err();
    debug_assert!(!chosen_before, "nothing speaks TLS before this");
    tidewire_server::cli::main()
}
