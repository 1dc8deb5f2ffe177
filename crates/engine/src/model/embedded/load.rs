//! Reading the chat model's file.
//!
//! Its weights are Q4_1, for which the library has no fast kernel on x86-64; as Q8_0 they take twice the memory and
//! compute four to six times as fast, so they are requantised while they are read.

use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::gguf_file::{self, Content};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use tokenizers::Tokenizer;

use super::tokenizer;

/// What a generation needs.
pub(super) struct Loaded {
    pub(super) weights: ModelWeights,
    pub(super) tokenizer: Tokenizer,
}

/// Reads a GGUF file; the error is for `doctor`.
pub(super) fn read(path: &Path) -> Result<Loaded, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let content = Content::read(&mut file).map_err(|e| e.to_string())?;
    let tokenizer = tokenizer::from_gguf(&content)?;
    let mut requantised = requantise(&content, &mut file).map_err(|e| e.to_string())?;
    drop(content);
    let content = Content::read(&mut requantised).map_err(|e| e.to_string())?;
    let weights =
        ModelWeights::from_gguf(content, &mut requantised, &Device::Cpu).map_err(|e| e.to_string())?;
    Ok(Loaded { weights, tokenizer })
}

/// The same file in memory with Q8_0 instead of Q4_1, and without the tokenizer's long lists.
fn requantise(content: &Content, file: &mut BufReader<File>) -> candle_core::Result<Cursor<Vec<u8>>> {
    let mut tensors: Vec<(&str, QTensor)> = Vec::new();
    for name in content.tensor_infos.keys() {
        let tensor = content.tensor(file, name, &Device::Cpu)?;
        tensors.push((name, faster(tensor)?));
    }
    let is_short = |name: &str| !name.starts_with("tokenizer.");
    let metadata = content.metadata.iter().filter(|(name, _)| is_short(name));
    let metadata: Vec<_> = metadata.map(|(name, value)| (name.as_str(), value)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut written = Cursor::new(Vec::new());
    gguf_file::write(&mut written, &metadata, &tensors)?;
    written.set_position(0);
    Ok(written)
}

fn faster(tensor: QTensor) -> candle_core::Result<QTensor> {
    if tensor.dtype() != GgmlDType::Q4_1 {
        return Ok(tensor);
    }
    QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)
}
