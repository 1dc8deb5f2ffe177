//! Choosing the model that a configuration names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::scripted::ScriptedModel;
use super::{Embedder, Model};
use crate::error::{Error, Result};

/// What a configuration says about the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `embedded`, `scripted`, or a provider and its model: `openai/gpt-5-mini`, `anthropic/…`, `gemini/…`,
    /// `ollama/…`, `azure/{deployment}`; any other provider's name together with `base_url` is an OpenAI-compatible
    /// server.
    pub model: String,
    /// Where the embedded model's files lie: `smollm2/` and `minilm/`. See [`limit_threads`] for its threads.
    pub models_dir: PathBuf,
    /// What a provider needs beside the model's name.
    pub provider: ProviderSettings,
}

/// What a provider needs beside the model's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Where it answers, if not at its usual address; for Azure the resource's endpoint.
    pub base_url: Option<String>,
    /// The environment variable that holds the key, if not the usual one.
    pub api_key_env: Option<String>,
    /// Azure's API version; `None` is the one that we were tested with.
    pub api_version: Option<String>,
    /// The model's context window in tokens, where the operator knows it.
    pub context_window: Option<u64>,
    /// How long it may take to begin its response.
    pub begin_timeout: Duration,
    /// How long it may be silent in mid-answer.
    pub silence_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: String::from("embedded"),
            models_dir: models_dir(),
            provider: ProviderSettings::default(),
        }
    }
}

impl Default for ProviderSettings {
    fn default() -> Self {
        Self {
            base_url: None,
            api_key_env: None,
            api_version: None,
            context_window: None,
            begin_timeout: Duration::from_secs(60),
            silence_timeout: Duration::from_secs(120),
        }
    }
}

/// Where model files lie unless somebody says otherwise: `TIDEWIRE_MODELS`, else the user's cache folder.
pub fn models_dir() -> PathBuf {
    let from_env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || {
        from_env("XDG_CACHE_HOME")
            .or_else(|| from_env("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(std::env::temp_dir)
    };
    from_env("TIDEWIRE_MODELS").unwrap_or_else(|| cache().join("tidewire/models"))
}

/// What a configuration chose.
pub struct Chosen {
    /// Who answers.
    pub model: Arc<dyn Model>,
    /// What turns texts into vectors; `None` where it is not part of this build.
    pub embedder: Option<Arc<dyn Embedder>>,
}

/// The model that the settings name, and the embedder. It returns at once: what has to be loaded is loaded in the background, and
/// [`Model::status`] says how far it is. Call it within a Tokio runtime.
///
/// # Errors
/// `Invalid` with the sentence that says what to change: an unknown provider, a key that is not set, an address that
/// is none, a model that is not part of this build.
pub fn choose(settings: &Settings) -> Result<Chosen> {
    let embedder = embedder(settings);
    let model = model(settings, embedder.as_ref())?;
    Ok(Chosen { model, embedder })
}

fn model(settings: &Settings, embedder: Option<&Arc<dyn Embedder>>) -> Result<Arc<dyn Model>> {
    match settings.model.as_str() {
        "embedded" => Ok(embedded(settings, embedder)),
        // It has no words for what it has never read.
        "scripted" => Ok(Arc::new(ScriptedModel::demo().rendering_only())),
        name if name.contains('/') => provider(settings),
        name => Err(Error::invalid(format!(
            "no model named {name:?}; use \"embedded\", \"scripted\", or a provider and its model such as \"openai/gpt-5-mini\""
        ))),
    }
}

/// Lets the embedded model compute with so many threads, `None` being one less than there are cores: with all of them
/// its spinning threads wait for each other whenever the machine does something else.
///
/// To be called first thing in `main`. The number is handed to the numerical library by the environment, which must not
/// change once there are threads; a number that is already there stays.
pub fn limit_threads(threads: Option<usize>) {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if !cfg!(feature = "embedded") || std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let spare = || std::thread::available_parallelism().map_or(1, |cores| cores.get() - 1);
    let threads = threads.unwrap_or_else(spare).max(1);
    // SAFETY: called before any other thread exists, as the documentation asks.
    #[allow(unsafe_code, reason = "the library reads its number of threads from the environment alone")]
    unsafe {
        std::env::set_var(VARIABLE, threads.to_string());
    }
}

/// What turns texts into vectors; `None` where it is not part of this build. It is loaded in the background.
#[cfg(feature = "embedded")]
pub fn embedder(settings: &Settings) -> Option<Arc<dyn Embedder>> {
    use super::embedded::{EMBEDDER_DIR, MiniLm};
    Some(Arc::new(MiniLm::open(&settings.models_dir.join(EMBEDDER_DIR))))
}

/// What turns texts into vectors; `None` where it is not part of this build.
#[cfg(not(feature = "embedded"))]
pub fn embedder(_settings: &Settings) -> Option<Arc<dyn Embedder>> {
    None
}

#[cfg(feature = "embedded")]
fn embedded(settings: &Settings, embedder: Option<&Arc<dyn Embedder>>) -> Arc<dyn Model> {
    match embedder {
        Some(embedder) => Arc::new(super::embedded::assistant(&settings.models_dir, Arc::clone(embedder))),
        None => Arc::new(super::assistant::Assistant::new()),
    }
}

#[cfg(not(feature = "embedded"))]
fn embedded(_settings: &Settings, _embedder: Option<&Arc<dyn Embedder>>) -> Arc<dyn Model> {
    Arc::new(super::assistant::Assistant::new())
}

#[cfg(feature = "providers")]
fn provider(settings: &Settings) -> Result<Arc<dyn Model>> {
    Ok(Arc::new(super::provider::Provider::new(&settings.model, &settings.provider)?))
}

#[cfg(not(feature = "providers"))]
fn provider(settings: &Settings) -> Result<Arc<dyn Model>> {
    Err(Error::invalid(format!(
        "{:?} needs the providers, which are not part of this build; build with the feature `providers`",
        settings.model
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(model: &str) -> Result<Arc<dyn Model>> {
        choose(&Settings { model: model.into(), ..Settings::default() }).map(|chosen| chosen.model)
    }

    #[tokio::test]
    async fn names_choose_models() {
        assert_eq!(named("embedded").map(|model| model.name().to_owned()).ok().as_deref(), Some("embedded"));
        assert_eq!(named("scripted").map(|model| model.name().to_owned()).ok().as_deref(), Some("scripted"));
        let error = named("gpt-5").expect_err("it has no provider");
        assert!(error.message.contains("no model named \"gpt-5\""), "{error}");
    }

    #[tokio::test]
    #[cfg(not(feature = "providers"))]
    async fn a_build_without_providers_says_so() {
        let error = named("openai/gpt-5-mini").expect_err("it has no providers");
        assert!(error.message.contains("feature `providers`"), "{error}");
    }
}
