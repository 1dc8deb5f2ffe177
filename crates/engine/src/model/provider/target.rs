//! Which provider a name means: its protocol, its address, its key.

use genai::adapter::AdapterKind;
use genai::resolver::{AuthData, Endpoint};
use genai::{Headers, ModelIden, ServiceTarget};

use super::failure::Blame;
use crate::error::{Detail, Error, Result};
use crate::model::choose::ProviderSettings;

/// The API version that Azure is spoken to with unless a setting says otherwise.
const AZURE_VERSION: &str = "2024-10-21";
const AZURE_KEY: &str = "AZURE_OPENAI_API_KEY";
const AZURE_ENDPOINT: &str = "AZURE_OPENAI_ENDPOINT";

/// A provider that is known by name.
struct Known {
    name: &'static str,
    adapter: AdapterKind,
    /// `None` needs no key.
    key: Option<&'static str>,
    base_url: &'static str,
}

const KNOWN: &[Known] = &[
    known("openai", AdapterKind::OpenAI, Some("OPENAI_API_KEY"), "https://api.openai.com/v1/"),
    known("anthropic", AdapterKind::Anthropic, Some("ANTHROPIC_API_KEY"), "https://api.anthropic.com/v1/"),
    known(
        "gemini",
        AdapterKind::Gemini,
        Some("GEMINI_API_KEY"),
        "https://generativelanguage.googleapis.com/v1beta/",
    ),
    known("ollama", AdapterKind::Ollama, None, "http://localhost:11434/"),
    known("groq", AdapterKind::Groq, Some("GROQ_API_KEY"), "https://api.groq.com/openai/v1/"),
    known("deepseek", AdapterKind::DeepSeek, Some("DEEPSEEK_API_KEY"), "https://api.deepseek.com/v1/"),
    known("xai", AdapterKind::Xai, Some("XAI_API_KEY"), "https://api.x.ai/v1/"),
    known("mistral", AdapterKind::Mistral, Some("MISTRAL_API_KEY"), "https://api.mistral.ai/v1/"),
    known("openrouter", AdapterKind::OpenRouter, Some("OPENROUTER_API_KEY"), "https://openrouter.ai/api/v1/"),
];

const fn known(
    name: &'static str,
    adapter: AdapterKind,
    key: Option<&'static str>,
    base_url: &'static str,
) -> Known {
    Known { name, adapter, key, base_url }
}

/// Where to send what, and whom to blame if it fails. `read` looks a variable of the environment up.
pub(super) fn resolve(
    name: &str,
    settings: &ProviderSettings,
    read: impl Fn(&str) -> Option<String>,
) -> Result<(ServiceTarget, Blame)> {
    let (provider, model) = name.split_once('/').unwrap_or((name, ""));
    if model.is_empty() {
        let message = format!("{name:?} names no model; write {provider}/ and the model's name after it");
        return Err(Error::invalid(message).with(Detail::Field(String::from("model"))));
    }
    if provider == "azure" {
        return azure(model, settings, &read);
    }
    match KNOWN.iter().find(|known| known.name == provider) {
        Some(known) => public(known, model, settings, &read),
        None => compatible(provider, model, settings, &read),
    }
}

