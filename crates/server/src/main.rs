//! The binary `tidewire`. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before there is any other thread: the number of threads is handed on by the environment.
    tidewire_engine::model::choose::limit_threads(None);
    tidewire_server::cli::main()
}
