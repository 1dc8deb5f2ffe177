//! One generation: prefill, sample, detokenise. Runs on the model's own thread.

use std::hash::{BuildHasher, RandomState};

use candle_core::{D, Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use candle_transformers::models::quantized_llama::ModelWeights;
use candle_transformers::utils::apply_repeat_penalty;
use tokenizers::Tokenizer;

use super::load::Loaded;
use super::prompt;
use crate::model::StopReason;

/// So many tokens of a prompt are computed between two looks at whether anybody still listens.
const CHUNK: usize = 4;
/// A prompt longer than this loses its beginning.
const MAX_PROMPT: usize = 512;
/// What the model writes at most unless it is told otherwise.
const MAX_TOKENS: u32 = 200;
/// Light: the model is small, and small models wander.
const TEMPERATURE: f64 = 0.3;
const TOP_P: f64 = 0.9;
/// Small models repeat themselves; this makes the last tokens less likely.
const REPEAT_PENALTY: f32 = 1.15;
const REPEAT_LAST: usize = 64;

/// What is asked of the model.
pub(super) struct Wanted {
    pub(super) prompt: String,
    pub(super) max_tokens: Option<u32>,
    pub(super) temperature: Option<f64>,
}

/// What a generation tells.
pub(super) enum Progress {
    /// The prompt's length in tokens; said first.
    Prompt(u64),
    /// More text, if the token ended a character, and the number of tokens so far.
    Token(Option<String>, u64),
}

/// Whoever listens says whether to go on.
pub(super) trait Listener {
    /// Whether nobody listens any more.
    fn is_gone(&self) -> bool;
    /// Tells; `false` if nobody listens any more.
    fn tell(&mut self, progress: Progress) -> bool;
}

/// A model that has read its system prompt.
pub(super) struct Generator {
    tokenizer: Tokenizer,
    /// The state after the system prompt. A clone shares its tensors, so every generation starts here at no cost.
    primed: ModelWeights,
    primed_tokens: usize,
    end: u32,
}

impl Generator {
    pub(super) fn new(loaded: Loaded) -> Result<Self, String> {
        let Loaded { mut weights, tokenizer } = loaded;
        let end = tokenizer.token_to_id("<|im_end|>").ok_or("it has no token <|im_end|>")?;
        let system = ids(&tokenizer, prompt::SYSTEM)?;
        forward(&mut weights, &system, 0).map_err(|e| e.to_string())?;
        Ok(Self { tokenizer, primed: weights, primed_tokens: system.len(), end })
    }

    /// Generates until the model or the listener has enough; `None` if the listener went away.
    pub(super) fn run(
        &self,
        wanted: &Wanted,
        listener: &mut impl Listener,
    ) -> Result<Option<StopReason>, String> {
        let mut prompt = ids(&self.tokenizer, &wanted.prompt)?;
        prompt.drain(..prompt.len().saturating_sub(MAX_PROMPT));
        let prompt_tokens = self.primed_tokens + prompt.len();
        if !listener.tell(Progress::Prompt(prompt_tokens as u64)) {
            return Ok(None);
        }
        let mut weights = self.primed.clone();
        let Some(logits) = self.prefill(&mut weights, &prompt, listener).map_err(|e| e.to_string())? else {
            return Ok(None);
        };
        self.decode(&mut weights, logits, prompt_tokens, wanted, listener)
    }

    /// The first chunk takes the odd tokens, so that all others are of one size: the library keeps a mask for each
    /// pair of sizes that it has seen.
    fn prefill(
        &self,
        weights: &mut ModelWeights,
        prompt: &[u32],
        listener: &impl Listener,
    ) -> candle_core::Result<Option<Tensor>> {
        let (odd, even) = prompt.split_at(prompt.len() % CHUNK);
        let chunks = [odd].into_iter().filter(|odd| !odd.is_empty()).chain(even.chunks(CHUNK));
        let mut at = self.primed_tokens;
        let mut logits = None;
        for chunk in chunks {
            if listener.is_gone() {
                return Ok(None);
            }
            logits = Some(forward(weights, chunk, at)?);
            at += chunk.len();
        }
        Ok(logits)
    }

    fn decode(
        &self,
        weights: &mut ModelWeights,
        mut logits: Tensor,
        mut at: usize,
        wanted: &Wanted,
        listener: &mut impl Listener,
    ) -> Result<Option<StopReason>, String> {
        let mut sampler = LogitsProcessor::from_sampling(RandomState::new().hash_one(at), sampling(wanted));
        let mut text = self.tokenizer.decode_stream(true);
        let mut written: Vec<u32> = Vec::new();
        let max_tokens = wanted.max_tokens.unwrap_or(MAX_TOKENS).min(MAX_TOKENS * 4) as usize;
        while written.len() < max_tokens {
            let token = sample(&mut sampler, &logits, &written).map_err(|e| e.to_string())?;
            if token == self.end {
                return Ok(Some(StopReason::Finished));
            }
            written.push(token);
            let more = text.step(token).map_err(|e| e.to_string())?;
            if !listener.tell(Progress::Token(more, written.len() as u64)) {
                return Ok(None);
            }
            logits = forward(weights, &[token], at).map_err(|e| e.to_string())?;
            at += 1;
        }
        Ok(Some(StopReason::Length))
    }
}

fn sampling(wanted: &Wanted) -> Sampling {
    match wanted.temperature.unwrap_or(TEMPERATURE) {
        temperature if temperature <= 0.0 => Sampling::ArgMax,
        temperature => Sampling::TopP { p: TOP_P, temperature },
    }
}

fn sample(sampler: &mut LogitsProcessor, logits: &Tensor, written: &[u32]) -> candle_core::Result<u32> {
    let recent = &written[written.len().saturating_sub(REPEAT_LAST)..];
    let logits = logits.squeeze(0)?;
    sampler.sample(&apply_repeat_penalty(&logits, REPEAT_PENALTY, recent)?)
}

fn forward(weights: &mut ModelWeights, tokens: &[u32], at: usize) -> candle_core::Result<Tensor> {
    let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
    let logits = weights.forward(&input, at)?;
    debug_assert_eq!(
        logits.dims().len(),
        2,
        "one row of logits for the last token, not {:?}",
        logits.dim(D::Minus1)
    );
    Ok(logits)
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, String> {
    let encoding = tokenizer.encode_fast(text, false).map_err(|e| e.to_string())?;
    Ok(encoding.get_ids().to_vec())
}