fn public(
    known: &Known,
    model: &str,
    settings: &ProviderSettings,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<(ServiceTarget, Blame)> {
    let base_url = settings.base_url.as_deref().unwrap_or(known.base_url);
    let variable = settings.api_key_env.as_deref().or(known.key);
    // A server of one's own under a known protocol may need no key; one that is named must be there.
    let may_lack = settings.api_key_env.is_none() && settings.base_url.is_some();
    let key = key(known.name, variable, may_lack, read)?;
    let target = ServiceTarget {
        endpoint: Endpoint::from_owned(address(base_url)?),
        auth: AuthData::from_single(key),
        model: ModelIden::new(known.adapter, model),
    };
    Ok((target, Blame::new(known.name, variable)))
}

/// Anything else that speaks as OpenAI does, at an address that is given.
fn compatible(
    provider: &str,
    model: &str,
    settings: &ProviderSettings,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<(ServiceTarget, Blame)> {
    let Some(base_url) = &settings.base_url else {
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        let message = format!(
            "no provider named {provider:?}; use one of {}, azure, or give the base_url of a server that is compatible with OpenAI's",
            names.join(", ")
        );
        return Err(Error::invalid(message).with(Detail::Field(String::from("model"))));
    };
    let variable = settings.api_key_env.as_deref();
    let target = ServiceTarget {
        endpoint: Endpoint::from_owned(address(base_url)?),
        auth: AuthData::from_single(key(provider, variable, false, read)?),
        model: ModelIden::new(AdapterKind::OpenAI, model),
    };
    Ok((target, Blame::new(provider, variable)))
}

/// Azure speaks as OpenAI does, at an address of its own and with its key in another header.
fn azure(
    deployment: &str,
    settings: &ProviderSettings,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<(ServiceTarget, Blame)> {
    let variable = settings.api_key_env.as_deref().unwrap_or(AZURE_KEY);
    let key = key("azure", Some(variable), false, read)?;
    let Some(endpoint) = settings.base_url.clone().or_else(|| read(AZURE_ENDPOINT)) else {
        let message = format!(
            "azure needs the resource's endpoint; set base_url or {AZURE_ENDPOINT}, for example https://my-resource.openai.azure.com"
        );
        return Err(Error::invalid(message).with(Detail::Field(String::from("base_url"))));
    };
    let version = settings.api_version.as_deref().unwrap_or(AZURE_VERSION);
    let base = address(&endpoint)?;
    let url = format!("{base}openai/deployments/{deployment}/chat/completions?api-version={version}");
    let headers = Headers::from([
        (String::from("api-key"), key),
        (String::from("content-type"), String::from("application/json")),
    ]);
    let target = ServiceTarget {
        endpoint: Endpoint::from_owned(base),
        auth: AuthData::RequestOverride { url, headers },
        model: ModelIden::new(AdapterKind::OpenAI, deployment),
    };
    Ok((target, Blame::new("azure", Some(variable))))
}

/// The key, or the sentence that names its variable.
fn key(
    provider: &str,
    variable: Option<&str>,
    may_lack: bool,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<String> {
    // Servers that want no key ignore it, and the library does not send none.
    const NONE: &str = "none";
    let Some(variable) = variable else { return Ok(String::from(NONE)) };
    match read(variable).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()) {
        Some(key) => Ok(key),
        None if may_lack => Ok(String::from(NONE)),
        None => {
            let message = format!("{provider} needs a key; set {variable} in the server's environment");
            Err(Error::invalid(message).with(Detail::Field(String::from("api_key_env"))))
        }
    }
}

/// An address that ends with a slash, because paths are put after it.
fn address(base_url: &str) -> Result<String> {
    let is_http = ["http://", "https://"]
        .iter()
        .any(|scheme| base_url.len() > scheme.len() && base_url.starts_with(scheme));
    if !is_http || base_url.contains(char::is_whitespace) {
        let message = format!("{base_url:?} is no address of a provider; write it as https://host/v1");
        return Err(Error::invalid(message).with(Detail::Field(String::from("base_url"))));
    }
    Ok(format!("{}/", base_url.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    fn some(variable: &str) -> Option<String> {
        Some(format!(" key of {variable}\n"))
    }

    fn failure(name: &str, settings: &ProviderSettings) -> String {
        resolve(name, settings, none).expect_err("it should fail").message.into_owned()
    }

    #[test]
    fn what_is_missing_is_named() {
        let settings = ProviderSettings::default();
        assert_eq!(
            failure("openai/gpt-5-mini", &settings),
            "openai needs a key; set OPENAI_API_KEY in the server's environment"
        );
        assert!(failure("openai/", &settings).contains("names no model"));
        assert!(
            failure("acme/x", &settings).contains("no provider named \"acme\"; use one of openai, anthropic")
        );
        assert!(failure("azure/gpt", &settings).contains("AZURE_OPENAI_API_KEY"));
        let no_endpoint = resolve("azure/gpt", &settings, |name| some(name).filter(|_| name == AZURE_KEY));
        assert!(no_endpoint.err().is_some_and(|error| error.message.contains("AZURE_OPENAI_ENDPOINT")));
        let named = ProviderSettings { api_key_env: Some(String::from("MY_KEY")), ..settings.clone() };
        assert!(failure("anthropic/x", &named).contains("set MY_KEY"));
        let address = ProviderSettings { base_url: Some(String::from("localhost:1")), ..settings };
        assert!(failure("ollama/x", &address).contains("is no address of a provider"));
    }

    #[test]
    fn known_providers_have_their_address_and_key() {
        let (target, _) = resolve("openai/gpt-5-mini", &ProviderSettings::default(), some).unwrap();
        assert_eq!(target.endpoint.base_url(), "https://api.openai.com/v1/");
        assert_eq!(target.auth.single_key_value().unwrap(), "key of OPENAI_API_KEY");
        assert_eq!(&*target.model.model_name, "gpt-5-mini");
    }

    #[test]
    fn a_server_of_ones_own_needs_no_key() {
        let settings =
            ProviderSettings { base_url: Some(String::from("http://127.0.0.1:1/v1")), ..Default::default() };
        for name in ["openai/x", "acme/some/model"] {
            let (target, _) = resolve(name, &settings, none).unwrap();
            assert_eq!(target.endpoint.base_url(), "http://127.0.0.1:1/v1/");
        }
    }

    #[test]
    fn azure_has_its_own_address_and_header() {
        let settings = ProviderSettings {
            base_url: Some(String::from("https://r.openai.azure.com/")),
            api_version: Some(String::from("2025-01-01")),
            ..Default::default()
        };
        let (target, _) = resolve("azure/my-gpt", &settings, some).unwrap();
        let AuthData::RequestOverride { url, headers } = target.auth else {
            panic!("azure has an address of its own")
        };
        assert_eq!(
            url,
            "https://r.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2025-01-01"
        );
        let headers: Vec<(String, String)> = headers.into_iter().collect();
        assert!(headers.contains(&(String::from("api-key"), String::from("key of AZURE_OPENAI_API_KEY"))));
    }
}
