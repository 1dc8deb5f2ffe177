//! A chat's settings, as they are kept.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::conversation::ChatSettings;

/// The twin of [`ChatSettings`]. Members that an older server does not know are left out by it, so a newer one adds
/// members and never changes one's meaning.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct KeptSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    collections: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_context_messages: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

/// The JSON that is kept of settings.
pub fn encode_settings(settings: &ChatSettings) -> String {
    let settings = settings.clone();
    let kept = KeptSettings {
        title: settings.title,
        system_prompt: settings.system_prompt,
        agent: settings.agent,
        model: settings.model,
        collections: settings.collections,
        max_context_messages: settings.max_context_messages,
        max_tokens: settings.max_tokens,
        temperature: settings.temperature,
        extra: settings.extra,
    };
    serde_json::to_string(&kept).expect("plain data whose map keys are text is always JSON")
}

/// The settings that were kept. What is damaged is as if it had never been set.
pub fn decode_settings(json: Option<&str>) -> ChatSettings {
    let Some(json) = json else { return ChatSettings::default() };
    let kept: KeptSettings = serde_json::from_str(json).unwrap_or_else(|error| {
        tracing::error!(%error, "a chat's settings are damaged");
        KeptSettings::default()
    });
    ChatSettings {
        title: kept.title,
        system_prompt: kept.system_prompt,
        agent: kept.agent,
        model: kept.model,
        collections: kept.collections,
        max_context_messages: kept.max_context_messages,
        max_tokens: kept.max_tokens,
        temperature: kept.temperature,
        extra: kept.extra,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back() {
        let mut settings = ChatSettings {
            title: Some("Tea".into()),
            system_prompt: Some("Be brief.".into()),
            agent: Some("explorer".into()),
            model: Some("scripted".into()),
            collections: vec!["orders".into()],
            max_context_messages: Some(3),
            max_tokens: Some(9),
            temperature: Some(0.5),
            extra: Map::new(),
        };
        settings.extra.insert("provider".into(), Value::from("ours"));
        assert_eq!(decode_settings(Some(&encode_settings(&settings))), settings);
        assert_eq!(encode_settings(&ChatSettings::default()), "{}");
        assert_eq!(decode_settings(None), ChatSettings::default());
        assert_eq!(decode_settings(Some("{damaged")), ChatSettings::default());
    }
}
