//! all-MiniLM-L6-v2: what a text means, as 384 numbers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;

use async_trait::async_trait;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};
use tokio::sync::Semaphore;

use super::{Shared, missing};
use crate::error::{Error, Result};
use crate::model::Embedder;
use crate::model::Status;

/// Tokens of a text that are read; the rest is cut.
const MAX_TOKENS: usize = 256;
/// Texts that are computed together.
const BATCH: usize = 32;
const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// The embedder.
pub struct MiniLm {
    loaded: Arc<OnceLock<Loaded>>,
    status: Shared,
    /// One batch at a time: it uses all the threads that it may use.
    turn: Arc<Semaphore>,
}

struct Loaded {
    model: BertModel,
    tokenizer: Tokenizer,
}

impl MiniLm {
    /// Begins to load the files of a folder and returns at once.
    pub fn open(folder: &Path) -> Self {
        let absent = FILES.iter().map(|name| folder.join(name)).find(|file| !file.is_file());
        let status = Shared::new(absent.as_deref().map_or(Status::Loading, missing));
        let loaded = Arc::new(OnceLock::new());
        if absent.is_none() {
            let (folder, status, loaded) = (folder.to_owned(), status.clone(), Arc::clone(&loaded));
            thread::spawn(move || load_into(&folder, &status, &loaded));
        }
        Self { loaded, status, turn: Arc::new(Semaphore::new(1)) }
    }
}

#[async_trait]
impl Embedder for MiniLm {
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let _turn = self.turn.clone().acquire_owned().await.map_err(Error::internal)?;
        let loaded = Arc::clone(&self.loaded);
        let work = move || {
            let loaded = loaded.get().ok_or_else(|| String::from("it is not loaded"))?;
            let batches = texts.chunks(BATCH).map(|batch| loaded.embed(batch));
            Ok(batches.collect::<std::result::Result<Vec<_>, String>>()?.concat())
        };
        let vectors = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
        vectors.map_err(|why: String| Error::unavailable(format!("the embedder cannot work: {why}")))
    }

    fn name(&self) -> &str {
        "all-MiniLM-L6-v2"
    }

    fn status(&self) -> Status {
        self.status.get()
    }
}

fn load_into(folder: &Path, status: &Shared, loaded: &OnceLock<Loaded>) {
    match Loaded::read(folder) {
        Ok(read) => {
            // Nobody else sets it.
            let _ = loaded.set(read);
            status.set(Status::Ready);
        }
        Err(why) => {
            tracing::error!(%why, folder = %folder.display(), "the embedder does not load");
            status.set(Status::Failed(why));
        }
    }
}

impl Loaded {
    fn read(folder: &Path) -> std::result::Result<Self, String> {
        let file = |name: &str| -> std::result::Result<Vec<u8>, String> {
            let path: PathBuf = folder.join(name);
            std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        let [config, tokenizer, weights] = FILES;
        let config: Config = serde_json::from_slice(&file(config)?).map_err(|e| e.to_string())?;
        let mut tokenizer = Tokenizer::from_bytes(file(tokenizer)?).map_err(|e| e.to_string())?;
        let truncation = TruncationParams { max_length: MAX_TOKENS, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|e| e.to_string())?;
        tokenizer.with_padding(Some(PaddingParams::default()));
        let weights = VarBuilder::from_buffered_safetensors(file(weights)?, DType::F32, &Device::Cpu);
        let model =
            weights.and_then(|weights| BertModel::load(weights, &config)).map_err(|e| e.to_string())?;
        Ok(Self { model, tokenizer })
    }

    fn embed(&self, texts: &[String]) -> std::result::Result<Vec<Vec<f32>>, String> {
        let encodings = self.tokenizer.encode_batch(texts.to_vec(), true).map_err(|e| e.to_string())?;
        let rows = |row: fn(&tokenizers::Encoding) -> &[u32]| -> candle_core::Result<Tensor> {
            let rows: Vec<Tensor> = encodings
                .iter()
                .map(|encoding| Tensor::new(row(encoding), &Device::Cpu))
                .collect::<candle_core::Result<_>>()?;
            Tensor::stack(&rows, 0)
        };
        let pooled = || -> candle_core::Result<Vec<Vec<f32>>> {
            let (ids, mask) = (rows(|e| e.get_ids())?, rows(|e| e.get_attention_mask())?);
            let hidden = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
            normalised_mean(&hidden, &mask)
        };
        pooled().map_err(|e| e.to_string())
    }
}

/// The mean of each text's tokens without the padding, of length one.
fn normalised_mean(hidden: &Tensor, mask: &Tensor) -> candle_core::Result<Vec<Vec<f32>>> {
    let mask = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
    let sum = hidden.broadcast_mul(&mask)?.sum(1)?;
    let mean = sum.broadcast_div(&mask.sum(1)?)?;
    let length = mean.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    mean.broadcast_div(&length)?.to_vec2()
}
