//! The binary `tidewire`. Everything is in the library.

use std::process::ExitCode;

/// The system's allocator keeps what large messages leave behind; this one gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before there is any other thread: the number of threads is handed on by the environment.
    tidewire_engine::model::choose::limit_threads(None);
    tidewire_server::cli::main()
}
