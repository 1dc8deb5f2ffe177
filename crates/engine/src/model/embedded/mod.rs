//! The embedded models: language without a network.
//!
//! [`SmolLm`] phrases small talk, [`MiniLm`] turns texts into vectors; [`assistant`] is made of the two. Both read
//! files that `cargo xtask up` has fetched, load in the background, and say by their status how far they are. What a
//! question is about and how results are shown is the assistant's business, which also works without them.

mod generate;
mod line;
mod load;
mod minilm;
mod prompt;
mod smollm;
mod tokenizer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub use minilm::MiniLm;
pub use smollm::SmolLm;

use super::assistant::Assistant;
use super::{Embedder, Status};

/// The chat model's file under the models folder.
pub const CHAT_FILE: &str = "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
/// The embedder's folder under the models folder.
pub const EMBEDDER_DIR: &str = "minilm";

/// The default model, from the files in the models folder, routing with this embedder. Returns at once; needs a Tokio
/// runtime.
pub fn assistant(models_dir: &Path, embedder: Arc<dyn Embedder>) -> Assistant {
    let chat = Arc::new(SmolLm::open(&models_dir.join(CHAT_FILE)));
    Assistant::with(embedder, chat)
}

/// A status that the loading thread writes and everybody reads.
#[derive(Clone)]
struct Shared(Arc<Mutex<Status>>);

impl Shared {
    fn new(status: Status) -> Self {
        Self(Arc::new(Mutex::new(status)))
    }

    fn get(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, status: Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// What to say when a file is not there.
fn missing(path: &Path) -> Status {
    Status::Missing(format!("{} is not there; `cargo xtask up` fetches it", path.display()))
}

#[cfg(test)]
mod tests;
