//! The chat model's tokenizer, rebuilt from what its GGUF file carries.
//!
//! Byte-level BPE in which every digit stands alone. The file names the scheme (`smollm`) and holds vocabulary, merges
//! and token types; the pre-tokenizer is known from the scheme.

use candle_core::quantized::gguf_file::{Content, Value};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer};

/// GGUF's type of tokens that never come from text.
const CONTROL: i64 = 3;

/// Builds it; the error says what the file lacks.
pub(super) fn from_gguf(content: &Content) -> Result<Tokenizer, String> {
    let scheme = content.metadata.get("tokenizer.ggml.pre").and_then(|value| value.to_string().ok());
    if scheme.map(String::as_str) != Some("smollm") {
        return Err(format!("its tokenizer is of the scheme {scheme:?} and not `smollm`"));
    }
    let tokens = texts(content, "tokenizer.ggml.tokens")?;
    let merges = texts(content, "tokenizer.ggml.merges")?;
    let merges = merges.iter().filter_map(|merge| merge.split_once(' '));
    let merges: Vec<_> = merges.map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    let vocabulary = tokens.iter().zip(0..).map(|(token, id)| ((*token).clone(), id)).collect::<Vocab>();
    let model = BPE::builder().vocab_and_merges(vocabulary, merges).build().map_err(|e| e.to_string())?;

    let bytes = ByteLevel::new(false, true, true);
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![Digits::new(true).into(), bytes.into()])));
    tokenizer.with_decoder(Some(bytes));
    let special = control(content, &tokens)?;
    tokenizer.add_special_tokens(special).map_err(|e| e.to_string())?;
    Ok(tokenizer)
}

fn control(content: &Content, tokens: &[&String]) -> Result<Vec<AddedToken>, String> {
    let types = array(content, "tokenizer.ggml.token_type")?;
    let is_control = |kind: &Value| kind.to_i32().map(i64::from).or_else(|_| kind.to_u32().map(i64::from));
    let special = types.iter().zip(tokens).filter(|(kind, _)| is_control(kind).ok() == Some(CONTROL));
    Ok(special.map(|(_, token)| AddedToken::from((*token).clone(), true)).collect())
}

fn texts<'a>(content: &'a Content, key: &str) -> Result<Vec<&'a String>, String> {
    array(content, key)?.iter().map(|value| value.to_string().map_err(|e| e.to_string())).collect()
}

fn array<'a>(content: &'a Content, key: &str) -> Result<&'a Vec<Value>, String> {
    let value = content.metadata.get(key).ok_or_else(|| format!("it has no {key}"))?;
    value.to_vec().map_err(|e| e.to_string())
}
